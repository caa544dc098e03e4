/** @file Finds the model that a path means, however people keep it, or says what is there instead. */
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FaceError, systemCode } from "../base/errors.ts";
import { modelFileIn, ONNX_FILE, SAVED_MODEL_FILE, versionOf } from "./files.ts";
import { type ModelFormat, recognise } from "./recognise.ts";

/** A model that was found. */
export interface FoundModel {
  readonly format: ModelFormat;
  readonly file: string;
  /** The version's folder, with what lies beside the file. */
  readonly folder: string;
  /** What was chosen where the path left a choice, as a sentence. */
  readonly note?: string;
}

const WANTED =
  "name a version's folder (with saved_model.pb or an ONNX file in it), the folder of its versions, or an ONNX file";
/** Names that are shown of a folder without a model. */
const MOST_SHOWN = 5;
/** Folders of a SavedModel, which hold no other. */
const PARTS = ["variables", "assets", "assets.extra", "debug"];
/** SavedModel's other forms, which TensorFlow writes only when asked to. */
const OTHER_FORMS = ["saved_model.pbtxt", "saved_model.cpb"];

const notFound = (message: string, hint = WANTED, cause?: unknown) =>
  new FaceError("MODEL_NOT_FOUND", message, { hint, ...(cause === undefined ? {} : { cause }) });

function unreadable(path: string, error: unknown): FaceError {
  const code = systemCode(error);
  if (code === "ENOENT" || code === "ENOTDIR") return notFound(`there is no ${path}`, undefined, error);
  if (code === "EACCES" || code === "EPERM") {
    return notFound(`${path} may not be read`, "change its permissions, or run as its owner", error);
  }
  return notFound(`${path} cannot be read (${code ?? String(error)})`, undefined, error);
}

/** Calls a function of the file system; its error says what is wrong with the path that was asked for. */
async function reading<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof FaceError ? error : unreadable(path, error);
  }
}

/**
 * Checks that a file can be read as a model.
 * @param wanted the format of a file whose content is of no known kind: a damaged one.
 * @throws FaceError that says what it is and what to do.
 */
async function modelAt(file: string, wanted: ModelFormat | undefined): Promise<FoundModel> {
  const kind = (await reading(file, recognise(file))) ?? wanted;
  const folder = dirname(file);
  if (typeof kind === "string") return { format: kind, file, folder };
  if (kind === undefined) throw notFound(`${file} is no model of a known kind`);
  throw new FaceError(kind.code, `${file} is ${kind.is}`, { hint: kind.hint });
}

function formatByName(name: string): ModelFormat | undefined {
  if (/\.onnx$/i.test(name)) return "onnx";
  return /\.pb$/i.test(name) ? "savedmodel" : undefined;
}

/** The names in a folder that are folders. */
async function foldersIn(folder: string, names: readonly string[]): Promise<string[]> {
  const are = await Promise.all(
    names.map(
      async (name) => (await stat(join(folder, name)).catch(() => undefined))?.isDirectory() === true,
    ),
  );
  return names.filter((_, i) => are[i]);
}

/** The one ONNX file of a folder, whatever its name. */
async function onnxIn(folder: string, names: readonly string[]): Promise<FoundModel | undefined> {
  const files = names.filter((name) => /\.onnx$/i.test(name));
  const [only, ...others] = files;
  if (only === undefined) return undefined;
  if (others.length > 0) {
    throw notFound(
      `${folder} holds several ONNX files: ${files.join(", ")}`,
      `name one of them, or call it ${ONNX_FILE}`,
    );
  }
  return { ...(await modelAt(join(folder, only), "onnx")), note: `${folder}: taking ${only}` };
}

/** The highest of the versions in a folder. */
async function versionIn(folder: string, folders: readonly string[]): Promise<FoundModel | undefined> {
  const [newest, ...others] = folders
    .flatMap((name) => {
      const version = versionOf(name);
      return version === undefined ? [] : [{ name, version }];
    })
    .toSorted((a, b) => (a.version < b.version ? 1 : a.version > b.version ? -1 : a.name < b.name ? 1 : -1));
  if (newest === undefined) return undefined;
  const found = await findModel(join(folder, newest.name));
  const choice = others.length === 0 ? "" : `, the highest of ${others.length + 1}`;
  return { ...found, note: `${folder}: taking version ${newest.name}${choice}` };
}

/** The only folder in a folder that holds a model. */
async function nestedIn(folder: string, folders: readonly string[]): Promise<FoundModel | undefined> {
  const inner = folders.filter((name) => !PARTS.includes(name) && !name.startsWith("."));
  const holding: string[] = [];
  for (const name of inner) {
    const names = await readdir(join(folder, name)).catch((): string[] => []);
    if (modelFileIn(names) !== undefined) holding.push(name);
  }
  const [only, ...others] = holding;
  if (only === undefined) return undefined;
  if (others.length > 0)
    throw notFound(`${folder} holds several models: ${holding.join(", ")}`, "name one of them");
  return { ...(await findModel(join(folder, only))), note: `${folder}: taking ${only} inside` };
}

/** Says what a folder without a model holds. */
async function refuseFolder(folder: string, names: readonly string[]): Promise<never> {
  if (names.length === 0) throw notFound(`${folder} is empty`);
  const other = OTHER_FORMS.find((name) => names.includes(name));
  if (other !== undefined) {
    throw new FaceError(
      "MODEL_UNSUPPORTED",
      `${join(folder, other)}: this form of a SavedModel cannot be read`,
      {
        hint: `in Python: load it with tf.saved_model.load and write it with tf.saved_model.save, as ${SAVED_MODEL_FILE} below 2 GB`,
      },
    );
  }
  if (PARTS.some((name) => names.includes(name))) {
    throw new FaceError("MODEL_INVALID", `${folder} has ${names.join(", ")}, but no ${SAVED_MODEL_FILE}`, {
      hint: "copy the whole folder of the version; perhaps it is still being copied",
    });
  }
  const files = names.filter((name) => !name.startsWith("."));
  for (const name of files) {
    const kind = await recognise(join(folder, name)).catch(() => undefined);
    if (kind === undefined) continue;
    if (typeof kind === "string") return notFoundAs(folder, name);
    throw new FaceError(kind.code, `${join(folder, name)} is ${kind.is}`, { hint: kind.hint });
  }
  const shown = files.slice(0, MOST_SHOWN).join(", ") + (files.length > MOST_SHOWN ? ", …" : "");
  throw notFound(
    `${folder} holds neither ${SAVED_MODEL_FILE} nor ${ONNX_FILE}: it has ${shown || "hidden files only"}`,
  );
}

function notFoundAs(folder: string, name: string): never {
  throw notFound(
    `${folder} holds no ${SAVED_MODEL_FILE} or ONNX file, but ${name} looks like a model`,
    `rename it to ${SAVED_MODEL_FILE} or ${ONNX_FILE}`,
  );
}

/**
 * Finds the model that a path means: a file, a version's folder, one whose file lies a level too deep, or the folder of
 * versions, which stands for the highest.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED` that says what is there and what to do.
 */
export async function findModel(path: string): Promise<FoundModel> {
  const about = await reading(path, stat(path));
  if (!about.isDirectory()) return await modelAt(path, formatByName(path));
  const names = await reading(path, readdir(path));
  const own = modelFileIn(names);
  if (own !== undefined) {
    const file = join(path, own);
    // As in `1/saved_model.pb/saved_model.pb`.
    if ((await reading(file, stat(file))).isDirectory()) return await findModel(file);
    return await modelAt(file, formatByName(own));
  }
  const onnx = await onnxIn(path, names);
  if (onnx !== undefined) return onnx;
  const folders = await foldersIn(path, names);
  return (
    (await versionIn(path, folders)) ?? (await nestedIn(path, folders)) ?? (await refuseFolder(path, names))
  );
}
