/** @file One replica of the network: its weights and sessions, for training steps and inference. */
import { COMPARE, EMBED, pairInputs } from "../artifact/signatures.ts";
import { Random } from "../base/random.ts";
import { float32, floats, sizeOf, type TensorMap } from "../base/tensor.ts";
import { hasBlockedOps } from "../onnx/lower/blocked/support.ts";
import { lower, type Program } from "../onnx/lower/lower.ts";
import { ParameterStore } from "../onnx/runtime/parameter-store.ts";
import { Session } from "../onnx/runtime/session.ts";
import { AllReduce, ownersOf, type ReduceBuffer } from "./all-reduce.ts";
import { giveRows, type SharedRows, takeRows } from "./class-sampling.ts";
import type { StepSettings, TrainingGraphs } from "./step.ts";
import { gradientName, inferenceGraphs, STEP_INPUTS, trainingGraphs } from "./step.ts";
import { DIRECTION_ROWS } from "./step-losses.ts";
import { WeightAverages } from "./weight-averages.ts";

/** How replicas run. */
export interface RunSettings {
  /** Threads of each replica. */
  readonly threads: number;
  /** Execution providers in order of preference. Default `["cpu"]`. */
  readonly providers?: readonly string[];
  /** Prefix of the runtime's profiles; none are written by default. */
  readonly profilePrefix?: string;
}

/** What a replica needs to build its graphs. */
export interface ReplicaSettings extends RunSettings {
  readonly step: StepSettings;
  /** Pairs or images per step in this replica. */
  readonly batch: number;
  readonly index: number;
  /** Absent for a replica that trains alone. */
  readonly buffer: ReduceBuffer | undefined;
  /** Absent for losses that do not sample people. */
  readonly rows?: SharedRows | undefined;
}

/** Pairs of images, or labelled images: the input of a step. */
export interface StepBatch {
  /** Pairs or images. */
  readonly count: number;
  /** The step's inputs by name, each with the same number of elements per pair or image. */
  readonly inputs: Readonly<Record<string, Float32Array>>;
}

/** A step's position in the run. */
export interface StepPosition {
  readonly learningRate: number;
  /** Counted from 1. */
  readonly step: number;
  readonly seed: number;
}

export interface StepResult {
  readonly loss: number;
  readonly accuracy: number;
  readonly busyMs: number;
}

interface TrainingSessions {
  /** The whole step, or its first half. */
  readonly step: Session;
  /** The second half, for the weights that this replica owns, if any. */
  readonly update: Session | undefined;
}

interface Parts {
  readonly store: ParameterStore;
  readonly graphs: TrainingGraphs;
  /** The replica that updates each trainable weight. */
  readonly owners: ReadonlyMap<string, number>;
  readonly training: TrainingSessions;
  readonly averages: WeightAverages | undefined;
  readonly inference: { readonly embed: Session; readonly compare: Session };
}

/** Opens a session of a program on a store. */
async function openSession(
  { threads, providers = ["cpu"], profilePrefix }: ReplicaSettings,
  program: Program,
  store: ParameterStore,
  profile?: string,
): Promise<Session> {
  // Only the CPU provider knows the blocked operators.
  const blockedOps = providers.every((provider) => provider === "cpu") && (await hasBlockedOps());
  return Session.open(lower(program, { blockedOps, savesMemory: program.updates !== undefined }), store, {
    threads,
    providers,
    blockedLayouts: false,
    ...(profilePrefix !== undefined &&
      profile !== undefined && { profilePrefix: `${profilePrefix}-${profile}` }),
  });
}

const ownedBy = (owners: ReadonlyMap<string, number>, index: number): Set<string> =>
  new Set([...owners].filter(([, owner]) => owner === index).map(([name]) => name));

async function openParts(settings: ReplicaSettings): Promise<Parts> {
  const { step, batch, index, buffer } = settings;
  const store = new ParameterStore();
  const graphs = trainingGraphs(step, batch);
  const trainable = graphs.weights.filter((weight) => weight.trainable);
  const sizes = new Map(trainable.map(({ name, shape }) => [name, sizeOf(shape)]));
  const owners = ownersOf(sizes, buffer?.replicas ?? 1);
  const owned = ownedBy(owners, index);
  const open = (program: Program, profile: string) => openSession(settings, program, store, profile);
  const training =
    buffer === undefined
      ? { step: await open(graphs.whole, "step"), update: undefined }
      : {
          step: await open(graphs.gradients, "gradients"),
          update: owned.size === 0 ? undefined : await open(graphs.update(owned), "update"),
        };
  const { averageDecay = 0 } = step;
  // The rows of one step's people are others in the next; inference needs none of them.
  const lasting = graphs.weights.filter(({ name }) => name !== DIRECTION_ROWS);
  const averages = averageDecay > 0 ? new WeightAverages(store, lasting, averageDecay) : undefined;
  const { embed, compare } = inferenceGraphs(step.model);
  // Validation measures the weights that inference will use: the averages, where they are kept.
  const used = averages?.store ?? store;
  const inference = {
    embed: await openSession(settings, embed, used),
    compare: await openSession(settings, compare, used),
  };
  return { store, graphs, owners, training, averages, inference };
}

/** Weights and sessions of one replica; all methods occupy the calling thread. */
export class Replica {
  readonly #settings: ReplicaSettings;
  readonly #reduce: AllReduce | undefined;
  readonly #parts: Parts;

  private constructor(settings: ReplicaSettings, parts: Parts) {
    const { buffer, index } = settings;
    this.#settings = settings;
    this.#reduce = buffer === undefined ? undefined : new AllReduce(buffer, index);
    this.#parts = parts;
  }

  static async open(settings: ReplicaSettings): Promise<Replica> {
    return new Replica(settings, await openParts(settings));
  }

  /** One training step on this replica's part of a batch. */
  async step(batch: StepBatch, { learningRate, step, seed }: StepPosition): Promise<StepResult> {
    const { training, averages, owners, store } = this.#parts;
    const { rows, index } = this.#settings;
    const ownsRows = owners.get(DIRECTION_ROWS) === index;
    const started = performance.now();
    if (rows !== undefined) takeRows(rows, store, ownsRows);
    const rates = new Map([
      [STEP_INPUTS.learningRate, float32([], [learningRate])],
      [STEP_INPUTS.step, float32([], [step])],
    ]);
    const feeds = new Map(
      Object.entries(batch.inputs).map(([name, values]) => [
        name,
        float32(this.#shapeOf(name, values, batch.count), values),
      ]),
    );
    // Each replica has other pairs, so it draws from a stream of its own.
    const random = new Random(seed).fork("replica", this.#settings.index, step);
    const inputs = this.#reduce === undefined ? new Map([...feeds, ...rates]) : feeds;
    const results = await training.step.run(inputs, { random });
    if (this.#reduce !== undefined) await this.#update(this.#reduce, rates);
    if (rows !== undefined && ownsRows) giveRows(rows, store);
    averages?.follow(step);
    const [loss, accuracy] = ["loss", "accuracy"].map((name) => floats(results.get(name)!)[0]!) as [
      number,
      number,
    ];
    return { loss, accuracy, busyMs: performance.now() - started };
  }

  /** The second half of a step: every replica updates the weights that it owns and broadcasts them. */
  async #update(reduce: AllReduce, rates: TensorMap): Promise<void> {
    const { store, owners, graphs, training } = this.#parts;
    const read = new Set(training.update?.model.parameters.map(({ name }) => name));
    const { averaged } = graphs;
    // Every replica needs all statistics, and the gradients of its own weights, or all of them for clipping.
    const isUsed = (name: string) => read.has(name) || !name.startsWith(gradientName(""));
    reduce.mean(
      averaged.map((name) => store.elements(name)),
      (index) => isUsed(averaged[index]!),
    );
    await training.update?.run(rates);
    reduce.broadcast(
      [...owners.keys()].map((name) => store.elements(name)),
      [...owners.values()],
    );
  }

  /** Everything but images and a teacher's embeddings is one number per pair or image. */
  #shapeOf(name: string, values: Float32Array, count: number): number[] {
    const { height, width } = this.#settings.step.model.input;
    if (name === STEP_INPUTS.teacher) return [count, values.length / count];
    return values.length === count ? [count] : [count, height, width, 3];
  }

  load(state: TensorMap): void {
    this.#parts.store.load(state);
    this.#parts.averages?.load(state);
  }

  /** The optimiser slots of the weights that this replica owns; from the first one also weights, statistics and averages. */
  state(): TensorMap {
    const { store, graphs, owners, averages } = this.#parts;
    const { index } = this.#settings;
    const slots = store.read(graphs.slots(ownedBy(owners, index)));
    if (index > 0) return slots;
    const weights = store.read(graphs.weights.map(({ name }) => name));
    return new Map([...weights, ...slots, ...(averages?.read() ?? [])]);
  }

  /** Embeddings `[count, size]` of images `[count, height, width, 3]`. */
  async embed(images: Float32Array, count: number): Promise<Float32Array> {
    const { height, width } = this.#settings.step.model.input;
    const inputs = new Map([[EMBED.image, float32([count, height, width, 3], images)]]);
    return floats((await this.#parts.inference.embed.run(inputs)).get(EMBED.embedding)!);
  }

  /** Probabilities `[count]` that embeddings `[count, size]` are of one person. */
  async compare(anchors: Float32Array, verifications: Float32Array, count: number): Promise<Float32Array> {
    const shape = [count, anchors.length / count];
    const inputs = pairInputs(COMPARE, shape, anchors, verifications);
    return floats((await this.#parts.inference.compare.run(inputs)).get(COMPARE.classifier)!);
  }

  async close(): Promise<void> {
    const { training, inference } = this.#parts;
    const sessions = [training.step, training.update, inference.embed, inference.compare];
    for (const session of sessions) await session?.close();
  }
}
