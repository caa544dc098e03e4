/** @file Logistic regression on one score (Platt, 1999), which turns scores into probabilities. */

export interface LogisticFit {
  /** The log odds of a score are `slope · score + offset`. */
  readonly slope: number;
  readonly offset: number;
  /** Mean cross-entropy, with equal total weight for both kinds of pairs. */
  readonly loss: number;
}

const MOST_STEPS = 100;
const SMALLEST_STEP = 1e-9;
/** Keeps the slope finite where a threshold separates the two kinds. */
const RIDGE = 1e-6;

const logistic = (x: number) => 1 / (1 + Math.exp(-x));
/** `log(1 + eˣ)` */
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

interface Scaled {
  readonly x: Float64Array;
  readonly weights: Float64Array;
  readonly centre: number;
  readonly spread: number;
}

/** Standardised scores, and weights that sum to one half for each kind. */
function scaled(scores: ArrayLike<number>, same: readonly boolean[]): Scaled {
  const positives = same.filter((value) => value).length;
  const weights = Float64Array.from(same, (value) => 0.5 / (value ? positives : same.length - positives));
  const centre = weights.reduce((sum, weight, i) => sum + weight * scores[i]!, 0);
  const variance = weights.reduce((sum, weight, i) => sum + weight * (scores[i]! - centre) ** 2, 0);
  const spread = Math.sqrt(variance) || 1;
  return { x: Float64Array.from(same, (_, i) => (scores[i]! - centre) / spread), weights, centre, spread };
}

/** One step of Newton's method from the given line. */
function newtonStep({ x, weights }: Scaled, same: readonly boolean[], slope: number, offset: number) {
  let [g0, g1, h00, h01, h11] = [RIDGE * slope, 0, RIDGE, 0, RIDGE];
  x.forEach((value, i) => {
    const probability = logistic(slope * value + offset);
    const error = weights[i]! * (probability - (same[i] ? 1 : 0));
    const curvature = weights[i]! * probability * (1 - probability);
    g0 += error * value;
    g1 += error;
    h00 += curvature * value * value;
    h01 += curvature * value;
    h11 += curvature;
  });
  const determinant = h00 * h11 - h01 * h01;
  return { slope: (g0 * h11 - g1 * h01) / determinant, offset: (g1 * h00 - g0 * h01) / determinant };
}

function lossOf({ x, weights }: Scaled, same: readonly boolean[], slope: number, offset: number): number {
  return x.reduce((sum, value, i) => {
    const z = slope * value + offset;
    return sum + weights[i]! * softplus(same[i] ? -z : z);
  }, 0);
}

/** Fits log odds to scores of pairs, with at least one pair of each kind and equal total weight for both. */
export function fitLogistic(scores: ArrayLike<number>, same: readonly boolean[]): LogisticFit {
  const data = scaled(scores, same);
  let [slope, offset] = [0, 0];
  let loss = lossOf(data, same, slope, offset);
  for (let step = 0; step < MOST_STEPS; step++) {
    const move = newtonStep(data, same, slope, offset);
    // Halved until the loss falls: far from the minimum Newton's step may be too long.
    let fraction = 1;
    const trial = () => lossOf(data, same, slope - fraction * move.slope, offset - fraction * move.offset);
    while (fraction > SMALLEST_STEP && !(trial() < loss)) fraction /= 2;
    if (fraction <= SMALLEST_STEP) break;
    loss = trial();
    slope -= fraction * move.slope;
    offset -= fraction * move.offset;
  }
  return { slope: slope / data.spread, offset: offset - (slope * data.centre) / data.spread, loss };
}
