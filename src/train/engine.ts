/** @file The training engine: replicas of the network in worker threads that train together and infer side by side. */
import "../onnx/runtime/runtime.ts";
import { availableParallelism } from "node:os";
import { FaceError } from "../base/errors.ts";
import { sizeOf, type TensorMap } from "../base/tensor.ts";
import { untilOpen, WorkerClient } from "../base/worker-client.ts";
import { embeddingSizeOf, type ImageSize } from "../model/model-config.ts";
import type { Verifier } from "../model/verifier.ts";
import { createReduceBuffer, type ReduceBuffer } from "./all-reduce.ts";
import { ClassRows } from "./class-sampling.ts";
import type { ReplicaSettings, RunSettings, StepBatch, StepPosition, StepResult } from "./replica.ts";
import type { ReplicaCalls } from "./replica-worker.ts";

import { type StepSettings, trainingGraphs } from "./step.ts";

export interface EngineOptions extends RunSettings {
  readonly step: StepSettings;
  /** Pairs or images per step, over all replicas. */
  readonly batchSize: number;
  /** Copies of the network that split a batch; must divide the batch size. */
  readonly replicas: number;
}

/** The `index`-th of `count` equal parts of a batch, in memory of its own. */
function partOf({ count: all, inputs }: StepBatch, index: number, count: number): StepBatch {
  const part = (values: Float32Array) => {
    const length = values.length / count;
    return values.slice(index * length, (index + 1) * length);
  };
  const parts = Object.entries(inputs).map(([name, values]) => [name, part(values)]);
  return { count: all / count, inputs: Object.fromEntries(parts) };
}

/** The largest number of replicas, at most one per core, that divides the batch size. */
export function defaultReplicas(batchSize: number, cores = availableParallelism()): number {
  let replicas = Math.min(cores, batchSize);
  while (replicas > 1 && batchSize % replicas !== 0) replicas--;
  return Math.max(1, replicas);
}

function reduceBufferFor({ step, replicas }: EngineOptions): ReduceBuffer | undefined {
  if (replicas === 1) return undefined;
  const graphs = trainingGraphs(step, 1);
  const sizes = new Map(graphs.weights.map(({ name, shape }) => [name, sizeOf(shape)]));
  const length = graphs.averaged.reduce((sum, name) => sum + sizes.get(name.replace(/^gradient\//, ""))!, 0);
  return createReduceBuffer(replicas, length);
}

type ReplicaThread = WorkerClient<ReplicaCalls>;

/** Replicas of one network; validation uses their weights where they are. */
export class TrainingEngine implements Verifier {
  readonly image: ImageSize;
  readonly embeddingSize: number;
  readonly #workers: readonly ReplicaThread[];
  /** Of a loss that samples people. */
  readonly #rows: ClassRows | undefined;
  #next = 0;

  private constructor(
    options: EngineOptions,
    workers: readonly ReplicaThread[],
    rows: ClassRows | undefined,
  ) {
    const { model } = options.step;
    this.image = model.input;
    this.embeddingSize = embeddingSizeOf(model);
    this.#workers = workers;
    this.#rows = rows;
  }

  /** Starts the threads and builds the graphs. All values are zero until `load`. */
  static async open(options: EngineOptions): Promise<TrainingEngine> {
    const { replicas, batchSize, profilePrefix, ...settings } = options;
    if (batchSize % replicas !== 0) {
      throw new FaceError(
        "CONFIG_INVALID",
        `a batch of ${batchSize} cannot be split evenly among ${replicas} replicas`,
        { hint: `choose a number of replicas that divides ${batchSize}` },
      );
    }
    const buffer = reduceBufferFor(options);
    const rows = ClassRows.of(options.step);
    const workers = Array.from({ length: replicas }, (_, index): ReplicaThread => {
      const data: ReplicaSettings = {
        ...settings,
        ...(profilePrefix !== undefined && { profilePrefix: `${profilePrefix}-${index}` }),
        batch: batchSize / replicas,
        index,
        buffer,
        rows: rows?.shared,
      };
      return new WorkerClient(import.meta.url, "replica-worker", data, { label: "a training thread" });
    });
    const engine = new TrainingEngine(options, workers, rows);
    try {
      await untilOpen(workers);
    } catch (error) {
      await engine.#terminate();
      throw error;
    }
    return engine;
  }

  /** One training step; all replicas end with the same weights. */
  async step(batch: StepBatch, position: StepPosition): Promise<StepResult> {
    const given = this.#rows?.choose(batch, position) ?? batch;
    const steps = this.#workers.map((worker, index) => {
      const part = partOf(given, index, this.#workers.length);
      const memory = Object.values(part.inputs).map(({ buffer }) => buffer as ArrayBuffer);
      return worker.call("step", [part, position], memory);
    });
    const results = await Promise.all(steps);
    this.#rows?.keep();
    const mean = (pick: (result: StepResult) => number) =>
      results.reduce((sum, result) => sum + pick(result), 0) / results.length;
    return { loss: mean((r) => r.loss), accuracy: mean((r) => r.accuracy), busyMs: mean((r) => r.busyMs) };
  }

  /** Sets weights and slots in all replicas. */
  async load(state: TensorMap): Promise<void> {
    const rest = this.#rows?.load(state) ?? state;
    await Promise.all(this.#workers.map((worker) => worker.call("load", [rest])));
  }

  /** Weights, statistics and slots as they are now. */
  async state(): Promise<TensorMap> {
    const states = await Promise.all(this.#workers.map((worker) => worker.call("state", [])));
    return new Map([...states.flatMap((state) => [...state]), ...(this.#rows?.state() ?? [])]);
  }

  embed(images: Float32Array, count: number): Promise<Float32Array> {
    return this.#turn().call("embed", [images, count]);
  }

  compare(anchors: Float32Array, verifications: Float32Array, count: number): Promise<Float32Array> {
    return this.#turn().call("compare", [anchors, verifications, count]);
  }

  get concurrency(): number {
    return this.#workers.length;
  }

  #turn(): ReplicaThread {
    this.#next = (this.#next + 1) % this.#workers.length;
    return this.#workers[this.#next]!;
  }

  async #terminate(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }

  readonly [Symbol.asyncDispose] = (): Promise<void> => this.close();
}
