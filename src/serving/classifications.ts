/** @file What classify answers: labels with scores. */

/** A label and its score. */
export interface ScoredClass {
  readonly label: string;
  readonly score: number;
}

/** The labels and scores of `batch` examples with `count` classes each, row by row. */
export interface Classifications {
  readonly method: "classify";
  readonly batch: number;
  readonly count: number;
  readonly labels: readonly Uint8Array[] | undefined;
  readonly scores: Float32Array | undefined;
}

/** The labels and scores of one example. */
export function classesOf({ count, labels, scores }: Classifications, row: number): ScoredClass[] {
  return Array.from({ length: count }, (_, column) => {
    const place = row * count + column;
    const label = labels?.[place];
    return {
      label: label === undefined ? "" : Buffer.from(label).toString("utf8"),
      score: scores?.[place] ?? 0,
    };
  });
}
