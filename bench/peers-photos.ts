/**
 * @file Whole photographs of LFW through faceid, OpenCV's pipeline with the same networks, the same with these in OpenVINO, dlib and
 * face-api: accuracy, faces not found, processor time, rate, memory.
 * `npm run bench -- peers-photos [--folds 1,2] [--only opencv,dlib] [--threads 2] [--limit N]`
 *
 * OpenCV, OpenVINO and dlib need a Python environment: `python3 -m venv bench/peers/.venv` and
 * `bench/peers/.venv/bin/pip install -r bench/peers/requirements-photos.txt`. face-api needs
 * `npm install --prefix bench/peers/face-api --ignore-scripts`. With `--limit` only time and memory are measured. With two
 * threads dlib still uses one, and faceid one for each photograph.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { chosenFolds, type NamedImage, readPairs } from "../src/data/pairs-file.ts";
import { kFold } from "../src/evaluate/folds.ts";
import { pointAtFar, rocCurve } from "../src/evaluate/roc.ts";
import { joinPairs } from "../src/evaluate/scores.ts";

const LFW = "../shared/datasets/lfw";
const DETECTOR = "../shared/models/opencv/face_detection_yunet_2023mar_int8bq.onnx";
const EMBEDDING = "../shared/models/opencv/face_recognition_sface_2021dec_int8bq.onnx";
const HERE = join(import.meta.dirname, "peers");
const FACE_API = join(HERE, "face-api");
const PYTHON = join(HERE, ".venv/bin/python");
/** Below every similarity: a pair with a face that was not found counts as two people. */
const NOT_FOUND = -1e9;

interface Farewell {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly peakMegabytes: number;
  readonly version: string;
}

const { values: flags } = parseArgs({
  options: {
    folds: { type: "string", default: "1,2" },
    only: {
      type: "string",
      default: "faceid,faceid-fast,faceid-int8,faceid-int8-fast,opencv,openvino,dlib,face-api",
    },
    threads: { type: "string", default: "1" },
    limit: { type: "string", default: "0" },
  },
});

const pathOf = ({ name, number }: NamedImage) =>
  join(LFW, name, `${name}_${String(number).padStart(4, "0")}.jpg`);
const { folds } = chosenFolds(await readPairs(`${LFW}/pairs.txt`), flags.folds.split(",").map(Number));
const all = [...new Set(folds.flat().flatMap(({ left, right }) => [pathOf(left), pathOf(right)]))].toSorted();
const paths = Number(flags.limit) > 0 ? all.slice(0, Number(flags.limit)) : all;

/** Runs a pipeline over all photographs. */
async function embeddings(command: string, args: readonly string[]) {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, OMP_NUM_THREADS: flags.threads, OPENBLAS_NUM_THREADS: flags.threads },
  });
  child.stdin.end(`${paths.join("\n")}\n`);
  const lines: unknown[] = [];
  for await (const line of createInterface({ input: child.stdout })) lines.push(JSON.parse(line));
  if (lines.length !== paths.length + 1) throw new Error(`${command} ${args.join(" ")} ended early`);
  const end = lines.pop() as Farewell;
  return { found: new Map(paths.map((path, i) => [path, lines[i] as number[] | null])), end };
}

function cosine(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0) / (Math.hypot(...a) * Math.hypot(...b));
}

/** dlib's embeddings, and face-api's of the same network, are compared by their distance, the smaller the more alike. */
const nearness = (a: readonly number[], b: readonly number[]) =>
  -Math.hypot(...a.map((value, i) => value - b[i]!));

const percent = (value: number) => `${(100 * value).toFixed(2)} %`.padStart(10);

function rowOf(
  { found, end }: Awaited<ReturnType<typeof embeddings>>,
  similarity: (a: readonly number[], b: readonly number[]) => number,
): string {
  const missed = [...found.values()].filter((embedding) => embedding === null).length;
  const cpu = (end.cpuMs / (paths.length - 1)).toFixed(1).padStart(8);
  const rate = ((1000 * (paths.length - 1)) / end.wallMs).toFixed(1).padStart(9);
  const costs = `${String(missed).padStart(8)}${cpu}${rate}${end.peakMegabytes.toFixed(0).padStart(7)}`;
  if (paths.length < all.length) return `${end.version.padEnd(18)}${"".padEnd(20)}${costs}`;
  const scored = folds.map((fold) => ({
    scores: Float64Array.from(fold, ({ left, right }) => {
      const [a, b] = [found.get(pathOf(left)), found.get(pathOf(right))];
      return a && b ? similarity(a, b) : NOT_FOUND;
    }),
    same: Uint8Array.from(fold, ({ same }) => (same ? 1 : 0)),
  }));
  const { accuracy } = kFold(scored);
  const { tar } = pointAtFar(rocCurve(joinPairs(scored)), 1e-2);
  return `${end.version.padEnd(18)}${percent(accuracy.mean)}${percent(tar)}${costs}`;
}

const ours = (mode: string): [string, string[]] => [
  process.execPath,
  ["--import", "tsx", join(HERE, "photo-ours.ts"), mode, DETECTOR, EMBEDDING],
];
const script = join(HERE, "photo_peer.py");
const sides: Readonly<Record<string, [string, string[]]>> = {
  faceid: ours(""),
  "faceid-fast": ours("-fast"),
  "faceid-int8": ours("-int8"),
  "faceid-int8-fast": ours("-int8-fast"),
  opencv: [PYTHON, [script, "opencv", DETECTOR, EMBEDDING]],
  openvino: [PYTHON, [script, "openvino", DETECTOR, EMBEDDING]],
  dlib: [PYTHON, [script, "dlib"]],
  "face-api": [process.execPath, [join(FACE_API, "photo-peer.mjs")]],
};
/** Whose embeddings are compared by their distance. */
const BY_DISTANCE = ["dlib", "face-api"];
console.log(`${paths.length} photographs, folds ${flags.folds} of LFW, threads: ${flags.threads}`);
console.log(`${"".padEnd(18)}  accuracy TAR at 1%  missed  ms CPU photos/s     MB`);
for (const [name, [command, args]] of Object.entries(sides)) {
  if (!flags.only.split(",").includes(name)) continue;
  const isMissing = name === "face-api" ? !existsSync(join(FACE_API, "node_modules")) : !existsSync(command);
  if (isMissing) console.log(`skipped ${name}: install it as the head of bench/peers-photos.ts says`);
  else console.log(rowOf(await embeddings(command, args), BY_DISTANCE.includes(name) ? nearness : cosine));
}
