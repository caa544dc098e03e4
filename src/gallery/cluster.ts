/** @file Groups of embeddings that show one person each: agglomerative clustering by average linkage, without a matrix of distances. */

/**
 * Clusters directions. Two clusters are as alike as their members are on average (UPGMA; Sokal and Michener, 1958), and the most
 * alike are joined as long as they are alike enough. For directions of unit length the average cosine is the product of the
 * clusters' sums divided by their sizes, and clusters of which no two members are alike enough are never joined, so only the pairs
 * that are alike are kept. The order of the joins is that of nearest-neighbour chains (Murtagh, 1983), which gives the same clusters
 * as joining the most alike pair each time.
 * @param embeddings of unit length, all of one size.
 * @param threshold least average cosine of two clusters that are joined.
 * @returns the positions of each cluster's members, the largest cluster first; time O(n²), memory O(n + pairs that are alike).
 */
export function clusterByAverage(embeddings: readonly Float32Array[], threshold: number): number[][] {
  const chains = new Chains(embeddings, threshold);
  return chains.run().toSorted((a, b) => b.length - a.length || a[0]! - b[0]!);
}

/** The product of two rows of a matrix. */
function product(values: Float32Array, size: number, a: number, b: number): number {
  const [from, other] = [a * size, b * size];
  // Four sums at once, since an addition waits for the one before it.
  let [w, x, y, z] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < size; i += 4) {
    w += values[from + i]! * values[other + i]!;
    x += values[from + i + 1]! * values[other + i + 1]!;
    y += values[from + i + 2]! * values[other + i + 2]!;
    z += values[from + i + 3]! * values[other + i + 3]!;
  }
  for (; i < size; i++) w += values[from + i]! * values[other + i]!;
  return w + x + y + z;
}

/** The rows that are alike enough to each row. Rounding must not hide a pair that averages exactly to the threshold. */
function alikeRows(values: Float32Array, size: number, rows: number, threshold: number): number[][] {
  const alike = Array.from({ length: rows }, (): number[] => []);
  const least = threshold - 1e-6;
  for (let a = 0; a < rows; a++) {
    for (let b = a + 1; b < rows; b++) {
      if (product(values, size, a, b) < least) continue;
      alike[a]!.push(b);
      alike[b]!.push(a);
    }
  }
  return alike;
}

class Chains {
  readonly #size: number;
  readonly #threshold: number;
  /** The sums of the clusters' members, one row each; a cluster has the row of one of its members. */
  readonly #sums: Float32Array;
  readonly #alike: readonly (readonly number[])[];
  readonly #members: number[][];
  readonly #clusterOf: Int32Array;
  /** The last scan that has met a cluster. */
  readonly #met: Int32Array;
  #scan = 0;

  constructor(embeddings: readonly Float32Array[], threshold: number) {
    this.#threshold = threshold;
    this.#size = embeddings[0]?.length ?? 0;
    this.#sums = new Float32Array(embeddings.length * this.#size);
    for (const [i, embedding] of embeddings.entries()) this.#sums.set(embedding, i * this.#size);
    this.#alike = alikeRows(this.#sums, this.#size, embeddings.length, threshold);
    this.#members = embeddings.map((_, i) => [i]);
    this.#clusterOf = Int32Array.from(embeddings.keys());
    this.#met = new Int32Array(embeddings.length);
  }

  run(): number[][] {
    const done: number[][] = [];
    const isDone = new Uint8Array(this.#members.length);
    for (const start of this.#members.keys()) {
      const chain: number[] = [];
      while (isDone[this.#clusterOf[start]!] === 0) {
        if (chain.length === 0) chain.push(this.#clusterOf[start]!);
        const last = chain.at(-1)!;
        const before = chain.at(-2);
        const { row, similarity } = this.#nearest(last, before);
        if (similarity < this.#threshold) {
          // Joins of others only lower its similarity to them, so it stays as it is.
          isDone[last] = 1;
          done.push(this.#members[last]!.toSorted((a, b) => a - b));
          chain.pop();
        } else if (row === before) {
          chain.splice(-2);
          this.#join(last, row);
        } else chain.push(row);
      }
    }
    return done;
  }

  /** The most alike cluster; of equal ones the one before in the chain, so that chains end. */
  #nearest(row: number, before: number | undefined): { row: number; similarity: number } {
    let [best, similarity] = [-1, Number.NEGATIVE_INFINITY];
    if (before !== undefined) [best, similarity] = [before, this.#similarity(row, before)];
    this.#scan++;
    for (const member of this.#members[row]!) {
      for (const other of this.#alike[member]!) {
        const cluster = this.#clusterOf[other]!;
        if (cluster === row || this.#met[cluster] === this.#scan) continue;
        this.#met[cluster] = this.#scan;
        const value = this.#similarity(row, cluster);
        if (value > similarity) [best, similarity] = [cluster, value];
      }
    }
    return { row: best, similarity };
  }

  #similarity(a: number, b: number): number {
    return product(this.#sums, this.#size, a, b) / (this.#members[a]!.length * this.#members[b]!.length);
  }

  /** Joins the smaller of two clusters to the larger. */
  #join(a: number, b: number): void {
    const [into, from] = this.#members[a]!.length >= this.#members[b]!.length ? [a, b] : [b, a];
    for (let i = 0; i < this.#size; i++)
      this.#sums[into * this.#size + i]! += this.#sums[from * this.#size + i]!;
    for (const member of this.#members[from]!) {
      this.#members[into]!.push(member);
      this.#clusterOf[member] = into;
    }
    this.#members[from] = [];
  }
}
