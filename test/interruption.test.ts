/** @file What a run leaves behind when it is stopped by a signal, or when the disk is full, by the real command. */
import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SHIPPED_MODEL, SHIPPED_VERSION } from "../src/artifact/shipped.ts";
import { ERRORS } from "../src/base/errors.ts";
import { writeSynthetic } from "../src/data/drawn.ts";
import { imageSettings } from "../src/image/settings.ts";
import { readCheckpoint } from "../src/train/checkpoint.ts";
import { TINY_FLAGS, temporaryFolder } from "./support/tiny-run.ts";

const ROOT = join(import.meta.dirname, "..");
const BIN = join(ROOT, "bin/faceid.js");
const work = temporaryFolder("interruption");

/** 128 and the signal's number. */
const EXIT = { SIGINT: 130, SIGTERM: 143 } as const;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command; sends `signal` as soon as its output holds `moment`. */
function faceid(
  args: readonly string[],
  { cwd = work, env, signal, moment = "" }: SignalOptions = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [BIN, ...args], { cwd, ...(env !== undefined && { env }) });
    let [stdout, stderr, sent] = ["", "", false];
    const look = () => {
      if (signal === undefined || sent || !(stdout + stderr).includes(moment)) return;
      sent = true;
      child.kill(signal);
    };
    child.stdout.on("data", (data: Buffer) => {
      stdout += data;
      look();
    });
    child.stderr.on("data", (data: Buffer) => {
      stderr += data;
      look();
    });
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

interface SignalOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: NodeJS.Signals;
  readonly moment?: string;
}

describe.skipIf(process.platform === "win32")("a signal to faceid train", () => {
  it.each(["SIGINT", "SIGTERM"] as const)(
    "%s ends the step, keeps it, and says how to go on",
    async (signal) => {
      const run = `run-${signal}`;
      const train = ["train", ...TINY_FLAGS, "--epochs", "500", "--output", run, "--no-export"];
      const stopped = await faceid(train, { signal, moment: "epoch 1/500" });
      expect(stopped.code).toBe(EXIT[signal]);
      expect(stopped.stdout + stopped.stderr).toContain(`--resume ${run}`);
      expect(stopped.stderr.match(/stopped after step/g)).toHaveLength(1);
      const { progress } = await readCheckpoint(join(work, run, "last.safetensors"));
      expect(progress.step).toBeGreaterThan(3);
      expect(progress.epoch).toBeLessThan(500);
      expect(readdirSync(join(work, run)).filter((name) => name.includes("tmp"))).toEqual([]);
      const log = readFileSync(join(work, run, "log.jsonl"), "utf8")
        .trim()
        .split("\n");
      for (const line of log) expect(() => JSON.parse(line)).not.toThrow();
    },
  );
});

/** Runs the command's source with a change to it, which is a module's text. */
function changed(change: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Ended {
  const main = JSON.stringify(join(ROOT, "src/cli/main.ts"));
  const program = `${change}\nconst { run } = await import(${main});\nawait run(["node", "faceid", ...process.argv.slice(1)]);`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "-e", program, ...args],
    { cwd: ROOT, env, encoding: "utf8" },
  );
  return { code: status, stdout, stderr };
}

/** A signal to itself as soon as a method has answered. */
const signalAfter = (file: string, object: string, method: string, signal: NodeJS.Signals) => `
  const { ${object} } = await import(${JSON.stringify(join(ROOT, "src", file))});
  const answer = ${object}.prototype.${method};
  ${object}.prototype.${method} = async function (...given) {
    const answered = await answer.apply(this, given);
    process.kill(process.pid, "${signal}");
    return answered;
  };`;

describe.skipIf(process.platform === "win32")("a signal just before the answer", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("%s leaves faceid verify without a verdict", async (signal) => {
    const crops = join(work, `crops-${signal}`);
    await writeSynthetic({
      output: crops,
      identities: 1,
      imagesPerIdentity: 2,
      settings: imageSettings(112),
    });
    const after = signalAfter("verify/photo-model.ts", "PhotoModel", "compare", signal);
    const verify = ["verify", join(crops, "0/0.png"), "--no-detect", "--model", "default"];
    for (const other of [join(crops, "0/1.png"), join(crops, "0")]) {
      const { code, stdout, stderr } = changed(after, [...verify, other]);
      expect([code, stdout]).toEqual([EXIT[signal], ""]);
      expect(stderr).toContain("error: ");
    }
    const json = changed(after, [...verify, join(crops, "0/1.png"), "--json"]);
    expect(json.code).toBe(EXIT[signal]);
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: "INTERRUPTED" } });
  });
});

describe.skipIf(process.platform === "win32")("a signal to a server that still starts", () => {
  /** A signal to itself while the page's files are read, which the start waits for. */
  const signalIn = (signal: NodeJS.Signals) => `
    const { Page } = await import(${JSON.stringify(join(ROOT, "src/serving/page.ts"))});
    const load = Page.load.bind(Page);
    Page.load = async () => {
      process.kill(process.pid, "${signal}");
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      return load();
    };`;

  it.each(["SIGINT", "SIGTERM"] as const)("%s ends faceid app as an interrupted command", (signal) => {
    const app = ["app", "--gallery", join(work, `app-${signal}`), "--port", "0"];
    const { code, stdout, stderr } = changed(signalIn(signal), app);
    expect(stderr).toMatch(/^error: stopped before the page was ready$/m);
    expect([code, stdout]).toEqual([EXIT[signal], ""]);
  });
});

describe.skipIf(process.platform === "win32")(
  "a signal to faceid gallery enrol while its model is loaded",
  () => {
    it("says how to go on", async () => {
      const people = join(work, "people");
      await writeSynthetic({
        output: people,
        identities: 1,
        imagesPerIdentity: 1,
        settings: imageSettings(112),
      });
      const packs = join(ROOT, "../shared/models/opencv");
      if (!existsSync(packs)) return;
      const env = { ...process.env, FACEID_MODELS_DIR: join(work, "packs") };
      expect(changed("", ["models", "add", "opencv-sface", "--from", packs], env).code).toBe(0);
      const after = signalAfter("faces/packs/store.ts", "PackStore", "open", "SIGINT");
      const enrol = ["gallery", "enrol", people, "--gallery", join(work, "gallery")];
      const { code, stderr } = changed(after, enrol, env);
      expect(stderr).toMatch(
        /^error: loading opencv-sface was stopped\n {2}run the same command again: it goes on from there$/m,
      );
      expect(code).toBe(EXIT.SIGINT);
    });
  },
);

describe.skipIf(process.platform === "win32")("a second signal to faceid train", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("%s ends it at once, in the middle of a step", async (signal) => {
    const large = [
      "--model",
      "faceid",
      "--image-shape",
      "112x112",
      "--batch-size",
      "16",
      "--dataset-size",
      "800",
    ];
    const rest = ["--epochs", "500", "--output", `twice-${signal}`, "--no-export", "--progress", "json"];
    const child = spawn(process.execPath, [BIN, "train", ...TINY_FLAGS, ...large, ...rest], { cwd: work });
    let output = "";
    const look = (data: Buffer) => {
      const before = output;
      output += data;
      const isFirst = (moment: string) => !before.includes(moment) && output.includes(moment);
      if (isFirst('"kind":"step"')) child.kill(signal);
      // By then the threads are deep in the step that the first signal waits for.
      if (isFirst("stopping after this step")) setTimeout(() => child.kill(signal), 50);
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    expect(output).not.toContain("terminate called");
    expect(output).not.toContain("go on with");
    expect(output).toContain("no checkpoint was written yet; start the same command again");
    expect(code).toBe(EXIT[signal]);
  });
});

describe.skipIf(process.platform === "win32")("a signal in another phase", () => {
  const MODEL = SHIPPED_VERSION;
  const large = [
    "--id-to",
    "199",
    "--validation-pairs",
    "4000",
    "--batch-size",
    "16",
    "--dataset-size",
    "16",
  ];
  const train = ["train", ...TINY_FLAGS, ...large, "--epochs", "1", "--no-export"];
  const measure = ["--dataset", "synthetic", "--id-to", "199", "--faces", "none"];
  const nothing = "what was not finished is not written";

  it.each([
    ["SIGINT", "found", [...train, "--output", "listed"], "no checkpoint was written yet"],
    ["SIGTERM", "epoch of", [...train, "--output", "begun"], "no checkpoint was written yet"],
    ["SIGINT", "measuring", [...train, "--output", "trained"], "--resume trained"],
    [
      "SIGTERM",
      "measuring",
      ["evaluate", "--saved-model", MODEL, ...measure],
      "run the command again to continue",
    ],
    ["SIGINT", "measuring", ["report", MODEL, ...measure, "--output", "none.html"], nothing],
    ["SIGTERM", "taking version 1", ["convert", join(MODEL, ".."), "--onnx", "none/model.onnx"], nothing],
  ] as const)("%s after %j: %j", async (signal, moment, args, kept) => {
    const cwd = mkdtempSync(join(work, "phase-"));
    const { code, stderr } = await faceid(args, { cwd, signal, moment });
    expect(code).toBe(EXIT[signal]);
    expect(stderr).toMatch(
      new RegExp(`^error: stopped by ${signal === "SIGINT" ? "Ctrl-C" : signal}; `, "m"),
    );
    expect(stderr).toContain(kept);
    const left = readdirSync(cwd, { recursive: true }).map(String);
    expect(left.filter((name) => /tmp$|^none/.test(name))).toEqual([]);
    expect(left.some((name) => name.endsWith("last.safetensors"))).toBe(kept.startsWith("--resume"));
  });

  it("ends a validation, and the run goes on with it", async () => {
    const run = ["--output", "validated", "--progress", "json"];
    const stopped = await faceid([...train, ...run], { signal: "SIGTERM", moment: '"kind":"step"' });
    expect(stopped.code).toBe(143);
    expect(stopped.stderr).toMatch(
      /stopped in the validation after epoch 1; the state is in .*last\.safetensors/,
    );
    const { progress } = await readCheckpoint(join(work, "validated", "last.safetensors"));
    expect([progress.step, progress.epoch]).toEqual([1, 0]);
    const resumed = await faceid(["train", "--resume", "validated", "--no-export", "--progress", "plain"]);
    expect(resumed.stderr).toContain("epoch 1/1");
    expect(resumed.code).toBe(0);
  });
});

describe.skipIf(process.platform === "win32")("a measurement that was killed", () => {
  it("goes on with the embeddings that it has, and answers the same", async () => {
    const trained = await faceid([
      "train",
      ...TINY_FLAGS,
      "--epochs",
      "1",
      "--output",
      "measured",
      "--no-export",
    ]);
    expect(trained.code).toBe(0);
    const data = ["--dataset", "synthetic", "--id-to", "79", "--images-per-id", "4", "--progress", "plain"];
    const evaluate = ["evaluate", "--checkpoint", "measured", ...data];
    const cwd = work;
    const env = (cache: string) => ({ ...process.env, FACEID_CACHE_DIR: join(work, cache) });
    const whole = await faceid(evaluate, { cwd, env: env("other-cache") });
    expect(whole.code).toBe(0);
    expect(whole.stderr).not.toContain("that was stopped");
    const killed = await faceid(evaluate, { cwd, env: env("cache"), signal: "SIGKILL", moment: "measuring" });
    expect(killed).toMatchObject({ code: null, stderr: expect.stringContaining("measuring") });
    const folder = join(work, "cache/measured");
    const [name] = readdirSync(folder);
    const text = readFileSync(join(folder, name!), "utf8");
    const lines = text.slice(0, text.lastIndexOf("\n")).split("\n").length;
    // Half of the next line, as a kill may leave it.
    appendFileSync(join(folder, name!), "c29tZXRoaW5n QUJD");
    const resumed = await faceid(evaluate, { cwd, env: env("cache") });
    expect(resumed.stderr).toContain(`${lines} embeddings of a measurement that was stopped are used`);
    expect(resumed.stdout).toBe(whole.stdout);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe.skipIf(process.platform !== "linux")("an answer that cannot be written", () => {
  const crops = join(work, "crops-unwritten");
  const answers = [
    ["0/0.png", 0],
    ["1/0.png", 1],
  ] as const;
  beforeAll(() =>
    writeSynthetic({ output: crops, identities: 2, imagesPerIdentity: 2, settings: imageSettings(112) }),
  );
  const verify = (other: string) => [
    ...["verify", join(crops, "0/0.png"), join(crops, other), "--no-detect", "--model", "default", "--json"],
  ];

  it.each(answers)(
    "keeps its exit code where the reader is gone: verify of 0/0.png and %s",
    async (other, code) => {
      expect((await faceid(verify(other))).code).toBe(code);
      const pipeline = ["-c", 'set -o pipefail; "$0" "$@" | true', process.execPath, BIN, ...verify(other)];
      const { status, stderr } = spawnSync("bash", pipeline, { encoding: "utf8" });
      expect([status, stderr]).toEqual([code, ""]);
    },
  );

  it.each(answers)("is an error on a full disk: verify of 0/0.png and %s", (other) => {
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(process.execPath, [BIN, ...verify(other)], {
      stdio: ["ignore", full, "pipe"],
      encoding: "utf8",
    });
    closeSync(full);
    expect(stderr).toBe(
      "error: cannot write to standard output: ENOSPC, no space is left on the disk\n  free some space or choose another folder\n",
    );
    expect(status).toBe(ERRORS.DISK_FULL.exit);
  });
});

const FOREIGN = join(ROOT, "docs/images");
describe.skipIf(process.platform !== "linux")("a place that can never be written", () => {
  it.each([
    ["train", ...TINY_FLAGS, "--saved-model-path", "/proc/x"],
    ["train", ...TINY_FLAGS, "--no-export", "--output", "/proc/x"],
    ["train", ...TINY_FLAGS, "--no-export", "--tensorboard", "/proc/x"],
    ["convert", SHIPPED_MODEL, "--onnx", "/proc/x/model.onnx"],
    ["convert", SHIPPED_MODEL, "--saved-model", "/proc/x/1"],
    ["quantize", SHIPPED_MODEL, "--images", FOREIGN, "--output", "/proc/x/1"],
    ["export", "--checkpoint", "none", "--saved-model-path", "/proc/x"],
    ["export", "--checkpoint", "none", "--onnx", "/proc/x.onnx"],
    ["crop", FOREIGN, "--output", "/proc/x"],
    ["embed", FOREIGN, "--output", "/proc/x.npy"],
    ["report", SHIPPED_MODEL, "--output", "/proc/x.html"],
    ["summary", "--output", "/proc/x/s.svg"],
    ["quickstart", "--output", "/proc/x"],
    ["dataset", "preview", "--dataset", "synthetic", "--output", "/proc/x.png"],
    ["dataset", "pairs", "--dataset", "synthetic", "--output", "/proc/x.txt"],
    ["dataset", "synthesize", "--output", "/proc/x"],
    ["dataset", "download", "lfw", "--output", "/proc/x"],
    ["gallery", "create", "--gallery", "/proc/x"],
  ])("is refused before any work: faceid %s", async (...args) => {
    const { code, stderr } = await faceid(args);
    expect(stderr).toMatch(
      /^error: cannot write \/proc\/\S+: the file system there takes no (files|folders)\n {2}choose another place$/m,
    );
    expect(stderr).not.toMatch(/measuring|fetching|people/);
    expect(code).toBe(3);
  });

  it("holds no model packs", async () => {
    const env = { ...process.env, FACEID_MODELS_DIR: "/proc/x", FACEID_OFFLINE: "" };
    const { status, stderr } = spawnSync(process.execPath, [BIN, "models", "add", "opencv-sface"], {
      env,
      encoding: "utf8",
    });
    expect(stderr).toMatch(/the file system there takes no folders\n {2}set FACEID_MODELS_DIR/);
    expect(status).toBe(3);
  });
});

/** A disk of a few megabytes, where this user may mount one. */
const disk = join(work, "disk");
mkdirSync(disk);
const mounted =
  process.platform === "linux" &&
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]).status === 0;
if (!mounted) process.stderr.write("skipped: a full disk, since no small disk can be mounted here\n");
afterAll(() => {
  if (mounted) spawnSync("umount", [disk]);
});

describe.skipIf(!mounted)("a full disk", () => {
  it("ends training with one clear line and no half-written checkpoint or model", async () => {
    const train = [
      "train",
      ...TINY_FLAGS,
      "--epochs",
      "2",
      "--output",
      "run",
      "--saved-model-path",
      "models",
    ];
    const ended = await faceid(train, { cwd: disk });
    expect(ended.stderr).toMatch(
      /^error: cannot write run\/last\.safetensors: ENOSPC.*\n {2}free some space/m,
    );
    expect(ended.code).toBe(7);
    expect(readdirSync(join(disk, "run")).sort()).toEqual(["log.jsonl", "run.json"]);
    expect(existsSync(join(disk, "models"))).toBe(false);
  });

  it("ends the writing of a dataset with one clear line", async () => {
    const ended = await faceid(
      ["dataset", "synthesize", "--identities", "400", "--images-per-identity", "4", "--output", "drawn"],
      { cwd: disk },
    );
    expect(ended.stderr).toContain("ENOSPC");
    expect(ended.code).toBe(7);
  });
});
