/**
 * @file Whole photographs of LFW through faceid, OpenCV's pipeline with the same networks, and dlib, each with one thread:
 * accuracy, processor time, memory, faces not found. `npm run bench -- peers-photos [--folds 1,2] [--only opencv,dlib]`
 *
 * The peers need a Python environment: `python3 -m venv bench/peers/.venv` and
 * `bench/peers/.venv/bin/pip install -r bench/peers/requirements-photos.txt`.
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
const PYTHON = join(HERE, ".venv/bin/python");
/** Below every similarity: a pair with a face that was not found counts as two people. */
const NOT_FOUND = -1e9;

interface Farewell {
  readonly cpuMs: number;
  readonly peakMegabytes: number;
  readonly version: string;
}

const { values: flags } = parseArgs({
  options: {
    folds: { type: "string", default: "1,2" },
    only: { type: "string", default: "faceid,faceid-int8,opencv,dlib" },
  },
});

const pathOf = ({ name, number }: NamedImage) =>
  join(LFW, name, `${name}_${String(number).padStart(4, "0")}.jpg`);
const { folds } = chosenFolds(await readPairs(`${LFW}/pairs.txt`), flags.folds.split(",").map(Number));
const paths = [
  ...new Set(folds.flat().flatMap(({ left, right }) => [pathOf(left), pathOf(right)])),
].toSorted();

/** Runs a pipeline over all photographs. */
async function embeddings(command: string, args: readonly string[]) {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" },
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

/** dlib's embeddings are compared by their distance, the smaller the more alike. */
const nearness = (a: readonly number[], b: readonly number[]) =>
  -Math.hypot(...a.map((value, i) => value - b[i]!));

const percent = (value: number) => `${(100 * value).toFixed(2)} %`.padStart(10);

function rowOf(
  { found, end }: Awaited<ReturnType<typeof embeddings>>,
  similarity: (a: readonly number[], b: readonly number[]) => number,
): string {
  const scored = folds.map((fold) => ({
    scores: Float64Array.from(fold, ({ left, right }) => {
      const [a, b] = [found.get(pathOf(left)), found.get(pathOf(right))];
      return a && b ? similarity(a, b) : NOT_FOUND;
    }),
    same: Uint8Array.from(fold, ({ same }) => (same ? 1 : 0)),
  }));
  const missed = [...found.values()].filter((embedding) => embedding === null).length;
  const { accuracy } = kFold(scored);
  const { tar } = pointAtFar(rocCurve(joinPairs(scored)), 1e-2);
  const cpu = (end.cpuMs / (paths.length - 1)).toFixed(1).padStart(8);
  return `${end.version.padEnd(18)}${percent(accuracy.mean)}${percent(tar)}${String(missed).padStart(8)}${cpu}${end.peakMegabytes.toFixed(0).padStart(7)}`;
}

const ours = (precision: string): [string, string[]] => [
  process.execPath,
  ["--import", "tsx", join(HERE, "photo-ours.ts"), precision, DETECTOR, EMBEDDING],
];
const script = join(HERE, "photo_peer.py");
const sides: Readonly<Record<string, [string, string[]]>> = {
  faceid: ours("float32"),
  "faceid-int8": ours("int8"),
  opencv: [PYTHON, [script, DETECTOR, EMBEDDING]],
  dlib: [PYTHON, [script]],
};
console.log(`${paths.length} photographs, folds ${flags.folds} of LFW, one thread`);
console.log(`${"".padEnd(18)}  accuracy TAR at 1%  missed  ms CPU     MB`);
for (const [name, [command, args]] of Object.entries(sides)) {
  if (!flags.only.split(",").includes(name)) continue;
  if (command === PYTHON && !existsSync(PYTHON)) {
    console.log(`skipped ${name}: make the Python environment, as the head of bench/peers-photos.ts says`);
  } else console.log(rowOf(await embeddings(command, args), name === "dlib" ? nearness : cosine));
}
