/** @file Trains the detector: batches from threads, the step in one session, a checkpoint now and then. */
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../src/base/files.ts";
import { Random } from "../../src/base/random.ts";
import { float32, floats, type TensorMap } from "../../src/base/tensor.ts";
import { WorkerClient } from "../../src/base/worker-client.ts";
import { YUNET_INPUT } from "../../src/faces/yunet.ts";
import { countValues, initialWeights } from "../../src/nn/network-builder.ts";
import { hasBlockedOps } from "../../src/onnx/lower/blocked/support.ts";
import { lower } from "../../src/onnx/lower/lower.ts";
import { ParameterStore } from "../../src/onnx/runtime/parameter-store.ts";
import { Session } from "../../src/onnx/runtime/session.ts";
import { readSafetensors, writeSafetensors } from "../../src/train/safetensors.ts";
import { WeightAverages } from "../../src/train/weight-averages.ts";
import type { SharedPhotographs } from "./photographs.ts";
import type { SceneBatch, SceneCalls, SceneThread } from "./scene-worker.ts";
import { detectorStep, INPUTS } from "./step.ts";
import { cellCount, PLACE_NUMBERS } from "./targets.ts";

export interface TrainOptions {
  /** Folder of checkpoint and log. A checkpoint there is trained on. */
  readonly folder: string;
  readonly photographs: SharedPhotographs;
  /** Of the whole run. */
  readonly steps: number;
  /** The step from which the learning rate falls to zero in a straight line. Default: when three quarters are done. */
  readonly decayFrom?: number;
  /** The step after which this call ends; a later one goes on from there. Default: the last. */
  readonly until?: number;
  /** Pictures of a step. Default 32. */
  readonly batch?: number;
  /** Side of the pictures. Default 192. */
  readonly side?: number;
  /** Default 0.002. */
  readonly learningRate?: number;
  readonly seed?: number;
  /** Threads that draw pictures. Default 1. */
  readonly threads?: number;
  readonly log?: (line: string) => void;
}

const WARM_UP = 300;
const AVERAGE_DECAY = 0.999;
const STEPS_BETWEEN_CHECKPOINTS = 500;
const STEPS_BETWEEN_LINES = 100;
/** Batches that wait for the engine, for each thread that draws. */
const AHEAD = 2;

/** The learning rate of a step, counted from 1, as a part of the greatest. */
export function rateAt(step: number, steps: number, decayFrom: number): number {
  const warm = Math.min(1, step / WARM_UP);
  const left = (steps - step + 1) / (steps - decayFrom + 1);
  return warm * Math.min(1, left);
}

export const checkpointOf = (folder: string): string => join(folder, "checkpoint.safetensors");

/** The state of a run and its steps so far; undefined where the folder has none. */
export async function readState(folder: string): Promise<{ state: TensorMap; step: number } | undefined> {
  const bytes = await readFile(checkpointOf(folder)).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const { tensors, metadata } = readSafetensors(bytes);
  return { state: tensors, step: Number(metadata.step) };
}

/** Inputs of a step from its batch. */
function inputsOf(
  drawn: SceneBatch,
  { batch, side, rate, step }: { batch: number; side: number; rate: number; step: number },
): TensorMap {
  const cells = cellCount(side);
  const positives = drawn.score.reduce((sum, value) => sum + value, 0);
  return new Map([
    [YUNET_INPUT, float32([batch, 3, side, side], drawn.planes)],
    [INPUTS.score, float32([batch, cells], drawn.score)],
    [INPUTS.scoreWeight, float32([batch, cells], drawn.scoreWeight)],
    [INPUTS.place, float32([batch, cells, PLACE_NUMBERS], drawn.place)],
    [INPUTS.placeWeight, float32([batch, cells], drawn.placeWeight)],
    [INPUTS.positives, float32([], [Math.max(1, positives)])],
    [INPUTS.learningRate, float32([], [rate])],
    [INPUTS.step, float32([], [step])],
  ]);
}

/** Trains up to a number of steps; the same bits whether or not it is interrupted. Batches depend on seed and step alone. */
export async function train(options: TrainOptions): Promise<void> {
  const { folder, photographs, steps, batch = 32, side = 192, seed = 1, threads = 1 } = options;
  const {
    learningRate = 0.002,
    until = steps,
    decayFrom = Math.round(0.75 * steps),
    log = () => undefined,
  } = options;
  await mkdir(folder, { recursive: true });
  const { program, weights, slots } = detectorStep(batch, side);
  const store = new ParameterStore();
  const model = lower(program, { blockedOps: await hasBlockedOps() });
  await using session = await Session.open(model, store, { threads: 1, blockedLayouts: false });
  const averages = new WeightAverages(store, weights, AVERAGE_DECAY);
  const kept = await readState(folder);
  const start = kept?.state ?? initialWeights(weights, new Random(seed));
  store.load(start);
  averages.load(start);
  let step = kept?.step ?? 0;
  log(`${countValues(weights)} parameters, ${photographs.labels.length} photographs, from step ${step + 1}`);

  const data: SceneThread = { photographs, batch, side, seed };
  const workers = Array.from(
    { length: threads },
    () => new WorkerClient<SceneCalls>(import.meta.url, "scene-worker", data, { label: "a drawing thread" }),
  );
  const drawn: Promise<SceneBatch>[] = [];
  let asked = step;
  const ask = () => {
    while (asked < until && drawn.length < AHEAD * threads) {
      asked++;
      drawn.push(workers[asked % threads]!.call("draw", [asked]));
    }
  };
  const save = async () => {
    const names = [...weights.map(({ name }) => name), ...slots];
    const state = new Map([...store.read(names), ...averages.read()]);
    await writeFileAtomic(checkpointOf(folder), writeSafetensors(state, { step: String(step) }));
  };
  try {
    let [score, place, busy] = [0, 0, 0];
    let since = performance.now();
    while (step < until) {
      ask();
      const next = await drawn.shift()!;
      step++;
      const began = performance.now();
      const rate = learningRate * rateAt(step, steps, decayFrom);
      const results = await session.run(inputsOf(next, { batch, side, rate, step }));
      averages.follow(step);
      busy += performance.now() - began;
      score += floats(results.get("score_loss")!)[0]!;
      place += floats(results.get("place_loss")!)[0]!;
      if (step % STEPS_BETWEEN_LINES === 0 || step === until) {
        const count = step % STEPS_BETWEEN_LINES || STEPS_BETWEEN_LINES;
        const seconds = (performance.now() - since) / 1000;
        const line = { step, score: score / count, place: place / count, rate, seconds, busy: busy / 1000 };
        await appendFile(join(folder, "log.jsonl"), `${JSON.stringify(line)}\n`);
        const text = `score ${line.score.toFixed(3)}, place ${line.place.toFixed(3)}, rate ${rate.toExponential(1)}`;
        log(`step ${step} of ${steps}: ${text}, ${seconds.toFixed(0)} s (engine ${line.busy.toFixed(0)} s)`);
        [score, place, busy, since] = [0, 0, 0, performance.now()];
      }
      if (step % STEPS_BETWEEN_CHECKPOINTS === 0 || step === until) await save();
    }
  } finally {
    await Promise.allSettled(drawn);
    for (const worker of workers) await worker.close();
  }
}
