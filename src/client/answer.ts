/** @file What a server answered about two photographs: predictions, decisions and errors of the contract, and nothing else. */
import { z } from "zod";
import { FaceError } from "../base/errors.ts";
import { excerpt } from "./body.ts";

/** What a server answered. */
export interface Answer {
  /** `{"predictions": [[p]]}`, `:verify`'s `{"same": …, "similarity": …}`, or `{"error": "…"}`. */
  readonly text: string;
  readonly isError: boolean;
  /** The probability, where the answer is a prediction. */
  readonly probability?: number;
  /** The decision, where `:verify` answered it. */
  readonly same?: boolean;
  /** What makes the answer doubtful: pictures that hardly are crops of faces, sent to a model that takes crops. */
  readonly warnings?: readonly string[];
}

/** Most bytes that are read of an answer: metadata of a hundred signatures have some 100 kB, and all else is shorter. */
export const MOST_ANSWER_BYTES = 2 ** 20;
/** Most characters that are printed. Servers of the protocol cut their errors at 8,192. */
const MOST_PRINTED = 16_384;
/** Most characters of a wrong answer that an error repeats. */
export const MOST_REPEATED = 200;

/** JSON on one line, `{"predictions": [[p]]}`, with the numbers and strings of the server unchanged. */
export function onOneLine(json: string): string {
  return json.replaceAll(
    /("(?:[^"\\]|\\.)*")|\s+|([:,])/g,
    (_, text: string | undefined, mark: string | undefined) => text ?? (mark === undefined ? "" : `${mark} `),
  );
}

/** An answer in the form of TensorFlow Serving's REST interface. */
export function predictionsAnswer(probability: number): Answer {
  return { text: onOneLine(JSON.stringify({ predictions: [[probability]] })), isError: false, probability };
}

/** A server's error; a long one is cut. */
export function errorAnswer(message: string): Answer {
  return { text: onOneLine(JSON.stringify({ error: excerpt(message, MOST_PRINTED) })), isError: true };
}

const PREDICTIONS = '{"predictions": [[p]]} with one number p from 0 to 1';

/** The error for an answer that came instead of a prediction. @param expected what the contract has. */
export const noPrediction = (got: string, expected = PREDICTIONS): Answer =>
  errorAnswer(`the answer is no prediction: got ${got}, expected ${expected}`);

const probability = z.number().min(0).max(1);
const predictions = z.object({ predictions: z.tuple([z.tuple([probability])]) });
const verification = z.object({ same: z.boolean().optional(), similarity: z.number().min(-1).max(1) });

/** What was asked of a server, and so what its answer holds. */
export type Asked = "predict" | "verify";

/** The text of a server's answer with its HTTP status. */
export interface RestAnswer {
  readonly status: number;
  readonly text: string;
  /** Whether `text` is only the beginning. */
  readonly isCut: boolean;
}

export const isOk = (status: number): boolean => status >= 200 && status < 300;

export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** The part of an answer that a message repeats. */
const repeated = ({ text, isCut }: RestAnswer): string =>
  isCut ? `${text.slice(0, MOST_REPEATED)}… (more than 1 MB)` : excerpt(text, MOST_REPEATED);

/** A text of the server for the terminal, as it came where it is short enough. */
function asItCame(text: string): string | undefined {
  return text.length <= MOST_PRINTED ? onOneLine(text) : undefined;
}

function success(answer: RestAnswer, value: unknown, asked: Asked): Answer {
  const text = asItCame(answer.text);
  if (asked === "predict") {
    const { data } = predictions.safeParse(value);
    if (text === undefined || data === undefined) return noPrediction(repeated(answer));
    return { text, isError: false, probability: data.predictions[0][0] };
  }
  const { data } = verification.safeParse(value);
  if (text === undefined || data === undefined) {
    const expected = '{"similarity": s} with s from -1 to 1, and "same" as true or false where it decides';
    return noPrediction(repeated(answer), expected);
  }
  return { text, isError: false, ...(data.same !== undefined && { same: data.same }) };
}

/** A failure in the server's own words where it has such. */
function failure(answer: RestAnswer, value: object): Answer {
  const error = "error" in value ? value.error : undefined;
  if (typeof error !== "string") {
    return errorAnswer(`the server answered with status ${answer.status}: ${repeated(answer)}`);
  }
  const text = asItCame(answer.text);
  return text === undefined ? errorAnswer(error) : { text, isError: true };
}

/**
 * Reads the answer about two photographs.
 * @param url the server's address, for the error.
 * @throws FaceError `SERVER_ERROR` when it is not JSON at all.
 */
export function readAnswer(answer: RestAnswer, asked: Asked, url: string): Answer {
  const { status, text, isCut } = answer;
  const value = parsedJson(text);
  if (isObject(value) && (!isOk(status) || "error" in value)) return failure(answer, value);
  if (isObject(value)) return success(answer, value, asked);
  // Some servers write NaN as it is, which is no JSON; and the rest of a long answer is missing.
  if (/^\s*[{[]/.test(text)) {
    return isOk(status)
      ? noPrediction(repeated(answer))
      : errorAnswer(`the server answered with status ${status}: ${repeated(answer)}`);
  }
  const what = isCut ? `${status}, more than 1 MB` : `${status}`;
  throw new FaceError("SERVER_ERROR", `${url} answered with status ${what} and no JSON`, {
    hint: "check that a server of TensorFlow Serving's protocol runs there, and the path in the address",
  });
}
