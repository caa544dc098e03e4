/**
 * @file Measures the ranges of SFace's inner values, which its 8-bit form needs, and writes them into src/faces.
 * `npm run bench -- pack-ranges`: photographs of people who are not in folds 5 to 8 of LFW's pairs.
 */

import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { openDataset } from "../src/data/dataset.ts";
import { imageName } from "../src/data/identity.ts";
import { chosenFolds, readPairs } from "../src/data/pairs-file.ts";
import { chooseFace } from "../src/faces/choose.ts";
import { sfaceInput } from "../src/faces/embedder.ts";
import { cropFace } from "../src/faces/found-faces.ts";
import { sfaceModel } from "../src/faces/lower-networks.ts";
import { openPack } from "../src/faces/models.ts";
import { packNamed } from "../src/faces/packs/catalogue.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { measurePeaks, measureRanges } from "../src/onnx/quantize/calibrate.ts";
import { equalised, factorsFor, valuesToEqualise } from "../src/onnx/quantize/equalise.ts";
import { valuesToMeasure } from "../src/onnx/quantize/quantize.ts";

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

/** Each face as the network reads it. */
async function* faces() {
  for (const { images } of chosen) {
    const { photograph, faces } = await pipeline.find(imageName(images[0]!));
    const face = chooseFace(faces, "central", photograph.size);
    yield sfaceInput(cropFace(photograph, face, { kind: "aligned" }, 112), false);
  }
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
