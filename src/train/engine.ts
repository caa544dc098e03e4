/** @file The training engine: replicas of the network in worker threads, fed from the thread that runs everything else. */
import "../onnx/runtime/runtime.ts";
import { availableParallelism } from "node:os";
import type { TransferListItem, Worker } from "node:worker_threads";
import { FaceError, messageOf } from "../base/errors.ts";
import { sizeOf, type TensorMap } from "../base/tensor.ts";
import { startWorker } from "../base/worker.ts";
import { embeddingSizeOf, type ImageSize } from "../model/backbone.ts";
import { networkNamed } from "../model/networks.ts";
import type { Verifier } from "../model/verifier.ts";
import { createLanes, type SharedLanes } from "./averaging.ts";
import type { Answers, Command, ReplicaSettings, Reply, StepBatch } from "./engine-messages.ts";
import { type OptimizerSettings, optimizerOf } from "./optimizer-settings.ts";
import { type Sampling, trainingGraphs } from "./step.ts";
import type { LossSettings } from "./step-losses.ts";

export interface EngineOptions {
  readonly network: string;
  readonly image: ImageSize;
  readonly sampling?: Sampling;
  /** Pairs or images per step, over all replicas; 0 for an engine that only infers. */
  readonly batchSize: number;
  readonly loss: LossSettings;
  readonly optimizer: OptimizerSettings;
  readonly weightDecay: number;
  readonly dropout?: number;
  readonly clipNorm?: number;
  readonly averageDecay?: number;
  /** Copies of the network that share a step; must divide the batch size. */
  readonly replicas: number;
  /** Threads of each replica. */
  readonly threads: number;
  readonly providers?: readonly string[];
  readonly profilePrefix?: string;
}

/** The `index`-th of `shares` equal parts of a batch, in memory of its own. */
function shareOf({ count, inputs }: StepBatch, index: number, shares: number): StepBatch {
  const part = (values: Float32Array) => {
    const length = values.length / shares;
    return values.slice(index * length, (index + 1) * length);
  };
  const parts = Object.entries(inputs).map(([name, values]) => [name, part(values)]);
  return { count: count / shares, inputs: Object.fromEntries(parts) };
}

/** As many replicas as there are cores, but no more than divide the batch evenly. */
export function defaultReplicas(batchSize: number, cores = availableParallelism()): number {
  let replicas = Math.min(cores, batchSize);
  while (replicas > 1 && batchSize % replicas !== 0) replicas--;
  return Math.max(1, replicas);
}

interface Pending {
  resolve(answer: never): void;
  reject(error: FaceError): void;
}

/** One worker thread; answers come in the order of the commands. */
class Hand {
  readonly #worker: Worker;
  readonly #pending: Pending[] = [];
  #failure: FaceError | undefined;
  readonly ready: Promise<void>;

  constructor(settings: ReplicaSettings) {
    this.#worker = startWorker(import.meta.url, "replica-worker", settings);
    this.#worker.on("message", (reply: Reply) => {
      const pending = this.#pending.shift();
      if ("failure" in reply) pending?.reject(new FaceError(reply.failure.code, reply.failure.message));
      else pending?.resolve(reply.answer as never);
    });
    this.#worker.on("error", (error) => this.#fail(`a training thread crashed: ${messageOf(error)}`));
    this.#worker.on("exit", () => this.#fail("a training thread has ended"));
    this.ready = this.#answer();
  }

  ask<C extends Command>(command: C, transfer: TransferListItem[] = []): Promise<Answers[C["kind"]]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#worker.postMessage(command, transfer);
    return this.#answer();
  }

  async close(): Promise<void> {
    if (this.#failure !== undefined) return;
    const ended = new Promise<void>((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.postMessage("close");
    await ended;
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #answer<A>(): Promise<A> {
    return new Promise((resolve, reject) => this.#pending.push({ resolve, reject } as Pending));
  }

  #fail(reason: string): void {
    this.#failure ??= new FaceError("INTERNAL", reason);
    for (const { reject } of this.#pending.splice(0)) reject(this.#failure);
  }
}

/** Room for what the replicas average. */
function lanesFor(options: EngineOptions): SharedLanes | undefined {
  if (options.replicas === 1 || options.batchSize === 0) return undefined;
  const graphs = trainingGraphs({
    ...options,
    network: networkNamed(options.network),
    batch: 1,
    optimizer: optimizerOf(options.optimizer),
  });
  const sizes = new Map(graphs.weights.map(({ name, shape }) => [name, sizeOf(shape)]));
  const length = graphs.averaged.reduce((sum, name) => sum + sizes.get(name.replace(/^gradient\//, ""))!, 0);
  return createLanes(options.replicas, length);
}

/** What is left out of an engine's options. */
const REPLICA_DEFAULTS = { sampling: "pairs", dropout: 0, clipNorm: 0, averageDecay: 0 } as const;

/** Replicas that train together, and that infer side by side. */
export class TrainingEngine implements Verifier {
  readonly image: ImageSize;
  readonly embeddingSize: number;
  readonly #hands: readonly Hand[];
  #next = 0;

  private constructor(options: EngineOptions, hands: readonly Hand[]) {
    this.image = options.image;
    this.embeddingSize = embeddingSizeOf(networkNamed(options.network), options.image);
    this.#hands = hands;
  }

  /** Starts the threads and builds the graphs; all values start at zero, see `load`. */
  static async open(options: EngineOptions): Promise<TrainingEngine> {
    const { replicas, batchSize } = options;
    if (batchSize % replicas !== 0) {
      throw new FaceError(
        "CONFIG_INVALID",
        `a batch of ${batchSize} cannot be shared evenly by ${replicas} replicas`,
        {
          hint: `choose a number of replicas that divides ${batchSize}`,
        },
      );
    }
    const lanes = lanesFor(options);
    const hands = Array.from(
      { length: replicas },
      (_, index) =>
        new Hand({
          ...REPLICA_DEFAULTS,
          ...options,
          batch: batchSize / replicas,
          index,
          lanes,
          providers: options.providers ?? ["cpu"],
          profilePrefix:
            options.profilePrefix === undefined ? undefined : `${options.profilePrefix}-${index}`,
        }),
    );
    const engine = new TrainingEngine(options, hands);
    try {
      await Promise.all(hands.map((hand) => hand.ready));
    } catch (error) {
      await engine.#terminate();
      throw error;
    }
    return engine;
  }

  /** One training step; all replicas end with the same weights. */
  async step(
    batch: StepBatch,
    options: { learningRate: number; step: number; seed: number },
  ): Promise<Answers["step"]> {
    const shares = this.#hands.map((hand, index) => {
      const share = shareOf(batch, index, this.#hands.length);
      const memory = Object.values(share.inputs).map(({ buffer }) => buffer as ArrayBuffer);
      return hand.ask({ kind: "step", batch: share, ...options }, memory);
    });
    const results = await Promise.all(shares);
    const mean = (pick: (result: Answers["step"]) => number) =>
      results.reduce((sum, result) => sum + pick(result), 0) / results.length;
    return { loss: mean((r) => r.loss), accuracy: mean((r) => r.accuracy), busyMs: mean((r) => r.busyMs) };
  }

  /** Sets weights and slots in all replicas. */
  async load(state: TensorMap): Promise<void> {
    await Promise.all(this.#hands.map((hand) => hand.ask({ kind: "load", state })));
  }

  /** Weights, statistics and slots as they are now. */
  async state(): Promise<TensorMap> {
    const states = await Promise.all(this.#hands.map((hand) => hand.ask({ kind: "state" })));
    return new Map(states.flatMap((state) => [...state]));
  }

  embed(images: Float32Array, count: number): Promise<Float32Array> {
    return this.#turn().ask({ kind: "embed", images, count });
  }

  compare(anchors: Float32Array, verifications: Float32Array, count: number): Promise<Float32Array> {
    return this.#turn().ask({ kind: "compare", anchors, verifications, count });
  }

  get lanes(): number {
    return this.#hands.length;
  }

  #turn(): Hand {
    this.#next = (this.#next + 1) % this.#hands.length;
    return this.#hands[this.#next]!;
  }

  async #terminate(): Promise<void> {
    await Promise.all(this.#hands.map((hand) => hand.terminate()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#hands.map((hand) => hand.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
