/**
 * @file What do small, blurred, dark, pale and cut-off faces do to decisions? One photograph of each pair of one person in LFW
 * is spoilt step by step; the limits of src/faces/quality-limits.ts come from here.
 * `node --import tsx bench/face-quality.ts [--pairs 80] [--threshold 0.33] [--only sharpness]`
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type NamedImage, readPairs } from "../src/data/pairs-file.ts";
import { chooseFace } from "../src/faces/choose.ts";
import { cosineSimilarity } from "../src/faces/cosine.ts";
import type { FaceQuality } from "../src/faces/face.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { Pyramid, sample } from "../src/faces/pyramid.ts";
import { decodePixels } from "../src/image/decode.ts";
import type { Pixels } from "../src/image/settings.ts";

const LFW = "../shared/datasets/lfw";
const MODELS = "../shared/models/opencv";

const { values: flags } = parseArgs({
  options: {
    pairs: { type: "string", default: "80" },
    threshold: { type: "string", default: "0.33" },
    only: { type: "string" },
  },
});
const threshold = Number(flags.threshold);

interface Spoiling {
  readonly name: string;
  /** The number that shows it. */
  readonly shows: keyof FaceQuality;
  readonly levels: readonly number[];
  readonly spoil: (photograph: Pixels, level: number) => Pixels;
}

const byValue = (photograph: Pixels, change: (value: number) => number): Pixels => ({
  ...photograph,
  data: photograph.data.map((value) => Math.max(0, Math.min(255, Math.round(change(value))))),
});

/** Scaled by a factor below 1. */
function shrunk(photograph: Pixels, factor: number): Pixels {
  const [width, height] = [Math.round(photograph.width * factor), Math.round(photograph.height * factor)];
  const offset = 0.5 / factor - 0.5;
  return sample(new Pyramid(photograph), { a: 1 / factor, b: 0, x0: offset, y0: offset }, width, height);
}

/** Scaled by a factor below 1, and back to its size by bilinear interpolation. */
function enlarged(photograph: Pixels, factor: number): Pixels {
  const small = shrunk(photograph, factor);
  const { width, height } = photograph;
  const offset = 0.5 * factor - 0.5;
  return sample(new Pyramid(small), { a: factor, b: 0, x0: offset, y0: offset }, width, height);
}

/** A Gaussian blur, one axis at a time. */
function blurred(photograph: Pixels, sigma: number): Pixels {
  if (sigma === 0) return photograph;
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const { width, height } = photograph;
  const along = (data: ArrayLike<number>, step: number, length: number, place: (at: number) => number) =>
    Float32Array.from(data, (_, at) => {
      const index = place(at);
      let sum = 0;
      for (let k = -reach; k <= reach; k++) {
        const other = Math.max(0, Math.min(length - 1, index + k));
        sum += (weights[k + reach]! / total) * data[at + (other - index) * step]!;
      }
      return sum;
    });
  const rows = along(photograph.data, 3, width, (at) => Math.floor(at / 3) % width);
  const both = along(rows, width * 3, height, (at) => Math.floor(at / (width * 3)));
  return { data: Uint8Array.from(both, Math.round), width, height };
}

/** The lower part of the photograph, whose border cuts the forehead and eyes off; 95 pixels are a face's width in LFW. */
function cut(photograph: Pixels, rows: number): Pixels {
  const { data, width, height } = photograph;
  return { data: data.subarray(rows * width * 3), width, height: height - rows };
}

const SPOILINGS: readonly Spoiling[] = [
  { name: "scaled by", shows: "eyeDistance", levels: [1, 0.5, 0.35, 0.25, 0.18, 0.13], spoil: shrunk },
  { name: "blurred, σ", shows: "sharpness", levels: [0, 1, 2, 3, 4, 6], spoil: blurred },
  {
    name: "scaled and enlarged again, by",
    shows: "sharpness",
    levels: [0.5, 0.35, 0.25, 0.18, 0.13],
    spoil: enlarged,
  },
  {
    name: "darkened to",
    shows: "brightness",
    levels: [0.5, 0.25, 0.12, 0.06],
    spoil: (p, f) => byValue(p, (v) => v * f),
  },
  {
    name: "exposed by",
    shows: "brightness",
    levels: [1.5, 2, 3, 5],
    spoil: (p, f) => byValue(p, (v) => v * f),
  },
  {
    name: "contrast times",
    shows: "contrast",
    levels: [0.5, 0.25, 0.12, 0.06],
    spoil: (p, f) => byValue(p, (v) => 128 + (v - 128) * f),
  },
  { name: "rows cut off", shows: "inside", levels: [70, 85, 95, 105, 115], spoil: cut },
];

const pathOf = ({ name, number }: NamedImage) =>
  join(LFW, name, `${name}_${String(number).padStart(4, "0")}.jpg`);

const [detector, embedding] = await Promise.all([
  readFile(`${MODELS}/face_detection_yunet_2023mar_int8bq.onnx`),
  readFile(`${MODELS}/face_recognition_sface_2021dec_int8bq.onnx`),
]);
await using pipeline = await FacePipeline.open({ detector, embedding });

/** The most central face's embedding and quality. */
async function look(pixels: Pixels) {
  const { photograph, faces } = await pipeline.findIn(pixels);
  if (faces.length === 0) return undefined;
  const face = chooseFace(faces, "central", pixels);
  return { quality: face.quality, embedding: await pipeline.embed(photograph, face) };
}

const { folds } = await readPairs(`${LFW}/pairs.txt`);
const wanted = Number(flags.pairs);
const same = folds.slice(0, 4).flatMap((fold) => fold.filter((pair) => pair.same));
const pairs = same.filter((_, i) => i % Math.ceil(same.length / wanted) === 0);
const originals: Float32Array[] = [];
for (const { right } of pairs) originals.push((await look(await decodePixels(pathOf(right))))!.embedding);

const quantile = (values: number[], part: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(part * (values.length - 1))] ?? Number.NaN;

console.log(`${pairs.length} pairs, threshold ${threshold}`);
console.log("spoilt | found | number: 10 %, median, 90 % | score, median | TAR | FAR | mean cosine");
for (const { name, shows, levels, spoil } of SPOILINGS) {
  if (flags.only !== undefined && flags.only !== shows) continue;
  for (const level of levels) {
    const shown: number[] = [];
    const sure: number[] = [];
    let [accepted, alarms, strangers, sum] = [0, 0, 0, 0];
    for (const [i, { left, right }] of pairs.entries()) {
      const seen = await look(spoil(await decodePixels(pathOf(left)), level));
      if (seen === undefined) continue;
      shown.push(seen.quality[shows]);
      sure.push(seen.quality.score);
      const own = cosineSimilarity(seen.embedding, originals[i]!);
      sum += own;
      if (own >= threshold) accepted++;
      for (const [j, other] of originals.entries()) {
        if (pairs[j]!.right.name === right.name) continue;
        strangers++;
        if (cosineSimilarity(seen.embedding, other) >= threshold) alarms++;
      }
    }
    const numbers = [0.1, 0.5, 0.9].map((part) => quantile(shown, part).toFixed(2)).join(", ");
    const rates = `${((100 * accepted) / pairs.length).toFixed(1)} % | ${((100 * alarms) / strangers).toFixed(3)} %`;
    const cells = [
      `${name} ${level}`,
      shown.length,
      `${shows} ${numbers}`,
      quantile(sure, 0.5).toFixed(2),
      rates,
    ];
    console.log([...cells, (sum / shown.length).toFixed(3)].join(" | "));
  }
}
