/** @file How well clusters match people: pairwise F1 and B-cubed (Bagga and Baldwin, 1998; Amigó et al., 2009). */

/** Precision, recall and their harmonic mean; each in [0, 1]. */
export interface Agreement {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

export interface ClusteringReport {
  readonly faces: number;
  readonly people: number;
  readonly clusters: number;
  /** Over pairs of faces: those in one cluster, and those of one person. */
  readonly pairwise: Agreement;
  /** Over faces: the share of a face's cluster that is its person, and the share of its person in the cluster. */
  readonly bCubed: Agreement;
}

const agreement = (precision: number, recall: number): Agreement => ({
  precision,
  recall,
  f1: precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall),
});

const pairs = (count: number) => (count * (count - 1)) / 2;

/** Counts of equal values. */
function counted<T>(values: Iterable<T>): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/**
 * Compares clusters with people.
 * @param clusters positions of each cluster's faces; each face in one of them.
 * @param people the person of each face.
 */
export function measureClusters(
  clusters: readonly (readonly number[])[],
  people: readonly string[],
): ClusteringReport {
  const sizes = counted(people);
  let [together, right, precision, recall] = [0, 0, 0, 0];
  for (const cluster of clusters) {
    together += pairs(cluster.length);
    for (const [person, count] of counted(cluster.map((face) => people[face]!))) {
      right += pairs(count);
      precision += count ** 2 / cluster.length;
      recall += count ** 2 / sizes.get(person)!;
    }
  }
  const same = [...sizes.values()].reduce((sum, size) => sum + pairs(size), 0);
  // Without a pair nothing is wrong about pairs.
  const share = (part: number, whole: number) => (whole === 0 ? 1 : part / whole);
  return {
    faces: people.length,
    people: sizes.size,
    clusters: clusters.length,
    pairwise: agreement(share(right, together), share(right, same)),
    bCubed: agreement(share(precision, people.length), share(recall, people.length)),
  };
}
