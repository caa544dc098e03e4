/** @file JSON bodies with photographs: `{"anchor": {"b64": "…"}, "verification": "data:image/jpeg;base64,…", "far": 0.001}`. */
import { invalidArgument } from "../status.ts";

/** The photographs of a body in the order of their names, and its other fields. */
export interface PhotosJson {
  readonly files: Uint8Array[];
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The standard alphabet, with right padding or none. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const DATA_URL = /^data:[^,]{0,200};base64,/i;

function bytesOf(name: string, digits: string): Uint8Array {
  const unpadded = digits.replace(/={1,2}$/, "").length;
  const isPadded = unpadded !== digits.length;
  if (!BASE64.test(digits) || unpadded % 4 === 1 || (isPadded && digits.length % 4 !== 0)) {
    throw invalidArgument(`"${name}" is not base64`);
  }
  // A buffer of its own, which can be moved to another thread.
  return new Uint8Array(Buffer.from(digits, "base64"));
}

function fileOf(name: string, value: unknown): Uint8Array {
  if (value === undefined) throw invalidArgument(`the body has no "${name}"`);
  if (typeof value === "string") {
    const [start] = DATA_URL.exec(value) ?? [];
    if (start !== undefined) return bytesOf(name, value.slice(start.length));
  } else if (typeof value === "object" && value !== null && "b64" in value) {
    const { b64, ...others } = value;
    if (typeof b64 === "string" && Object.keys(others).length === 0) return bytesOf(name, b64);
  }
  throw invalidArgument(
    `"${name}" must be an image file as {"b64": "…"} or as a data URL, data:image/jpeg;base64,…`,
  );
}

/**
 * Reads a body.
 * @param names of the photographs, each of which must be there.
 * @throws StatusError `INVALID_ARGUMENT`.
 */
export function readPhotosJson(body: Uint8Array, names: readonly string[]): PhotosJson {
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch {
    throw invalidArgument("the body is neither a form nor JSON");
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw invalidArgument("the body must be a JSON object");
  }
  const fields: Record<string, unknown> = { ...content };
  const files = names.map((name) => fileOf(name, fields[name]));
  for (const name of names) delete fields[name];
  return { files, fields };
}
