/** @file Checkpoints: the complete state of a run in one safetensors file, from which it resumes to the same bits. */

import { z } from "zod";
import { epochSchema } from "../artifact/description.ts";
import { checkPath } from "../base/check-options.ts";
import { FaceError, messageOf } from "../base/errors.ts";
import { readWhole, writeFileAtomic } from "../base/files.ts";
import type { TensorMap } from "../base/tensor.ts";
import { type SettledConfig, storedConfigSchema } from "./config.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";

const FORMAT = "faceid-checkpoint-1";

/** Results of an epoch. */
export type EpochRecord = z.infer<typeof epochSchema>;

const sumsSchema = z.strictObject({ loss: z.number(), accuracy: z.number(), seconds: z.number() });

const progressSchema = z.strictObject({
  /** Complete epochs. */
  epoch: z.number().int(),
  /** Steps done in the current epoch. */
  stepInEpoch: z.number().int(),
  /** Steps done since the start. */
  step: z.number().int(),
  /** Sums over the steps of the current epoch. */
  sums: sumsSchema,
  history: z.array(epochSchema),
});

/** The position of a run. */
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

/** Writes a checkpoint atomically. */
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
 * @throws FaceError `CHECKPOINT_INVALID` when the file is missing, damaged or not a checkpoint; `CONFIG_INVALID` for a removed setting.
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  checkPath("readCheckpoint, the path", path);
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(path);
  } catch (error) {
    throw new FaceError("CHECKPOINT_INVALID", `cannot read the checkpoint ${path}: ${messageOf(error)}`, {
      hint: "pass a run's folder or one of its .safetensors files",
      cause: error,
    });
  }
  const { tensors, metadata } = readSafetensors(bytes);
  const config = storedConfigSchema.safeParse(parseJson(metadata.config));
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
