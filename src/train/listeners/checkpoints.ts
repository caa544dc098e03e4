/** @file Keeps the last and the best state of a run on disk. */
import { join } from "node:path";
import { writeCheckpoint } from "../checkpoint.ts";
import type { TrainListener } from "../listener.ts";

export const LAST_CHECKPOINT = "last.safetensors";
export const BEST_CHECKPOINT = "best.safetensors";

/**
 * Writes `last.safetensors` after each epoch and whenever a run ends, and `best.safetensors` when the validation loss
 * is the lowest so far. A diverged run is not written: the last good checkpoint stays.
 */
export function checkpoints(
  folder: string,
  written: (path: string) => void | Promise<void> = () => undefined,
): TrainListener {
  const [last, best] = [join(folder, LAST_CHECKPOINT), join(folder, BEST_CHECKPOINT)];
  return {
    async onEpochEnd(end) {
      const checkpoint = await end.checkpoint();
      await writeCheckpoint(last, checkpoint);
      if (end.best) await writeCheckpoint(best, checkpoint);
      await written(last);
    },
    async onRunEnd(end) {
      if (end.reason !== "interrupted") return;
      await writeCheckpoint(last, await end.checkpoint());
      await written(last);
    },
  };
}
