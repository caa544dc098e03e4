/** @file The one line of a terminal that redraws itself: cut to the width, and removed before any other text. */

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
