/** @file The pairs a verifier gets most wrong: what to look at first. */
import type { ScoredPairs } from "./scores.ts";

/** A wrong decision. */
export interface Mistake {
  /** Number of the pair in the list it was scored in. */
  readonly pair: number;
  readonly score: number;
  readonly same: boolean;
}

/**
 * The wrong decisions that are furthest from the threshold, worst first, of either kind.
 * @param most at most so many of each kind.
 */
export function worstMistakes(
  { scores, same }: ScoredPairs,
  threshold: number,
  most: number,
): { readonly falseAccepts: readonly Mistake[]; readonly falseRejects: readonly Mistake[] } {
  const wrong = Array.from(scores, (score, pair) => ({ pair, score, same: same[pair] === 1 }))
    .filter((decision) => decision.score >= threshold !== decision.same)
    .sort((a, b) => Math.abs(b.score - threshold) - Math.abs(a.score - threshold));
  return {
    falseAccepts: wrong.filter((mistake) => !mistake.same).slice(0, most),
    falseRejects: wrong.filter((mistake) => mistake.same).slice(0, most),
  };
}
