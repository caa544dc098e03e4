/** @file The verification protocol of Labeled Faces in the Wild: reads pairs.txt and finds its images in a dataset. */
import { readFile } from "node:fs/promises";
import { parse } from "node:path";
import { FaceError, messageOf } from "../base/errors.ts";
import { type Identity, type ImageRef, imageName } from "./identity.ts";
import type { Pair } from "./pairs.ts";

/** An image in a pairs file: the person's name and the number at the end of the file's name. */
export interface NamedImage {
  readonly name: string;
  readonly number: number;
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
  /** The pairs of each fold, in file order. */
  readonly folds: readonly (readonly NamedPair[])[];
}

/** The folds with their images found in a dataset. */
export interface Protocol {
  readonly folds: readonly (readonly Pair[])[];
  /** A message for each pair that was left out because an image is not in the dataset. */
  readonly missing: readonly string[];
}

/** Reads the lines of a file and counts them for error messages. */
class LineReader {
  readonly #path: string;
  readonly #lines: string[];
  /** Number of the line read last, from 1. */
  number = 0;

  constructor(path: string, text: string) {
    this.#path = path;
    this.#lines = text.replace(/\s+$/, "").split(/\r?\n/);
  }

  get left(): number {
    return this.#lines.length - this.number;
  }

  /** The columns of the next line, separated by tabs, or by spaces if an editor has replaced them. */
  columns(): string[] {
    const line = this.#lines[this.number++];
    if (line === undefined) throw this.error(`the file ends after ${this.#lines.length} lines`);
    return line.trim().split(/\t+| +/);
  }

  error(message: string): FaceError {
    return new FaceError("FILE_INVALID", `${this.#path}:${this.number}: ${message}`, {
      hint:
        "a pairs file begins with folds and pairs per fold (10 300), then has, fold by fold, that many lines of " +
        "name, number, number and that many of name, number, name, number",
    });
  }

  /** A whole number from 1. */
  positive(text: string | undefined, what: string): number {
    if (text === undefined || !/^[1-9]\d{0,8}$/.test(text)) {
      throw this.error(`${what} is ${JSON.stringify(text ?? "")}, not a whole number from 1`);
    }
    return Number(text);
  }
}

function readPair(reader: LineReader, same: boolean): NamedPair {
  const columns = reader.columns();
  const [people, wanted] = same ? ["one person, three", 3] : ["two people, four", 4];
  if (columns.length !== wanted) {
    throw reader.error(`expected a pair of ${people} columns, got ${columns.length}`);
  }
  const [second, number] = same ? [columns[0]!, columns[2]] : [columns[2]!, columns[3]];
  const left = { name: columns[0]!, number: reader.positive(columns[1], "the first image number") };
  const right = { name: second, number: reader.positive(number, "the second image number") };
  if (same && left.number === right.number) throw reader.error("the pair is one image with itself");
  if (!same && left.name === right.name) {
    throw reader.error(`both sides of a pair of two people are ${left.name}`);
  }
  return { left, right, same, line: reader.number };
}

/**
 * Reads the text of a pairs file. The first line has the number of folds and the number of pairs of each kind per fold
 * (`10 300`), or only the latter for a file of one fold (LFW's View 1).
 * @param path for error messages.
 * @throws FaceError `FILE_INVALID` with file and line of the first mistake.
 */
export function parsePairs(text: string, path: string): PairsFile {
  const reader = new LineReader(path, text);
  const header = reader.columns();
  if (header.length > 2) throw reader.error(`the first line has ${header.length} columns, not one or two`);
  const foldCount = header.length === 1 ? 1 : reader.positive(header[0], "the number of folds");
  const perKind = reader.positive(header.at(-1), "the number of pairs");
  const expected = 2 * foldCount * perKind;
  if (reader.left !== expected) {
    throw reader.error(`the first line promises ${expected} pairs, but ${reader.left} lines follow`);
  }
  const folds = Array.from({ length: foldCount }, () => {
    const read = (same: boolean) => Array.from({ length: perKind }, () => readPair(reader, same));
    return [...read(true), ...read(false)];
  });
  return { path, folds };
}

/**
 * Reads a pairs file.
 * @throws FaceError `FILE_INVALID` when it cannot be read or is malformed.
 */
export async function readPairs(path: string): Promise<PairsFile> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new FaceError("FILE_INVALID", `cannot read the pairs file ${path}: ${messageOf(error)}`, {
      hint: "check --pairs",
      cause: error,
    });
  }
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

/** The names of all people in a pairs file, who must not be trained on. */
export function namesIn(file: PairsFile): Set<string> {
  return new Set(file.folds.flat().flatMap(({ left, right }) => [left.name, right.name]));
}

/** The number at the end of a file's name: 7 for `Name_0007.jpg` and for `7.png`. */
function numberOf(image: ImageRef): number | undefined {
  const digits = /\d+$/.exec(image.kind === "file" ? parse(image.path).name : imageName(image));
  return digits === null ? undefined : Number(digits[0]);
}

/**
 * Finds the images of a pairs file in a dataset. A pair with a missing image is left out of its fold and reported.
 * @throws FaceError `DATASET_INVALID` when a fold has no pair left.
 */
export function findPairs(file: PairsFile, identities: readonly Identity[]): Protocol {
  const people = new Map(identities.map((identity) => [identity.name, identity]));
  const missing: string[] = [];
  const find = ({ name, number }: NamedImage) =>
    people.get(name)?.images.find((image) => numberOf(image) === number);
  const resolved = file.folds.map((fold) =>
    fold.flatMap((pair): Pair[] => {
      const left = find(pair.left);
      const right = find(pair.right);
      if (left !== undefined && right !== undefined) return [{ left, right, same: pair.same }];
      const { name, number } = left === undefined ? pair.left : pair.right;
      missing.push(`${file.path}:${pair.line}: the dataset has no image ${number} of ${name}`);
      return [];
    }),
  );
  const empty = resolved.findIndex((fold) => fold.length === 0);
  if (empty >= 0) {
    throw new FaceError(
      "DATASET_INVALID",
      `none of the pairs of fold ${empty + 1} of ${file.path} is in the dataset`,
      {
        hint: "check that the dataset is the one the pairs file is for, and that ID_FROM, ID_TO and IMAGES_PER_ID leave nothing out",
      },
    );
  }
  return { folds: resolved, missing };
}
