/** @file Makes a smaller version of an exported model, in 8-bit integers or half precision, and measures what that costs in accuracy. */
import { existsSync } from "node:fs";
import { copyFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type CalibrationRecord, decisionFor } from "../artifact/calibration.ts";
import {
  descriptionText,
  type ExportedModel,
  framingIn,
  measuredWith,
  readDescription,
  requireDescribed,
} from "../artifact/description.ts";
import { DESCRIPTION_FILE, ONNX_FILE, SAVED_MODEL_FILE, versionOf } from "../artifact/files.ts";
import { type FoundModel, findModel } from "../artifact/find-model.ts";
import { modelPath } from "../artifact/shipped.ts";
import { PAIR, sizesIn } from "../artifact/signatures.ts";
import type { WeightType } from "../artifact/weights.ts";
import { FaceError } from "../base/errors.ts";
import { checkTarget, makeFolder, publishFolder } from "../base/files.ts";
import { type Log, silentLog } from "../base/log.ts";
import { float32, type TensorMap } from "../base/tensor.ts";
import { readPairs } from "../data/pairs-file.ts";
import { accuracyAt, areaUnder, equalErrorRate, rocCurve } from "../evaluate/roc.ts";
import type { Framing } from "../faces/alignment.ts";
import type { FaceChoice } from "../faces/choose.ts";
import { packModelNamed } from "../faces/packs/catalogue.ts";
import type { ImageSettings } from "../image/settings.ts";
import type { AnyVerifier, PairVerifier } from "../model/verifier.ts";
import { lower } from "../onnx/lower/lower.ts";
import { measurePeaks, measureRanges } from "../onnx/quantize/calibrate.ts";
import { equalised, factorsFor, valuesToEqualise } from "../onnx/quantize/equalise.ts";
import { quantize, valuesToMeasure } from "../onnx/quantize/quantize.ts";
import { WARMUP_FILE } from "../savedmodel/format/warmup-file.ts";
import { parseSavedModel, type ReadModel, readSavedModel } from "../savedmodel/read/read.ts";
import { canBeHalved, contentOf } from "../savedmodel/write/rewrite.ts";
import { savedModelBytes } from "../savedmodel/write/write.ts";
import { type DataConfig, measuredData } from "../train/people.ts";
import { framingOf } from "../verify/face-comparer.ts";
import { pairVerifier } from "../verify/onnx-verifier.ts";
import { trainingConfig } from "../verify/open-model.ts";
import { calibrationImages, type Faces } from "./calibration-images.ts";
import { type EvaluateOptions, type MeasureOptions, measureFolds, measureHeldOut } from "./evaluate.ts";

/** Images in one run of the network. */
const BATCH = 8;
/** The threshold of a model without a calibration record. */
const EVEN = 0.5;

/** The storage types of a smaller version's weights. */
export const SMALLER_WEIGHTS = ["int8", "float16"] as const;

/** Which pairs to measure on. */
export interface AccuracyOptions extends EvaluateOptions {
  /** LFW-style pairs.txt for its k-fold protocol; pairs of held-out people when left out. */
  readonly pairsFile?: string | undefined;
  /** Folds of that file, counted from 1; all when left out. */
  readonly folds?: readonly number[];
}

export interface QuantizeOptions {
  /** A version's folder of an exported model, or the folder of versions for the highest. */
  readonly savedModel: string;
  /** A folder of image files, or of folders of them: for `int8`, and to compare scores; not compared when left out. */
  readonly images?: string | undefined;
  /** The version's folder to write. */
  readonly output: string;
  /**
   * Images to measure ranges on; the same number of other images serves to compare scores. Images that cannot be used are
   * replaced by others of the folder.
   */
  readonly count: number;
  /**
   * `align`: the faces of the images are found and cut out as the model reads them; `none`: they are crops. When left out, faces
   * are found for a model that says how they lie, unless `faceid crop` wrote the images or all have the model's size.
   */
  readonly faces?: Faces | undefined;
  /** Which face is meant where an image shows several. Default `largest`. */
  readonly face?: FaceChoice | undefined;
  /**
   * `int8` (default) computes in 8-bit integers and writes an ONNX file; `float16` computes in floats as before, and
   * writes a SavedModel of half the size with all signatures.
   */
  readonly weights?: (typeof SMALLER_WEIGHTS)[number] | undefined;
  /** Gets a line for each photograph that cannot be read, and where the path left a choice. Default: silent. */
  readonly log?: Log | undefined;
  /** Measures the accuracy before and after; not measured when left out. */
  readonly accuracy?: AccuracyOptions | undefined;
}

/** Figures of one model, in [0, 1]. */
export interface AccuracyFigures {
  readonly accuracy: number;
  readonly auc: number;
  readonly eer: number;
}

/** Figures on the same pairs before and after. */
export interface AccuracyReport {
  readonly pairs: number;
  /** Number of folds, each judged by the others' threshold; absent when one threshold judges all pairs. */
  readonly folds?: number;
  /** The threshold that judges all pairs, as `faceid evaluate` has it: the one with the most right decisions; absent with folds. */
  readonly threshold?: number;
  readonly float: AccuracyFigures;
  readonly written: AccuracyFigures;
}

/** How the written model differs from the float model, on pairs of images that its ranges were not measured on. */
export interface QuantizeReport {
  readonly weights: (typeof SMALLER_WEIGHTS)[number];
  /** Convolutions in 8 bits. */
  readonly convolutions: number;
  /** Of the SavedModel that was given, and of the file that was written: an ONNX file for 8 bits, a SavedModel for halves. */
  readonly bytes: { readonly given: number; readonly written: number };
  readonly calibrationImages: number;
  /** Whether faces were found in the images; absent without images. */
  readonly faces?: Faces;
  /** Images that were left out: those that cannot be read, those without a face where faces are found, those of one colour, copies of others. */
  readonly unreadable: number;
  readonly withoutFace: number;
  readonly oneColour: number;
  readonly copies: number;
  /** The weights that the version's thresholds and rates were measured with; absent for a model without a calibration record. */
  readonly calibratedWith?: WeightType;
  /** Pairs whose scores were compared; 0 without images. */
  readonly pairs: number;
  /** At which decisions are counted: that of `faceid verify` without a wanted rate, or an even one without a calibration record. */
  readonly threshold: number;
  /** The calibrated rate whose threshold it is; absent for one that belongs to no rate. */
  readonly far?: number;
  /** Absolute differences of scores; absent without images. */
  readonly difference?: { readonly mean: number; readonly greatest: number };
  /** Pairs on the same side of the threshold in both models; absent without images. */
  readonly sameDecisions?: number;
  /** On labelled pairs, if they were measured. */
  readonly accuracy?: AccuracyReport;
}

function imageSettingsOf(model: ReadModel, folder: string): ImageSettings {
  const signature = model.signatures.get(PAIR.signature);
  const [, height = 0, width = 0, channels] = signature?.inputs.get(PAIR.anchor)?.shape ?? [];
  if (signature?.outputs.has(PAIR.classifier) && Math.min(height, width) > 0 && channels === 3)
    return { height, width, channels };
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `${folder} has no signature ${PAIR.signature} that compares two images`,
    {
      hint: "quantise a version that `faceid export` or `faceid train` wrote; convert networks from elsewhere with --framing, or serve them as they are",
    },
  );
}

const inBatches = <T>(list: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(list.length / BATCH) }, (_, i) => list.slice(i * BATCH, (i + 1) * BATCH));

/** Images side by side, as one batch. */
function stacked(images: readonly Float32Array[]): Float32Array {
  const batch = new Float32Array(images.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const image of images) {
    batch.set(image, at);
    at += image.length;
  }
  return batch;
}

/** Both inputs get the same images while ranges are measured, so that both backbones get the same grids. */
function* calibrationRuns(images: readonly Float32Array[], size: ImageSettings) {
  for (const batch of inBatches(images)) {
    const shape = [batch.length, size.height, size.width, size.channels];
    const values = float32(shape, stacked(batch));
    yield new Map([PAIR.anchor, PAIR.verification].map((name) => [name, values])) as TensorMap;
  }
}

/** Scores of each image with the next one. */
async function scoresOf(verifier: PairVerifier, images: readonly Float32Array[]) {
  const scores: number[] = [];
  for (const batch of inBatches(images.slice(0, -1).map((image, i) => [image, images[i + 1]!] as const))) {
    const side = (index: 0 | 1) => stacked(batch.map((pair) => pair[index]));
    scores.push(...(await verifier.score(side(0), side(1), batch.length)));
  }
  return scores;
}

function differenceOf(float: readonly number[], written: readonly number[], threshold: number) {
  const gaps = float.map((score, i) => Math.abs(score - written[i]!));
  return {
    difference: {
      mean: gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length,
      greatest: Math.max(...gaps),
    },
    sameDecisions: float.filter((score, i) => score >= threshold === written[i]! >= threshold).length,
  };
}

/** The threshold of a decision without a wanted rate, and the calibrated rate that it belongs to. */
function decidedAt(record: CalibrationRecord | undefined): Pick<QuantizeReport, "threshold" | "far"> {
  const { threshold = EVEN, usedFar: far } = decisionFor(record) ?? {};
  return far === undefined ? { threshold } : { threshold, far };
}

type Measured = AccuracyFigures & Omit<AccuracyReport, "float" | "written">;

/** Figures of one model, and what they were measured on. */
async function figuresOf(
  verifier: AnyVerifier,
  config: DataConfig,
  threshold: number,
  { pairsFile, ...options }: AccuracyOptions,
  { framing, stored }: Pick<MeasureOptions, "framing" | "stored">,
): Promise<Measured> {
  const framed = { ...options, config, framing, stored };
  if (pairsFile !== undefined) {
    const { pairs, folds, accuracy, auc, eer } = await measureFolds(verifier, pairsFile, framed);
    return { pairs, folds, accuracy: accuracy.mean, auc, eer };
  }
  const { scored } = await measureHeldOut(verifier, framed);
  const curve = rocCurve(scored);
  // Both versions are served with the same calibration record, so one threshold judges both.
  return {
    pairs: scored.scores.length,
    threshold,
    accuracy: accuracyAt(scored, threshold),
    auc: areaUnder(curve),
    eer: equalErrorRate(curve),
  };
}

/** Measures two verifiers on the same pairs. */
async function compareAccuracy(
  floatModel: AnyVerifier,
  writtenModel: AnyVerifier,
  config: DataConfig,
  options: AccuracyOptions,
  stored: CalibrationRecord | undefined,
  framingFor: () => Framing,
): Promise<AccuracyReport> {
  const data = measuredData(config, options.data);
  const framing = data.faces === "none" ? undefined : framingFor();
  const threshold = stored?.threshold ?? EVEN;
  const figures = (model: AnyVerifier) => figuresOf(model, data, threshold, options, { framing, stored });
  const { accuracy, auc, eer, ...measuredOn } = await figures(floatModel);
  const written = await figures(writtenModel);
  return {
    ...measuredOn,
    float: { accuracy, auc, eer },
    written: { accuracy: written.accuracy, auc: written.auc, eer: written.eer },
  };
}

/** A smaller version: its file, and the network that answers as the file does. */
interface Smaller {
  readonly name: typeof ONNX_FILE | typeof SAVED_MODEL_FILE;
  readonly content: Uint8Array;
  readonly network: Uint8Array;
  readonly convolutions: number;
}

async function inIntegers(
  float: Uint8Array,
  measuredOn: readonly Float32Array[],
  size: ImageSettings,
): Promise<Smaller> {
  const peaks = await measurePeaks(float, valuesToEqualise(float), calibrationRuns(measuredOn, size));
  const level = equalised(float, factorsFor(float, peaks));
  const ranges = await measureRanges(level, valuesToMeasure(level), calibrationRuns(measuredOn, size));
  const { bytes, convolutions } = quantize(level, ranges);
  return { name: ONNX_FILE, content: bytes, network: bytes, convolutions };
}

async function inHalves(model: ReadModel, folder: string): Promise<Smaller> {
  const content = savedModelBytes({ ...(await contentOf(model)), weights: "float16" });
  const { outputs } = await parseSavedModel(content, folder).program(PAIR.signature);
  const { bytes: network } = lower({ outputs }, { runtimeOps: false });
  return { name: SAVED_MODEL_FILE, content, network, convolutions: 0 };
}

/** No images, where half precision needs none. */
const WITHOUT_IMAGES = {
  faces: undefined,
  images: [],
  leftOut: { unreadable: 0, withoutFace: 0, oneColour: 0, copies: 0 },
};

/** The description of the smaller version; `faceid calibrate` measures its own rates. */
function descriptionOf(model: ReadModel, description: ExportedModel, output: string): ExportedModel {
  const version = versionOf(basename(resolve(output)));
  return measuredWith(canBeHalved(model) ? "float32" : "float16", {
    ...description,
    ...(version === undefined ? {} : { version: Number(version) }),
  });
}

/** The SavedModel that is to be made smaller. @throws FaceError for a pack or an ONNX file, that says what to use. */
async function floatModel(path: string): Promise<FoundModel> {
  if (packModelNamed(path) !== undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `${path} is a model pack, an exported model is wanted`, {
      hint: "a pack in 8-bit integers is there already: --precision int8, or the name opencv-sface-int8",
    });
  }
  const found = await findModel(modelPath(path));
  if (found.format === "savedmodel") return found;
  throw new FaceError("MODEL_UNSUPPORTED", `${found.file} is an ONNX file, a SavedModel is wanted`, {
    hint: "quantise the version that it was made from; an embedding in floats becomes a SavedModel by `faceid convert --saved-model`",
  });
}

/**
 * Writes a smaller version of an exported model with the same description: the signature `serving_default` in 8-bit
 * integers, or all signatures with weights in half precision.
 * @throws FaceError `MODEL_…` for a model that cannot be quantised, `DATASET_…` for a folder without enough images,
 *   `CONFIG_INVALID` for 8-bit integers without one, and for half precision of a model that has it already.
 */
export async function quantizeModel(options: QuantizeOptions): Promise<QuantizeReport> {
  const { images, output, count, weights = "int8", log = silentLog } = options;
  if (images === undefined && weights === "int8") {
    throw new FaceError("CONFIG_INVALID", "8-bit integers need images to measure the ranges of values on", {
      hint: "name a folder of photographs like those in use with --images; --weights float16 needs none",
    });
  }
  const found = await floatModel(options.savedModel);
  const { folder: savedModel, note } = found;
  if (note !== undefined) log.info(note);
  const { pairsFile } = options.accuracy ?? {};
  if (pairsFile !== undefined) await readPairs(pairsFile);
  await checkTarget(output, "new folder");
  const model = await readSavedModel(savedModel);
  const size = imageSettingsOf(model, savedModel);
  const description = await readDescription(savedModel);
  requireDescribed(savedModel, description, sizesIn(model.signatures));
  if (weights === "float16" && !canBeHalved(model)) {
    throw new FaceError("CONFIG_INVALID", `the weights of ${savedModel} are in half precision already`, {
      hint: "serve it as it is; --weights int8 with --images FOLDER makes a smaller and faster version",
    });
  }
  const named = framingIn(description);
  const { height, width } = size;
  const config = { ...trainingConfig(savedModel, description), imageShape: [height, width] };
  const { outputs } = await model.program(PAIR.signature);
  const { bytes: floatBytes } = lower({ outputs }, { runtimeOps: false });
  await using float = await pairVerifier(floatBytes, size);
  const framing = () =>
    framingOf(savedModel, {
      verifier: float,
      ...(named === undefined ? {} : { framing: named }),
      ...(description === undefined ? {} : { settings: description.training.config }),
    });
  const isFramed = named !== undefined && named.kind !== "none";
  const { faces, face } = options;
  const chosen =
    images === undefined
      ? WITHOUT_IMAGES
      : await calibrationImages({
          folder: images,
          count: 2 * count,
          faces,
          face,
          size,
          isFramed,
          framing,
          log,
        });
  // Alternating, so that both halves are spread over all folders.
  const measuredOn = chosen.images.filter((_, i) => i % 4 < 2);
  const comparedOn = chosen.images.filter((_, i) => i % 4 >= 2);
  const smaller =
    weights === "int8" ? await inIntegers(floatBytes, measuredOn, size) : await inHalves(model, savedModel);
  const decided = decidedAt(description?.calibration);
  await using written = await pairVerifier(smaller.network, size);
  const scores =
    images === undefined
      ? undefined
      : ([await scoresOf(float, comparedOn), await scoresOf(written, comparedOn)] as const);
  const accuracy =
    options.accuracy &&
    (await compareAccuracy(float, written, config, options.accuracy, description?.calibration, framing));
  const described = description && descriptionOf(model, description, output);
  const calibratedWith = described?.calibration?.weights;
  await publishFolder(output, async (temporary) => {
    await writeFile(join(temporary, smaller.name), smaller.content);
    if (described === undefined) return;
    await makeFolder(join(temporary, dirname(DESCRIPTION_FILE)));
    await writeFile(join(temporary, DESCRIPTION_FILE), descriptionText(described));
    // The recorded requests call all signatures.
    const warmup = join(savedModel, WARMUP_FILE);
    if (weights === "float16" && existsSync(warmup)) await copyFile(warmup, join(temporary, WARMUP_FILE));
  });
  return {
    weights,
    convolutions: smaller.convolutions,
    bytes: { given: (await stat(found.file)).size, written: smaller.content.length },
    calibrationImages: weights === "int8" ? measuredOn.length : 0,
    ...(chosen.faces === undefined ? {} : { faces: chosen.faces }),
    ...chosen.leftOut,
    ...(calibratedWith === undefined ? {} : { calibratedWith }),
    pairs: scores?.[0].length ?? 0,
    ...decided,
    ...(scores && differenceOf(...scores, decided.threshold)),
    ...(accuracy === undefined ? {} : { accuracy }),
  };
}
