/** @file `faceid models` with the real files of a pack, from servers that misbehave, on a full disk, by two at once. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { models } from "../src/index.ts";
import { zipOf } from "./support/archives.ts";
import { type Answer, FileServer, type Sending, sendFile } from "./support/file-server.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const BIN = join(import.meta.dirname, "../bin/faceid.js");
const SHARED = join(import.meta.dirname, "../../shared/models/opencv");
const DETECTOR = "face_detection_yunet_2023mar_int8bq.onnx";
const EMBEDDING = "face_recognition_sface_2021dec_int8bq.onnx";
const NAMES = [DETECTOR, EMBEDDING];
const PACK = "opencv-sface";
const here = NAMES.every((name) => existsSync(join(SHARED, name)));
if (!here) process.stderr.write(`skipped: faceid models with real files, since ${SHARED} has none\n`);

const work = temporaryFolder("models");
let folders = 0;
const newRoot = () => join(work, `root-${folders++}`);

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `faceid models …` on a folder of packs. */
function start(root: string, words: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [BIN, "models", ...words], {
    cwd: work,
    env: { ...process.env, FACEID_OFFLINE: "", FACEID_MODELS_DIR: root, ...environment },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (stdout += data));
  child.stderr.on("data", (data: Buffer) => (stderr += data));
  const ended = new Promise<Ended>((resolve) =>
    child.once("close", (code) => resolve({ code, stdout, stderr })),
  );
  return { child, ended };
}

const faceid = (root: string, words: readonly string[], environment?: NodeJS.ProcessEnv) =>
  start(root, words, environment).ended;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Bytes of a file that have come so far. */
function partBytes(root: string, file = EMBEDDING): number {
  if (!existsSync(root)) return 0;
  const part = readdirSync(root, { recursive: true, encoding: "utf8" }).find((name) =>
    name.endsWith(`${file}.part`),
  );
  return part === undefined ? 0 : (statSync(join(root, part), { throwIfNoEntry: false })?.size ?? 0);
}

describe("faceid models without files", () => {
  it("lists what there is in 80 columns, and for programs", async () => {
    const root = newRoot();
    const { code, stdout } = await faceid(root, ["list"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^opencv-sface {2}10\.8 MB, not here$/m);
    for (const word of ["MIT", "Apache-2.0", "WIDER FACE", "research terms"]) expect(stdout).toContain(word);
    for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
    const [first] = JSON.parse((await faceid(root, ["list", "--json"])).stdout) as [object];
    expect(first).toMatchObject({ name: PACK, state: "absent", bytes: 10_790_341 });
  });

  it("prints the folder, and knows its mistakes by exit code", async () => {
    const root = newRoot();
    expect(await faceid(root, ["path"])).toEqual({ code: 0, stdout: `${root}\n`, stderr: "" });
    expect((await faceid(root, ["path", PACK])).stdout).toBe(`${join(root, PACK)}\n`);
    expect(await faceid(root, ["add", "arcface"])).toMatchObject({
      code: 8,
      stderr: expect.stringContaining("the catalogue has opencv-sface"),
    });
    const offline = await faceid(root, ["add", PACK], { FACEID_OFFLINE: "1" });
    expect(offline.code).toBe(8);
    expect(offline.stderr).toContain(`faceid models add ${PACK} --from`);
    expect((await faceid(root, ["remove", PACK])).stdout).toBe(`${PACK} was not here\n`);
    expect((await faceid(root, ["list"], { FACEID_OFLINE: "1" })).code).toBe(2);
    expect(existsSync(root)).toBe(false);
  });

  it("takes its variables from .env too", async () => {
    const folder = join(work, "with-env");
    mkdirSync(folder);
    writeFileSync(join(folder, ".env"), "FACEID_MODELS_DIR=packs\n");
    const { stdout } = spawnSync(process.execPath, [BIN, "models", "path"], {
      cwd: folder,
      env: { ...process.env, FACEID_MODELS_DIR: "" },
      encoding: "utf8",
    });
    expect(stdout).toBe(`${join(folder, "packs")}\n`);
  });
});

/** A disk of a few megabytes, where this user may mount one. */
const disk = join(work, "disk");
mkdirSync(disk);
const mounted =
  here &&
  process.platform === "linux" &&
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]).status === 0;
if (here && !mounted) process.stderr.write("skipped: a full disk, since no small disk can be mounted here\n");
afterAll(() => {
  if (mounted) spawnSync("umount", [disk]);
});

describe.skipIf(!here)("faceid models with the files of opencv-sface", () => {
  const files = new Map(here ? NAMES.map((name) => [name, readFileSync(join(SHARED, name))]) : []);
  const server = { current: undefined as FileServer | undefined };
  afterEach(() => server.current?.[Symbol.asyncDispose]());

  /** Answers with the file that the address names. */
  const whole =
    (sending: (name: string, attempt: number) => Sending = () => ({})): Answer =>
    (request, response, attempt) => {
      const name = basename(request.url!);
      sendFile(request, response, files.get(name)!, sending(name, attempt));
    };

  async function serving(answer: Answer) {
    server.current = await FileServer.start(answer);
    return { asked: server.current.asked, mirror: { FACEID_MODELS_URL: `${server.current.url}/m` } };
  }

  function expectWhole(root: string): void {
    expect(readdirSync(root)).toEqual([PACK]);
    expect(readdirSync(join(root, PACK)).sort()).toEqual(NAMES);
    for (const name of NAMES)
      expect(readFileSync(join(root, PACK, name)).equals(files.get(name)!)).toBe(true);
  }

  it("fetches from a mirror, says once under which terms, and removes", async () => {
    const root = newRoot();
    const { asked, mirror } = await serving(whole());
    const added = await faceid(root, ["add", PACK], mirror);
    expect(added.code, added.stderr).toBe(0);
    expectWhole(root);
    expect(asked.map(({ path }) => path)).toEqual(NAMES.map((name) => `/m/${PACK}/${name}`));
    for (const once of ["WIDER FACE", "research terms", "Apache-2.0"])
      expect((added.stdout + added.stderr).split(once).length - 1, once).toBeGreaterThanOrEqual(1);
    expect(added.stdout.split("research terms")).toHaveLength(2);
    const again = await faceid(root, ["add", PACK], mirror);
    expect(again).toEqual({ code: 0, stdout: `${PACK} is here already: ${join(root, PACK)}\n`, stderr: "" });
    expect((await faceid(root, ["list"])).stdout).toContain("10.8 MB, here");
    expect(await faceid(root, ["remove", PACK])).toMatchObject({ code: 0, stdout: `${PACK} is removed\n` });
    expect(readdirSync(root)).toEqual([]);
  });

  it("goes on where the connection was cut, where it was killed, and after a redirect", async () => {
    const root = newRoot();
    const { asked, mirror } = await serving(
      whole((name, attempt) =>
        name === DETECTOR
          ? { cutAt: 70_000, arrived: () => partBytes(root, DETECTOR) >= 70_000 }
          : attempt < 6
            ? { slowly: 40_000 }
            : {},
      ),
    );
    const { child, ended } = start(root, ["add", PACK], mirror);
    await until(() => partBytes(root) > 0);
    child.kill("SIGKILL");
    await ended;
    expect(existsSync(join(root, PACK))).toBe(false);
    const before = asked.length;
    server.current!.answer = (request, response, attempt) => {
      if (request.url!.startsWith("/m/"))
        response.writeHead(307, { location: `/elsewhere/${basename(request.url!)}` }).end();
      else whole()(request, response, attempt);
    };
    expect((await faceid(root, ["add", PACK], mirror)).code).toBe(0);
    expectWhole(root);
    const after = asked.slice(before);
    expect(after.map(({ path }) => path)).toEqual([`/m/${PACK}/${EMBEDDING}`, `/elsewhere/${EMBEDDING}`]);
    expect(after[1]!.range).toMatch(/^bytes=[1-9]/);
  });

  it("refuses other bytes, and says what to do", async () => {
    const root = newRoot();
    const { mirror } = await serving((request, response) => {
      const content = Buffer.from(files.get(basename(request.url!))!);
      content[1000]! ^= 1;
      sendFile(request, response, content);
    });
    const { code, stderr } = await faceid(root, ["add", PACK], mirror);
    expect(code).toBe(4);
    expect(stderr).toMatch(/its SHA-256 is [0-9a-f]{64}, expected 49f000ec/);
    expect(stderr).toContain("--from");
    expect(readdirSync(root)).toEqual([]);
  });

  it("fetches once for two processes at once", async () => {
    const root = newRoot();
    const held: (() => void)[] = [];
    let secondWaits = false;
    const rest = (send: () => void) => (secondWaits ? send() : held.push(send));
    const { asked, mirror } = await serving(whole(() => ({ rest })));
    const first = faceid(root, ["add", PACK], mirror);
    await until(() => asked.length > 0);
    const second = start(root, ["add", PACK], mirror);
    second.child.stderr.once("data", () => {
      secondWaits = true;
      for (const send of held) send();
    });
    const both = await Promise.all([first, second.ended]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(both[1].stderr).toContain("another process is fetching opencv-sface; waiting for it");
    expect(asked).toHaveLength(2);
    expectWhole(root);
  });

  it("keeps what has come when it is interrupted", async () => {
    const root = newRoot();
    const { asked, mirror } = await serving(whole(() => ({ slowly: 50_000 })));
    const { child, ended } = start(root, ["add", PACK], mirror);
    await until(() => partBytes(root) > 0);
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toContain("the next run goes on from here");
    server.current!.answer = whole();
    expect((await faceid(root, ["add", PACK], mirror)).code).toBe(0);
    expect(asked.at(-1)!.range).toMatch(/^bytes=[1-9]/);
    expectWhole(root);
  });

  it.skipIf(!mounted)(
    "ends with one clear line on a full disk, and leaves no room taken for good",
    async () => {
      const { mirror } = await serving(whole());
      const root = join(disk, "packs");
      for (const [words, environment] of [
        [["add", PACK], mirror],
        [["add", PACK, "--from", SHARED], {}],
      ] as const) {
        const { code, stderr } = await faceid(root, words, environment);
        expect(code).toBe(7);
        expect(stderr).toMatch(/^error: .*(more bytes|ENOSPC).*\n {2}free some space/m);
        expect(
          readdirSync(root, { recursive: true }).filter((name) => String(name).includes("recognition")),
        ).toEqual([]);
      }
      // The disk fills while the file comes in: the system's own error in place of ours.
      const filler = join(disk, "filler");
      spawnSync("mount", ["-o", "remount,size=12m", disk]);
      server.current!.answer = (request, response, attempt) => {
        if (basename(request.url!) === EMBEDDING) {
          setTimeout(() => spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=1M", "count=8"]), 150);
        }
        whole(() => ({ slowly: 300_000 }))(request, response, attempt);
      };
      const { code, stderr } = await faceid(root, ["add", PACK], mirror);
      expect([code, stderr]).toEqual([7, expect.stringContaining("free some space")]);
      spawnSync("rm", [filler]);
      server.current!.answer = whole();
      expect((await faceid(root, ["add", PACK], mirror)).code).toBe(0);
      expectWhole(root);
    },
  );

  it("takes the two files, their folder, and a wheel, where nothing may be fetched", async () => {
    const wheel = join(work, "verifier-1.0-py3-none-any.whl");
    writeFileSync(
      wheel,
      zipOf(NAMES.map((name) => ({ path: `verifier/models/${name}`, content: files.get(name)! }))),
    );
    for (const from of [NAMES.map((name) => join(SHARED, name)), [SHARED], [wheel]]) {
      const root = newRoot();
      const { code, stderr } = await faceid(root, ["add", PACK, "--from", ...from], { FACEID_OFFLINE: "1" });
      expect(code, stderr).toBe(0);
      expectWhole(root);
    }
  });

  it("is in the library, too", async () => {
    const root = newRoot();
    process.env.FACEID_MODELS_DIR = root;
    try {
      expect(models.path(PACK)).toBe(join(root, PACK));
      expect(await models.add(PACK, { from: SHARED })).toBe(true);
      expect(await models.list()).toMatchObject([{ state: "present", pack: { name: PACK } }]);
      expect(await models.remove(PACK)).toBe(true);
    } finally {
      delete process.env.FACEID_MODELS_DIR;
    }
  });
});
