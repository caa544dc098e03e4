/** @file Average linkage beside the definition: joining the most alike pair each time. */
import { describe, expect, it } from "vitest";
import { direction } from "../../test/support/gallery-stores.ts";
import { Random } from "../base/random.ts";
import { clusterByAverage } from "./cluster.ts";

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** O(n³), straight from the definition. */
function defined(embeddings: readonly Float32Array[], threshold: number): number[][] {
  const clusters = embeddings.map((_, i) => [i]);
  for (;;) {
    let [best, at] = [Number.NEGATIVE_INFINITY, [0, 0]];
    for (const [a, left] of clusters.entries()) {
      for (const [b, right] of clusters.entries()) {
        if (b <= a) continue;
        const sum = left
          .flatMap((i) => right.map((j) => dot(embeddings[i]!, embeddings[j]!)))
          .reduce((x, y) => x + y, 0);
        const average = sum / (left.length * right.length);
        if (average > best) [best, at] = [average, [a, b]];
      }
    }
    if (best < threshold) break;
    const [taken] = clusters.splice(at[1]!, 1);
    clusters[at[0]!]!.push(...taken!);
  }
  return clusters
    .map((cluster) => cluster.toSorted((a, b) => a - b))
    .toSorted((a, b) => b.length - a.length || a[0]! - b[0]!);
}

describe("clusterByAverage", () => {
  it.each([0.2, 0.4, 0.6, 0.8])("joins what the definition joins at %d", (threshold) => {
    for (const seed of [1, 2, 3]) {
      const random = new Random(seed);
      const centres = Array.from({ length: 8 }, () => direction(random, 8));
      const embeddings = Array.from({ length: 50 }, () => {
        const noise = direction(random, 8);
        const values = random.pick(centres).map((value, i) => value + 0.7 * noise[i]!);
        const length = Math.hypot(...values);
        return values.map((value) => value / length);
      });
      expect(clusterByAverage(embeddings, threshold)).toEqual(defined(embeddings, threshold));
    }
  });

  it("takes equal embeddings, one, and none", () => {
    const one = Float32Array.of(1, 0);
    expect(clusterByAverage([one, one, one], 0.9)).toEqual([[0, 1, 2]]);
    expect(clusterByAverage([one], 0.9)).toEqual([[0]]);
    expect(clusterByAverage([], 0.9)).toEqual([]);
    expect(clusterByAverage([one, Float32Array.of(0, 1)], 0.5)).toEqual([[0], [1]]);
  });
});
