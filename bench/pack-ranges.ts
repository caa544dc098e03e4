/**
 * @file Measures the ranges of SFace's inner values, which its 8-bit form needs, and writes them into src/faces; then compares
 * embeddings in integers with those in floats, with and without equalised channels.
 * `npm run bench -- pack-ranges`: the ranges on people who are not in folds 5 to 8 of LFW's pairs, the embeddings on some who are.
 */

import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { openDataset } from "../src/data/dataset.ts";
import { imageName } from "../src/data/identity.ts";
import { chosenFolds, readPairs } from "../src/data/pairs-file.ts";
import { chooseFace } from "../src/faces/choose.ts";
import { cosineSimilarity } from "../src/faces/cosine.ts";
import { EMBEDDING_SIDE, FaceEmbedder, sfaceInput } from "../src/faces/embedder.ts";
import { cropFace } from "../src/faces/found-faces.ts";
import { sfaceModel } from "../src/faces/lower-networks.ts";
import { openPack } from "../src/faces/models.ts";
import { packNamed } from "../src/faces/packs/catalogue.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { measurePeaks, measureRanges } from "../src/onnx/quantize/calibrate.ts";
import { equalised, factorsFor, valuesToEqualise } from "../src/onnx/quantize/equalise.ts";
import { quantize, valuesToMeasure } from "../src/onnx/quantize/quantize.ts";
import { openRuntime } from "../src/onnx/runtime/runtime.ts";

const LFW = "../shared/datasets/lfw";
const PACK = "opencv-sface";
const OUTPUT = "src/faces/sface-ranges.ts";
const PHOTOGRAPHS = 96;

const { folds } = chosenFolds(await readPairs(`${LFW}/pairs.txt`), [5, 6, 7, 8]);
const kept = new Set(folds.flat().flatMap(({ left, right }) => [left.name, right.name]));
const { identities } = await openDataset({ dataset: "lfw", path: LFW });
const others = identities.filter(({ name }) => !kept.has(name));
const chosen = Array.from(
  { length: PHOTOGRAPHS },
  (_, i) => others[Math.floor((i * others.length) / PHOTOGRAPHS)]!,
);
const { files } = await openPack(PACK);
const [detector, embedding] = await Promise.all([readFile(files.detector), readFile(files.embedding)]);
await using pipeline = await FacePipeline.open({ detector, embedding });

/** The aligned face of each person's first photograph. */
async function* crops(people: typeof chosen) {
  for (const { images } of people) {
    const { photograph, faces } = await pipeline.find(imageName(images[0]!));
    const face = chooseFace(faces, "central", photograph.size);
    yield cropFace(photograph, face, { kind: "aligned" }, EMBEDDING_SIDE);
  }
}

/** The faces that ranges are measured on, as the network reads them. */
async function* faces() {
  for await (const crop of crops(chosen)) yield sfaceInput(crop, false);
}

const floats = sfaceModel(embedding);
const factors = factorsFor(floats, await measurePeaks(floats, valuesToEqualise(floats), faces()));
const bytes = equalised(floats, factors);
const names = valuesToMeasure(bytes);
const measured = await measureRanges(bytes, names, faces());
const short = (value: number) => Number(value.toPrecision(5));
const rows = names.map((name) => [name, short(measured.get(name)!.low), short(measured.get(name)!.high)]);
await writeFile(
  OUTPUT,
  [
    "/** @file Ranges of SFace's inner values over faces of LFW; written by `npm run bench -- pack-ranges`. */",
    "",
    "/** SHA-256 of the file that was measured. */",
    `export const SFACE_MEASURED = "${packNamed(PACK).files.embedding.sha256}";`,
    "",
    "/** Name of the value in the lowered network, and the factor of each channel, as `factorsFor` gives them. */",
    `export const SFACE_FACTORS: readonly (readonly [name: string, factors: string])[] = ${JSON.stringify([...factors])};`,
    "",
    "/** Name of the value in the equalised network, least and greatest. */",
    `export const SFACE_RANGES: readonly (readonly [name: string, low: number, high: number])[] = ${JSON.stringify(rows)};`,
    "",
  ].join("\n"),
);
execFileSync(process.execPath, ["node_modules/@biomejs/biome/bin/biome", "check", "--write", OUTPUT]);

/** Cosines of a network's embeddings to those in floats, over people that nothing was measured on. */
async function printCosines(name: string, integers: Uint8Array): Promise<void> {
  const held = identities.filter((person) => kept.has(person.name));
  const people = held.filter((_, i) => i % Math.floor(held.length / PHOTOGRAPHS) === 0);
  await using inFloats = new FaceEmbedder(await openRuntime(floats), false);
  await using inIntegers = new FaceEmbedder(await openRuntime(integers), false);
  const cosines: number[] = [];
  for await (const crop of crops(people))
    cosines.push(cosineSimilarity(await inFloats.embed(crop), await inIntegers.embed(crop)));
  cosines.sort((a, b) => a - b);
  const at = (share: number) => cosines[Math.floor(share * (cosines.length - 1))]!.toFixed(4);
  console.log(`${name.padEnd(20)} median ${at(0.5)}, a tenth below ${at(0.1)}, least ${at(0)}`);
}

console.log("cosine of embeddings in integers to those in floats");
const plain = quantize(floats, await measureRanges(floats, valuesToMeasure(floats), faces()));
await printCosines("as they are", plain.bytes);
await printCosines("channels equalised", quantize(bytes, measured).bytes);
