/**
 * @file The way of a photograph beside the engine alone, and two photographs of a telephone compared:
 * `npm run bench -- photos [--photographs 60] [--rounds 3] [--profile fast]`. It takes LFW and the pack `opencv-sface`.
 *
 * The engine alone runs the networks of `faceid embed` on the pictures that these photographs give, in as many threads; what is
 * missing to its rate goes into decoding, scaling, cutting out and messages. At the end come the pipelines of OpenCV and OpenVINO with the
 * same networks, where `bench/peers-photos.ts` finds them.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { eachLimited } from "../src/base/limiter.ts";
import { Random } from "../src/base/random.ts";
import type { TensorMap } from "../src/base/tensor.ts";
import { PROFILES } from "../src/faces/mode.ts";
import { openPack } from "../src/faces/models.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { decodePixels, encodeJpeg } from "../src/image/decode.ts";
import { photoThreads } from "../src/jobs/photos-in.ts";
import { SessionPool } from "../src/onnx/runtime/session-pool.ts";
import { DECODING_AHEAD, PhotoThreads } from "../src/serving/photos/photo-threads.ts";
import { loadFaceModel } from "../src/verify/load-face-model.ts";
import { drawnBackground, paste } from "../test/support/scenes.ts";
import { childMilliseconds } from "./process-usage.ts";

const LFW = "../shared/datasets/lfw";
const BIN = fileURLToPath(new URL("../bin/faceid.js", import.meta.url));
/** A telephone's photograph. */
const [WIDTH, HEIGHT] = [4000, 3000];
const FACE_WIDTH = 500;
/** With fewer, our code is not compiled yet in most of the time. */
const OTHERS_PHOTOGRAPHS = 300;

const { values: flags } = parseArgs({
  options: {
    photographs: { type: "string", default: "60" },
    rounds: { type: "string", default: "3" },
    profile: { type: "string", default: "standard" },
  },
});
const rounds = Number(flags.rounds);
const named = PROFILES.find((each) => each === flags.profile);
if (named === undefined) throw new Error(`--profile is one of ${PROFILES.join(", ")}`);
const profile = named;
if (!existsSync(LFW)) {
  console.log(`skipped: there is no ${LFW}`);
  process.exit(0);
}
/** The first photograph of so many people, and of two photographs of one. */
const people = readdirSync(LFW, { withFileTypes: true }).filter((entry) => entry.isDirectory());
const photographsOf = (name: string) =>
  readdirSync(join(LFW, name))
    .toSorted()
    .map((file) => join(LFW, name, file));
const paths = people.slice(0, Number(flags.photographs)).map(({ name }) => photographsOf(name)[0]!);
const { files } = await openPack("opencv-sface", {});

interface Used {
  readonly ms: number;
  readonly cpuMs: number;
}

async function timed(work: () => Promise<unknown>): Promise<Used> {
  const [started, usage] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(usage);
  return { ms: performance.now() - started, cpuMs: (user + system) / 1000 };
}

/** The median of what is wanted, over rounds. */
const median = (all: readonly Used[], of: keyof Used) =>
  all.map((each) => each[of]).toSorted((a, b) => a - b)[Math.floor(all.length / 2)]!;

interface Run {
  readonly network: number;
  readonly inputs: TensorMap;
}

/** The networks of the pipeline, and what each run of them gets for these photographs. */
async function recorded(): Promise<{ readonly models: Uint8Array[]; readonly runs: Run[] }> {
  const models: Uint8Array[] = [];
  const runs: Run[] = [];
  const open = async (model: Uint8Array) => {
    const network = models.push(model) - 1;
    const pool = await SessionPool.open(model);
    return {
      run: (inputs: TensorMap) => {
        const kept = [...inputs].map(([name, value]) => [name, structuredClone(value)] as const);
        runs.push({ network, inputs: new Map(kept) });
        return pool.run(inputs);
      },
      close: () => pool.close(),
    };
  };
  const [detector, embedding] = await Promise.all([readFile(files.detector), readFile(files.embedding)]);
  await using pipeline = await FacePipeline.open({ detector, embedding }, { open, profile });
  for (const path of paths) await pipeline.embedPhotograph(path, { face: "central" });
  return { models, runs };
}

async function beside(): Promise<void> {
  const threads = photoThreads();
  const { models, runs } = await recorded();
  const pools = await Promise.all(models.map((model) => SessionPool.open(model, threads)));
  await using photos = await PhotoThreads.open(
    { ...files, precision: "float32", profile },
    threads,
    0,
    DECODING_AHEAD,
  );
  const never = new AbortController().signal;
  const wish = { choice: "central", strict: false } as const;
  // Three for each thread, as `faceid embed` works.
  const whole = () =>
    eachLimited(paths, threads * 3, async (path) => {
      await photos.embedding({ file: await readFile(path), what: path }, wish, never);
    });
  const engine = () =>
    eachLimited(runs, threads, async ({ network, inputs }) => {
      await pools[network]!.run(inputs);
    });
  await whole();
  await engine();
  const times: [Used[], Used[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    times[0].push(await timed(engine));
    times[1].push(await timed(whole));
  }
  const row = (name: string, used: readonly Used[]) =>
    console.log(
      `${name.padEnd(14)}${((1000 * paths.length) / median(used, "ms")).toFixed(1).padStart(8)} photographs/s` +
        `${(median(used, "cpuMs") / paths.length).toFixed(1).padStart(8)} ms of processor time each`,
    );
  console.log(`${paths.length} photographs of LFW, ${threads} threads, by turns, median of ${rounds}`);
  row("engine alone", times[0]);
  row("faceid embed", times[1]);
  const share = (of: keyof Used) => ((100 * median(times[0], of)) / median(times[1], of)).toFixed(0);
  console.log(
    `the whole reaches ${share("ms")} % of the engine's rate, ${share("cpuMs")} % by processor time\n`,
  );
  for (const pool of pools) await pool.close();
}

/** Two photographs of one person as a telephone takes them. */
async function telephonePair(folder: string): Promise<string[]> {
  const person = people.map(({ name }) => photographsOf(name)).find((photographs) => photographs.length > 1)!;
  const written: string[] = [];
  for (const [i, path] of person.slice(0, 2).entries()) {
    const scene = drawnBackground(WIDTH, HEIGHT, new Random(2026).fork("telephone", i));
    const centre = [WIDTH / 2 - 100 + 200 * i, HEIGHT / 2 - 100] as const;
    paste(scene, await decodePixels(path), { centre, faceWidth: FACE_WIDTH, angle: 0 });
    const file = join(folder, `${i}.jpg`);
    await writeFile(file, await encodeJpeg(scene.data, WIDTH, HEIGHT, 92));
    written.push(file);
  }
  return written;
}

async function telephone(folder: string): Promise<void> {
  const [one, two] = (await telephonePair(folder)) as [string, string];
  const row = (name: string, used: readonly Used[]) =>
    console.log(
      `${name.padEnd(34)}${median(used, "ms").toFixed(0).padStart(6)} ms${median(used, "cpuMs").toFixed(0).padStart(8)} ms of processor time`,
    );
  console.log(`two photographs of ${WIDTH}x${HEIGHT} pixels, median of ${rounds}`);
  for (const threads of [1, photoThreads()]) {
    await using model = await loadFaceModel("opencv-sface", { threads, profile });
    await model.verify(one, two);
    const used: Used[] = [];
    for (let round = 0; round < rounds; round++) used.push(await timed(() => model.verify(one, two)));
    row(`library, loaded, threads: ${threads}`, used);
  }
  const decoding: Used[] = [];
  for (let round = 0; round < rounds; round++)
    decoding.push(await timed(() => Promise.all([decodePixels(one), decodePixels(two)])));
  row("decoding of both alone", decoding);
  const command: Used[] = [];
  for (let round = 0; round <= rounds; round++) {
    const [started, before] = [performance.now(), childMilliseconds()];
    await promisify(execFile)(process.execPath, [BIN, "verify", "--profile", profile, one, two]).catch(
      (error: { code?: unknown }) => {
        if (error.code !== 1) throw error;
      },
    );
    const used = { ms: performance.now() - started, cpuMs: childMilliseconds() - before };
    if (round > 0) command.push(used);
  }
  row("faceid verify, from the start", command);
}

/** Ours and others' pipelines on the same photographs, each in a process of its own. */
async function besideOthers(): Promise<void> {
  const limit = String(Math.max(paths.length, OTHERS_PHOTOGRAPHS));
  const args = [
    "--folds",
    "1",
    "--limit",
    limit,
    "--only",
    "faceid,faceid-fast,faceid-int8,faceid-int8-fast,opencv,openvino",
  ];
  const script = fileURLToPath(new URL("peers-photos.ts", import.meta.url));
  console.log();
  const child = spawn(process.execPath, ["--import", "tsx", script, ...args], { stdio: "inherit" });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) process.exitCode = 1;
}

await beside();
const folder = await mkdtemp(join(tmpdir(), "faceid-bench-"));
try {
  await telephone(folder);
} finally {
  await rm(folder, { recursive: true });
}
await besideOthers();
