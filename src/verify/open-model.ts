/** @file Opens a model by its path, from a checkpoint, a SavedModel or an ONNX file, as one interface. */
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import {
  type ExportedModel,
  type Framing,
  framingIn,
  readDescription,
  requireDescribed,
} from "../artifact/description.ts";
import { DESCRIPTION_FILE } from "../artifact/files.ts";
import { findModel } from "../artifact/find-model.ts";
import { modelPath } from "../artifact/shipped.ts";
import type { TrainedPeople } from "../artifact/trained-people.ts";
import { FaceError, messageOf } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import { framingName } from "../faces/alignment.ts";
import type { AnyVerifier } from "../model/verifier.ts";
import { type EpochRecord, readCheckpoint } from "../train/checkpoint.ts";
import { type TrainConfig, trainConfig } from "../train/config.ts";
import { networkVerifier } from "../train/inference.ts";
import { BEST_CHECKPOINT } from "../train/listeners.ts";
import { trainedPeopleOf } from "../train/network-run.ts";
import { type DataConfig, TRAINED_FRAMING } from "../train/people.ts";
import { currentSettings } from "../train/setting-names.ts";
import { onnxVerifier } from "./onnx-verifier.ts";
import { savedModelVerifier } from "./saved-model-verifier.ts";

/** An open model, with what is known about its training. */
export interface OpenedModel {
  /** The `.safetensors` file or the version's folder. */
  readonly path: string;
  readonly verifier: AnyVerifier;
  /** The data it was trained on; the defaults for a model without a description. */
  readonly config: DataConfig;
  /** Name of its network; absent for a model without a description. */
  readonly network?: string;
  /** Every setting of its training; absent for a model without a description. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Epochs up to the state that was kept. */
  readonly history: readonly EpochRecord[];
  /** Thresholds of an exported model. */
  readonly calibration?: CalibrationRecord;
  /** How faces lie in its images, if that is known. */
  readonly framing?: Framing;
  /** Whom it was trained on, if that was recorded. */
  readonly people?: TrainedPeople | undefined;
  /** The name of the model pack that it is: its scores are cosines, and its training data is not known here. */
  readonly pack?: string;
}

/** The names in a folder; undefined for anything else. */
async function namesIn(path: string): Promise<readonly string[] | undefined> {
  const about = await stat(path).catch(() => undefined);
  return about?.isDirectory() === true ? await readdir(path) : undefined;
}

/**
 * The file of a checkpoint; a run's folder stands for its best one.
 * @throws FaceError `CHECKPOINT_INVALID` for a folder without one.
 */
export async function checkpointFile(path: string): Promise<string> {
  const names = await namesIn(path);
  if (names === undefined) return path;
  if (names.includes(BEST_CHECKPOINT)) return join(path, BEST_CHECKPOINT);
  const inner = await Promise.all(names.map((name) => namesIn(join(path, name))));
  const runs = names.filter((_, i) => inner[i]?.includes(BEST_CHECKPOINT));
  const isModel = await findModel(path).then(
    () => true,
    () => false,
  );
  if (isModel) {
    throw new FaceError("CHECKPOINT_INVALID", `${path} is an exported model, a run is wanted`, {
      hint: "name the folder of the run that it came from; `faceid evaluate --saved-model` measures an exported model",
    });
  }
  throw new FaceError("CHECKPOINT_INVALID", `${path} holds no ${BEST_CHECKPOINT}`, {
    hint:
      runs.length === 0
        ? "name a run's folder or a .safetensors file; a run that was stopped before its first epoch has none yet"
        : `name one of the runs in it: ${runs.join(", ")}`,
  });
}

/** How faces lie in the images of a network that was trained with these settings, if they say so. */
export function trainedFraming({ faces, imageShape }: Pick<DataConfig, "faces" | "imageShape">): {
  framing?: Framing;
} {
  if (faces === "none") return {};
  return { framing: framingName(TRAINED_FRAMING, imageShape[0]!) };
}

/**
 * Opens a checkpoint.
 * @param path the file or a run's folder.
 * @throws FaceError `CHECKPOINT_INVALID`.
 */
async function openCheckpoint(path: string): Promise<OpenedModel> {
  const file = await checkpointFile(path);
  const { config, progress, state } = await readCheckpoint(file);
  return {
    path: file,
    verifier: await networkVerifier(config, state),
    config,
    network: config.model,
    settings: config,
    history: progress.history,
    people: await trainedPeopleOf(dirname(file)),
    ...trainedFraming(config),
  };
}

/**
 * The settings of an exported model's training; the defaults for a model without a description.
 * @throws FaceError `MODEL_INVALID` naming the setting that this version of faceid does not accept.
 */
export function trainingConfig(folder: string, description: ExportedModel | undefined): TrainConfig {
  try {
    return trainConfig(description?.training.config ?? {});
  } catch (error) {
    const path = join(folder, DESCRIPTION_FILE);
    throw new FaceError("MODEL_INVALID", `${path}: training.config: ${messageOf(error)}`, {
      hint: "another version of faceid wrote it; export the model again with this one",
      cause: error,
    });
  }
}

/**
 * Opens an exported model, a SavedModel or an ONNX file.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
async function openVersion(path: string, log: Log): Promise<OpenedModel> {
  const { format, file, folder, note } = await findModel(path);
  if (note !== undefined) log.info(note);
  const description = await readDescription(folder);
  const trained = trainingConfig(folder, description);
  const verifier = await (format === "onnx" ? onnxVerifier(file) : savedModelVerifier(file));
  const { height, width } = verifier.image;
  const embeddingSize = "score" in verifier ? undefined : verifier.embeddingSize;
  try {
    requireDescribed(folder, description, { height, width, embeddingSize });
  } catch (error) {
    await verifier[Symbol.asyncDispose]();
    throw error;
  }
  const config = { ...trained, imageShape: [height, width] };
  if (description === undefined) return { path: folder, verifier, config, history: [] };
  const { network, training, calibration } = description;
  const framing = framingIn(description);
  return {
    path: folder,
    verifier,
    config,
    network,
    settings: currentSettings(training.config),
    history: training.history,
    people: training.people,
    ...(calibration === undefined ? {} : { calibration }),
    ...(framing === undefined ? {} : { framing }),
  };
}

/** Where a model lies, and what it is. */
export interface ModelPlace {
  readonly kind: "checkpoint" | "version";
  readonly path: string;
}

/**
 * Finds a model by its path alone.
 * @param named a run's folder, a `.safetensors` file, a version's folder, or the folder of all versions, which stands for
 *   the newest; `default` for the shipped model.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED` that says what is there instead.
 */
export async function locateModel(named: string): Promise<ModelPlace> {
  const path = modelPath(named);
  const names = await namesIn(path);
  if (names === undefined && path.endsWith(".safetensors")) return { kind: "checkpoint", path };
  if (names?.includes(BEST_CHECKPOINT)) return { kind: "checkpoint", path: join(path, BEST_CHECKPOINT) };
  const found = await findModel(path).catch((error: unknown) => {
    if (!(error instanceof FaceError && error.hint?.startsWith("name a version's folder"))) throw error;
    // Here a run will do as well.
    const hint = error.hint.replace("name ", "name a run's folder, ");
    throw new FaceError(error.code, error.message, { hint, cause: error });
  });
  return { kind: "version", path: found.folder };
}

/**
 * Opens a model.
 * @param named as for `locateModel`.
 * @param kind what it stands for; found out when left out.
 * @param log gets a line where the path left a choice.
 * @throws FaceError as `locateModel`, or `CHECKPOINT_INVALID`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function openModel(
  named: string,
  kind?: ModelPlace["kind"] | undefined,
  log: Log = silentLog,
): Promise<OpenedModel> {
  const path = modelPath(named);
  const found = kind ?? (await locateModel(path)).kind;
  return await (found === "checkpoint" ? openCheckpoint(path) : openVersion(path, log));
}
