/**
 * @file How steady are a face's five points, and what does the detector say of turned faces? The close-ups of
 * src/faces/detector.ts come from here. `node --import tsx bench/face-points.ts [--photographs 60]`
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readPairs } from "../src/data/pairs-file.ts";
import { alignTo } from "../src/faces/alignment.ts";
import { chooseFace } from "../src/faces/choose.ts";
import { Detector } from "../src/faces/detector.ts";
import type { Detection, Point } from "../src/faces/face.ts";
import { Pyramid, sample } from "../src/faces/pyramid.ts";
import { angleOf, applySimilarity, type Similarity, similarityAbout } from "../src/faces/similarity.ts";
import { mergeDetections } from "../src/faces/yunet.ts";
import { YunetNetwork } from "../src/faces/yunet-network.ts";
import { decodePixels } from "../src/image/decode.ts";
import { openRuntime } from "../src/onnx/runtime/runtime.ts";

const LFW = "../shared/datasets/lfw";
const YUNET = "../shared/models/opencv/face_detection_yunet_2023mar_int8bq.onnx";

const { values: flags } = parseArgs({ options: { photographs: { type: "string", default: "60" } } });

const quantile = (values: readonly number[], part: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(part * (values.length - 1))] ?? Number.NaN;
const quantiles = (values: readonly number[], parts: readonly number[], digits: number) =>
  parts.map((part) => quantile(values, part).toFixed(digits)).join(", ");

await using network = await YunetNetwork.open(await readFile(YUNET), openRuntime);
const whole = new Detector(network);
const oneCloseUp = new Detector(network, { closeUps: [{ face: 108, side: 192 }] });
const SIZE = { width: 250, height: 250 };

type Way = (picture: Pyramid) => Promise<readonly Detection[]>;
const cells = (picture: Pyramid) => network.detect(picture.level(0).pixels, 0.3);
const WAYS: Readonly<Record<string, Way>> = {
  "best cell": async (picture) => {
    const faces = mergeDetections(await cells(picture), 0.6, 1);
    const all = await cells(picture);
    return faces.map(({ score }) => all.find((cell) => cell.score === score)!);
  },
  "mean of the cells that agree": async (picture) => mergeDetections(await cells(picture), 0.6, 1),
  "one close-up": (picture) => oneCloseUp.find(picture),
  "three close-ups": (picture) => whole.find(picture),
};

/** The photograph moved by a few pixels, and scaled. */
const CHANGES: readonly Similarity[] = [
  { a: 1, b: 0, x0: -3, y0: -5 },
  { a: 1.15, b: 0, x0: -18, y0: -20 },
  { a: 0.85, b: 0, x0: 18, y0: 16 },
];

/** Root mean square distance, in the aligned crop of 112 pixels, between the points by both alignments. */
function scatter(points: readonly Point[], one: Similarity, other: Similarity): number {
  const sum = points.reduce((total, point) => {
    const [a, b] = [applySimilarity(one, point), applySimilarity(other, point)];
    return total + (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;
  }, 0);
  return Math.sqrt(sum / points.length);
}

const { folds } = await readPairs(`${LFW}/pairs.txt`);
const named = folds.slice(0, 4).flatMap((fold) => fold.map(({ left }) => left));
const every = Math.ceil(named.length / Number(flags.photographs));
const photographs = await Promise.all(
  named
    .filter((_, i) => i % every === 0)
    .map(({ name, number }) =>
      decodePixels(join(LFW, name, `${name}_${String(number).padStart(4, "0")}.jpg`)),
    ),
);

console.log(`${photographs.length} photographs`);
console.log("points of the same face in the photograph moved and scaled, pixels of the crop: median, 95 %");
for (const [name, find] of Object.entries(WAYS)) {
  const distances: number[] = [];
  for (const pixels of photographs) {
    const original = chooseFace(await find(new Pyramid(pixels)), "central", SIZE);
    for (const change of CHANGES) {
      const changed = new Pyramid(sample(new Pyramid(pixels), change, 250, 250));
      const faces = await find(changed);
      if (faces.length === 0) continue;
      const face = chooseFace(faces, "central", SIZE);
      const back = face.landmarks.map((point) => applySimilarity(change, point));
      const there = alignTo(back as unknown as Detection["landmarks"]);
      distances.push(scatter(original.landmarks, alignTo(original.landmarks), there));
    }
  }
  console.log(`  ${name}: ${quantiles(distances, [0.5, 0.95], 2)}`);
}

console.log(
  "faces turned within a picture of 192 pixels: found, score 10 %, 50 %, 90 %, roll by the points 10 %, 50 %, 90 %",
);
for (const turn of [0, 10, 20, 30, 45, 60, 90, 135, 180]) {
  const scores: number[] = [];
  const rolls: number[] = [];
  for (const pixels of photographs) {
    const { box, landmarks } = chooseFace(await whole.find(new Pyramid(pixels)), "central", SIZE);
    const [x, y, width, height] = box;
    const angle = -angleOf(alignTo(landmarks)) - (turn * Math.PI) / 180;
    const scale = Math.sqrt(width * height) / 108;
    const to = similarityAbout([95.5, 95.5], [x + width / 2 - 0.5, y + height / 2 - 0.5], scale, angle);
    const picture = sample(new Pyramid(pixels), to, 192, 192);
    const [found] = mergeDetections(await network.detect(picture, 0.3), 0.3, 1);
    if (found === undefined) continue;
    scores.push(found.score);
    rolls.push((-angleOf(alignTo(found.landmarks)) * 180) / Math.PI);
  }
  const parts = [0.1, 0.5, 0.9];
  console.log(`  ${turn}°: ${scores.length}, ${quantiles(scores, parts, 2)}, ${quantiles(rolls, parts, 0)}`);
}
