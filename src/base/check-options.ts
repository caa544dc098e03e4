/** @file Checks what a program passes to the library: unknown names and wrong values are refused by name and value. */
import { z } from "zod";
import { didYouMean, FaceError } from "./errors.ts";

const MOST_THREADS = 1024;
const MOST_MS = 2 ** 31 - 1;

/** Parts of the schemas of options that plain JSON does not have. */
export const given = {
  /** Functions, such as listeners of progress. */
  call: z.custom<(...args: never[]) => unknown>((value) => typeof value === "function", "a function"),
  log: z.custom<object>(
    (value) => typeof value === "object" && value !== null && "info" in value,
    "a log with the functions debug, info, warn and error",
  ),
  signal: z.custom<AbortSignal>((value) => value instanceof AbortSignal, "an AbortSignal"),
  /** What is checked elsewhere. */
  other: z.unknown().optional(),
  /** A highest false accept rate. */
  far: z.custom<number>(
    (value) => typeof value === "number" && value > 0 && value < 1,
    "a number between 0 and 1, such as 0.001",
  ),
  text: z.string().min(1),
  count: z.number().int().positive(),
  whole: z.number().int().nonnegative(),
  /** 0 picks a free one. */
  port: z.number().int().min(0).max(65_535),
  /** Threads, sessions: more is a mistake that would take the machine's memory. */
  threads: z.number().int().positive().max(MOST_THREADS),
  /** A time that timers of Node keep: they take a longer one for none. */
  milliseconds: z.number().nonnegative().max(MOST_MS),
  seconds: z
    .number()
    .nonnegative()
    .max(MOST_MS / 1000),
  flag: z.boolean(),
};

const MOST_SHOWN = 60;

/** An API key, which no message repeats. */
const API_KEY = /\bfid_[\w-]+/g;

/** A list or an object, by its first parts. */
function partsText(value: object, within: readonly object[]): string {
  if (within.includes(value)) return "…";
  const inner = [...within, value];
  if (Array.isArray(value)) {
    return `[${Array.from(value.slice(0, MOST_SHOWN), (part: unknown) => textOf(part, inner)).join(",")}]`;
  }
  const parts = Object.entries(value).slice(0, MOST_SHOWN);
  return `{${parts.map(([key, part]) => `${JSON.stringify(key)}:${textOf(part, inner)}`).join(",")}}`;
}

/** As JSON, and what JSON does not have as a program writes it: `NaN`, `-0`, `undefined`, `7n`. */
function textOf(value: unknown, within: readonly object[] = []): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : String(value);
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : JSON.stringify(value);
  if (value instanceof URL) return JSON.stringify(value.href);
  const kind = Array.isArray(value)
    ? "Object"
    : (Object.getPrototypeOf(value)?.constructor?.name ?? "Object");
  if (kind === "Object" || kind === "") return partsText(value, within);
  return `${/^[AEIOU]/.test(kind) ? "an" : "a"} ${kind}`;
}

/** A value as an error shows it. */
export function valueText(value: unknown): string {
  const text = textOf(value).replaceAll(API_KEY, "fid_…");
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

/** What a schema wanted, as the end of a sentence. */
function wanted(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case "invalid_type": {
      if (issue.expected === "number" && typeof value === "number") return "a finite number";
      const kind = issue.expected === "int" ? "whole number" : issue.expected;
      return `${/^[aeiou]/.test(kind) ? "an" : "a"} ${kind}`;
    }
    case "too_small":
      return issue.origin === "string"
        ? "a text that is not empty"
        : `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    case "invalid_format":
      return `a text in the form ${issue.format}`;
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    default:
      return issue.message;
  }
}

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);

/** The names that a schema has at a path. */
function namesAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let inner: unknown = schema;
  for (const key of path) {
    while (inner instanceof z.ZodOptional) inner = inner.unwrap();
    inner = inner instanceof z.ZodObject ? inner.shape[String(key)] : undefined;
  }
  while (inner instanceof z.ZodOptional) inner = inner.unwrap();
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

/**
 * Refuses what a schema does not allow.
 * @param what the function or its argument, as the error names it.
 * @throws FaceError `CONFIG_INVALID` naming the option and its value.
 */
export function checkOptions(what: string, schema: z.ZodType, options: unknown): void {
  const parsed = schema.safeParse(options);
  if (parsed.success) return;
  const issue = parsed.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    const names = namesAt(schema, issue.path);
    const value = valueText(at(options, [...issue.path, key]));
    throw new FaceError(
      "CONFIG_INVALID",
      `${what}: there is no option ${[...issue.path, key].join(".")} (got ${value})${didYouMean(key, names)}`,
      { hint: names.length === 0 ? "leave it out" : `the options are ${names.join(", ")}` },
    );
  }
  throw new FaceError("CONFIG_INVALID", `${what}: ${issueText(issue, options)}`, {
    hint: "docs/library.md lists the functions with what they take",
  });
}

/** What a schema found wrong with a value, `box.2: got "x", expected a number`. */
export function issueText(issue: z.core.$ZodIssue, value: unknown): string {
  const name = issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
  const got = at(value, issue.path);
  return `${name}got ${valueText(got)}, expected ${wanted(issue, got)}`;
}

/** @throws FaceError `CONFIG_INVALID` unless it is a path. */
export const checkPath = (what: string, value: unknown): void => checkOptions(what, given.text, value);

const photo = z.union([given.text, z.instanceof(Uint8Array)], "the path of an image file or its content");

/** @throws FaceError `CONFIG_INVALID` unless it is a photograph. @param what the function and which photograph. */
export const checkPhoto = (what: string, value: unknown): void => checkOptions(what, photo, value);
