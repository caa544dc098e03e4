/** @file A training listener that writes TensorBoard event files, in the folders and under the names of Keras. */

import { appendFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { checkPath } from "../base/check-options.ts";
import { makeFolder, writeError } from "../base/files.ts";
import {
  eventFileName,
  eventFileStart,
  eventRecords,
  type ScalarEvent,
} from "../savedmodel/format/event-file.ts";
import type { TrainListener } from "../train/listeners.ts";

const MILLISECONDS = 1000;
/** Events are written in groups, so that few steps wait for the disk. */
const EVENTS_PER_WRITE = 50;

/** One event file, created with its first event. */
class EventWriter {
  readonly #folder: string;
  readonly #now: () => number;
  #path: string | undefined;
  #waiting: ScalarEvent[] = [];

  constructor(folder: string, now: () => number) {
    this.#folder = folder;
    this.#now = now;
  }

  async add(step: number, scalars: Readonly<Record<string, number>>): Promise<void> {
    this.#waiting.push({ wallTime: this.#now(), step, scalars });
    if (this.#waiting.length >= EVENTS_PER_WRITE) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const bytes = eventRecords(this.#waiting);
    this.#waiting = [];
    try {
      this.#path ??= await this.#start();
      await appendFile(this.#path, bytes);
    } catch (error) {
      throw writeError(this.#path ?? this.#folder, error);
    }
  }

  async #start(): Promise<string> {
    const now = this.#now();
    const path = join(this.#folder, eventFileName(now, `${hostname()}.${process.pid}`));
    await makeFolder(this.#folder);
    await appendFile(path, eventFileStart(now));
    return path;
  }
}

/**
 * Writes event files into `folder/train` and `folder/validation`, so that TensorBoard draws both into one chart: by
 * step `batch_loss`, `batch_accuracy`, `learning_rate` and `pairs_per_second`, by epoch `epoch_loss` and
 * `epoch_accuracy`. A resumed run starts new files, which TensorBoard joins.
 * @param now seconds since 1970.
 */
export function tensorBoard(folder: string, now = () => Date.now() / MILLISECONDS): TrainListener {
  checkPath("tensorBoard, the folder", folder);
  const training = new EventWriter(join(folder, "train"), now);
  const validation = new EventWriter(join(folder, "validation"), now);
  const flush = async () => {
    await training.flush();
    await validation.flush();
  };
  return {
    onStep: ({ step, loss, accuracy, learningRate, pairsPerSecond }) =>
      training.add(step, {
        batch_loss: loss,
        batch_accuracy: accuracy,
        learning_rate: learningRate,
        pairs_per_second: pairsPerSecond,
      }),
    async onEpochEnd({ record: { epoch, loss, accuracy, validationLoss, validationAccuracy } }) {
      await training.add(epoch, { epoch_loss: loss, epoch_accuracy: accuracy });
      if (validationLoss !== undefined && validationAccuracy !== undefined) {
        await validation.add(epoch, { epoch_loss: validationLoss, epoch_accuracy: validationAccuracy });
      }
      await flush();
    },
    onRunEnd: flush,
  };
}
