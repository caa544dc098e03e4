/** @file Our event files in genuine TensorBoard: its reader finds every figure of the run at its step. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tensorBoard } from "../../src/jobs/tensorboard.ts";
import { train } from "../../src/jobs/train.ts";
import type { EpochRecord } from "../../src/train/checkpoint.ts";
import type { StepRecord, TrainListener } from "../../src/train/listeners.ts";
import { tinyConfig } from "../support/tiny-run.ts";
import { openPython, temporaryFolder } from "./python-environment.ts";

const python = await openPython();

type Scalars = Record<string, [step: number, wallTime: number, value: number][]>;

describe.skipIf("unavailable" in python)("TensorBoard", () => {
  it("reads the steps and epochs of a run", async () => {
    if ("unavailable" in python) return;
    const [folder, board] = [temporaryFolder("board-run"), temporaryFolder("board")];
    const [steps, epochs]: [StepRecord[], EpochRecord[]] = [[], []];
    const witness: TrainListener = {
      onStep: (record) => void steps.push(record),
      onEpochEnd: ({ record }) => void epochs.push(record),
    };
    const started = Date.now() / 1000;
    await train({ config: tinyConfig(), folder, listeners: [tensorBoard(board), witness] });
    const read = async (name: string) => (await python.run("read_events.py", join(board, name))) as Scalars;
    const [training, validation] = [await read("train"), await read("validation")];

    const expectSeries = (series: Scalars[string] | undefined, expected: [number, number | undefined][]) => {
      expect(series?.map(([step, , value]) => [step, value])).toEqual(
        expected.map(([step, value]) => [step, Math.fround(value!)]),
      );
    };
    expect(Object.keys(training).toSorted()).toEqual([
      "batch_accuracy",
      "batch_loss",
      "epoch_accuracy",
      "epoch_loss",
      "learning_rate",
      "pairs_per_second",
    ]);
    const byStep = (field: keyof StepRecord) => steps.map((s): [number, number] => [s.step, s[field]]);
    expectSeries(training.batch_loss, byStep("loss"));
    expectSeries(training.batch_accuracy, byStep("accuracy"));
    expectSeries(training.learning_rate, byStep("learningRate"));
    expectSeries(training.pairs_per_second, byStep("pairsPerSecond"));
    const byEpoch = (field: keyof EpochRecord) =>
      epochs.map((e): [number, number | undefined] => [e.epoch, e[field]]);
    expectSeries(training.epoch_loss, byEpoch("loss"));
    expectSeries(training.epoch_accuracy, byEpoch("accuracy"));
    expectSeries(validation.epoch_loss, byEpoch("validationLoss"));
    expectSeries(validation.epoch_accuracy, byEpoch("validationAccuracy"));
    for (const [, wallTime] of training.batch_loss!) expect(wallTime).toBeGreaterThanOrEqual(started);
  });
});
