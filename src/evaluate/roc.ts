/** @file The exact ROC curve, with one point per distinct score, and what is read off it. */
import { countPairs, requireBothKinds, type ScoredPairs } from "./scores.ts";

/** Rates when pairs with a score of at least `threshold` are accepted. */
export interface RocPoint {
  readonly threshold: number;
  /** False accept rate: fraction of pairs of different people that are accepted. */
  readonly far: number;
  /** True accept rate: fraction of pairs of the same person that are accepted. */
  readonly tar: number;
}

/** Pairs by descending score. */
export type RankedPairs = ScoredPairs;

/**
 * Sorts pairs by descending score.
 * @throws FaceError `DATASET_INVALID` when one kind of pairs is missing.
 */
export function rankPairs(pairs: ScoredPairs): RankedPairs {
  requireBothKinds(pairs);
  const { scores, same } = pairs;
  const order = Uint32Array.from(scores, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  return {
    scores: Float64Array.from(order, (i) => scores[i]!),
    same: Uint8Array.from(order, (i) => same[i]!),
  };
}

/**
 * The curve by descending threshold, from accepting no pair to accepting all; pairs of equal score share a point.
 * @param times how often each pair counts. Default once.
 */
export function curveOf({ scores, same }: RankedPairs, times?: Uint32Array): RocPoint[] {
  const accepted = [0, 0] as [number, number];
  const steps: { threshold: number; wrong: number; right: number }[] = [];
  for (let i = 0; i < scores.length; i++) {
    accepted[same[i] === 1 ? 1 : 0] += times?.[i] ?? 1;
    if (scores[i + 1] === scores[i]) continue;
    steps.push({ threshold: scores[i]!, wrong: accepted[0], right: accepted[1] });
  }
  const [negatives, positives] = accepted;
  return [
    { threshold: Number.POSITIVE_INFINITY, far: 0, tar: 0 },
    ...steps.map(({ threshold, wrong, right }) => ({
      threshold,
      far: wrong / negatives,
      tar: right / positives,
    })),
  ];
}

/**
 * The curve of pairs in any order.
 * @throws FaceError `DATASET_INVALID` when one kind of pairs is missing.
 */
export function rocCurve(pairs: ScoredPairs): RocPoint[] {
  return curveOf(rankPairs(pairs));
}

/**
 * Area under the curve: the probability that a pair of the same person scores higher than one of different people, ties
 * counting half (Mann and Whitney, 1947).
 */
export function areaUnder(curve: readonly RocPoint[]): number {
  let area = 0;
  for (let i = 1; i < curve.length; i++) {
    area += ((curve[i]!.far - curve[i - 1]!.far) * (curve[i]!.tar + curve[i - 1]!.tar)) / 2;
  }
  return area;
}

/** The rate at which false accepts and false rejects are equal, interpolated linearly. */
export function equalErrorRate(curve: readonly RocPoint[]): number {
  const gap = ({ far, tar }: RocPoint) => far - (1 - tar);
  const after = curve.findIndex((point) => gap(point) >= 0);
  const [a, b] = [curve[after - 1]!, curve[after]!];
  const fraction = -gap(a) / (gap(b) - gap(a));
  return a.far + fraction * (b.far - a.far);
}

/** The point with the highest true accept rate whose false accept rate is at most `far`. */
export function pointAtFar(curve: readonly RocPoint[], far: number): RocPoint {
  return curve.findLast((point) => point.far <= far) ?? curve[0]!;
}

/** Fraction of right decisions when pairs of at least `threshold` are accepted. */
export function accuracyAt({ scores, same }: ScoredPairs, threshold: number): number {
  let right = 0;
  scores.forEach((score, i) => {
    right += (score >= threshold ? 1 : 0) === same[i] ? 1 : 0;
  });
  return right / scores.length;
}

/** A threshold just above a score. */
const justAbove = (score: number) => score + Math.abs(score) * Number.EPSILON + Number.MIN_VALUE;

/**
 * The threshold for a point of the curve: midway between the lowest accepted score and the highest refused one; just above
 * the highest score if none is accepted.
 */
export function thresholdAt(curve: readonly RocPoint[], point: RocPoint): number {
  const below = curve[curve.indexOf(point) + 1]?.threshold;
  if (below === undefined) return point.threshold;
  if (point.threshold === Number.POSITIVE_INFINITY) return justAbove(below);
  const middle = below + (point.threshold - below) / 2;
  // There is nothing between neighbouring floating-point numbers.
  return middle > below ? middle : point.threshold;
}

/** The threshold with the highest accuracy; of several, the middle one. */
export function bestThreshold(pairs: ScoredPairs): number {
  const curve = rocCurve(pairs);
  const { positives, negatives } = countPairs(pairs);
  const right = ({ far, tar }: RocPoint) => Math.round(tar * positives + (1 - far) * negatives);
  const most = curve.reduce((best, point) => Math.max(best, right(point)), 0);
  const best = curve.filter((point) => right(point) === most);
  return thresholdAt(curve, best[Math.floor(best.length / 2)]!);
}
