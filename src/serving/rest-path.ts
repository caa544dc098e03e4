/** @file Which model and which action a REST path means. */
import type { VersionChoice } from "./predict.ts";

/** What can be asked by POST. `verify` is ours; the others are TensorFlow Serving's. */
export type PostAction = "predict" | "classify" | "regress" | "verify";
export type GetAction = "status" | "metadata";

/** What a request line under `/v1/` asks for. */
export type ModelPath =
  | { readonly kind: "malformed" }
  | { readonly kind: "list" }
  /** The path has the right form, but a number or an encoding in it cannot be read. */
  | { readonly kind: "undecodable" }
  | {
      readonly kind: "model";
      readonly name: string;
      readonly version: VersionChoice;
      readonly action: PostAction | GetAction;
    };

const WHICH = "(?:/versions/([0-9]+)|/labels/([^/:]+))?";
const POST_PATH = new RegExp(`^/v1/models/([^/:]+)${WHICH}:(classify|regress|predict|verify)$`, "i");
const GET_PATH = new RegExp(`^/v1/models(?:/([^/:]+))?${WHICH}(?:/(metadata))?$`, "i");
const INT64_MAX = 2n ** 63n - 1n;
const MALFORMED: ModelPath = { kind: "malformed" };

/**
 * Reads a request line. Patterns cover the whole target, query included, and ignore case, so that a query on a predict
 * URL is malformed; names and labels are percent-decoded after matching.
 */
export function parseModelPath(method: string, target: string): ModelPath {
  if (method === "POST") {
    const match = POST_PATH.exec(target);
    return match === null ? MALFORMED : modelPath(match, match[4]!.toLowerCase() as PostAction);
  }
  if (method !== "GET") return MALFORMED;
  const match = GET_PATH.exec(target);
  if (match === null) return MALFORMED;
  if (match[1] === undefined) return { kind: "list" };
  return modelPath(match, match[4] === undefined ? "status" : "metadata");
}

function modelPath(match: RegExpExecArray, action: PostAction | GetAction): ModelPath {
  const [, encodedName, digits, encodedLabel] = match;
  try {
    const name = decodeURIComponent(encodedName!);
    if (digits !== undefined) {
      const version = BigInt(digits);
      if (version > INT64_MAX) return { kind: "undecodable" };
      return { kind: "model", name, version: { by: "version", version }, action };
    }
    if (encodedLabel === undefined) return { kind: "model", name, version: { by: "latest" }, action };
    const label = decodeURIComponent(encodedLabel);
    return { kind: "model", name, version: { by: "label", label }, action };
  } catch {
    return { kind: "undecodable" };
  }
}
