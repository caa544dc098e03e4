/**
 * @file Faces of LFW in large drawn scenes at any size, place and angle: how many are found, and do decisions stay as they
 * were? And pictures without a face: is anything found?
 * `node --import tsx bench/face-scenes.ts [--scenes 300] [--empty 200] [--folds 1,2,3,4] [--profile fast] [--detector FILE] [--require]`
 * With --detector a detector of our own finds the faces (`npm run bench -- detector`). With --require it fails when fewer
 * than 98 % are found or decided as before, or when a face is found where there is none.
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { chosenFolds, readPairs } from "../src/data/pairs-file.ts";
import { chooseFace } from "../src/faces/choose.ts";
import { cosineSimilarity } from "../src/faces/cosine.ts";
import { PROFILES } from "../src/faces/mode.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { decodePixels } from "../src/image/decode.ts";
import { picturesWithoutFaces } from "../test/support/no-faces.ts";
import { drawnBackground, paste } from "../test/support/scenes.ts";
import { OWN_SEARCH } from "./detector/search.ts";

const LFW = "../shared/datasets/lfw";
const MODELS = "../shared/models/opencv";
const THRESHOLD = 0.33;
/** Of the scenes, with --require. */
const WANTED = 0.98;
/** Of the scenes; the last one is as a telephone takes it. */
const SIZES = [
  [800, 600],
  [1280, 960],
  [1600, 1200],
  [4000, 3000],
] as const;
const WIDTHS = [40, 60, 100, 200, 400] as const;

const { values: flags } = parseArgs({
  options: {
    scenes: { type: "string", default: "300" },
    empty: { type: "string", default: "200" },
    folds: { type: "string", default: "1,2,3,4" },
    profile: { type: "string", default: "standard" },
    detector: { type: "string" },
    require: { type: "boolean", default: false },
  },
});

const profile = PROFILES.find((each) => each === flags.profile);
if (profile === undefined) throw new Error(`--profile is one of ${PROFILES.join(", ")}`);

for (const folder of [LFW, MODELS]) {
  if (existsSync(folder)) continue;
  console.log(`skipped: there is no ${folder}`);
  process.exit(0);
}

const [detector, embedding] = await Promise.all([
  readFile(flags.detector ?? `${MODELS}/face_detection_yunet_2023mar_int8bq.onnx`),
  readFile(`${MODELS}/face_recognition_sface_2021dec_int8bq.onnx`),
]);
await using pipeline = await FacePipeline.open(
  { detector, embedding },
  { profile, ...(flags.detector !== undefined && { detector: OWN_SEARCH }) },
);

const { folds } = chosenFolds(await readPairs(`${LFW}/pairs.txt`), flags.folds.split(",").map(Number));
const pairs = folds.flat();
const pathOf = ({ name, number }: { name: string; number: number }) =>
  join(LFW, name, `${name}_${String(number).padStart(4, "0")}.jpg`);

async function central(path: string): Promise<Float32Array> {
  return (await pipeline.embedPhotograph(path, { face: "central" })).embedding;
}

const counts = new Map<number, { scenes: number; found: number; same: number }>();
const similarities: number[] = [];
for (let i = 0; i < Number(flags.scenes); i++) {
  const random = new Random(2026).fork("scene", i);
  const pair = pairs[random.integer(pairs.length)]!;
  const [width, height] = SIZES[random.chance(0.05) ? 3 : i % 3]!;
  const faceWidth = WIDTHS[i % WIDTHS.length]!;
  const scene = drawnBackground(width, height, random);
  const reach = Math.min(faceWidth, height / 2 - 1);
  const centre = [random.between(reach, width - reach), random.between(reach, height - reach)] as const;
  paste(scene, await decodePixels(pathOf(pair.left)), {
    centre,
    faceWidth,
    angle: random.between(-180, 180),
  });
  const { photograph, faces } = await pipeline.findIn(scene);
  const count = counts.get(faceWidth) ?? { scenes: 0, found: 0, same: 0 };
  counts.set(faceWidth, count);
  count.scenes++;
  const near = faces.filter(
    ({ box: [x, y, w, h] }) => Math.hypot(x + w / 2 - centre[0], y + h / 2 - centre[1]) < faceWidth / 2,
  );
  if (near.length === 0) continue;
  count.found++;
  const placed = await pipeline.embed(photograph, chooseFace(near, "largest", scene));
  const [original, other] = [await central(pathOf(pair.left)), await central(pathOf(pair.right))];
  similarities.push(cosineSimilarity(placed, original));
  const decision = (a: Float32Array) => cosineSimilarity(a, other) >= THRESHOLD;
  if (decision(placed) === decision(original)) count.same++;
}
for (const [width, { scenes, found, same }] of [...counts].sort(([a], [b]) => a - b)) {
  console.log(`${width} pixels wide: ${found} of ${scenes} found, ${same} decisions as on the original`);
}
similarities.sort((a, b) => a - b);
const at = (part: number) => similarities[Math.floor(part * (similarities.length - 1))]?.toFixed(3);
console.log(`cosine to the original: least ${at(0)}, 5 % ${at(0.05)}, median ${at(0.5)}`);

let alarms = 0;
for (const { kind, pixels } of await picturesWithoutFaces(Number(flags.empty), 7)) {
  const { faces } = await pipeline.findIn(pixels);
  if (faces.length > 0) console.log(`${kind}: ${faces.map(({ score }) => score.toFixed(2)).join(" ")}`);
  alarms += faces.length > 0 ? 1 : 0;
}
console.log(`faces found in ${alarms} of ${flags.empty} pictures that show none`);
const total = (name: "scenes" | "found" | "same") =>
  [...counts.values()].reduce((sum, each) => sum + each[name], 0);
const least = WANTED * total("scenes");
if (flags.require && (total("found") < least || total("same") < least || alarms > 0)) {
  console.error(`expected at least ${least} found and decided as before, and no alarm`);
  process.exitCode = 1;
}
