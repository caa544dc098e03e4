/** @file Makes an 8-bit ONNX version of an exported model, ready to be served, and says what that costs in accuracy. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FaceError } from "../base/errors.ts";
import { publishFolder } from "../base/files.ts";
import { float32, floats, type TensorMap } from "../base/tensor.ts";
import { listFolder, listImages } from "../data/folder.ts";
import { decodeImage } from "../image/decode.ts";
import { prepare } from "../image/settings.ts";
import type { ImageSize } from "../model/backbone.ts";
import { lower } from "../onnx/lower/lower.ts";
import { measureRanges } from "../onnx/quantize/calibrate.ts";
import { quantize, valuesToMeasure } from "../onnx/quantize/quantize.ts";
import { openRuntime } from "../onnx/runtime/runtime.ts";
import { type ReadModel, readSavedModel } from "../savedmodel/read/read.ts";
import { ONNX_FILE } from "../serving/engine/onnx-servable.ts";
import type { DataConfig } from "../train/people.ts";
import { PAIR_INPUTS, PAIR_OUTPUT, pairVerifier } from "../verify/onnx-verifier.ts";
import { dataOf } from "../verify/open-model.ts";
import { readDescription } from "../verify/saved-model-verifier.ts";
import { DESCRIPTION_FILE } from "./export.ts";
import { type AccuracyOptions, type AccuracyReport, compareAccuracy } from "./quantize-accuracy.ts";

const SIGNATURE = "serving_default";
const INPUTS = PAIR_INPUTS;
const OUTPUT = PAIR_OUTPUT;
/** Images in one run while measuring. */
const BATCH = 8;
/** Where a model without a calibration record decides. */
const EVEN = 0.5;

export interface QuantizeOptions {
  /** A version's folder of an exported model. */
  readonly savedModel: string;
  /** A folder of image files, or of folders of them. */
  readonly images: string;
  /** The version's folder to write. */
  readonly output: string;
  /** Images to measure ranges on; as many again, others, to compare on. */
  readonly count: number;
  /** Pairs to measure the accuracy on, before and after; none when left out. */
  readonly accuracy?: AccuracyOptions;
}

/** How the 8-bit model differs from the one it was made of, on pairs of images that its ranges were not measured on. */
export interface QuantizeReport {
  readonly convolutions: number;
  readonly bytes: { readonly float: number; readonly int8: number };
  readonly calibrationImages: number;
  readonly pairs: number;
  readonly threshold: number;
  /** Absolute differences of scores. */
  readonly difference: { readonly mean: number; readonly greatest: number };
  /** Pairs that both decide alike at the threshold. */
  readonly sameDecisions: number;
  /** On labelled pairs, where some were given. */
  readonly accuracy?: AccuracyReport;
}

function imageSizeOf(model: ReadModel, folder: string): { height: number; width: number; channels: 3 } {
  const signature = model.signatures.get(SIGNATURE);
  const [, height, width, channels] = signature?.inputs.get(INPUTS[0])?.shape ?? [];
  if (!signature?.outputs.has(OUTPUT) || !height || !width || height < 1 || width < 1 || channels !== 3) {
    throw new FaceError(
      "MODEL_UNSUPPORTED",
      `${folder} has no signature ${SIGNATURE} that compares two images`,
      {
        hint: "quantise a version that `faceid export` or `faceid train` wrote",
      },
    );
  }
  return { height, width, channels };
}

/** All image files in a folder and in the folders in it, in order. */
async function imagesIn(root: string): Promise<string[]> {
  const { folders } = await listFolder(root);
  const listed = [...(await listImages(root, folders)), ...(await listImages(root, [""]))];
  return listed.flatMap(({ name, files }) => files.map((file) => join(root, name, file)));
}

/** Some of a list, evenly spread over it. */
function spread<T>(list: readonly T[], count: number): T[] {
  const taken = Math.min(count, list.length);
  return Array.from({ length: taken }, (_, i) => list[Math.floor((i * list.length) / taken)]!);
}

/** Images as `[count, height, width, 3]`. */
async function load(paths: readonly string[], size: ReturnType<typeof imageSizeOf>) {
  const length = size.height * size.width * size.channels;
  const values = new Float32Array(paths.length * length);
  const pixels = await Promise.all(paths.map((path) => decodeImage(path, size)));
  for (const [i, each] of pixels.entries()) values.set(prepare(each), i * length);
  return float32([paths.length, size.height, size.width, size.channels], values);
}

const inBatches = <T>(list: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(list.length / BATCH) }, (_, i) => list.slice(i * BATCH, (i + 1) * BATCH));

/** Both backbones see the same images while ranges are measured, so that both get the same grids. */
async function* calibrationRuns(paths: readonly string[], size: ReturnType<typeof imageSizeOf>) {
  for (const batch of inBatches(paths)) {
    const images = await load(batch, size);
    yield new Map(INPUTS.map((name) => [name, images])) as TensorMap;
  }
}

/** Scores of each image with the next one. */
async function scoresOf(bytes: Uint8Array, paths: readonly string[], size: ReturnType<typeof imageSizeOf>) {
  const session = await openRuntime(bytes);
  const scores: number[] = [];
  for (const batch of inBatches(paths.slice(0, -1).map((path, i) => [path, paths[i + 1]!] as const))) {
    const sides = await Promise.all(
      ([0, 1] as const).map((side) =>
        load(
          batch.map((pair) => pair[side]),
          size,
        ),
      ),
    );
    const results = await session.run(new Map(INPUTS.map((name, i) => [name, sides[i]!])), [OUTPUT]);
    scores.push(...floats(results.get(OUTPUT)!));
  }
  await session.close();
  return scores;
}

function differenceOf(float: readonly number[], int8: readonly number[], threshold: number) {
  const gaps = float.map((score, i) => Math.abs(score - int8[i]!));
  return {
    difference: {
      mean: gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length,
      greatest: Math.max(...gaps),
    },
    sameDecisions: float.filter((score, i) => score >= threshold === int8[i]! >= threshold).length,
  };
}

async function accuracyOf(
  models: { readonly float: Uint8Array; readonly int8: Uint8Array },
  config: DataConfig,
  size: ImageSize,
  threshold: number,
  options: AccuracyOptions,
): Promise<AccuracyReport> {
  await using float = await pairVerifier(models.float, size);
  await using int8 = await pairVerifier(models.int8, size);
  return await compareAccuracy({ float, int8 }, config, threshold, options);
}

/**
 * Quantises the pair signature of an exported model and writes it as a version's folder with an ONNX file, the
 * description beside it.
 * @throws FaceError `MODEL_…` for a model that cannot be quantised, `DATASET_…` for a folder without enough images.
 */
export async function quantizeModel(options: QuantizeOptions): Promise<QuantizeReport> {
  const { savedModel, images, output, count } = options;
  const model = await readSavedModel(savedModel);
  const size = imageSizeOf(model, savedModel);
  const description = await readDescription(savedModel);
  const chosen = spread(await imagesIn(images), 2 * count);
  if (chosen.length < 4) {
    throw new FaceError(
      "DATASET_INVALID",
      `${images} holds ${chosen.length} images, quantising takes at least 4`,
    );
  }
  // By turns, so that both halves are spread over all folders.
  const measuredOn = chosen.filter((_, i) => i % 4 < 2);
  const comparedOn = chosen.filter((_, i) => i % 4 >= 2);
  const { outputs } = await model.program(SIGNATURE);
  const { bytes: float } = lower({ outputs }, { runtimeOps: false });
  const ranges = await measureRanges(float, valuesToMeasure(float), calibrationRuns(measuredOn, size));
  const { bytes: int8, convolutions } = quantize(float, ranges);
  const threshold = description?.calibration?.threshold ?? EVEN;
  const scores = [await scoresOf(float, comparedOn, size), await scoresOf(int8, comparedOn, size)] as const;
  const accuracy =
    options.accuracy &&
    (await accuracyOf({ float, int8 }, dataOf(description, size), size, threshold, options.accuracy));
  await publishFolder(output, async (temporary) => {
    await writeFile(join(temporary, ONNX_FILE), int8);
    if (description === undefined) return;
    await mkdir(dirname(join(temporary, DESCRIPTION_FILE)), { recursive: true });
    await writeFile(join(temporary, DESCRIPTION_FILE), `${JSON.stringify(description, null, 2)}\n`);
  });
  return {
    convolutions,
    bytes: { float: float.length, int8: int8.length },
    calibrationImages: measuredOn.length,
    pairs: scores[0].length,
    threshold,
    ...differenceOf(...scores, threshold),
    ...(accuracy === undefined ? {} : { accuracy }),
  };
}
