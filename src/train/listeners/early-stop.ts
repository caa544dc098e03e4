/** @file Ends a run that has stopped getting better. */
import type { TrainListener } from "../listener.ts";

/** Stops after `patience` epochs without a lower validation loss; 0 never stops. */
export function earlyStop(patience: number): TrainListener {
  let without = 0;
  return {
    onRunStart({ progress }) {
      const losses = progress.history.map(({ validationLoss, loss }) => validationLoss ?? loss);
      // A resumed run goes on counting where it stood.
      without = losses.length === 0 ? 0 : losses.length - 1 - losses.indexOf(Math.min(...losses));
    },
    onEpochEnd({ best, stop }) {
      without = best ? 0 : without + 1;
      if (patience > 0 && without >= patience) stop(`no better validation loss for ${without} epochs`);
    },
  };
}
