/** @file One request to the galleries: its operation by method and path, and its fields checked by their schemas. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { OPERATION_IDS, type Operation, type OperationId, operationOf } from "../../api/operations.ts";
import { DuplicateKey, parseJson } from "../../artifact/json.ts";
import { didYouMean } from "../../base/errors.ts";
import { invalidArgument, keyTwice } from "../status.ts";

/** The parameters of a path by name. */
export type Parameters = Readonly<Record<string, string>>;

interface Route {
  readonly id: OperationId;
  readonly operation: Operation;
  readonly pattern: RegExp;
}

const ROUTES: readonly Route[] = OPERATION_IDS.map((id) => {
  const operation = operationOf(id);
  const pattern = operation.path.replaceAll(/[.]/g, "\\.").replaceAll(/\{(\w+)\}/g, "(?<$1>[^/:?]+)");
  return { id, operation, pattern: new RegExp(`^${pattern}$`) };
});

/** Whether a request target belongs to this interface. */
export const isGalleryTarget = (target: string): boolean =>
  /^\/v1\/(?:galleries|openapi\.json|service)(?:[/:?]|$)/.test(target);

/** What a request line asks for. */
export type Asked =
  | {
      readonly kind: "operation";
      readonly id: OperationId;
      readonly parameters: Parameters;
      readonly query: string;
    }
  | { readonly kind: "nothing" }
  /** The path exists with other methods. */
  | { readonly kind: "otherMethod"; readonly allowed: readonly string[] };

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidArgument("the path has a percent sign that begins no character of UTF-8");
  }
}

/** @throws StatusError `INVALID_ARGUMENT` for a path that cannot be decoded. */
export function askedFor(method: string, target: string): Asked {
  const [path = "", query = ""] = target.split(/\?(.*)/s, 2);
  const wanted = method === "HEAD" ? "GET" : method;
  const allowed = new Set<string>();
  for (const { id, operation, pattern } of ROUTES) {
    const match = pattern.exec(path);
    if (match === null) continue;
    if (operation.method !== wanted) {
      allowed.add(operation.method);
      continue;
    }
    const parameters = Object.entries(match.groups ?? {}).map(([name, text]) => [name, decoded(text!)]);
    return { kind: "operation", id, parameters: Object.fromEntries(parameters), query };
  }
  return allowed.size === 0 ? { kind: "nothing" } : { kind: "otherMethod", allowed: [...allowed] };
}

/** A text of a form or a query as its schema wants it; what cannot be one stays a text, which the schema refuses. */
function fromText(schema: z.ZodType | undefined, text: unknown): unknown {
  let inner: unknown = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault) inner = inner.unwrap();
  if (typeof text !== "string") return text;
  if (inner instanceof z.ZodNumber && text.trim() !== "") return Number(text);
  if (inner instanceof z.ZodBoolean && /^(true|false)$/.test(text)) return text === "true";
  return text;
}

/** Texts by name as a schema wants them. */
export function fieldsFromTexts(schema: z.ZodObject, texts: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => {
      const field = Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined;
      return [name, fromText(field as z.ZodType | undefined, text)];
    }),
  );
}

const MOST_SHOWN = 60;

/** @throws StatusError `INVALID_ARGUMENT` naming the field that does not fit. */
export function checked<S extends z.ZodObject>(what: string, schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!.slice(0, MOST_SHOWN);
    const near = didYouMean(key, Object.keys(schema.shape));
    throw invalidArgument(`${what} has a field ${JSON.stringify(key)}, which is not known${near}`);
  }
  const name = issue.path.length === 0 ? "" : `, ${JSON.stringify(issue.path.join("."))}`;
  throw invalidArgument(`${what}${name}: ${issue.message}`);
}

/** @throws StatusError `INVALID_ARGUMENT` for a name that comes twice, or a value that does not fit. */
export function checkedQuery(
  schema: z.ZodObject | undefined,
  query: string,
): Readonly<Record<string, unknown>> {
  const given = new URLSearchParams(query);
  const texts = Object.fromEntries(given);
  if (Object.keys(texts).length !== given.size) throw invalidArgument("the query has a name twice");
  if (schema !== undefined) return checked("the query", schema, fieldsFromTexts(schema, texts));
  if (given.size > 0) throw invalidArgument("the path takes no query");
  return {};
}

/** Largest body without a photograph. */
export const MOST_JSON_BYTES = 2 ** 20;

/** @throws StatusError `INVALID_ARGUMENT` for a body that is no JSON object. */
export function parsedJson(body: Uint8Array, contentType: string): unknown {
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType)) {
    throw invalidArgument(
      `the body must be JSON (content-type: application/json), got ${contentType || "none"}`,
    );
  }
  if (body.length > MOST_JSON_BYTES) {
    throw invalidArgument(`the body has ${body.length} bytes, at most ${MOST_JSON_BYTES} are taken`);
  }
  let value: unknown;
  try {
    value = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(body)));
  } catch (error) {
    if (error instanceof DuplicateKey) throw keyTwice(error);
    throw invalidArgument("the body is not JSON in UTF-8");
  }
  checkKept(value);
  return value;
}

/** Levels that a value may nest: what is kept of it is written again, and by functions that call themselves. */
const MOST_LEVELS = 100;

/** @throws StatusError `INVALID_ARGUMENT` for what the gallery would give back as something else, or not at all. */
function checkKept(value: unknown): void {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MOST_LEVELS) throw invalidArgument(`the body nests more than ${MOST_LEVELS} levels`);
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item === "number" && !Number.isFinite(item)) {
        throw invalidArgument("the body has a number that is beyond 64-bit floats");
      }
      if (typeof item !== "object" || item === null) continue;
      if (Object.hasOwn(item, "__proto__")) throw invalidArgument('the body has a field "__proto__"');
      for (const inner of Object.values(item)) next.push(inner);
    }
    level = next;
  }
}

/** What tells two requests apart, whatever the boundaries of their forms. */
export function fingerprintOf(id: OperationId, parts: readonly unknown[], image?: Uint8Array): string {
  const hash = createHash("sha256").update(JSON.stringify([id, ...parts]));
  if (image !== undefined) hash.update(image);
  return hash.digest("base64url");
}
