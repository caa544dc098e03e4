/** @file Checkpoints: everything a run needs to go on as if it had never stopped, in one safetensors file. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { epochSchema } from "../artifact/description.ts";
import { FaceError, messageOf } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import type { TensorMap } from "../base/tensor.ts";
import { type SettledConfig, trainConfigSchema } from "./config.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";

const FORMAT = "faceid-checkpoint-1";

/** What an epoch came to. */
export type EpochRecord = z.infer<typeof epochSchema>;

const sumsSchema = z.strictObject({ loss: z.number(), accuracy: z.number(), seconds: z.number() });

const progressSchema = z.strictObject({
  /** Epochs that are complete. */
  epoch: z.number().int(),
  /** Steps done in the epoch after them. */
  stepInEpoch: z.number().int(),
  /** Steps done in all. */
  step: z.number().int(),
  /** Sums over the steps done in the unfinished epoch. */
  sums: sumsSchema,
  history: z.array(epochSchema),
});

/** Where a run stands. */
export type Progress = z.infer<typeof progressSchema>;

export const START: Progress = {
  epoch: 0,
  stepInEpoch: 0,
  step: 0,
  sums: { loss: 0, accuracy: 0, seconds: 0 },
  history: [],
};

export interface Checkpoint {
  readonly config: SettledConfig;
  readonly progress: Progress;
  /** Weights, running statistics and the optimiser's slots. */
  readonly state: TensorMap;
}

/** Writes a checkpoint whole or not at all. */
export async function writeCheckpoint(path: string, { config, progress, state }: Checkpoint): Promise<void> {
  const metadata = { format: FORMAT, config: JSON.stringify(config), progress: JSON.stringify(progress) };
  await writeFileAtomic(path, writeSafetensors(state, metadata));
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}

/**
 * Reads a checkpoint.
 * @throws FaceError `CHECKPOINT_INVALID` when the file is missing, damaged or no checkpoint of ours.
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new FaceError("CHECKPOINT_INVALID", `cannot read the checkpoint ${path}: ${messageOf(error)}`, {
      hint: "pass a run's folder or one of its .safetensors files",
      cause: error,
    });
  }
  const { tensors, metadata } = readSafetensors(bytes);
  const config = trainConfigSchema.required({ replicas: true }).safeParse(parseJson(metadata.config));
  const progress = progressSchema.safeParse(parseJson(metadata.progress));
  if (metadata.format !== FORMAT || !config.success || !progress.success) {
    const misfit = config.error?.issues[0] ?? progress.error?.issues[0];
    throw new FaceError("CHECKPOINT_INVALID", `${path} is no checkpoint of this version of faceid`, {
      hint:
        metadata.format === FORMAT && misfit !== undefined
          ? `another version wrote it: ${[...misfit.path, misfit.message].join(": ")}`
          : `expected format ${FORMAT}, got ${metadata.format ?? "none"}`,
    });
  }
  return { config: config.data as SettledConfig, progress: progress.data, state: tensors };
}
