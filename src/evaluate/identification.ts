/** @file Identification on an open set: enrolled people and strangers, DIR and FPIR (ISO/IEC 19795-1), with intervals. */

import { wilson } from "../artifact/wilson.ts";
import { FaceError } from "../base/errors.ts";
import { Random } from "../base/random.ts";

/** A person's photographs as embeddings of unit length. */
export interface EmbeddedPerson {
  readonly name: string;
  readonly embeddings: readonly Float32Array[];
}

/** How a person with several photographs is compared: by the nearest of them, or by the direction of their sum. */
export const TEMPLATES = ["best", "centroid"] as const;
export type Template = (typeof TEMPLATES)[number];

export interface IdentificationOptions {
  readonly template?: Template;
  readonly seed?: number;
  /** How alike two embeddings are; larger means more alike. */
  readonly similarity: (a: Float32Array, b: Float32Array) => number;
}

/** What one search came to. */
interface Search {
  /** The highest similarity to anybody enrolled. */
  readonly score: number;
  /** Whether that was the person searched for; false for strangers. */
  readonly right: boolean;
}

export interface IdentificationPoint {
  readonly threshold: number;
  /** False-positive identification rate: strangers who are named. */
  readonly fpir: number;
  readonly fpirInterval: readonly [number, number];
  /** Detection and identification rate: enrolled people who are named rightly. */
  readonly dir: number;
  readonly dirInterval: readonly [number, number];
}

export interface IdentificationResult {
  readonly enrolledPeople: number;
  readonly enrolledPhotographs: number;
  /** Photographs of enrolled people that were searched, one of each. */
  readonly mated: number;
  /** Photographs of strangers that were searched, one of each. */
  readonly strangers: number;
  /** Enrolled people who come first, at any similarity. */
  readonly rankOne: number;
  readonly rankOneInterval: readonly [number, number];
  /** By rising FPIR, where there are enough strangers to tell. */
  readonly points: readonly IdentificationPoint[];
}

const FPIRS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3];

/** The direction of the sum of vectors. */
export function centroid(embeddings: readonly Float32Array[]): Float32Array {
  const sum = new Float32Array(embeddings[0]!.length);
  for (const embedding of embeddings) for (let i = 0; i < sum.length; i++) sum[i]! += embedding[i]!;
  const length = Math.hypot(...sum);
  return length > 0 ? sum.map((value) => value / length) : sum;
}

interface Split {
  readonly enrolled: readonly EmbeddedPerson[];
  readonly mated: readonly { readonly name: string; readonly embedding: Float32Array }[];
  readonly strangers: readonly { readonly name: string; readonly embedding: Float32Array }[];
}

/**
 * Half of the people are enrolled, those with one photograph too; one photograph of each enrolled person with several is kept
 * out and searched, and one of each stranger.
 */
export function splitOpenSet(people: readonly EmbeddedPerson[], seed: number): Split {
  const random = new Random(seed).fork("identification");
  const present = people.filter(({ embeddings }) => embeddings.length > 0);
  // Each half of either kind, so that enrolled people and strangers have as many photographs.
  const halves = [present.filter(isSeveral), present.filter((person) => !isSeveral(person))].map((kind) => {
    const shuffled = random.shuffle(kind);
    const half = Math.ceil(shuffled.length / 2);
    return [shuffled.slice(0, half), shuffled.slice(half)] as const;
  });
  const strangers = halves
    .flatMap(([, others]) => others)
    .map(({ name, embeddings }) => ({ name, embedding: random.pick(embeddings) }));
  const mated: Split["mated"][number][] = [];
  const enrolled = halves
    .flatMap(([chosen]) => chosen)
    .map((person) => {
      if (!isSeveral(person)) return person;
      const out = random.integer(person.embeddings.length);
      mated.push({ name: person.name, embedding: person.embeddings[out]! });
      return { name: person.name, embeddings: person.embeddings.filter((_, i) => i !== out) };
    });
  return { enrolled, mated, strangers };
}

const isSeveral = ({ embeddings }: EmbeddedPerson) => embeddings.length > 1;

/**
 * Measures identification on an open set.
 * @throws FaceError `DATASET_INVALID` for fewer than two people with several photographs.
 */
export function measureIdentification(
  people: readonly EmbeddedPerson[],
  { template = "best", seed = 1, similarity }: IdentificationOptions,
): IdentificationResult {
  const { enrolled, mated, strangers } = splitOpenSet(people, seed);
  if (mated.length === 0 || strangers.length === 0) {
    throw new FaceError(
      "DATASET_INVALID",
      `identification takes two people or more with several photographs; ${people.filter(isSeveral).length} came`,
    );
  }
  const templates = enrolled.map(({ name, embeddings }) => ({
    name,
    embeddings: template === "centroid" ? [centroid(embeddings)] : embeddings,
  }));
  const search = (probe: Float32Array, wanted: string | undefined): Search => {
    let [score, best] = [Number.NEGATIVE_INFINITY, ""];
    for (const { name, embeddings } of templates) {
      for (const embedding of embeddings) {
        const value = similarity(probe, embedding);
        if (value > score) [score, best] = [value, name];
      }
    }
    return { score, right: best === wanted };
  };
  const found = mated.map(({ name, embedding }) => search(embedding, name));
  const alarms = strangers
    .map(({ embedding }) => search(embedding, undefined).score)
    .toSorted((a, b) => b - a);
  const right = found.filter((each) => each.right).length;
  return {
    enrolledPeople: enrolled.length,
    enrolledPhotographs: enrolled.reduce((sum, { embeddings }) => sum + embeddings.length, 0),
    mated: mated.length,
    strangers: strangers.length,
    rankOne: right / mated.length,
    rankOneInterval: wilson(right, mated.length),
    points: FPIRS.filter((fpir) => fpir * strangers.length >= 1).map((fpir) => pointAt(fpir, found, alarms)),
  };
}

/** @param alarms highest similarities of strangers, falling. */
function pointAt(fpir: number, found: readonly Search[], alarms: readonly number[]): IdentificationPoint {
  const allowed = Math.floor(fpir * alarms.length);
  // Just above the first stranger who must not be named.
  const threshold = allowed < alarms.length ? nextAbove(alarms[allowed]!) : Number.NEGATIVE_INFINITY;
  const named = alarms.filter((score) => score >= threshold).length;
  const detected = found.filter(({ score, right }) => right && score >= threshold).length;
  return {
    threshold,
    fpir: named / alarms.length,
    fpirInterval: wilson(named, alarms.length),
    dir: detected / found.length,
    dirInterval: wilson(detected, found.length),
  };
}

/** The next float32 above a value: similarities are sums of such numbers. */
const nextAbove = (value: number): number => value + Math.max(Math.abs(value), 1) * 2 ** -23;
