/** @file The training loop: epochs of steps, validation after each, and calls of listeners. */
import { FaceError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { type Checkpoint, type Progress, START } from "./checkpoint.ts";
import type { SettledConfig } from "./config.ts";
import type { TrainingEngine } from "./engine.ts";
import type { EpochEnd, RunEnd, TrainListener } from "./listeners.ts";
import type { StepBatch } from "./replica.ts";
import { learningRateAt } from "./schedule.ts";

/** Loss and accuracy on validation pairs. */
export interface Validation {
  readonly loss: number;
  readonly accuracy: number;
}

export interface LoopOptions {
  readonly config: SettledConfig;
  readonly engine: TrainingEngine;
  readonly stepsPerEpoch: number;
  /** The batches of an epoch (counted from 0) from a step on; the same for the same epoch. */
  batches(epoch: number, fromStep: number): AsyncIterable<StepBatch>;
  /** Measures the current network; may throw when the signal is aborted. */
  validate?(): Promise<Validation>;
  readonly listeners: readonly TrainListener[];
  /** Where to resume. Default: the beginning. */
  readonly progress?: Progress;
  /** Ends the run after the current step. */
  readonly signal?: AbortSignal;
  /** A monotonic clock in milliseconds. */
  now?(): number;
}

/** Calls one method of all listeners, one after the other. */
async function notify(
  listeners: readonly TrainListener[],
  moment: (listener: TrainListener) => void | Promise<void>,
): Promise<void> {
  for (const listener of listeners) await moment(listener);
}

class Loop {
  readonly #options: LoopOptions;
  #progress: Progress;
  #stopReason: string | undefined;
  #busyMs = 0;
  #elapsedMs = 0;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#progress = options.progress ?? START;
  }

  async run(): Promise<RunEnd> {
    const { config, listeners, stepsPerEpoch } = this.#options;
    await notify(listeners, (listener) =>
      listener.onRunStart?.({ config, stepsPerEpoch, progress: this.#progress }),
    );
    let end: Pick<RunEnd, "reason" | "detail"> = {
      reason: "finished",
      detail: config.epochs === 1 ? "the one epoch is done" : `all ${config.epochs} epochs are done`,
    };
    while (this.#progress.epoch < config.epochs) {
      const trouble = (await this.#epoch()) ?? (await this.#endEpoch());
      if (trouble !== undefined) {
        end = trouble;
        break;
      }
      if (this.#stopReason !== undefined && this.#progress.epoch < config.epochs) {
        end = { reason: "stopped early", detail: this.#stopReason };
        break;
      }
    }
    const result: RunEnd = { ...end, progress: this.#progress, checkpoint: () => this.#checkpoint() };
    await notify(listeners, (listener) => listener.onRunEnd?.(result));
    return result;
  }

  /** The steps of an epoch; returns the reason if the run ends within it. */
  async #epoch(): Promise<Pick<RunEnd, "reason" | "detail"> | undefined> {
    const { batches, signal, stepsPerEpoch } = this.#options;
    this.#busyMs = 0;
    this.#elapsedMs = 0;
    let last = this.#now();
    for await (const batch of batches(this.#progress.epoch, this.#progress.stepInEpoch)) {
      if (signal?.aborted) break;
      const loss = await this.#step(batch, () => {
        const elapsed = this.#now() - last;
        last = this.#now();
        return elapsed;
      });
      if (!Number.isFinite(loss)) {
        const detail = `the loss of step ${this.#progress.step} is ${loss}`;
        return { reason: "diverged", detail };
      }
      if (signal?.aborted) break;
    }
    if (this.#progress.stepInEpoch >= stepsPerEpoch) return undefined;
    if (signal?.aborted)
      return { reason: "interrupted", detail: `stopped after step ${this.#progress.step}` };
    throw new FaceError(
      "INTERNAL",
      `internal: epoch ${this.#progress.epoch + 1} brought ${this.#progress.stepInEpoch} of ${stepsPerEpoch} batches`,
    );
  }

  async #step(batch: StepBatch, lap: () => number): Promise<number> {
    const { config, engine, listeners, stepsPerEpoch } = this.#options;
    const step = this.#progress.step + 1;
    const learningRate = learningRateAt(config, step, stepsPerEpoch);
    const { loss, accuracy, busyMs } = await engine.step(batch, { learningRate, step, seed: config.seed });
    const elapsedMs = lap();
    this.#busyMs += busyMs;
    this.#elapsedMs += elapsedMs;
    const { sums, stepInEpoch } = this.#progress;
    const count = stepInEpoch + 1;
    this.#progress = {
      ...this.#progress,
      step,
      stepInEpoch: count,
      sums: {
        loss: sums.loss + loss,
        accuracy: sums.accuracy + accuracy,
        seconds: sums.seconds + elapsedMs / 1000,
      },
    };
    await notify(listeners, (listener) =>
      listener.onStep?.({
        step,
        epoch: this.#progress.epoch + 1,
        stepInEpoch: count,
        stepsPerEpoch,
        loss,
        accuracy,
        learningRate,
        epochLoss: this.#progress.sums.loss / count,
        epochAccuracy: this.#progress.sums.accuracy / count,
        pairsPerSecond: (batch.count / elapsedMs) * 1000,
        engineBusy: this.#busyMs / this.#elapsedMs,
      }),
    );
    return loss;
  }

  /** The validation after an epoch's steps; returns the reason if the signal ends the run within it. */
  async #endEpoch(): Promise<Pick<RunEnd, "reason" | "detail"> | undefined> {
    const { config, validate, listeners, signal, stepsPerEpoch } = this.#options;
    const { sums, step, history, epoch } = this.#progress;
    let validation: Validation | undefined;
    try {
      validation = await validate?.();
    } catch (error) {
      if (signal?.aborted !== true) throw error;
      return { reason: "interrupted", detail: `stopped in the validation after epoch ${epoch + 1}` };
    }
    const record = {
      epoch: this.#progress.epoch + 1,
      steps: step,
      loss: sums.loss / stepsPerEpoch,
      accuracy: sums.accuracy / stepsPerEpoch,
      ...(validation === undefined
        ? {}
        : { validationLoss: validation.loss, validationAccuracy: validation.accuracy }),
      learningRate: learningRateAt(config, step, stepsPerEpoch),
      seconds: sums.seconds,
    };
    const decisive = (entry: typeof record) => entry.validationLoss ?? entry.loss;
    const best = history.every((earlier) => decisive(record) < decisive(earlier as typeof record));
    this.#progress = { ...START, epoch: record.epoch, step, history: [...history, record] };
    const end: EpochEnd = {
      record,
      best,
      checkpoint: () => this.#checkpoint(),
      stop: (reason) => {
        this.#stopReason ??= reason;
      },
    };
    await notify(listeners, (listener) => listener.onEpochEnd?.(end));
    return undefined;
  }

  async #checkpoint(): Promise<Checkpoint> {
    const { config, engine } = this.#options;
    return { config, progress: this.#progress, state: await engine.state() };
  }

  #now(): number {
    return this.#options.now?.() ?? performance.now();
  }
}

/**
 * Trains from `progress` to the last epoch, or until a listener, the signal or a non-finite loss ends the run.
 */
export function runLoop(options: LoopOptions): Promise<RunEnd> {
  return new Loop(options).run();
}

/** The seed of one purpose in an epoch, derived from the run's seed. */
export function epochSeed(seed: number, purpose: string, epoch: number): number {
  return new Random(seed).fork(purpose, epoch).uint32();
}
