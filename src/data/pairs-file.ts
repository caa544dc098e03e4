/** @file Pairs files: LFW's pairs.txt, lists of two paths with a label, and tables with a header, read into folds of named pairs. */

import { FaceError, messageOf } from "../base/errors.ts";
import { decodeText, readWhole } from "../base/files.ts";
import { countText } from "../base/log.ts";

/** An image in a pairs file. */
export interface NamedImage {
  /** The person: a folder's name. */
  readonly name: string;
  /** The number in the file's name; NaN for an image that is named by its path. */
  readonly number: number;
  /** The path as the file has it, with `/`. */
  readonly path?: string;
}

/** A pair in a pairs file. */
export interface NamedPair {
  readonly left: NamedImage;
  readonly right: NamedImage;
  readonly same: boolean;
  /** Line of the file, from 1. */
  readonly line: number;
}

/** A pairs file, read and checked. */
export interface PairsFile {
  readonly path: string;
  /** The pairs of each fold, in file order; one fold where the file names none. */
  readonly folds: readonly (readonly NamedPair[])[];
  /** How the file was read, where it contradicts its first line. */
  readonly remarks: readonly string[];
}

interface Line {
  readonly number: number;
  readonly text: string;
  readonly columns: readonly string[];
}

const WANTED =
  'a pair such as "Ann_Lee<tab>1<tab>3" (one person), "Ann_Lee<tab>2<tab>Bob<tab>1" (two people) or "ann/1.jpg<tab>bob/2.jpg<tab>0" (two files; 1 means one person)';

function invalid(path: string, { number, text }: Pick<Line, "number" | "text">, problem: string): FaceError {
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text;
  return new FaceError("FILE_INVALID", `${path}:${number}: ${problem}: got ${JSON.stringify(shown)}`, {
    hint: `expected ${WANTED}; an optional first line has the numbers of folds and of pairs of each kind in a fold (10 300)`,
  });
}

/** A row of a table, with quoted cells. */
const cellsOf = (text: string, separator: string) =>
  [...`${text}${separator}`.matchAll(new RegExp(`("(?:[^"]|"")*"|[^${separator}]*)${separator}`, "g"))].map(
    ([, cell]) =>
      cell!
        .trim()
        .replace(/^"(.*)"$/, "$1")
        .replaceAll('""', '"'),
  );

const isNumber = (text: string | undefined) => text !== undefined && /^\d{1,9}$/.test(text);

/** Columns between tabs, commas or semicolons; else between spaces, of which names may hold some. */
function columnsOf(text: string): string[] {
  const separator = ["\t", ",", ";"].find((each) => text.includes(each));
  if (separator !== undefined) {
    const cells =
      separator === "\t" ? text.split(/\t+/).map((cell) => cell.trim()) : cellsOf(text, separator);
    while (cells.at(-1) === "") cells.pop();
    return cells;
  }
  const words = text.trim().split(/\s+/);
  const isPlain = words.length <= 3 || (words.length === 4 && isNumber(words[1]) && isNumber(words[3]));
  if (isPlain) return words;
  const spaced =
    /^(.+?)\s+(\d+)\s+(\d+)$/.exec(text.trim()) ?? /^(\D+?)\s+(\d+)\s+(\D+?)\s+(\d+)$/.exec(text.trim());
  return spaced?.slice(1) ?? words;
}

/** The lines that say something: not blank, no comment. */
function linesOf(text: string): Line[] {
  return text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\r|\n/)
    .map((line, i) => ({ number: i + 1, text: line.trim() }))
    .filter(({ text: line }) => line !== "" && !/^(#|%|\/\/)/.test(line))
    .map((line) => ({ ...line, columns: columnsOf(line.text) }));
}

/** Words that head the columns of tables. */
const HEADING =
  /^(person|name|identity|id|subject|image|img|file|filename|path|photo|left|right|first|second|a|b|anchor|verification|label|same|issame|is_same|match|target|fold|pair|imagenum)s?[ _-]?(\d|id|name|num(ber)?|path|file|image|[ab])*[ _-]?\d?$/i;
const isHeading = ({ columns }: Line) =>
  columns.length > 1 && columns.every((cell) => HEADING.test(cell) && !isNumber(cell));

const SAME = "1 true yes same match genuine".split(" ");
const DIFFERENT = "0 -1 false no different diff mismatch impostor".split(" ");

/** What a label says; undefined for any other word. */
function labelOf(text = ""): boolean | undefined {
  const word = text.toLowerCase();
  return SAME.includes(word) || (DIFFERENT.includes(word) ? false : undefined);
}

const isPath = (text: string | undefined) =>
  text !== undefined && (/[/\\]/.test(text) || /\.[a-z]{3,4}$/i.test(text));

function pathImage(text: string): NamedImage {
  const path = text.replaceAll("\\", "/");
  return { name: path.split("/").at(-2) ?? "", number: Number.NaN, path };
}

const image = (name: string, number: string): NamedImage =>
  isNumber(number)
    ? { name, number: Number(number) }
    : { name, number: Number.NaN, path: `${name}/${number}` };

/** Two paths, with a label before or after them; without one, files of one folder show one person. */
function pathPair({ columns, number: line }: Line): NamedPair | undefined {
  const [first, second, third] = columns as [string, string, string | undefined];
  const labelled: [string, string, boolean | undefined] | undefined =
    isPath(first) && isPath(second)
      ? [first, second, labelOf(third)]
      : isPath(second) && isPath(third)
        ? [second, third!, labelOf(first)]
        : undefined;
  if (labelled === undefined || columns.length > 3) return undefined;
  const [left, right] = [pathImage(labelled[0]), pathImage(labelled[1])];
  const same =
    labelled[2] ?? (columns.length === 2 && left.name !== "" ? left.name === right.name : undefined);
  return same === undefined ? undefined : { left, right, same, line };
}

/** A pair by name and number, or by name and file name, with an optional label at the end. */
function namedPair({ columns, number: line }: Line): NamedPair | undefined {
  const isImage = (text: string | undefined) => isNumber(text) || isPath(text);
  const [a, i, b, j, label] = columns as (string | undefined)[];
  if (columns.length === 3 && isImage(i) && isImage(b))
    return { left: image(a!, i!), right: image(a!, b!), same: true, line };
  if (columns.length < 4 || columns.length > 5 || !isImage(i) || !isImage(j)) return undefined;
  const same = columns.length === 5 ? labelOf(label) : a === b;
  return same === undefined ? undefined : { left: image(a!, i!), right: image(b!, j!), same, line };
}

const key = ({ name, number, path }: NamedImage) => path ?? `${name} ${number}`;

function readPair(file: string, line: Line): NamedPair {
  const pair = pathPair(line) ?? namedPair(line);
  if (pair === undefined) throw invalid(file, line, "no pair");
  const { left, right, same } = pair;
  if (key(left) === key(right)) throw invalid(file, line, "the pair is one image with itself");
  const isOne = left.path === undefined && left.name === right.name;
  if (left.path === undefined && isOne !== same) {
    throw invalid(file, line, `the label says ${same ? "one person" : "two people"}, the names do not`);
  }
  return pair;
}

/** Cuts pairs into folds at each return from pairs of two people to pairs of one. */
function runsOf(pairs: readonly NamedPair[]): NamedPair[][] {
  const folds: NamedPair[][] = [];
  for (const [i, pair] of pairs.entries()) {
    if (i === 0 || (pair.same && !pairs[i - 1]!.same)) folds.push([]);
    folds.at(-1)!.push(pair);
  }
  return folds;
}

interface Promised {
  readonly line: Line;
  readonly folds: number;
  readonly perKind: number;
}

/** The folds that the first line promises, or, where the numbers differ, those that the order of the pairs shows. */
function foldsOf(path: string, pairs: readonly NamedPair[], { line, folds, perKind }: Promised) {
  const expected = 2 * folds * perKind;
  const cut = Array.from({ length: folds }, (_, i) => pairs.slice(2 * i * perKind, 2 * (i + 1) * perKind));
  const isEven = cut.every((fold) => fold.filter(({ same }) => same).length === perKind);
  if (pairs.length === expected && isEven) return { folds: cut, remarks: [] };
  const runs = folds === 1 ? [pairs] : runsOf(pairs);
  const areWhole = runs.every((fold) => fold.some(({ same }) => same) && fold.some(({ same }) => !same));
  const promise = `${line.text.replaceAll(/\s+/g, " ")} promises ${countText(expected)} pairs, half of them of one person`;
  if (runs.length !== folds || !areWhole || pairs.length === 0)
    throw invalid(
      path,
      line,
      `${promise}, but ${countText(pairs.length)} lines follow, ${countText(pairs.filter(({ same }) => same).length)} of one person`,
    );
  const sizes = runs.map(
    (fold) => `${fold.filter(({ same }) => same).length} + ${fold.filter(({ same }) => !same).length}`,
  );
  const remark = `${path}:${line.number}: ${promise}; read as the file has them: ${[...new Set(sizes)].slice(0, 5).join(", ")} in a fold`;
  return { folds: runs, remarks: [remark] };
}

/**
 * Reads the text of a pairs file: lines of `name number number` for one person and `name number name number` for two, of two
 * paths with a label, or of a table with a header; between tabs, commas, semicolons or spaces. The first line may have the
 * number of folds and the number of pairs of each kind per fold (`10 300`), or only the latter for a file of one fold (LFW's
 * View 1).
 * @param path for error messages.
 * @throws FaceError `FILE_INVALID` with file and line of the first mistake.
 */
export function parsePairs(text: string, path: string): PairsFile {
  const lines = linesOf(text);
  const first = lines[0];
  if (first === undefined) throw invalid(path, { number: 1, text: "" }, "the file is empty");
  const isCount = first.columns.length <= 2 && first.columns.every(isNumber);
  const body = isCount || isHeading(first) ? lines.slice(1) : lines;
  if (isCount && first.columns.some((column) => Number(column) === 0))
    throw invalid(path, first, "a number of folds or pairs is 0");
  const pairs = (body[0] !== undefined && isHeading(body[0]) ? body.slice(1) : body).map((line) =>
    readPair(path, line),
  );
  if (pairs.length === 0) throw invalid(path, first, "no pair follows");
  if (!isCount) return { path, folds: [pairs], remarks: [] };
  const [folds, perKind] = (first.columns.length === 1 ? ["1", first.columns[0]] : first.columns).map(
    Number,
  ) as [number, number];
  return { path, ...foldsOf(path, pairs, { line: first, folds, perKind }) };
}

/**
 * Reads a pairs file.
 * @throws FaceError `FILE_INVALID` when it cannot be read or is malformed.
 */
export async function readPairs(path: string): Promise<PairsFile> {
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(path);
  } catch (error) {
    throw new FaceError("FILE_INVALID", `cannot read the pairs file ${path}: ${messageOf(error)}`, {
      hint: "name a file in the form of LFW's pairs.txt",
      cause: error,
    });
  }
  const text = decodeText(bytes);
  if (text.includes("\0"))
    throw new FaceError("FILE_INVALID", `${path} is no text file`, { hint: `expected lines with ${WANTED}` });
  return parsePairs(text, path);
}

/**
 * Some folds of a pairs file.
 * @param numbers counted from 1; none means all.
 * @throws FaceError `CONFIG_INVALID` for a fold that the file does not have.
 */
export function chosenFolds(file: PairsFile, numbers: readonly number[]): PairsFile {
  if (numbers.length === 0) return file;
  const folds = numbers.map((number) => {
    const fold = file.folds[number - 1];
    if (fold !== undefined) return fold;
    throw new FaceError(
      "CONFIG_INVALID",
      `${file.path} has ${file.folds.length} folds and no fold ${number}`,
    );
  });
  return { ...file, folds };
}
