/** @file The learning rate at each step of a run. */
import type { TrainConfig } from "./config.ts";

type ScheduleConfig = Pick<
  TrainConfig,
  "learningRate" | "schedule" | "decayEpochs" | "warmupSteps" | "epochs"
>;

const STEP_FACTOR = 0.1;

/** The learning rate after warm-up, at a fraction of the run. */
function decayed({ learningRate, schedule, decayEpochs, epochs }: ScheduleConfig, done: number): number {
  switch (schedule) {
    case "constant":
      return learningRate;
    case "cosine":
      // Half a cosine down to zero (Loshchilov and Hutter, 2017, without restarts).
      return (learningRate * (1 + Math.cos(Math.PI * Math.min(done, 1)))) / 2;
    case "step":
      return learningRate * STEP_FACTOR ** decayEpochs.filter((epoch) => done * epochs >= epoch).length;
  }
}

/**
 * The learning rate of a step.
 * @param step counted from 1.
 * @param stepsPerEpoch steps in each epoch.
 */
export function learningRateAt(config: ScheduleConfig, step: number, stepsPerEpoch: number): number {
  const warm = config.warmupSteps > 0 ? Math.min(1, step / config.warmupSteps) : 1;
  return warm * decayed(config, (step - 1) / (stepsPerEpoch * config.epochs));
}
