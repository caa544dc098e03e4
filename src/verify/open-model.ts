/** @file Opens whatever stands for a model: a run's folder, a checkpoint, a SavedModel or ONNX version, a folder of versions. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { FaceError } from "../base/errors.ts";
import type { CalibrationRecord } from "../evaluate/thresholds.ts";
import type { ModelDescription } from "../jobs/export.ts";
import type { AnyVerifier } from "../model/verifier.ts";
import { ONNX_FILE } from "../serving/engine/onnx-servable.ts";
import { type EpochRecord, readCheckpoint } from "../train/checkpoint.ts";
import { trainConfigSchema } from "../train/config.ts";
import { BEST_CHECKPOINT } from "../train/listeners/checkpoints.ts";
import type { DataConfig } from "../train/people.ts";
import { checkpointVerifier } from "./checkpoint-verifier.ts";
import { onnxVerifier } from "./onnx-verifier.ts";
import { readDescription, savedModelVerifier } from "./saved-model-verifier.ts";

/** A model open for use, and what is known about how it came to be. */
export interface OpenedModel {
  /** The `.safetensors` file or the version's folder. */
  readonly path: string;
  readonly verifier: AnyVerifier;
  /** The data it was trained on; defaults where it does not say. */
  readonly config: DataConfig;
  /** Name of its network; absent for a SavedModel that does not say. */
  readonly network?: string;
  /** Every setting of its training; absent for a SavedModel that does not say. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Epochs up to the state that was kept. */
  readonly history: readonly EpochRecord[];
  /** Thresholds that travel with an exported model. */
  readonly calibration?: CalibrationRecord;
}

const SAVED_MODEL_FILE = "saved_model.pb";

/** The names in a folder; undefined for anything that is no folder. */
async function namesIn(path: string): Promise<readonly string[] | undefined> {
  const about = await stat(path).catch(() => undefined);
  return about?.isDirectory() === true ? await readdir(path) : undefined;
}

/**
 * Opens a checkpoint; a run's folder stands for its best one.
 * @throws FaceError `CHECKPOINT_INVALID`.
 */
export async function openCheckpoint(path: string): Promise<OpenedModel> {
  const file = (await namesIn(path)) === undefined ? path : join(path, BEST_CHECKPOINT);
  const checkpoint = await readCheckpoint(file);
  const { config, progress } = checkpoint;
  return {
    path: file,
    verifier: await checkpointVerifier(checkpoint),
    config,
    network: config.model,
    settings: config,
    history: progress.history,
  };
}

/** The data that a model was trained on; defaults where it does not say. */
export function dataOf(
  description: ModelDescription | undefined,
  { height, width }: { readonly height: number; readonly width: number },
): DataConfig {
  return { ...(description?.training.config ?? trainConfigSchema.parse({})), imageShape: [height, width] };
}

/** Whether these are the names in a version's folder that holds an ONNX file and no SavedModel. */
const isOnnx = (names: readonly string[]) => names.includes(ONNX_FILE) && !names.includes(SAVED_MODEL_FILE);

/**
 * Opens a version's folder of an exported model, a SavedModel or the ONNX file of one.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function openSavedModel(folder: string): Promise<OpenedModel> {
  const verifier = isOnnx((await namesIn(folder)) ?? [])
    ? await onnxVerifier(folder)
    : await savedModelVerifier(folder);
  const description = await readDescription(folder);
  const config = dataOf(description, verifier.image);
  if (description === undefined) return { path: folder, verifier, config, history: [] };
  const { network, training, calibration } = description;
  return {
    path: folder,
    verifier,
    config,
    network,
    settings: training.config,
    history: training.history,
    ...(calibration === undefined ? {} : { calibration }),
  };
}

/** The newest of the version folders, by number. */
function newestVersion(names: readonly string[]): string | undefined {
  return names
    .filter((name) => /^\d+$/.test(name))
    .toSorted((a, b) => Number(a) - Number(b))
    .at(-1);
}

/** Where a model lies, and what it is. */
export interface ModelPlace {
  readonly kind: "checkpoint" | "version";
  readonly path: string;
}

/**
 * Finds a model by its path alone.
 * @param path a run's folder, a `.safetensors` file, a version's folder, or the folder of all versions (the newest
 *   counts).
 * @throws FaceError `MODEL_NOT_FOUND` when it is none of these.
 */
export async function locateModel(path: string): Promise<ModelPlace> {
  const names = await namesIn(path);
  if (names === undefined && path.endsWith(".safetensors")) return { kind: "checkpoint", path };
  if (names?.includes(BEST_CHECKPOINT)) return { kind: "checkpoint", path: join(path, BEST_CHECKPOINT) };
  if (names?.some((name) => name === SAVED_MODEL_FILE || name === ONNX_FILE))
    return { kind: "version", path };
  const newest = newestVersion(names ?? []);
  if (newest !== undefined) return { kind: "version", path: join(path, newest) };
  const found =
    names === undefined
      ? "is no folder"
      : `holds neither ${BEST_CHECKPOINT} nor ${SAVED_MODEL_FILE} nor ${ONNX_FILE}`;
  throw new FaceError("MODEL_NOT_FOUND", `${path} ${found}`, {
    hint: "name a run's folder, a .safetensors file, a SavedModel or ONNX version's folder, or the folder of its versions",
  });
}

/**
 * Opens a model by its path alone.
 * @throws FaceError as `locateModel`, or as the file's own reader.
 */
export async function openModel(path: string): Promise<OpenedModel> {
  const place = await locateModel(path);
  return place.kind === "checkpoint" ? await openCheckpoint(place.path) : await openSavedModel(place.path);
}
