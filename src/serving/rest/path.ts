/** @file Reads the model and the action from a REST path. */
import type { VersionChoice } from "../repository/catalog.ts";

/** Actions by POST, of which `verify`, `detect` and `embed` are not in TensorFlow Serving, and by GET. */
type PostAction = "predict" | "classify" | "regress" | PhotoAction;
/** Our own actions, on photographs. */
type PhotoAction = "verify" | "detect" | "embed";
export type ModelAction = PostAction | "status" | "metadata";

/** The meaning of a request line under `/v1/`. */
export type ModelPath =
  | { readonly kind: "malformed" }
  | { readonly kind: "list" }
  /** A version or a label without a model. */
  | { readonly kind: "unnamed" }
  /** The path has the right form, but its version exceeds 63 bits. */
  | { readonly kind: "undecodable" }
  | {
      readonly kind: "model";
      readonly name: string;
      readonly version: VersionChoice;
      readonly action: ModelAction;
    };

const WHICH = "(?:/versions/([0-9]+)|/labels/([^/:]+))?";
const POST_PATH = new RegExp(
  `^/v1/models/([^/:]+)${WHICH}:(classify|regress|predict|verify|detect|embed)$`,
  "i",
);
const GET_PATH = new RegExp(`^/v1/models(?:/([^/:]+))?${WHICH}(?:/(metadata))?$`, "i");
const LIST_PATH = /^\/v1\/models$/i;
/** The characters of a URI by RFC 3986. */
const URI = /^(?:[\w\-.~!$&'()*+,;=:@/?#]|%[0-9a-f]{2})*$/i;
const INT64_MAX = 2n ** 63n - 1n;
const MALFORMED: ModelPath = { kind: "malformed" };

const PHOTO_PATH = /:(?:verify|detect|embed)$/i;

/** Whether a request target is one of our own actions on photographs. */
export const isPhotoTarget = (target: string): boolean => PHOTO_PATH.test(target);

/** Whether a request target is a URI at all. */
export function isUri(target: string): boolean {
  return URI.test(target);
}

/** Undoes percent-encoding; bytes that are not UTF-8 become replacement characters. */
function decoded(text: string): string {
  const bytes = text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/**
 * Reads a request line. As in TensorFlow Serving, patterns cover the whole target and ignore case, so a URL with a query
 * is malformed; names and labels are percent-decoded after matching.
 */
export function parseModelPath(method: string, target: string): ModelPath {
  if (method === "POST") {
    const match = POST_PATH.exec(target);
    return match === null ? MALFORMED : modelPath(match, match[4]!.toLowerCase() as PostAction);
  }
  if (method !== "GET") return MALFORMED;
  const match = GET_PATH.exec(target);
  if (match === null) return MALFORMED;
  if (match[1] === undefined) return LIST_PATH.test(target) ? { kind: "list" } : { kind: "unnamed" };
  return modelPath(match, match[4] === undefined ? "status" : "metadata");
}

function modelPath(match: RegExpExecArray, action: ModelAction): ModelPath {
  const [, encodedName, digits, encodedLabel] = match;
  const name = decoded(encodedName!);
  if (digits !== undefined) {
    const version = BigInt(digits);
    if (version > INT64_MAX) return { kind: "undecodable" };
    return { kind: "model", name, version: { by: "version", version }, action };
  }
  if (encodedLabel === undefined) return { kind: "model", name, version: { by: "latest" }, action };
  return { kind: "model", name, version: { by: "label", label: decoded(encodedLabel) }, action };
}
