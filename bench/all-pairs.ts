/** @file Thresholds from all pairs of many photographs, with intervals that respect that pairs share people. */
import type { CalibrationRecord, OperatingPoint, Rate } from "../src/artifact/calibration.ts";
import { FaceError } from "../src/base/errors.ts";
import { Random } from "../src/base/random.ts";

/** The embeddings of one person's photographs, each of length 1. */
export type PersonEmbeddings = readonly Float32Array[];

export interface AllPairsOptions {
  /** The rates that are aimed at. */
  readonly fars: readonly number[];
  /** The one of them whose threshold holds unless another is wanted. */
  readonly usualFar: number;
  /** Resamples of the people. Default 1000. */
  readonly resamples?: number;
  readonly seed?: number;
  readonly data: { readonly dataset: string; readonly people: string };
  /** Hears what is done. */
  readonly onStage?: (text: string) => void;
}

/** All photographs as rows of one matrix, ordered by person. */
interface Rows {
  readonly values: Float32Array;
  readonly size: number;
  /** The person of each row. */
  readonly person: Uint16Array;
  /** The first row of each person, and the number of all rows at the end. */
  readonly start: Uint32Array;
}

function rowsOf(people: readonly PersonEmbeddings[]): Rows {
  const count = people.reduce((sum, photographs) => sum + photographs.length, 0);
  const size = people.flat()[0]?.length ?? 0;
  const values = new Float32Array(count * size);
  const person = new Uint16Array(count);
  const start = new Uint32Array(people.length + 1);
  let row = 0;
  for (const [i, photographs] of people.entries()) {
    start[i] = row;
    for (const embedding of photographs) {
      values.set(embedding, row * size);
      person[row++] = i;
    }
  }
  start[people.length] = row;
  return { values, size, person, start };
}

/** Calls `take` with the cosines of each row and all later ones, and the row of the first of them. */
function eachRow({ values, size, person }: Rows, take: (row: number, cosines: Float32Array) => void): void {
  const count = person.length;
  const cosines = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const own = values.subarray(i * size, (i + 1) * size);
    for (let j = i + 1, at = j * size; j < count; j++) {
      let sum = 0;
      for (let k = 0; k < size; k++, at++) sum += own[k]! * values[at]!;
      cosines[j - i - 1] = sum;
    }
    take(i, cosines.subarray(0, count - i - 1));
  }
}

interface Scores {
  /** Ascending. */
  readonly negatives: Float32Array;
  readonly positives: number;
}

/** The cosines of all pairs of two people. */
function scoresOf(rows: Rows): Scores {
  const { person, start } = rows;
  const count = person.length;
  let positives = 0;
  for (let i = 0; i + 1 < start.length; i++) {
    const images = start[i + 1]! - start[i]!;
    positives += (images * (images - 1)) / 2;
  }
  const negatives = new Float32Array((count * (count - 1)) / 2 - positives);
  if (positives === 0 || negatives.length === 0) {
    throw new FaceError("DATASET_INVALID", "measuring takes pairs of one person and pairs of two");
  }
  let at = 0;
  eachRow(rows, (row, cosines) => {
    const others = cosines.subarray(start[person[row]! + 1]! - row - 1);
    negatives.set(others, at);
    at += others.length;
  });
  return { negatives: negatives.sort(), positives };
}

/** The lowest threshold with at most so many false accepts: midway between what is refused and what is accepted. */
function thresholdFor(negatives: Float32Array, far: number): number {
  const allowed = Math.floor(far * negatives.length);
  const refused = negatives[negatives.length - allowed - 1]!;
  // Of equal scores all are refused.
  const accepted = negatives.subarray(negatives.length - allowed).find((score) => score > refused);
  return accepted === undefined ? refused + Number.EPSILON : (refused + accepted) / 2;
}

/** The accepted pairs by the people in them. */
interface Accepted {
  /** For each person, with which later people so many pairs are accepted. */
  readonly others: readonly (readonly [people: Uint16Array, counts: Uint32Array])[];
  /** Accepted pairs of each person's own photographs. */
  readonly own: Uint32Array;
}

/** Counts the accepted pairs at several thresholds. */
function acceptedAt(rows: Rows, thresholds: readonly number[]): Accepted[] {
  const { person, start } = rows;
  const people = start.length - 1;
  const own = thresholds.map(() => new Uint32Array(people));
  const others = thresholds.map((): (readonly [Uint16Array, Uint32Array])[] => []);
  const counts = thresholds.map(() => new Uint32Array(people));
  const finish = (one: number) => {
    for (const [i, count] of counts.entries()) {
      own[i]![one] = count[one]!;
      count[one] = 0;
      const found = Uint16Array.from([...count.keys()].filter((other) => count[other]! > 0));
      others[i]!.push([found, Uint32Array.from(found, (other) => count[other]!)]);
      count.fill(0);
    }
  };
  let current = 0;
  eachRow(rows, (row, cosines) => {
    while (person[row]! > current) finish(current++);
    for (const [i, threshold] of thresholds.entries()) {
      const count = counts[i]!;
      for (let j = 0; j < cosines.length; j++) {
        if (cosines[j]! >= threshold) count[person[row + 1 + j]!]!++;
      }
    }
  });
  while (current < people) finish(current++);
  return thresholds.map((_, i) => ({ others: others[i]!, own: own[i]! }));
}

interface Rates {
  readonly far: number;
  readonly tar: number;
}

/** Rates where each person counts so many times; a person who counts twice makes no pair of two people with itself. */
function ratesOf({ others, own }: Accepted, images: Uint32Array, times: Uint32Array): Rates {
  let [wrong, right, positives, all, within] = [0, 0, 0, 0, 0];
  for (const [one, [found, counts]] of others.entries()) {
    const weight = times[one]!;
    if (weight === 0) continue;
    let sum = 0;
    for (let k = 0; k < found.length; k++) sum += times[found[k]!]! * counts[k]!;
    wrong += weight * sum;
    right += weight * own[one]!;
    const count = images[one]!;
    positives += (weight * count * (count - 1)) / 2;
    all += weight * count;
    within += (weight * count) ** 2;
  }
  return { far: wrong / ((all * all - within) / 2), tar: right / positives };
}

/** A value with the middle 95 % of its resampled values. */
function withInterval(value: number, resampled: readonly number[]): Rate {
  const sorted = resampled.filter(Number.isFinite).toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))] ?? value;
  return { value, interval: [at(0.025), at(0.975)] };
}

/**
 * Calibrates a cosine on all pairs of many people's photographs. Thresholds are those of all pairs. Pairs that share a
 * person depend on each other, so intervals come from a bootstrap over people (the vertex bootstrap of Snijders and
 * Borgatti, 1999, without the pairs of a person with itself), at the thresholds found: percentiles 2.5 and 97.5.
 * @throws FaceError `DATASET_INVALID` when one kind of pairs is missing.
 */
export function calibrateAllPairs(
  people: readonly PersonEmbeddings[],
  { fars, usualFar, resamples = 1000, seed = 1, data, onStage = () => {} }: AllPairsOptions,
): CalibrationRecord {
  const rows = rowsOf(people);
  onStage("cosines of all pairs");
  const { negatives, positives } = scoresOf(rows);
  const thresholds = fars.map((far) => thresholdFor(negatives, far));
  onStage("accepted pairs by person");
  const accepted = acceptedAt(rows, thresholds);
  const images = Uint32Array.from(people, (photographs) => photographs.length);
  const random = new Random(seed);
  const samples = Array.from({ length: resamples }, () => {
    const times = new Uint32Array(people.length);
    for (let i = 0; i < people.length; i++) times[random.integer(people.length)]!++;
    return times;
  });
  const operatingPoints = fars.map((far, i): OperatingPoint => {
    onStage(`${resamples} resamples of the people at a false accept rate of ${far}`);
    const whole = ratesOf(accepted[i]!, images, new Uint32Array(people.length).fill(1));
    const rates = samples.map((times) => ratesOf(accepted[i]!, images, times));
    return {
      far,
      threshold: thresholds[i]!,
      measuredFar: withInterval(
        whole.far,
        rates.map((rate) => rate.far),
      ),
      measuredTar: withInterval(
        whole.tar,
        rates.map((rate) => rate.tar),
      ),
    };
  });
  const usual = operatingPoints.find(({ far }) => far === usualFar);
  if (usual === undefined) {
    throw new FaceError("INTERNAL", `internal: ${usualFar} is none of the rates ${fars.join(", ")}`);
  }
  const { threshold, measuredFar, measuredTar } = usual;
  return {
    threshold,
    measuredFar,
    measuredTar,
    operatingPoints,
    data: { ...data, positives, negatives: negatives.length },
  };
}
