/** @file What the peers are asked to do; both sides take it as JSON on their command line. */

/** One network, one batch size, one kind of work. */
export interface Job {
  readonly network: "faceid" | "mobilefacenet";
  /** Pairs in one run. */
  readonly batch: number;
  readonly work: "training" | "inference" | "int8";
  readonly threads: number;
}
