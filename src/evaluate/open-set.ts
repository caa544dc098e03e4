/** @file Identification on open sets, over several splits: DIR over FPIR and CMC (ISO/IEC 19795-1) with intervals by people. */

import { type Interval, wilson } from "../artifact/wilson.ts";
import { FaceError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { centroid, type EmbeddedPerson, splitOpenSet, type Template } from "./identification.ts";
import { percentileInterval } from "./intervals.ts";
import type { Measured } from "./metrics.ts";

export interface OpenSetOptions {
  /** How a person with several photographs is compared. */
  readonly template: Template;
  /** How many times the people are divided anew. Default 5. */
  readonly splits?: number | undefined;
  /** Of the first split; the others follow. Default 1. */
  readonly seed?: number | undefined;
  /** How alike a photograph is to each of the enrolled templates. */
  readonly compare: (probe: Float32Array, templates: readonly Float32Array[]) => Promise<ArrayLike<number>>;
  /** Called after each search. */
  readonly onSearch?: ((done: number, total: number) => void) | undefined;
}

/** What comes at a wanted rate of false positives. */
export interface OpenSetPoint {
  /** The wanted false-positive identification rate: strangers who are named. */
  readonly fpir: number;
  /** Mean over the splits of the thresholds that keep it. */
  readonly threshold: number;
  /** Detection and identification rate: enrolled people who are named rightly. */
  readonly dir: Measured;
}

export interface OpenSetReport {
  readonly people: number;
  readonly photographs: number;
  readonly template: Template;
  readonly splits: number;
  readonly seed: number;
  /** Of one split. */
  readonly enrolled: number;
  /** Searches for enrolled people in one split, one photograph of each. */
  readonly mated: number;
  /** Searches for strangers in one split, one photograph of each. */
  readonly strangers: number;
  /** Enrolled people among the first `rank` candidates, at any similarity: the cumulative match characteristic. */
  readonly cmc: readonly { readonly rank: number; readonly rate: Measured }[];
  /** By rising FPIR, where there are enough strangers to tell. */
  readonly points: readonly OpenSetPoint[];
  /** Finer points for a curve. */
  readonly curve: readonly OpenSetPoint[];
  /** Each split by itself. */
  readonly bySplit: readonly {
    readonly seed: number;
    readonly rankOne: number;
    readonly points: readonly { readonly fpir: number; readonly dir: number; readonly threshold: number }[];
  }[];
}

const SPLITS = 5;
/** The rates of false positives that a report names, where there are enough strangers: at least one in a search must be allowed. */
export const FPIRS: readonly number[] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3];
const RANKS = [1, 2, 3, 5, 10, 20];
const CURVE_STEPS = 40;
const RESAMPLES = 500;

/** A search for an enrolled person. */
interface Found {
  readonly person: number;
  readonly score: number;
  /** 1 where nobody is more alike. */
  readonly rank: number;
}

/** A search for a stranger: the highest similarity to anybody enrolled. */
interface Alarm {
  readonly person: number;
  readonly score: number;
}

/** The searches of one split, the most alike first. */
interface Searches {
  readonly enrolled: number;
  readonly found: readonly Found[];
  readonly alarms: readonly Alarm[];
}

/** How often each person counts. */
type Weights = ArrayLike<number>;

const falling = (a: { readonly score: number }, b: { readonly score: number }) => b.score - a.score;

/** Makes all searches of a split. */
async function searched(
  people: readonly EmbeddedPerson[],
  seed: number,
  { template, compare }: OpenSetOptions,
  onSearch: () => void,
): Promise<Searches> {
  const { enrolled, mated, strangers } = splitOpenSet(people, seed);
  const numbers = new Map(people.map(({ name }, i) => [name, i]));
  const templates = enrolled.flatMap(({ name, embeddings }) => {
    const person = numbers.get(name)!;
    const vectors = template === "centroid" ? [centroid(embeddings)] : embeddings;
    return vectors.map((vector) => ({ person, vector }));
  });
  const vectors = templates.map(({ vector }) => vector);
  /** The highest similarity to each enrolled person. */
  const search = async (probe: Float32Array): Promise<Map<number, number>> => {
    const scores = await compare(probe, vectors);
    const best = new Map<number, number>();
    for (const [i, { person }] of templates.entries()) {
      best.set(person, Math.max(best.get(person) ?? Number.NEGATIVE_INFINITY, scores[i]!));
    }
    onSearch();
    return best;
  };
  const found: Found[] = [];
  for (const { name, embedding } of mated) {
    const best = await search(embedding);
    const person = numbers.get(name)!;
    const score = best.get(person)!;
    found.push({ person, score, rank: 1 + [...best.values()].filter((other) => other > score).length });
  }
  const alarms: Alarm[] = [];
  for (const { name, embedding } of strangers) {
    const scores = (await search(embedding)).values();
    alarms.push({ person: numbers.get(name)!, score: Math.max(...scores) });
  }
  return { enrolled: enrolled.length, found: found.toSorted(falling), alarms: alarms.toSorted(falling) };
}

const weightOf = (list: readonly { readonly person: number }[], weights: Weights) =>
  list.reduce((sum, { person }) => sum + weights[person]!, 0);

/** Thresholds at which at most the wanted shares of strangers are named: just above the first one too many. @param fpirs rising. */
function thresholdsAt(fpirs: readonly number[], alarms: readonly Alarm[], weights: Weights): number[] {
  const total = weightOf(alarms, weights);
  let [named, next] = [0, 0];
  return fpirs.map((fpir) => {
    // Sums of weights are whole numbers; the wanted share of them may miss one by rounding.
    const allowed = fpir * total + 1e-9;
    while (next < alarms.length && named + weights[alarms[next]!.person]! <= allowed) {
      named += weights[alarms[next++]!.person]!;
    }
    return alarms[next]?.score ?? Number.NEGATIVE_INFINITY;
  });
}

/** Shares of enrolled people who come first above each threshold. @param thresholds falling. */
function detected(thresholds: readonly number[], found: readonly Found[], weights: Weights): number[] {
  const total = weightOf(found, weights);
  let [right, next] = [0, 0];
  return thresholds.map((threshold) => {
    while (next < found.length && found[next]!.score > threshold) {
      const { person, rank } = found[next++]!;
      if (rank === 1) right += weights[person]!;
    }
    return total === 0 ? Number.NaN : right / total;
  });
}

/** The ranks worth printing: with as many candidates as people enrolled, every search succeeds. */
const ranksOf = (enrolled: number) => RANKS.filter((rank) => rank === 1 || rank < enrolled);

function rankRates({ enrolled, found }: Searches, weights: Weights): number[] {
  const total = weightOf(found, weights);
  return ranksOf(enrolled).map(
    (most) =>
      weightOf(
        found.filter(({ rank }) => rank <= most),
        weights,
      ) / total,
  );
}

const mean = (rows: readonly (readonly number[])[]): number[] =>
  (rows[0] ?? []).map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);

/** Rates at all wanted FPIRs, then at all ranks; means over the splits. */
function ratesOf(splits: readonly Searches[], fpirs: readonly number[], weights: Weights): number[] {
  return mean(
    splits.map((split) => [
      ...detected(thresholdsAt(fpirs, split.alarms, weights), split.found, weights),
      ...rankRates(split, weights),
    ]),
  );
}

/** Intervals of all rates: the people are drawn anew, and a person counts as often in all splits. */
function intervalsOf(
  splits: readonly Searches[],
  fpirs: readonly number[],
  people: number,
  seed: number,
): Interval[] {
  const random = new Random(seed).fork("people");
  const draws = Array.from({ length: RESAMPLES }, () => {
    const weights = new Uint32Array(people);
    for (let i = 0; i < people; i++) weights[random.integer(people)]!++;
    return ratesOf(splits, fpirs, weights);
  });
  return draws[0]!.map((_, i) => percentileInterval(draws.map((draw) => draw[i]!).filter(Number.isFinite)));
}

/**
 * Measures identification on an open set, several times with other people enrolled: half of the people are enrolled, one
 * photograph of each with several is kept out and searched, and one of each stranger. Intervals are percentiles of 500 resamples
 * of the people (bootstrap; Efron, 1979), with the threshold of each resample's own strangers; where all of them agree, which few
 * searches do, the interval of Wilson (1927) for the searches of one split.
 * @throws FaceError `DATASET_INVALID` for fewer than two people with several photographs.
 */
export async function measureOpenSet(
  people: readonly EmbeddedPerson[],
  options: OpenSetOptions,
): Promise<OpenSetReport> {
  const { template, splits: count = SPLITS, seed = 1, onSearch } = options;
  const present = people.filter(({ embeddings }) => embeddings.length > 0);
  const several = present.filter(({ embeddings }) => embeddings.length > 1).length;
  if (several < 2) {
    throw new FaceError(
      "DATASET_INVALID",
      `identification takes two people or more with several photographs; ${several} came`,
      { hint: "give a dataset with at least two photographs of most people" },
    );
  }
  const seeds = Array.from({ length: count }, (_, i) => seed + i);
  const { mated, strangers } = splitOpenSet(present, seed);
  const total = count * (mated.length + strangers.length);
  let done = 0;
  const splits: Searches[] = [];
  for (const each of seeds)
    splits.push(await searched(present, each, options, () => onSearch?.(++done, total)));

  const least = 1 / strangers.length;
  const wanted = FPIRS.filter((fpir) => fpir >= least);
  const fine = Array.from({ length: CURVE_STEPS + 1 }, (_, i) => least ** (1 - i / CURVE_STEPS));
  const fpirs = [...wanted, ...fine].toSorted((a, b) => a - b);
  const once = new Uint8Array(present.length).fill(1);
  const rates = ratesOf(splits, fpirs, once);
  const intervals = intervalsOf(splits, fpirs, present.length, seed);
  const thresholds = mean(splits.map(({ alarms }) => thresholdsAt(fpirs, alarms, once)));
  const measured = (i: number): Measured => {
    const [value, [low, high]] = [rates[i]!, intervals[i]!];
    const interval = low === high ? wilson(value * mated.length, mated.length) : ([low, high] as const);
    return { value, interval };
  };
  const point = (fpir: number): OpenSetPoint => {
    const i = fpirs.indexOf(fpir);
    return { fpir, threshold: thresholds[i]!, dir: measured(i) };
  };
  return {
    people: present.length,
    photographs: present.reduce((sum, { embeddings }) => sum + embeddings.length, 0),
    template,
    splits: count,
    seed,
    enrolled: splits[0]!.enrolled,
    mated: mated.length,
    strangers: strangers.length,
    cmc: ranksOf(splits[0]!.enrolled).map((rank, i) => ({ rank, rate: measured(fpirs.length + i) })),
    points: wanted.map(point),
    curve: fine.filter((fpir) => fpir < 1).map(point),
    bySplit: splits.map((split, i) => {
      const { found, alarms } = split;
      const own = thresholdsAt(wanted, alarms, once);
      const dirs = detected(own, found, once);
      return {
        seed: seeds[i]!,
        rankOne: rankRates(split, once)[0]!,
        points: wanted.map((fpir, k) => ({ fpir, dir: dirs[k]!, threshold: own[k]! })),
      };
    }),
  };
}
