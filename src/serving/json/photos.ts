/** @file JSON bodies with photographs: `{"anchor": {"b64": "…"}, "verification": "data:image/jpeg;base64,…", "far": 0.001}`. */
import { DuplicateKey, parseJson } from "../../artifact/json.ts";
import { invalidArgument, keyTwice } from "../status.ts";

/** A photograph that lies elsewhere. */
export interface PhotoUrl {
  readonly url: string;
}

/** The photographs of a body in the order of their names, and its other fields. */
export interface PhotosJson {
  readonly files: (Uint8Array | PhotoUrl)[];
  readonly fields: Readonly<Record<string, unknown>>;
  /** Whether the photographs are those of the list. */
  readonly isList: boolean;
}

/** A list that a body may have in place of the photographs with names. */
export interface PhotoList {
  readonly name: string;
  readonly most: number;
}

/** @throws StatusError `INVALID_ARGUMENT` for no photograph, or more than are answered at once. */
export function requirePhotoCount(count: number, { name, most }: PhotoList): void {
  if (count >= 1 && count <= most) return;
  throw invalidArgument(
    `"${name}" takes 1 to ${most} photographs, got ${count}; send more in several requests`,
  );
}

/** The standard alphabet or the one for URLs (RFC 4648, §5), with right padding or none. */
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
const DATA_URL = /^data:[^,]{0,200};base64,/i;
/** Line breaks, as `base64` and MIME put them in. */
const BREAKS = /[\r\n\t ]+/g;

function bytesOf(name: string, text: string): Uint8Array {
  const [start = ""] = DATA_URL.exec(text) ?? [];
  const coded = text.slice(start.length).replaceAll(BREAKS, "");
  const digits = start !== "" && coded.includes("%") ? unescaped(name, coded) : coded;
  const unpadded = digits.replace(/={1,2}$/, "").length;
  const isPadded = unpadded !== digits.length;
  if (!BASE64.test(digits) || unpadded % 4 === 1 || (isPadded && digits.length % 4 !== 0)) {
    throw invalidArgument(`"${name}" is not base64`);
  }
  // A buffer of its own, which can be moved to another thread.
  return new Uint8Array(Buffer.from(digits, "base64"));
}

/** The characters of a data URL, of which some may be written as `%2B`. */
function unescaped(name: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidArgument(`"${name}" is not base64`);
  }
}

function fileOf(name: string, value: unknown): Uint8Array | PhotoUrl {
  if (value === undefined) throw invalidArgument(`the body has no "${name}"`);
  if (typeof value === "string" && DATA_URL.test(value)) return bytesOf(name, value);
  if (typeof value === "object" && value !== null && Object.keys(value).length === 1) {
    if ("b64" in value && typeof value.b64 === "string") return bytesOf(name, value.b64);
    if ("url" in value && typeof value.url === "string") {
      return DATA_URL.test(value.url) ? bytesOf(name, value.url) : { url: value.url };
    }
  }
  throw invalidArgument(
    `"${name}" must be an image file as {"b64": "…"} or as a data URL, data:image/jpeg;base64,…, or {"url": "https://…"}`,
  );
}

/** The photographs of a list. */
function filesOf(value: unknown, list: PhotoList): (Uint8Array | PhotoUrl)[] {
  if (!Array.isArray(value)) throw invalidArgument(`"${list.name}" must be an array of image files`);
  requirePhotoCount(value.length, list);
  return value.map((each: unknown, i) => fileOf(`${list.name}.${i}`, each));
}

/**
 * Reads a body.
 * @param names of the photographs, each of which must be there.
 * @param list what may be there in their place.
 * @throws StatusError `INVALID_ARGUMENT`.
 */
export function readPhotosJson(body: Uint8Array, names: readonly string[], list?: PhotoList): PhotosJson {
  let content: unknown;
  try {
    content = parseJson(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch (error) {
    if (error instanceof DuplicateKey) throw keyTwice(error);
    const file = names.length === 1 ? ", or the file itself with its type, such as image/jpeg" : "";
    throw invalidArgument(
      `the body is neither a form nor JSON: send multipart/form-data, or a JSON object${file}`,
    );
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw invalidArgument("the body must be a JSON object");
  }
  const fields: Record<string, unknown> = { ...content };
  if (list !== undefined && fields[list.name] !== undefined) {
    const { [list.name]: value, ...others } = fields;
    return { files: filesOf(value, list), fields: others, isList: true };
  }
  const files = names.map((name) => fileOf(name, fields[name]));
  for (const name of names) delete fields[name];
  return { files, fields, isList: false };
}
