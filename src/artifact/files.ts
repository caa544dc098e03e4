/** @file The exported model's contract, for all who write, read, serve or ask one: here the files of a version. */

/** TensorFlow's name of a SavedModel's file. */
export const SAVED_MODEL_FILE = "saved_model.pb";
/** An ONNX file under this name is served when the folder has no SavedModel. */
export const ONNX_FILE = "model.onnx";
/** What is known about the model; see `description.ts`. */
export const DESCRIPTION_FILE = "assets.extra/faceid.json";

/** The file that holds a folder's model, given the names in the folder; a SavedModel takes precedence. */
export function modelFileIn(
  names: readonly string[],
): typeof SAVED_MODEL_FILE | typeof ONNX_FILE | undefined {
  return ([SAVED_MODEL_FILE, ONNX_FILE] as const).find((file) => names.includes(file));
}

/** TensorFlow Serving's largest version. */
const INT64_MAX = 2n ** 63n - 1n;

/** The version that a folder's name means: a number, or one behind a `v`; `undefined` for other names. */
export function versionOf(name: string): bigint | undefined {
  const [, digits] = /^v?(\d+)$/i.exec(name) ?? [];
  const version = digits === undefined ? undefined : BigInt(digits);
  return version === undefined || version > INT64_MAX ? undefined : version;
}

/** The names that are version numbers, in ascending order. */
export function versionsIn(names: readonly string[]): string[] {
  return names
    .filter((name) => versionOf(name) !== undefined)
    .toSorted((a, b) => Number(versionOf(a)! - versionOf(b)!));
}
