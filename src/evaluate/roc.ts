/** @file The receiver operating characteristic, exactly: one point for every distinct score. */
import { countPairs, requireBothKinds, type ScoredPairs } from "./scores.ts";

/** Pairs with a score of at least `threshold` count as one person. */
export interface RocPoint {
  readonly threshold: number;
  /** Share of different people accepted: false accept rate. */
  readonly far: number;
  /** Share of one person accepted: true accept rate. */
  readonly tar: number;
}

/**
 * The curve from accepting nobody to accepting all, by falling threshold; pairs of equal score fall together.
 * @throws FaceError `DATASET_INVALID` when one kind of pairs is missing.
 */
export function rocCurve(pairs: ScoredPairs): RocPoint[] {
  requireBothKinds(pairs);
  const { scores, same } = pairs;
  const { positives, negatives } = countPairs(pairs);
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  const points: RocPoint[] = [{ threshold: Number.POSITIVE_INFINITY, far: 0, tar: 0 }];
  let [accepted, right] = [0, 0];
  order.forEach((pair, place) => {
    accepted++;
    right += same[pair]!;
    const next = order[place + 1];
    if (next !== undefined && scores[next] === scores[pair]) return;
    points.push({ threshold: scores[pair]!, far: (accepted - right) / negatives, tar: right / positives });
  });
  return points;
}

/**
 * Area under the curve: the chance that a pair of one person scores above a pair of two, ties counting half
 * (Mann and Whitney, 1947).
 */
export function areaUnder(curve: readonly RocPoint[]): number {
  let area = 0;
  for (let i = 1; i < curve.length; i++) {
    area += ((curve[i]!.far - curve[i - 1]!.far) * (curve[i]!.tar + curve[i - 1]!.tar)) / 2;
  }
  return area;
}

/** Where false accepts and false rejects are equally frequent, on the straight line between the points around it. */
export function equalErrorRate(curve: readonly RocPoint[]): number {
  const gap = ({ far, tar }: RocPoint) => far - (1 - tar);
  const after = curve.findIndex((point) => gap(point) >= 0);
  const [a, b] = [curve[after - 1]!, curve[after]!];
  const share = -gap(a) / (gap(b) - gap(a));
  return a.far + share * (b.far - a.far);
}

/** The point with the most true accepts whose false accept rate is at most `far`. */
export function pointAtFar(curve: readonly RocPoint[], far: number): RocPoint {
  return curve.findLast((point) => point.far <= far) ?? curve[0]!;
}

/** Share of right decisions when pairs of at least `threshold` are accepted. */
export function accuracyAt({ scores, same }: ScoredPairs, threshold: number): number {
  let right = 0;
  scores.forEach((score, i) => {
    right += (score >= threshold ? 1 : 0) === same[i] ? 1 : 0;
  });
  return right / scores.length;
}

/** A threshold between neighbouring scores decides alike for the pairs at hand; the middle is fairest to new ones. */
function between(curve: readonly RocPoint[], i: number): number {
  const [here, below] = [curve[i]!.threshold, curve[i + 1]?.threshold];
  if (!Number.isFinite(here)) return below ?? here;
  return below === undefined ? here : (here + below) / 2;
}

/** The middle of the gap below a point of the curve. */
export function thresholdBelow(curve: readonly RocPoint[], point: RocPoint): number {
  return between(curve, curve.indexOf(point));
}

/** The threshold with the most right decisions; of several, the one in the middle of their run of scores. */
export function bestThreshold(pairs: ScoredPairs): number {
  const curve = rocCurve(pairs);
  const { positives, negatives } = countPairs(pairs);
  const right = curve.map(({ far, tar }) => Math.round(tar * positives + (1 - far) * negatives));
  const most = Math.max(...right);
  const places = right.flatMap((count, i) => (count === most ? [i] : []));
  return between(curve, places[Math.floor(places.length / 2)]!);
}
