/** @file Texts on a terminal: the one line that redraws itself, and messages wrapped to the width. */
import { COMMAND_NAMES } from "./summaries.ts";

/** A terminal or a file. */
export interface Output {
  readonly isTTY?: boolean | undefined;
  /** Of a terminal; 0 or undefined where it is unknown. */
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Where nothing says how wide an output is. */
export const USUAL_COLUMNS = 80;
/** Moves a terminal to the start of its line and clears it. */
const CLEAR = "\r\u001b[2K";
/** A colour, which takes no column. */
const COLOUR = "\u001b\\[[0-9;]*m";
const PIECES = new RegExp(`${COLOUR}|[^]`, "gu");
const IS_COLOUR = new RegExp(`^${COLOUR}$`);
const RESET = "\u001b[0m";

/** Columns of an output: those of a terminal, or those that `COLUMNS` sets for a file or a pipe; undefined without either. */
export function columnsOf(
  { columns }: Pick<Output, "columns">,
  { COLUMNS: wanted = "" }: NodeJS.ProcessEnv = process.env,
): number | undefined {
  return columns || (/^[1-9]\d{0,4}$/.test(wanted) ? Number(wanted) : undefined);
}

/** Columns that a line may fill; the last stays free, since some terminals wrap when it is written. */
export const roomOf = ({ columns }: Output): number => (columns || USUAL_COLUMNS) - 1;

/** Columns that a text fills. */
const widthOf = (text: string): number =>
  text.match(PIECES)?.filter((piece) => !IS_COLOUR.test(piece)).length ?? 0;

/** A text cut to `room` columns. */
export function fitted(text: string, room: number): string {
  if (widthOf(text) <= room) return text;
  let used = 0;
  let kept = "";
  for (const piece of text.match(PIECES) ?? []) {
    if (IS_COLOUR.test(piece)) kept += piece;
    else if (used++ < room - 1) kept += piece;
    else break;
  }
  return `${kept}…${kept.includes("\u001b[") ? RESET : ""}`;
}

/** A word of a command: in quotes, or without spaces and without the punctuation behind it. */
const WORD = "(?:'[^']*'|\"[^\"]*\"|[^\\s;,()'\"`]*[^\\s;,()'\"`.:])";
/** An argument: not a plain word, which belongs to the sentence. */
const ARGUMENT = `(?:--?[a-z][\\w-]*(?:[= ]${WORD})?|(?=['"]|[^\\s;,()]*[A-Z0-9./_=-])${WORD})`;
const OURS = `\\b(?:npx faceid|node \\S*faceid\\.js|faceid) (?:${COMMAND_NAMES.join("|")})\\b(?: [a-z]+(?![\\w./-]))?(?: ${ARGUMENT})*`;
/** Commands of others are followed by no sentence. */
const OTHERS = "\\b(?:npm|git|docker) [a-z][^;,()`]*";
/** What is pasted into a shell: commands up to their last argument, names in quotes, what stands between code marks. */
const PASTED = new RegExp(`\`[^\`]*\`|${OURS}|${OTHERS}|(?<![^\\s(])'[^']*'`, "g");
/** Spaces that may not become an end of a line, for as long as the line is taken apart. */
const KEPT = "\u0000";
/** What a continued line begins below: the text behind a message's kind, or behind the name in a list or the first column of a table. */
const HEAD = /^ *(?:(?:error|warning|note): |[^:]{1,24}: {2,}|(?! )(?:(?! {2}).){1,30} {2,})/;

/** The remarks of an answer: figures with their reasons, warnings, notes, and commands to go on with. */
const REMARK =
  /^(?:threshold|false accept rate|faces compared) {2,}|^(?:warning|note): |^ {2}(?:npx |node |faceid )/;

function wrappedLine(line: string, room: number): string {
  if (widthOf(line) <= room) return line;
  const kept = line.replaceAll(PASTED, (pasted) => pasted.replaceAll(" ", KEPT));
  const head = HEAD.exec(line)?.[0];
  const start = head ?? /^ */.exec(line)![0];
  const hang = " ".repeat(head === undefined ? start.length + 2 : Math.min(head.length, room >> 1));
  const lines: string[] = [];
  let current = start;
  let isFresh = true;
  for (const piece of kept.slice(start.length).split(/(?<=\S)(?= +\S)/)) {
    if (!isFresh && widthOf(current) + widthOf(piece) > room) {
      lines.push(current);
      current = hang + piece.trimStart();
    } else current += piece;
    isFresh = false;
  }
  return [...lines, current].join("\n").replaceAll(KEPT, " ");
}

/**
 * A message as an output shows it: on a terminal each line is broken between words, but not within what is meant to be pasted; in a file or a
 * pipe it is unchanged.
 */
export function wrapped(text: string, output: Output): string {
  if (output.isTTY !== true) return text;
  const room = roomOf(output);
  return text
    .split("\n")
    .map((line) => wrappedLine(line, room))
    .join("\n");
}

/** The same for the remarks of an answer, whose other lines are left as they are. */
export function wrappedRemarks(text: string, output: Output): string {
  return text
    .split("\n")
    .map((line) => (REMARK.test(line) ? wrapped(line, output) : line))
    .join("\n");
}

/** The terminals on which a line is open; usually one, by both of its streams. */
const open = new Set<Output>();

/** Draws the line anew. */
export function redrawLine(output: Output, text: string): void {
  output.write(`${CLEAR}${fitted(text, roomOf(output))}`);
  open.add(output);
}

/** Removes the line, so that another text can be written. */
export function clearLine(output: Output): void {
  if (open.delete(output)) output.write(CLEAR);
}

/** Removes every open line. */
export function clearLines(): void {
  for (const output of [...open]) clearLine(output);
}
