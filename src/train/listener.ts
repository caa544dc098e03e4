/** @file The moments of a training run that others may listen to: progress bars, logs, checkpoints, early stopping. */
import type { Checkpoint, EpochRecord, Progress } from "./checkpoint.ts";
import type { SettledConfig } from "./config.ts";

export interface RunStart {
  readonly config: SettledConfig;
  readonly stepsPerEpoch: number;
  /** Where the run begins; not at zero when it is resumed. */
  readonly progress: Progress;
}

export interface StepRecord {
  /** Counted from 1 over the whole run. */
  readonly step: number;
  /** Epoch under way, counted from 1, and step within it, counted from 1. */
  readonly epoch: number;
  readonly stepInEpoch: number;
  readonly stepsPerEpoch: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly learningRate: number;
  /** Means over the epoch so far. */
  readonly epochLoss: number;
  readonly epochAccuracy: number;
  readonly pairsPerSecond: number;
  /** Share of the time in which the engine was computing, over the epoch so far in this process. */
  readonly engineBusy: number;
}

export interface EpochEnd {
  readonly record: EpochRecord;
  /** Whether this epoch has the lowest validation loss so far. */
  readonly best: boolean;
  /** Collects the run's state; costs a copy of all weights, so only who needs it asks. */
  checkpoint(): Promise<Checkpoint>;
  /** Ends the run after this epoch. */
  stop(reason: string): void;
}

export interface RunEnd {
  readonly reason: "finished" | "stopped early" | "interrupted" | "diverged";
  /** In words, for people. */
  readonly detail: string;
  readonly progress: Progress;
  checkpoint(): Promise<Checkpoint>;
}

/** Each moment is optional; the run waits for what a listener returns. */
export interface TrainListener {
  /** Before the first step. */
  onRunStart?(start: RunStart): void | Promise<void>;
  /** After each step. */
  onStep?(record: StepRecord): void | Promise<void>;
  /** After an epoch and its validation. */
  onEpochEnd?(end: EpochEnd): void | Promise<void>;
  /** When a checkpoint has been written. */
  onCheckpoint?(path: string): void | Promise<void>;
  /** After the last step, however the run ended, unless by an error. */
  onRunEnd?(end: RunEnd): void | Promise<void>;
}
