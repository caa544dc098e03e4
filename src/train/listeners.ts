/** @file Listeners of a training run: the interface, and those that write checkpoints and the log and stop early. */
import { appendFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import { FaceError } from "../base/errors.ts";
import { makeFolder, writeError } from "../base/files.ts";
import { bytesText } from "../base/log.ts";
import { type Checkpoint, type EpochRecord, type Progress, writeCheckpoint } from "./checkpoint.ts";
import type { SettledConfig } from "./config.ts";

export interface RunStart {
  readonly config: SettledConfig;
  readonly stepsPerEpoch: number;
  /** Beyond zero in a resumed run. */
  readonly progress: Progress;
}

export interface StepRecord {
  /** Counted from 1 over the whole run. */
  readonly step: number;
  /** Current epoch and step within it, counted from 1. */
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
  /** Fraction of the time in which the engine computed, over the epoch so far in this process. */
  readonly engineBusy: number;
}

export interface EpochEnd {
  readonly record: EpochRecord;
  /** Whether this epoch has the lowest validation loss so far. */
  readonly best: boolean;
  /** Collects the run's state, at the cost of a copy of all weights. */
  checkpoint(): Promise<Checkpoint>;
  /** Ends the run after this epoch. */
  stop(reason: string): void;
}

export interface RunEnd {
  readonly reason: "finished" | "stopped early" | "interrupted" | "diverged";
  readonly detail: string;
  readonly progress: Progress;
  checkpoint(): Promise<Checkpoint>;
}

/** Callbacks of a run, which waits for what they return. */
export interface TrainListener {
  /** Before the first step. */
  onRunStart?(start: RunStart): void | Promise<void>;
  /** After each step. */
  onStep?(record: StepRecord): void | Promise<void>;
  /** After an epoch and its validation. */
  onEpochEnd?(end: EpochEnd): void | Promise<void>;
  /** When a checkpoint has been written. */
  onCheckpoint?(path: string): void | Promise<void>;
  /** At the end of the run, unless an error ended it. */
  onRunEnd?(end: RunEnd): void | Promise<void>;
}

export const LAST_CHECKPOINT = "last.safetensors";
export const BEST_CHECKPOINT = "best.safetensors";

/**
 * Writes `last.safetensors` after each epoch and whenever a run ends, and `best.safetensors` when the validation loss
 * is the lowest so far. It does not write a diverged run.
 * @param bytes size of one checkpoint, for which there must be room before the first step.
 */
export function checkpoints(
  folder: string,
  written: (path: string) => void | Promise<void> = () => undefined,
  bytes = 0,
): TrainListener {
  const [last, best] = [join(folder, LAST_CHECKPOINT), join(folder, BEST_CHECKPOINT)];
  return {
    async onRunStart({ progress }) {
      // Both are kept while the next one is written beside them.
      const needed = bytes * (progress.epoch === 0 ? 3 : 1);
      const { bavail, bsize } = await statfs(folder);
      if (bavail * bsize >= needed) return;
      const [wanted, free] = [needed, bavail * bsize].map(bytesText);
      throw new FaceError(
        "DISK_FULL",
        `cannot write ${last}: ENOSPC: ${wanted} are needed, ${free} are free`,
        {
          hint: "free some space or choose another folder for the run",
        },
      );
    },
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

/** Stops after `patience` epochs without a lower validation loss; 0 never stops. */
export function earlyStop(patience: number): TrainListener {
  let without = 0;
  return {
    onRunStart({ progress }) {
      const losses = progress.history.map(({ validationLoss, loss }) => validationLoss ?? loss);
      // A resumed run continues to count.
      without = losses.length === 0 ? 0 : losses.length - 1 - losses.indexOf(Math.min(...losses));
    },
    onEpochEnd({ best, stop }) {
      without = best ? 0 : without + 1;
      if (patience > 0 && without >= patience) stop(`no better validation loss for ${without} epochs`);
    },
  };
}

export const RUN_LOG = "log.jsonl";

/** Lines are buffered, so that logging does not slow down steps. */
const LINES_PER_WRITE = 50;

const KILOBYTES_PER_MEGABYTE = 1024;

/** Appends a line of JSON to `log.jsonl` for each step and epoch, also in a resumed run. */
export function runLog(folder: string): TrainListener {
  const path = join(folder, RUN_LOG);
  let lines: string[] = [];
  const add = (kind: string, fields: object) => {
    lines.push(JSON.stringify({ kind, time: new Date().toISOString(), ...fields }));
  };
  const flush = async () => {
    if (lines.length === 0) return;
    try {
      await makeFolder(folder);
      await appendFile(path, `${lines.join("\n")}\n`);
    } catch (error) {
      throw writeError(path, error);
    }
    lines = [];
  };
  return {
    async onRunStart({ config, stepsPerEpoch, progress }) {
      add(progress.step === 0 ? "start" : "resume", { config, stepsPerEpoch, step: progress.step });
      await flush();
    },
    async onStep(record) {
      add("step", record);
      if (lines.length >= LINES_PER_WRITE) await flush();
    },
    async onEpochEnd({ record, best }) {
      add("epoch", { ...record, best });
      await flush();
    },
    async onRunEnd({ reason, detail, progress }) {
      const peakMemoryMegabytes = Math.round(process.resourceUsage().maxRSS / KILOBYTES_PER_MEGABYTE);
      add("end", { reason, detail, step: progress.step, peakMemoryMegabytes });
      await flush();
    },
  };
}
