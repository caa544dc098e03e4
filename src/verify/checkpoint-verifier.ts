/** @file Opens a checkpoint for use: embeddings and probabilities from its weights. */
import type { Verifier } from "../model/verifier.ts";
import type { Checkpoint } from "../train/checkpoint.ts";
import { networkVerifier } from "../train/inference.ts";

/** A verifier with a checkpoint's weights, one inference session per core. */
export function checkpointVerifier({ config, state }: Checkpoint): Promise<Verifier> {
  return networkVerifier(config, state);
}
