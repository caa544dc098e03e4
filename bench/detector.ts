/**
 * @file A face detector of our own, taught by the pack's: how far does it come? (docs/notes/own-detector.md)
 * `npm run bench -- detector label|train|measure [--folder FOLDER] [--steps N] [--decay-from N] [--threads N] [--folds 7,8] [--limit N] [--close-ups 108,87]`
 * With --close-ups faces are looked at again in these sizes instead of those of bench/detector/search.ts.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../src/base/files.ts";
import { type CloseUp, Detector } from "../src/faces/detector.ts";
import { YunetNetwork } from "../src/faces/yunet-network.ts";
import { openRuntime } from "../src/onnx/runtime/runtime.ts";
import { exportDetector } from "./detector/export.ts";
import { LFW, peopleOf, readLabels, writeLabels } from "./detector/labels.ts";
import { compareWithLabels, comparisonText } from "./detector/measure.ts";
import { loadPhotographs } from "./detector/photographs.ts";
import { OWN_SEARCH } from "./detector/search.ts";
import { readState, train } from "./detector/train.ts";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    folder: { type: "string", default: "runs/detector" },
    steps: { type: "string", default: "2600" },
    "decay-from": { type: "string", default: "2000" },
    threads: { type: "string", default: "1" },
    folds: { type: "string", default: "7,8" },
    limit: { type: "string", default: "0" },
    "close-ups": { type: "string" },
  },
});

/** Folds whose people no training picture shows: one to choose by, two to report. */
const KEPT = [6, 7, 8];

const labelsFile = join(flags.folder, "labels.jsonl");
const personOf = (path: string) => path.split(/[\\/]/)[0]!;

/** A close-up about 1.8 times as wide as its face. */
const closeUpOf = (face: number): CloseUp => ({ face, side: 32 * Math.round((1.8 * face) / 32) });

async function requiredLabels() {
  const labels = await readLabels(labelsFile);
  if (labels.length > 0) return labels;
  throw new Error(`${labelsFile} holds no labels; write them first: npm run bench -- detector label`);
}

async function label(): Promise<void> {
  const paths = (await readdir(LFW, { recursive: true })).filter((path) => path.endsWith(".jpg")).sort();
  await writeLabels(labelsFile, paths);
}

async function trainAll(): Promise<void> {
  const kept = await peopleOf(KEPT);
  const labels = (await requiredLabels()).filter(({ path }) => !kept.has(personOf(path)));
  await train({
    folder: flags.folder,
    photographs: await loadPhotographs(labels),
    steps: Number(flags.steps),
    decayFrom: Number(flags["decay-from"]),
    threads: Number(flags.threads),
    log: console.log,
  });
}

async function measure(): Promise<void> {
  const labels = await requiredLabels();
  const kept = await readState(flags.folder);
  if (kept === undefined) throw new Error(`${flags.folder} holds no checkpoint; train first`);
  const file = exportDetector(kept.state);
  const path = join(flags.folder, "detector.onnx");
  await writeFileAtomic(path, file);
  console.log(`${path}: ${file.length} bytes, after ${kept.step} steps`);
  const people = await peopleOf(flags.folds.split(",").map(Number));
  const all = labels.filter((each) => people.has(personOf(each.path)));
  const wanted = Number(flags.limit) > 0 ? Number(flags.limit) : all.length;
  const some = all.filter((_, i) => i % Math.ceil(all.length / wanted) === 0);
  await using network = await YunetNetwork.open(file, openRuntime);
  const closeUps = flags["close-ups"]?.split(",").map(Number).map(closeUpOf);
  const detector = new Detector(network, { ...OWN_SEARCH, ...(closeUps !== undefined && { closeUps }) });
  const comparison = await compareWithLabels(detector, some);
  console.log(comparisonText(comparison));
  if (comparison.lost.length > 0) console.log(`not found: ${comparison.lost.join(" ")}`);
}

const WORK: Readonly<Record<string, () => Promise<void>>> = { label, train: trainAll, measure };
const work = WORK[positionals[0] ?? ""];
if (work === undefined) throw new Error(`say what to do: ${Object.keys(WORK).join(", ")}`);
await work();
