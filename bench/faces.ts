/**
 * @file How right and how dear is the face pipeline on LFW's whole photographs?
 * `node --import tsx bench/faces.ts [--folds 5,6,7,8] [--precision int8] [--profile fast] [--detector FILE] [--cache FOLDER] [--limit N]`
 * With --detector a detector of our own finds the faces (`npm run bench -- detector`).
 */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chosenFolds, type NamedImage, readPairs } from "../src/data/pairs-file.ts";
import { kFold } from "../src/evaluate/folds.ts";
import { foldText } from "../src/evaluate/report-text.ts";
import { chooseFace } from "../src/faces/choose.ts";
import { cosineSimilarity } from "../src/faces/cosine.ts";
import { modeSuffix, PRECISIONS, PROFILES } from "../src/faces/mode.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { decodePixels } from "../src/image/decode.ts";
import { OWN_SEARCH } from "./detector/search.ts";

const SHARED = "../shared";
const LFW = `${SHARED}/datasets/lfw`;
const MODELS = `${SHARED}/models/opencv`;
/** Below every cosine: a pair with a face that was not found counts as two people. */
const NOT_FOUND = -2;
const STAGES = ["decode", "detect", "embed"] as const;
type Stage = (typeof STAGES)[number];

const { values: flags } = parseArgs({
  options: {
    folds: { type: "string", default: "1,2,3,4,5,6,7,8" },
    precision: { type: "string", default: "float32" },
    profile: { type: "string", default: "standard" },
    detector: { type: "string" },
    cache: { type: "string" },
    limit: { type: "string", default: "0" },
  },
});

const precision = PRECISIONS.find((each) => each === flags.precision);
if (precision === undefined) throw new Error(`--precision is one of ${PRECISIONS.join(", ")}`);
const profile = PROFILES.find((each) => each === flags.profile);
if (profile === undefined) throw new Error(`--profile is one of ${PROFILES.join(", ")}`);
const mode = { precision, profile };

const pathOf = ({ name, number }: NamedImage) => join(name, `${name}_${String(number).padStart(4, "0")}.jpg`);

/** Processor milliseconds by stage. */
const spent: Record<Stage, number> = { decode: 0, detect: 0, embed: 0 };

async function timed<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  spent[stage] += (user + system) / 1000;
  return result;
}

async function openPipeline(): Promise<FacePipeline> {
  const [detector, embedding] = await Promise.all([
    readFile(flags.detector ?? `${MODELS}/face_detection_yunet_2023mar_int8bq.onnx`),
    readFile(`${MODELS}/face_recognition_sface_2021dec_int8bq.onnx`),
  ]);
  const search = flags.detector !== undefined && { detector: OWN_SEARCH };
  return FacePipeline.open({ detector, embedding }, { ...mode, ...search });
}

/** The embedding of the most central face; undefined where none is found. */
async function embeddingOf(pipeline: FacePipeline, path: string): Promise<Float32Array | undefined> {
  const bytes = await readFile(join(LFW, path));
  const pixels = await timed("decode", () => decodePixels(bytes));
  const { photograph, faces } = await timed("detect", () => pipeline.findIn(pixels));
  if (faces.length === 0) return undefined;
  return timed("embed", () => pipeline.embed(photograph, chooseFace(faces, "central", pixels)));
}

/** Embeddings by photograph, from a file of an earlier run where there is one. */
async function embeddings(paths: readonly string[]): Promise<Map<string, Float32Array | undefined>> {
  const file = flags.cache && join(flags.cache, `embeddings${modeSuffix(mode)}.json`);
  const known: Record<string, number[] | null> = file
    ? await readFile(file, "utf8").then(JSON.parse, () => ({}))
    : {};
  await using pipeline = await openPipeline();
  // Sessions open with the first photograph; that is no part of what a photograph costs.
  await embeddingOf(pipeline, paths[0]!);
  for (const stage of STAGES) spent[stage] = 0;
  let [count, done] = [0, 0];
  const save = async () => {
    if (file === undefined || file === "") return;
    await mkdir(flags.cache!, { recursive: true });
    await writeFile(file, JSON.stringify(known));
  };
  for (const path of paths) {
    if (++done % 250 === 0) {
      console.error(`${done} of ${paths.length} photographs`);
      await save();
    }
    if (path in known) continue;
    const embedding = await embeddingOf(pipeline, path);
    known[path] = embedding === undefined ? null : [...embedding];
    count++;
  }
  await save();
  if (count > 0) {
    const parts = STAGES.map((stage) => `${stage} ${(spent[stage] / count).toFixed(1)}`);
    const total = STAGES.reduce((sum, stage) => sum + spent[stage], 0) / count;
    console.log(
      `processor time of a photograph, ms: ${parts.join(", ")}, in all ${total.toFixed(1)} (${count} photographs)`,
    );
  }
  return new Map(paths.map((path) => [path, known[path] ? Float32Array.from(known[path]) : undefined]));
}

const file = chosenFolds(await readPairs(`${LFW}/pairs.txt`), flags.folds.split(",").map(Number));
const all = [
  ...new Set(file.folds.flat().flatMap(({ left, right }) => [pathOf(left), pathOf(right)])),
].sort();
const paths = Number(flags.limit) > 0 ? all.slice(0, Number(flags.limit)) : all;
const found = await embeddings(paths);
const lost = paths.filter((path) => found.get(path) === undefined);
console.log(`${paths.length} photographs, faces not found: ${lost.length} ${lost.join(" ")}`);
if (paths.length === all.length) {
  const report = kFold(
    file.folds.map((fold) => ({
      scores: Float64Array.from(fold, ({ left, right }) => {
        const [a, b] = [found.get(pathOf(left)), found.get(pathOf(right))];
        return a === undefined || b === undefined ? NOT_FOUND : cosineSimilarity(a, b);
      }),
      same: Uint8Array.from(fold, ({ same }) => (same ? 1 : 0)),
    })),
  );
  console.log(foldText({ ...report, facesNotFound: lost.length }));
}
