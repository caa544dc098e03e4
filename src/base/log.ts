/** @file The log of a job, and words for its lines: counts with their nouns, sizes, names without characters that would change the terminal. */

/** Structured log lines: a message and the values that belong to it. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** Drops every line. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Why a file could not be used, behind its path where the reason does not name it. */
export const reasonOf = ({ path, reason }: { readonly path: string; readonly reason: string }): string =>
  reason.includes(path) ? reason : `${path}: ${reason}`;

/** A count as people read it: `1,200` */
export const countText = (count: number): string => count.toLocaleString("en-US");

/** `1 photograph`, `2 photographs`, `1,200 people` */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

const KILO = 1000;
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

/** `640 B`, `12.3 MB`, in powers of 1000 */
export function bytesText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log(bytes) / Math.log(KILO)));
  return `${(bytes / KILO ** power).toFixed(power === 0 ? 0 : 1)} ${BYTE_UNITS[power]}`;
}

/** Characters that move the cursor, change colours, end a line, or turn the direction of writing. */
const CONTROLS = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

const escaped = (character: string): string =>
  SHORT[character] ?? `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`;

/** A path or a person's name on one line, with its control characters written out. */
export const shown = (name: string): string => name.replaceAll(CONTROLS, escaped);

/** A message of several lines, of which all but the first begin with two spaces; other control characters are written out. */
export const shownLines = (text: string): string =>
  text
    .split(/\n(?= {2})/)
    .map(shown)
    .join("\n");
