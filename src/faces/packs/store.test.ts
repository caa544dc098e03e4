/** @file Packs fetched, copied, damaged, removed, by one process and by several, from servers that misbehave. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { zipOf } from "../../../test/support/archives.ts";
import { type Answer, FileServer, type Sending, sendFile } from "../../../test/support/file-server.ts";
import { temporaryFolder } from "../../../test/support/photos.ts";
import type { Log } from "../../base/log.ts";
import type { Pack, PackFile } from "./catalogue.ts";
import { PackStore } from "./store.ts";

const bytesOf = (length: number, step: number) =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => (i * step) % 251));
const DETECTOR = bytesOf(40_000, 7);
const EMBEDDING = bytesOf(300_000, 31);
const CONTENTS: Readonly<Record<string, Buffer>> = { "find.onnx": DETECTOR, "embed.onnx": EMBEDDING };

const servers: FileServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server[Symbol.asyncDispose]())));

async function serving(answer: Answer): Promise<FileServer> {
  const server = await FileServer.start(answer);
  servers.push(server);
  return server;
}

/** The folder of the store of the moment. */
let current = "";

/** Bytes of a file that have come so far. */
function partBytes(root: string, name: string): number {
  if (!existsSync(root)) return 0;
  const part = readdirSync(root, { recursive: true, encoding: "utf8" }).find((path) =>
    path.endsWith(`${name}.part`),
  );
  return part === undefined ? 0 : (statSync(join(root, part), { throwIfNoEntry: false })?.size ?? 0);
}

const nameIn = (path: string) => path.split("/").at(-1)!;

/** Answers with the file that the last part of the address names. */
const whole =
  (sending: (name: string, attempt: number) => Sending = () => ({})): Answer =>
  (request, response, attempt) => {
    const name = nameIn(request.url!);
    sendFile(request, response, CONTENTS[name]!, {
      arrived: (bytes) => partBytes(current, name) >= bytes,
      ...sending(name, attempt),
    });
  };

function fileOf(name: string, origins: readonly string[], licence: string): PackFile {
  const content = CONTENTS[name]!;
  return {
    name,
    bytes: content.length,
    sha256: createHash("sha256").update(content).digest("hex"),
    origins: origins.map((origin) => `${origin}/${name}`),
    holds: name,
    licence,
    trainedOn: "drawn faces",
  };
}

function packAt(...origins: string[]): Pack {
  return {
    name: "tiny",
    files: {
      detector: fileOf("find.onnx", origins, "MIT"),
      embedding: fileOf("embed.onnx", origins, "Apache-2.0"),
    },
    note: "for tests",
  };
}

interface Given {
  readonly origins?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly root?: string;
}

/** A store of one pack in a folder of its own, and what it logs. */
async function storeOf({ origins = ["http://127.0.0.1:1"], environment = {}, root }: Given = {}) {
  const folder = root ?? join(await temporaryFolder(), "models");
  current = folder;
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line) } as unknown as Log;
  const store = new PackStore({
    catalogue: [packAt(...origins)],
    environment: { FACEID_MODELS_DIR: folder, ...environment },
    retryDelayMs: 1,
  });
  return { store, root: folder, log, lines };
}

const contentsOf = (folder: string) => readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
const WHOLE = ["tiny", "tiny/embed.onnx", "tiny/find.onnx"];

function expectWhole(root: string): void {
  expect(contentsOf(root)).toEqual(WHOLE);
  for (const [name, content] of Object.entries(CONTENTS))
    expect(readFileSync(join(root, "tiny", name)).equals(content)).toBe(true);
}

describe("opening a pack", () => {
  it("fetches it at first use, says size and licences in one line, and asks nobody the next time", async () => {
    const server = await serving(whole());
    const { store, root, log, lines } = await storeOf({ origins: [server.url] });
    const opened = await store.open("tiny", { log });
    expectWhole(root);
    expect(opened).toMatchObject({
      name: "tiny",
      files: {
        detector: join(root, "tiny/find.onnx"),
        embedding: join(root, "tiny/embed.onnx"),
      },
      about: { note: "for tests" },
    });
    expect(lines).toEqual([
      "fetching tiny: 340.0 kB; licences of the weights: MIT and Apache-2.0",
      "for tests",
    ]);
    await store.open("tiny", { log });
    expect([server.asked.length, lines.length]).toEqual([2, 2]);
  });

  it("says how to get it where nothing may be fetched, or nobody answers", async () => {
    const server = await serving(whole());
    const environment = { FACEID_OFFLINE: "1" };
    const offline = await storeOf({ origins: [server.url], environment });
    await expect(offline.store.open("tiny")).rejects.toMatchObject({
      code: "PACK_MISSING",
      message: expect.stringContaining("FACEID_OFFLINE"),
      hint: expect.stringMatching(
        /faceid models add tiny\n.*faceid models add tiny --from .*\n.*FACEID_MODELS_DIR/,
      ),
    });
    await expect(offline.store.add("tiny")).rejects.toMatchObject({ code: "PACK_MISSING" });
    expect(server.asked).toEqual([]);
    expect(existsSync(offline.root)).toBe(false);

    const lonely = await storeOf();
    await expect(lonely.store.open("tiny")).rejects.toMatchObject({
      code: "PACK_MISSING",
      message: expect.stringContaining("127.0.0.1:1"),
      cause: { code: "DOWNLOAD_FAILED" },
    });
    expect(contentsOf(lonely.root)).toEqual([]);
  });

  it("fetches where FACEID_OFFLINE says no", async () => {
    const server = await serving(whole());
    const { store } = await storeOf({ origins: [server.url], environment: { FACEID_OFFLINE: "0" } });
    expect(await store.add("tiny")).toBe(true);
  });

  it("never hands over a damaged file; adding the pack again replaces it", async () => {
    const server = await serving(whole());
    const { store, root } = await storeOf({ origins: [server.url] });
    await store.open("tiny");
    const path = join(root, "tiny/embed.onnx");
    for (const damage of [EMBEDDING.subarray(1), Buffer.from(EMBEDDING).fill(0, 9, 12), undefined]) {
      if (damage === undefined) await store.remove("tiny").then(() => mkdir(join(root, "tiny")));
      else writeFileSync(path, damage);
      await expect(store.open("tiny")).rejects.toMatchObject({
        code: "PACK_INVALID",
        hint: "run faceid models add tiny, which replaces it",
      });
      expect((await store.list())[0]).toMatchObject({
        state: "damaged",
        problem: expect.stringMatching(/onnx (has|is)/),
      });
      expect(await store.add("tiny")).toBe(true);
      expectWhole(root);
    }
  });

  it("knows no other pack", async () => {
    const { store } = await storeOf();
    const unknown = { code: "PACK_UNKNOWN", hint: "the catalogue has tiny" };
    await expect(store.open("huge")).rejects.toMatchObject(unknown);
    await expect(store.add("../tiny", { from: "." })).rejects.toMatchObject(unknown);
    await expect(store.remove("huge")).rejects.toMatchObject(unknown);
    expect(() => store.path("huge")).toThrow(expect.objectContaining(unknown));
  });
});

describe("fetching a pack", () => {
  it("asks a mirror in place of the origins", async () => {
    const mirror = await serving(whole());
    const { store, root } = await storeOf({ environment: { FACEID_MODELS_URL: `${mirror.url}/packs/` } });
    await store.add("tiny");
    expectWhole(root);
    expect(mirror.asked.map(({ path }) => path)).toEqual(["/packs/tiny/find.onnx", "/packs/tiny/embed.onnx"]);
    const wrong = await storeOf({ environment: { FACEID_MODELS_URL: "my disk" } });
    await expect(wrong.store.add("tiny")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("goes on after cut connections, and in the next process after a failure", async () => {
    const cut = await serving(whole((name) => (name === "embed.onnx" ? { cutAt: 50_000 } : {})));
    const { store, root } = await storeOf({ origins: [cut.url] });
    await store.add("tiny");
    expectWhole(root);
    expect(cut.asked.length).toBeGreaterThan(5);

    let broken = true;
    const failing = await serving((request, response, attempt) => {
      if (broken && attempt > 2) response.writeHead(500).end();
      else
        whole((name) => (broken && name === "embed.onnx" ? { cutAt: 50_000 } : {}))(
          request,
          response,
          attempt,
        );
    });
    const again = await storeOf({ origins: [failing.url] });
    await expect(again.store.add("tiny")).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      message: expect.stringContaining("500"),
    });
    expect(contentsOf(again.root).filter((name) => name.startsWith("tiny"))).toEqual([]);
    broken = false;
    const before = failing.asked.length;
    await again.store.add("tiny");
    expectWhole(again.root);
    expect(failing.asked.slice(before)).toEqual([
      { path: "/embed.onnx", range: expect.stringMatching(/^bytes=[1-9]/) },
    ]);
  });

  it("follows redirects to other servers, also in the middle of a file", async () => {
    const store = await serving(
      whole((name, attempt) => (attempt === 2 && name === "embed.onnx" ? { cutAt: 90_000 } : {})),
    );
    const front = await serving((request, response) =>
      response.writeHead(302, { location: `${store.url}${request.url}` }).end(),
    );
    const { store: packs, root } = await storeOf({ origins: [front.url] });
    await packs.add("tiny");
    expectWhole(root);
    expect(store.asked.at(-1)?.range).toMatch(/^bytes=[1-9]/);
  });

  it("asks the next origin when the first is gone, or has other bytes", async () => {
    const gone = await serving((_, response) => response.writeHead(404).end());
    const other = await serving((request, response) =>
      sendFile(request, response, Buffer.from(CONTENTS[nameIn(request.url!)]!).fill(0, 5, 9)),
    );
    const short = await serving((request, response) => sendFile(request, response, Buffer.from("<html>")));
    const good = await serving(whole());
    const { store, root } = await storeOf({ origins: [gone.url, other.url, short.url, good.url] });
    await store.add("tiny");
    expectWhole(root);
    expect([gone, other, short, good].map(({ asked }) => asked.length)).toEqual([2, 2, 2, 2]);

    const hopeless = await storeOf({ origins: [gone.url, other.url, short.url] });
    await expect(hopeless.store.add("tiny")).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      message: expect.stringMatching(/404(.|\n)*SHA-256(.|\n)*has 6 bytes/),
      hint: expect.stringContaining("FACEID_MODELS_URL"),
    });
    expect(contentsOf(hopeless.root)).toEqual([]);
  });

  it("tells how far a slow server is, and goes on after Ctrl-C", async () => {
    const server = await serving(whole(() => ({ slowly: 10_000 })));
    const { store, root } = await storeOf({ origins: [server.url] });
    const stop = new AbortController();
    const seen: number[] = [];
    const progress = ({ pack, received, total }: { pack: string; received: number; total: number }) => {
      expect([pack, total]).toEqual(["tiny", 340_000]);
      seen.push(received);
      if (received > 150_000) stop.abort();
    };
    await expect(store.add("tiny", { progress, signal: stop.signal })).rejects.toMatchObject({
      code: "INTERRUPTED",
    });
    expect(existsSync(join(root, "tiny"))).toBe(false);
    const seenThen: number[] = [];
    await store.add("tiny", { progress: ({ received }) => seenThen.push(received) });
    expectWhole(root);
    for (const numbers of [seen, seenThen]) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(seenThen.at(-1)).toBe(340_000);
    expect(seenThen.find((received) => received > 40_000)).toBeGreaterThan(150_000);
    expect(server.asked.at(-1)).toEqual({ path: "/embed.onnx", range: expect.stringMatching(/^bytes=/) });
  });

  it("is done once for two that ask at the same time, and the second waits", async () => {
    const server = await serving(whole(() => ({ slowly: 20_000 })));
    const { store, root, log, lines } = await storeOf({ origins: [server.url] });
    const first = store.open("tiny", { log });
    while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const [a, b] = await Promise.all([first, store.open("tiny", { log })]);
    expect(a).toEqual(b);
    expectWhole(root);
    expect(server.asked).toHaveLength(2);
    expect(lines).toContain("another process is fetching tiny; waiting for it");
  });

  it("stops waiting on a signal", async () => {
    const server = await serving(whole(() => ({ slowly: 2_000 })));
    const { store } = await storeOf({ origins: [server.url] });
    const [stopFirst, stopSecond] = [new AbortController(), new AbortController()];
    const first = store.add("tiny", { signal: stopFirst.signal });
    while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const log = { info: () => stopSecond.abort() } as unknown as Log;
    await expect(store.add("tiny", { log, signal: stopSecond.signal })).rejects.toMatchObject({
      code: "INTERRUPTED",
      message: expect.stringContaining("another process"),
    });
    stopFirst.abort();
    await expect(first).rejects.toMatchObject({ code: "INTERRUPTED" });
  });
});

const STORE = pathToFileURL(join(import.meta.dirname, "store.ts")).href;

/** Another process that adds the pack; prints nothing and ends with 0 when it is there. */
function addElsewhere(root: string, origin: string, { limitBlocks }: { limitBlocks?: number } = {}) {
  const code = `
    import { PackStore } from ${JSON.stringify(STORE)};
    const catalogue = JSON.parse(process.env.CATALOGUE);
    const store = new PackStore({ catalogue, retryDelayMs: 1 });
    await store.add("tiny").catch((error) => { console.error(error.code); process.exitCode = 1; });`;
  const node = [process.execPath, "--import", "tsx", "--input-type=module", "-e", code];
  const [command, ...words] =
    limitBlocks === undefined ? node : ["bash", "-c", `ulimit -f ${limitBlocks}; exec "$@"`, "bash", ...node];
  const environment = {
    ...process.env,
    FACEID_MODELS_DIR: root,
    CATALOGUE: JSON.stringify([packAt(origin)]),
  };
  const child = spawn(command!, words, { env: environment, cwd: join(import.meta.dirname, "../../..") });
  let said = "";
  child.stderr.on("data", (data: Buffer) => (said += data));
  const ended = new Promise<{ code: number | null; said: string }>((resolve) =>
    child.once("close", (exit) => resolve({ code: exit, said })),
  );
  return { child, ended };
}

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
};

describe("several processes", () => {
  it("that start together all end with the whole pack, and leave nothing else", async () => {
    const server = await serving(whole(() => ({ slowly: 20_000 })));
    const root = join(await temporaryFolder(), "models");
    const all = [1, 2, 3].map(() => addElsewhere(root, server.url).ended);
    expect(await Promise.all(all)).toEqual(Array(3).fill({ code: 0, said: "" }));
    expectWhole(root);
  });

  it("go on at once with what one of them had when it was killed", async () => {
    const server = await serving(whole(() => ({ slowly: 4_000 })));
    const { store, root } = await storeOf({ origins: [server.url] });
    const { child, ended } = addElsewhere(root, server.url);
    await until(() => partBytes(root, "embed.onnx") > 0);
    child.kill("SIGKILL");
    await ended;
    expect(existsSync(join(root, "tiny"))).toBe(false);
    server.answer = whole();
    const before = server.asked.length;
    await store.open("tiny");
    expectWhole(root);
    expect(server.asked.slice(before)).toEqual([
      { path: "/embed.onnx", range: expect.stringMatching(/^bytes=[1-9]/) },
    ]);
  });

  it("wait for one on another machine as long as it shows signs of life, and then go on with its part", async () => {
    const server = await serving(whole());
    const { store, root, log, lines } = await storeOf({ origins: [server.url] });
    const folder = join(root, ".tiny.00000000-1-aaaaaaaa.part");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "find.onnx"), DETECTOR);
    const adding = store.add("tiny", { log });
    await until(() => lines.length > 0);
    expect(lines).toEqual(["another process is fetching tiny; waiting for it"]);
    expect(server.asked).toEqual([]);
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(folder, longAgo, longAgo);
    await adding;
    expectWhole(root);
    expect(server.asked.map(({ path }) => path)).toEqual(["/embed.onnx"]);
  });

  it.skipIf(process.platform === "win32")("keep to the part when the disk takes no more", async () => {
    const server = await serving(whole());
    const { store, root } = await storeOf({ origins: [server.url] });
    // No file may grow beyond so many blocks of 1 kB: the write fails as on a full disk or quota.
    const { ended } = addElsewhere(root, server.url, { limitBlocks: 100 });
    expect(await ended).toEqual({ code: 1, said: "DISK_FULL\n" });
    const left = contentsOf(root).map((path) => path.split("/").at(-1)!);
    expect(left.slice(1)).toEqual(["embed.onnx.part", "embed.onnx.part.json", "find.onnx"]);
    await store.add("tiny");
    expectWhole(root);
  });
});

describe("adding from files", () => {
  async function shelf(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
    const folder = await temporaryFolder();
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    return folder;
  }

  const wheel = (inside: Readonly<Record<string, Buffer | string>> = CONTENTS) =>
    zipOf(Object.entries(inside).map(([name, content]) => ({ path: `pkg/models/${name}`, content })));

  it.each([
    ["files, whatever they are called", { "a.bin": DETECTOR, "b.bin": EMBEDDING }, ["a.bin", "b.bin"]],
    ["a folder", { "x/find.onnx": DETECTOR, "x/y/embed.onnx": EMBEDDING, "x/z.txt": "no" }, ["x"]],
    ["a zip archive", { "pkg-1-py3-none-any.whl": wheel() }, ["pkg-1-py3-none-any.whl"]],
    ["a folder with a wheel", { "got/pkg.whl": wheel(), "got/readme": "" }, ["got"]],
    ["an archive and a file", { "a.zip": wheel({ "find.onnx": DETECTOR }), b: EMBEDDING }, ["a.zip", "b"]],
    ["good files beside others of their names", { "1/find.onnx": "no", ...CONTENTS }, ["."]],
  ])("takes %s", async (_, files, sources) => {
    const folder = await shelf(files);
    const { store, root } = await storeOf({ environment: { FACEID_OFFLINE: "1" } });
    expect(await store.add("tiny", { from: sources.map((each) => join(folder, each)) })).toBe(true);
    expectWhole(root);
    expect(await store.add("tiny", { from: "/nowhere" })).toBe(false);
  });

  it.skipIf(process.platform === "win32")("follows links, as in the cache of Hugging Face", async () => {
    const folder = await shelf({ "blobs/1": DETECTOR, "blobs/2": EMBEDDING, "snapshots/x/readme": "" });
    symlinkSync("../../blobs/1", join(folder, "snapshots/x/find.onnx"));
    symlinkSync("../../blobs/2", join(folder, "snapshots/x/embed.onnx"));
    symlinkSync("../../blobs/3", join(folder, "snapshots/x/lost.onnx"));
    const { store, root } = await storeOf();
    await store.add("tiny", { from: join(folder, "snapshots") });
    expectWhole(root);
  });

  const changed = Buffer.from(EMBEDDING).fill(1, 100, 101);
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 300000\n";
  it.each([
    ["a missing file", { "find.onnx": DETECTOR }, "PACK_INVALID", /holds no embed\.onnx$/],
    [
      "another file of the name",
      { ...CONTENTS, "embed.onnx": changed },
      "PACK_INVALID",
      /embed\.onnx has SHA-256 /,
    ],
    [
      "a cut file",
      { ...CONTENTS, "embed.onnx": EMBEDDING.subarray(9) },
      "PACK_INVALID",
      /has 299991 bytes, expected/,
    ],
    ["a pointer of Git LFS", { ...CONTENTS, "embed.onnx": pointer }, "PACK_INVALID", /git lfs pull/],
    ["a cut archive", { "a.zip": wheel().subarray(0, -30) }, "ARCHIVE_INVALID", /cannot read .*a\.zip/],
    [
      "an archive of others",
      { "a.zip": wheel({ "embed.onnx": "?" }) },
      "PACK_INVALID",
      /pkg\/models\/embed\.onnx in /,
    ],
  ])("refuses %s and leaves nothing", async (_, files, code, message) => {
    const folder = await shelf(files);
    const { store, root } = await storeOf();
    const added = store.add("tiny", { from: folder });
    await expect(added).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(contentsOf(root)).toEqual([]);
  });

  it("takes the right files from a zip archive or none, when a byte of it is changed", async () => {
    const archive = wheel();
    const changes = fc.tuple(fc.nat(archive.length - 1), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(changes, async ([at, flip]) => {
        const bytes = Buffer.from(archive);
        bytes[at]! ^= flip;
        const folder = await shelf({ "a.zip": bytes });
        const { store, root } = await storeOf();
        const added = await store.add("tiny", { from: join(folder, "a.zip") }).catch((error: unknown) => {
          expect(error).toMatchObject({ name: "FaceError" });
          return false;
        });
        if (added) expectWhole(root);
        else expect(contentsOf(root)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it("says what a source is that is not there, and stops on a signal", async () => {
    const { store, root } = await storeOf();
    await expect(store.add("tiny", { from: "/nowhere/at all" })).rejects.toMatchObject({
      code: "FILE_INVALID",
      hint: expect.stringContaining("wheel"),
    });
    const folder = await shelf(CONTENTS);
    await expect(store.add("tiny", { from: folder, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "INTERRUPTED",
    });
    expect(contentsOf(root)).toEqual([]);
  });

  it("does not wait for a process that fetches, which then finds it done", async () => {
    const server = await serving(whole(() => ({ slowly: 20_000 })));
    const { store, root } = await storeOf({ origins: [server.url] });
    const fetching = store.add("tiny");
    await until(() => server.asked.length > 0);
    expect(await store.add("tiny", { from: await shelf(CONTENTS) })).toBe(true);
    await fetching;
    expectWhole(root);
  });
});

describe("the folder of the packs", () => {
  it("can be anywhere, and is emptied by removing", async () => {
    const server = await serving(whole());
    const { store, root } = await storeOf({ origins: [server.url] });
    expect([store.path(), store.path("tiny")]).toEqual([root, join(root, "tiny")]);
    expect(await store.remove("tiny")).toBe(false);
    await store.add("tiny");
    expect(await store.list()).toMatchObject([{ state: "present", folder: join(root, "tiny") }]);
    expect(await store.remove("tiny")).toBe(true);
    expect(contentsOf(root)).toEqual([]);
    expect(await store.list()).toMatchObject([{ state: "absent" }]);
  });

  it("lies in the system's cache unless FACEID_MODELS_DIR names it", () => {
    const path = (environment: NodeJS.ProcessEnv) => new PackStore({ environment }).path();
    expect(path({ FACEID_MODELS_DIR: "here" })).toBe(join(process.cwd(), "here"));
    expect(path({})).toMatch(/faceid.*models$/);
    if (process.platform === "linux") expect(path({ XDG_CACHE_HOME: "/x" })).toBe("/x/faceid/models");
  });

  it("that is a file, or may not be made, is said", async () => {
    const root = join(await temporaryFolder(), "file");
    await writeFile(root, "");
    const { store } = await storeOf({ root });
    expect(await store.list()).toMatchObject([{ state: "absent" }]);
    for (const from of [undefined, "."]) {
      await expect(store.add("tiny", { from })).rejects.toMatchObject({
        code: "FILE_INVALID",
        hint: expect.stringContaining("FACEID_MODELS_DIR"),
      });
    }
  });
});
