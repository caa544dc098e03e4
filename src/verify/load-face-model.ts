/** @file Opens a model for whole photographs: a pack by its name, an exported model by its path, or what there is. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { readCalibrationFile } from "../artifact/calibration-file.ts";
import { modelPath, SHIPPED_MODEL, SHIPPED_NAME } from "../artifact/shipped.ts";
import { checkOptions, given } from "../base/check-options.ts";
import { didYouMean, FaceError } from "../base/errors.ts";
import {
  isUsual,
  modeOf,
  PRECISIONS,
  PROFILES,
  type Precision,
  type Profile,
  USUAL_MODE,
} from "../faces/mode.ts";
import { hasPack, openOptions, openPack } from "../faces/models.ts";
import { DEFAULT_PACK, PACKS, type PackModel, packModelNamed } from "../faces/packs/catalogue.ts";
import type { OpenPackOptions } from "../faces/packs/store.ts";
import { FacePipeline } from "../faces/pipeline.ts";
import { modelComparer, packComparer, packIdentity } from "./face-comparer.ts";
import { packCalibration } from "./pack-calibrations.ts";
import { PhotoModel } from "./photo-model.ts";

export interface LoadFaceModelOptions extends OpenPackOptions {
  /** Whether faces are looked for. Without it a picture must be a face's crop as the model reads it. Default true. */
  readonly detect?: boolean | undefined;
  /**
   * What a pack computes in. `int8` takes less than half of the time of the default, `float32`, and has thresholds of its own; the
   * model is then called `<pack>-int8`, since its embeddings are not to be compared with those in floats.
   */
  readonly precision?: Precision | undefined;
  /**
   * How much a pack does for a face. `fast` takes less than half of the time of the default, `standard`, in floats, and has thresholds of its
   * own; the model is then called `<pack>-fast` or `<pack>-int8-fast`.
   */
  readonly profile?: Profile | undefined;
  /** A file that `faceid calibrate` wrote for a pack: its thresholds replace the pack's own. */
  readonly calibration?: string | undefined;
  /**
   * Threads that share the work of each network of the pack; the answers are the same. Default 1, which is best where several
   * photographs are under way at a time.
   */
  readonly threads?: number | undefined;
}

export const loadOptions = z.strictObject({
  ...openOptions,
  detect: given.flag.optional(),
  precision: z.enum(PRECISIONS).optional(),
  profile: z.enum(PROFILES).optional(),
  calibration: given.text.optional(),
  threads: given.threads.optional(),
} satisfies Record<keyof LoadFaceModelOptions, z.ZodType>);

const modelName = z.union(
  [given.text, z.undefined()],
  `the name of a model pack or the path of an exported model; left out, it is ${DEFAULT_PACK}`,
);

/** A pack's pipeline; fetches the pack first where it is not here. @param embeds whether it embeds faces too. */
async function openPipeline(
  { pack, precision, profile }: PackModel,
  embeds: boolean,
  options: LoadFaceModelOptions,
): Promise<FacePipeline> {
  const { files } = await openPack(pack, options);
  const [detector, embedding] = await Promise.all([
    readFile(files.detector),
    embeds ? readFile(files.embedding) : undefined,
  ]);
  const { threads } = options;
  return await FacePipeline.open({ detector, embedding }, { precision, profile, threads });
}

async function loadPack(model: PackModel, options: LoadFaceModelOptions): Promise<PhotoModel> {
  const { calibration } = options;
  const { name, digest } = packIdentity(model);
  const record =
    calibration === undefined
      ? packCalibration(model)
      : await readCalibrationFile(calibration, { name, digest });
  const pipeline = await openPipeline(model, true, options);
  return new PhotoModel(packComparer(model, pipeline, record), pipeline, options.detect ?? true);
}

/** The pack's detector for an exported model. @throws FaceError as `openPipeline`, saying what the pack is for. */
async function openDetector(name: string, options: LoadFaceModelOptions): Promise<FacePipeline> {
  try {
    return await openPipeline({ pack: DEFAULT_PACK, ...USUAL_MODE }, false, options);
  } catch (error) {
    if (!(error instanceof FaceError && error.code === "PACK_MISSING")) throw error;
    const message = `no detector that finds faces for ${name}: ${error.message}`;
    const hint = `${error.hint}\n  do without:          pass \`detect: false\`, for crops of faces as ${name} reads them`;
    throw new FaceError(error.code, message, { hint, cause: error });
  }
}

async function loadExported(name: string, path: string, options: LoadFaceModelOptions): Promise<PhotoModel> {
  const { detect = true } = options;
  const { precision, profile } = modeOf(options);
  if (precision !== USUAL_MODE.precision) {
    throw new FaceError("CONFIG_INVALID", `precision ${precision} is for model packs, and ${name} is none`, {
      hint: "write an 8-bit version of it: faceid quantize",
    });
  }
  if (profile !== USUAL_MODE.profile) {
    throw new FaceError("CONFIG_INVALID", `profile ${profile} is for model packs, and ${name} is none`, {
      hint: "leave it out: the model's thresholds were measured with the usual search",
    });
  }
  if (options.calibration !== undefined) {
    throw new FaceError("CONFIG_INVALID", `a calibration file is for model packs, and ${name} is none`, {
      hint: "write its next version with your thresholds: faceid calibrate",
    });
  }
  const comparer = await modelComparer(name, path, detect, options.log);
  try {
    return new PhotoModel(comparer, detect ? await openDetector(name, options) : undefined, detect);
  } catch (error) {
    await comparer[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The pretrained pack. For crops, which take no detector, the shipped model where the pack is missing, unless an option asks for what
 * only a pack has.
 */
async function loadDefault(options: LoadFaceModelOptions): Promise<PhotoModel> {
  const { detect, calibration, log } = options;
  const mode = modeOf(options);
  const isPlain = calibration === undefined && isUsual(mode);
  if (detect === false && isPlain && existsSync(SHIPPED_MODEL) && !(await hasPack(DEFAULT_PACK))) {
    log?.warn(
      `the model pack ${DEFAULT_PACK}, which errs less, is not here; using the model ${SHIPPED_NAME} (faceid models add ${DEFAULT_PACK} fetches the pack)`,
    );
    return await loadExported(SHIPPED_NAME, SHIPPED_MODEL, options);
  }
  return await loadPack({ pack: DEFAULT_PACK, ...mode }, options);
}

/** A name that is neither a pack nor a path. */
function noModel(name: string): FaceError {
  const names = [...PACKS.map((pack) => pack.name), ...(existsSync(SHIPPED_MODEL) ? [SHIPPED_NAME] : [])];
  const meant = didYouMean(name, names);
  const packs = PACKS.map((pack) => pack.name).join(", ");
  return new FaceError("MODEL_NOT_FOUND", `there is no model ${name}${meant}`, {
    hint:
      meant === ""
        ? `name a pack (${packs}) or the folder of an exported model`
        : "name a model of your own by its folder",
  });
}

/**
 * Loads a model that finds, embeds and compares the faces of whole photographs, in this process.
 * @param model the name of a model pack (`faceid models list`), which is fetched at first use; the path of an exported
 *   model, whose faces the pack's detector finds; `default`, the model of this repository. Default: the pack `opencv-sface`.
 * @throws FaceError `PACK_MISSING` when the pack is not here and may not or cannot be fetched; `PACK_INVALID`;
 *   `CONFIG_INVALID` for a precision or profile of a model that is no pack; `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED` for a path;
 *   `INTERRUPTED` on the signal.
 */
export async function loadFaceModel(model?: string, options: LoadFaceModelOptions = {}): Promise<PhotoModel> {
  checkOptions("loadFaceModel, the model", modelName, model);
  checkOptions("loadFaceModel", loadOptions, options);
  const loaded = await load(model, options);
  if (options.signal?.aborted !== true) return loaded;
  await loaded.close();
  throw new FaceError("INTERRUPTED", `loading ${loaded.name} was stopped`);
}

async function load(model: string | undefined, options: LoadFaceModelOptions): Promise<PhotoModel> {
  if (model === undefined) return await loadDefault(options);
  // A pack in another mode has a name of its own, which says it all; a plain one leaves the mode to the options.
  const named = packModelNamed(model, modeOf(options));
  if (named !== undefined) return await loadPack(named, options);
  const path = modelPath(model);
  if (!existsSync(path)) throw noModel(model);
  return await loadExported(model, path, options);
}
