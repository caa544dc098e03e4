/** @file Chooses by cross-validation over people what to fit to fixed embeddings: nothing, a projection, or a head as well. */
import { Random } from "../base/random.ts";
import type { TensorMap } from "../base/tensor.ts";
import { areaUnder, equalErrorRate, pointAtFar, rocCurve } from "../evaluate/roc.ts";
import { selectRows } from "../evaluate/score-pairs.ts";
import type { HeadKind } from "../model/model-config.ts";
import { fitLogistic } from "../nn/logistic-fit.ts";
import {
  type LabelledEmbeddings,
  pldaProjection,
  pldaStatistics,
  project,
  type Shrinkage,
} from "../nn/plda.ts";
import { dot } from "../nn/symmetric-eigen.ts";
import { type EmbeddedPairs, fitHead, logitsOf } from "./fit-head.ts";

/** What may be fitted to embeddings. */
export interface Fit {
  /** Of the projection; none when left out. */
  readonly projection?: Shrinkage;
  readonly head: HeadKind;
}

/** How a fit did on people whom it was not fitted to. */
export interface FitTrial {
  readonly fit: Fit;
  /** Cross-entropy of calibrated scores, mean over the folds. */
  readonly loss: number;
  /** Mean over the folds. */
  readonly eer: number;
  readonly auc: number;
  /** True accept rate at a false accept rate of 0.001, or of the lowest that the pairs of a fold have. */
  readonly tar: number;
  /** Its loss less that of the plain cosine: mean over the folds and the mean's standard error. */
  readonly difference: number;
  readonly standardError: number;
}

/** What was tried, and what is best. */
export interface FitChoice {
  readonly folds: number;
  /** People with two or more images. */
  readonly people: number;
  /** The plain cosine first; empty with too few people for two folds. */
  readonly trials: readonly FitTrial[];
  readonly chosen: Fit;
}

/** The embeddings as they are, compared by their cosine. */
export const PLAIN: Fit = { head: "cosine" };

/** From the least to the most trust in the people's own covariances. */
const PROJECTIONS: readonly Shrinkage[] = [
  { within: 10, between: 10 },
  { within: 3, between: 3 },
  { within: 1, between: 1 },
  { within: 3, between: 0.3 },
  { within: 1, between: 0 },
  { within: 0.3, between: 0 },
  { within: 0.05, between: 0 },
];

const MOST_FOLDS = 5;
/** Where access control decides. */
const LOW_FAR = 0.001;
/** People of a fold: a pair of one person and one of two. */
const LEAST_IN_FOLD = 2;
/** Fewer people do not teach a head; it is trained on so many of the folds, since that takes seconds each. */
const LEAST_FOR_HEAD = 50;
const HEAD_FOLDS = 3;
const TRIAL_STEPS = 150;
/** Images of a person, so that those with many do not decide alone. */
const MOST_EACH = 6;
/** Images of a fold that are paired with each other, and pairs of two people of these. */
const MOST_IMAGES = 800;
const MOST_NEGATIVES = 10_000;

interface Fold {
  readonly fitted: LabelledEmbeddings;
  readonly held: LabelledEmbeddings;
  /** Positions in `held`. */
  readonly pairs: readonly (readonly [left: number, right: number])[];
  readonly same: readonly boolean[];
}

function part({ values, size, labels }: LabelledEmbeddings, rows: readonly number[]): LabelledEmbeddings {
  return { values: selectRows(values, size, rows), size, labels: rows.map((row) => labels[row]!) };
}

/** The rows of each person. */
function rowsByPerson({ labels }: LabelledEmbeddings): number[][] {
  const people = new Map<number, number[]>();
  for (const [row, label] of labels.entries()) {
    const own = people.get(label);
    if (own === undefined) people.set(label, [row]);
    else own.push(row);
  }
  return [...people.values()];
}

/** All pairs of one person, and as many of two people as are allowed, evenly spread. */
function pairsOf({ labels }: LabelledEmbeddings): Pick<Fold, "pairs" | "same"> {
  const positives: [number, number][] = [];
  const negatives: [number, number][] = [];
  for (let a = 0; a < labels.length; a++) {
    for (let b = a + 1; b < labels.length; b++)
      (labels[a] === labels[b] ? positives : negatives).push([a, b]);
  }
  const step = Math.max(1, Math.ceil(negatives.length / MOST_NEGATIVES));
  const kept = negatives.filter((_, i) => i % step === 0);
  return { pairs: [...positives, ...kept], same: [...positives.map(() => true), ...kept.map(() => false)] };
}

/** Deals the people with two images out to folds, each of which is held out once. */
function foldsOf(embeddings: LabelledEmbeddings, random: Random): Fold[] {
  const people = random.shuffle(rowsByPerson(embeddings).filter((rows) => rows.length >= 2));
  const count = Math.min(MOST_FOLDS, Math.floor(people.length / LEAST_IN_FOLD));
  if (count < 2) return [];
  return Array.from({ length: count }, (_, k) => {
    const inFold = people
      .filter((_, i) => i % count === k)
      .flatMap((rows) => rows.slice(0, MOST_EACH))
      .slice(0, MOST_IMAGES);
    const held = part(embeddings, inFold);
    const rest = people.filter((_, i) => i % count !== k).flat();
    return { fitted: part(embeddings, rest), held, ...pairsOf(held) };
  });
}

interface Measured {
  readonly loss: number;
  readonly eer: number;
  readonly auc: number;
  readonly tar: number;
}

function measured(scores: Float64Array | Float32Array, same: readonly boolean[]): Measured {
  const curve = rocCurve({
    scores: Float64Array.from(scores),
    same: Uint8Array.from(same, (value) => (value ? 1 : 0)),
  });
  return {
    loss: fitLogistic(scores, same).loss,
    eer: equalErrorRate(curve),
    auc: areaUnder(curve),
    tar: pointAtFar(curve, LOW_FAR).tar,
  };
}

function cosines({ pairs }: Fold, values: Float32Array, size: number): Float64Array {
  const rows = Array.from({ length: values.length / size }, (_, row) =>
    Float64Array.from(values.subarray(row * size, (row + 1) * size)),
  );
  return Float64Array.from(pairs, ([a, b]) => dot(rows[a]!, rows[b]!));
}

/** Both sides of the held-out pairs. */
function sides({ pairs, same }: Fold, values: Float32Array, size: number): EmbeddedPairs {
  const side = (at: 0 | 1) =>
    selectRows(
      values,
      size,
      pairs.map((pair) => pair[at]),
    );
  return { left: side(0), right: side(1), same };
}

async function headTrial(fold: Fold, shrinkage: Shrinkage, seed: number): Promise<Measured> {
  const { size } = fold.held;
  const projection = pldaProjection(pldaStatistics(fold.fitted), size, shrinkage);
  const fitted = { ...fold.fitted, values: project(projection, fold.fitted.values, size) };
  const held = sides(fold, project(projection, fold.held.values, size), size);
  const { weights } = await fitHead(fitted, held, { seed, steps: TRIAL_STEPS });
  return measured(await logitsOf(weights, held), held.same);
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function trialOf(fit: Fit, results: readonly Measured[], plain: readonly Measured[]): FitTrial {
  const differences = results.map(({ loss }, i) => loss - plain[i]!.loss);
  const difference = meanOf(differences);
  const variance =
    differences.reduce((sum, each) => sum + (each - difference) ** 2, 0) / (results.length - 1);
  return {
    fit,
    loss: meanOf(results.map(({ loss }) => loss)),
    eer: meanOf(results.map(({ eer }) => eer)),
    auc: meanOf(results.map(({ auc }) => auc)),
    tar: meanOf(results.map(({ tar }) => tar)),
    difference,
    standardError: Math.sqrt(variance / results.length),
  };
}

const best = (trials: readonly FitTrial[]): FitTrial | undefined =>
  trials.reduce<FitTrial | undefined>((a, b) => (a === undefined || b.loss < a.loss ? b : a), undefined);

/** A smaller gain is worth less than the pack's thresholds, which hold for its own cosine only. */
const LEAST_GAIN = 5e-4;

/** Whether a fit is better than another beyond chance and by an amount that matters, and errs no more often anywhere. */
const beats = (trial: FitTrial, other: FitTrial): boolean =>
  other.difference - trial.difference > Math.max(LEAST_GAIN, trial.standardError) &&
  trial.eer <= other.eer &&
  trial.tar >= other.tar;

/** How a network that was trained further compares with the plain cosine of what it was, on people held out of its training. */
export interface Tuning {
  /** Parts of these people, by which the standard error goes. */
  readonly folds: number;
  /** People with two or more images. */
  readonly people: number;
  readonly plain: FitTrial;
  readonly tuned: FitTrial;
  readonly isKept: boolean;
}

/**
 * Compares a network with what it was, by the rule of `chooseFit`.
 * @param before embeddings of the network as it was, of people held out of the further training.
 * @param after embeddings of the same images by the network as it is now.
 * @param head what compares the embeddings now; their cosine when left out.
 * @returns undefined with too few people for two folds.
 */
export async function compareTuned(
  before: LabelledEmbeddings,
  after: LabelledEmbeddings,
  { head, seed }: { readonly head?: TensorMap | undefined; readonly seed: number },
): Promise<Tuning | undefined> {
  const foldsBy = (embeddings: LabelledEmbeddings) =>
    foldsOf(embeddings, new Random(seed).fork("folds of people"));
  const [old, now] = [foldsBy(before), foldsBy(after)];
  if (old.length === 0) return undefined;
  const plain = old.map((fold) => measured(cosines(fold, fold.held.values, before.size), fold.same));
  const results: Measured[] = [];
  for (const fold of now) {
    const scores =
      head === undefined
        ? cosines(fold, fold.held.values, after.size)
        : await logitsOf(head, sides(fold, fold.held.values, after.size));
    results.push(measured(scores, fold.same));
  }
  const reference = trialOf(PLAIN, plain, plain);
  const tuned = trialOf({ head: head === undefined ? "cosine" : "dense" }, results, plain);
  const people = rowsByPerson(before).filter((rows) => rows.length >= 2).length;
  return { folds: old.length, people, plain: reference, tuned, isKept: beats(tuned, reference) };
}

/**
 * Tries projections and the head on people who are held out in turn. A fit is chosen when its loss is lower than that of
 * the plain cosine by more than a standard error and its equal error rate is not higher, nor its true accept rate at
 * a low false accept rate lower; of those the one with the lowest loss. The head is tried on it, and chosen by the same rule.
 */
export async function chooseFit(
  embeddings: LabelledEmbeddings,
  { seed }: { seed: number },
): Promise<FitChoice> {
  const folds = foldsOf(embeddings, new Random(seed).fork("folds of people"));
  const people = rowsByPerson(embeddings).filter((rows) => rows.length >= 2).length;
  if (folds.length === 0) return { folds: 0, people, trials: [], chosen: PLAIN };
  const { size } = embeddings;
  const plain = folds.map((fold) => measured(cosines(fold, fold.held.values, size), fold.same));
  const statistics = folds.map(({ fitted }) => pldaStatistics(fitted));
  const projected = PROJECTIONS.map((projection) => {
    const results = folds.map((fold, k) => {
      const values = project(pldaProjection(statistics[k]!, size, projection), fold.held.values, size);
      return measured(cosines(fold, values, size), fold.same);
    });
    return trialOf({ projection, head: "cosine" }, results, plain);
  });
  const reference = trialOf(PLAIN, plain, plain);
  const passed = best(projected.filter((trial) => beats(trial, reference)));
  const trials = [reference, ...projected];
  if (passed === undefined) return { folds: folds.length, people, trials, chosen: PLAIN };
  if (people < LEAST_FOR_HEAD) return { folds: folds.length, people, trials, chosen: passed.fit };
  // The head is compared with the projection alone, on the same folds.
  const shrinkage = passed.fit.projection!;
  const tried = folds.slice(0, HEAD_FOLDS);
  const results: Measured[] = [];
  for (const fold of tried) results.push(await headTrial(fold, shrinkage, seed));
  const alone = tried.map((fold, k) => {
    const values = project(pldaProjection(statistics[k]!, size, shrinkage), fold.held.values, size);
    return measured(cosines(fold, values, size), fold.same);
  });
  const headed = trialOf({ projection: shrinkage, head: "dense" }, results, alone);
  const isBetter = beats(headed, trialOf(passed.fit, alone, alone));
  return {
    folds: folds.length,
    people,
    trials: [...trials, headed],
    chosen: isBetter ? headed.fit : passed.fit,
  };
}
