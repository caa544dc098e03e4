/** @file Opens a checkpoint for use: embeddings and probabilities from its weights. */
import { availableParallelism } from "node:os";
import type { Verifier } from "../model/verifier.ts";
import type { Checkpoint } from "../train/checkpoint.ts";
import { TrainingEngine } from "../train/engine.ts";
import { lossOf, optimizerSettings } from "../train/network-run.ts";
import { networkImageOf } from "../train/people.ts";
import { averagedState } from "../train/weight-averages.ts";

/** A verifier with a checkpoint's weights, one inference session per core. */
export async function checkpointVerifier({ config, state }: Checkpoint): Promise<Verifier> {
  const engine = await TrainingEngine.open({
    network: config.model,
    loss: lossOf(config, 0),
    image: networkImageOf(config),
    batchSize: 0,
    optimizer: optimizerSettings(config),
    weightDecay: 0,
    replicas: availableParallelism(),
    threads: 1,
  });
  await engine.load(averagedState(state));
  return engine;
}
