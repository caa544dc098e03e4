/** @file One replica of the network: holds the weights and the sessions, computes steps and inference. */
import { FaceError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { float32, floats, sizeOf, type TensorMap } from "../base/tensor.ts";
import { networkNamed } from "../model/networks.ts";
import { hasBlockedOps } from "../onnx/lower/blocked/support.ts";
import { lower, type Program } from "../onnx/lower/lower.ts";
import { ParameterStore } from "../onnx/runtime/parameter-store.ts";
import { Session } from "../onnx/runtime/session.ts";
import { Averager, ownersOf } from "./averaging.ts";
import type { Answers, ReplicaSettings, StepCommand } from "./engine-messages.ts";
import { optimizerOf } from "./optimizer-settings.ts";
import { gradientName, inferenceGraphs, STEP_INPUTS, type TrainingGraphs, trainingGraphs } from "./step.ts";
import { WeightAverages } from "./weight-averages.ts";

interface Sessions {
  /** The whole step, or its first half. */
  readonly step: Session;
  /** The second half, where replicas average in between, for the weights that this one owns, if it owns any. */
  readonly update: Session | undefined;
}

/** Weights and sessions of one replica; all methods occupy the calling thread. */
export class Replica {
  readonly #settings: ReplicaSettings;
  readonly #store = new ParameterStore();
  readonly #averager: Averager | undefined;
  #graphs: TrainingGraphs | undefined;
  /** The replica that updates each trainable weight. */
  #owners: ReadonlyMap<string, number> = new Map();
  #sessions: Sessions | undefined;
  #averages: WeightAverages | undefined;
  #inference: { embed: Session; compare: Session } | undefined;

  private constructor(settings: ReplicaSettings) {
    this.#settings = settings;
    this.#averager = settings.lanes === undefined ? undefined : new Averager(settings.lanes, settings.index);
  }

  static async open(settings: ReplicaSettings): Promise<Replica> {
    const replica = new Replica(settings);
    if (settings.batch > 0) await replica.#openTraining();
    await replica.#openInference();
    return replica;
  }

  async #session(program: Program, profile?: string, store = this.#store): Promise<Session> {
    const { threads, providers, profilePrefix } = this.#settings;
    // Other providers than the processor's own do not know its operators.
    const blockedOps = providers.every((provider) => provider === "cpu") && (await hasBlockedOps());
    return Session.open(lower(program, { blockedOps }), store, {
      threads,
      providers,
      blockedLayouts: false,
      ...(profilePrefix === undefined || profile === undefined
        ? {}
        : { profilePrefix: `${profilePrefix}-${profile}` }),
    });
  }

  async #openTraining(): Promise<void> {
    const { network, optimizer, ...rest } = this.#settings;
    const graphs = trainingGraphs({
      ...rest,
      network: networkNamed(network),
      optimizer: optimizerOf(optimizer),
    });
    this.#graphs = graphs;
    const trainable = graphs.weights.filter((weight) => weight.trainable);
    const sizes = new Map(trainable.map(({ name, shape }) => [name, sizeOf(shape)]));
    this.#owners = ownersOf(sizes, this.#settings.lanes?.replicas ?? 1);
    const owned = this.#owned();
    this.#sessions =
      this.#averager === undefined
        ? { step: await this.#session(graphs.whole, "step"), update: undefined }
        : {
            step: await this.#session(graphs.derivatives, "derivatives"),
            update: owned.size === 0 ? undefined : await this.#session(graphs.update(owned), "update"),
          };
    const { averageDecay } = this.#settings;
    if (averageDecay > 0) this.#averages = new WeightAverages(this.#store, graphs.weights, averageDecay);
  }

  async #openInference(): Promise<void> {
    const graphs = inferenceGraphs(networkNamed(this.#settings.network), this.#settings.image);
    // What is measured is what will be used: the averages, where they are kept.
    const store = this.#averages?.store ?? this.#store;
    this.#inference = {
      embed: await this.#session(graphs.embed, undefined, store),
      compare: await this.#session(graphs.compare, undefined, store),
    };
  }

  async step(command: StepCommand): Promise<Answers["step"]> {
    if (this.#sessions === undefined || this.#graphs === undefined) {
      throw new FaceError("INTERNAL", "internal: this replica was opened for inference only");
    }
    const started = performance.now();
    const rates = new Map([
      [STEP_INPUTS.learningRate, float32([], [command.learningRate])],
      [STEP_INPUTS.step, float32([], [command.step])],
    ]);
    const feeds = new Map(
      Object.entries(command.batch.inputs).map(([name, values]) => [
        name,
        float32(this.#shapeOf(values, command.batch.count), values),
      ]),
    );
    // Each replica draws for other pairs, so from a stream of its own.
    const random = new Random(command.seed).fork("replica", this.#settings.index, command.step);
    const averager = this.#averager;
    const inputs = averager === undefined ? new Map([...feeds, ...rates]) : feeds;
    const results = await this.#sessions.step.run(inputs, { random });
    if (averager !== undefined) await this.#update(averager, rates);
    this.#averages?.follow(command.step);
    const [loss, accuracy] = ["loss", "accuracy"].map((name) => floats(results.get(name)!)[0]!) as [
      number,
      number,
    ];
    return { loss, accuracy, busyMs: performance.now() - started };
  }

  /** Names of the weights that this replica updates. */
  #owned(): Set<string> {
    const own = [...this.#owners].filter(([, owner]) => owner === this.#settings.index);
    return new Set(own.map(([name]) => name));
  }

  /** The second half of a step: every replica updates the weights that it owns and hands them to the others. */
  async #update(averager: Averager, rates: TensorMap): Promise<void> {
    const update = this.#sessions?.update;
    const read = new Set(update?.model.parameters.map(({ name }) => name));
    const averaged = this.#graphs!.averaged;
    // Every replica needs all statistics; of the derivatives those of its own weights, or all where they are clipped.
    const isUsed = (name: string) => read.has(name) || !name.startsWith(gradientName(""));
    averager.average(
      averaged.map((name) => this.#store.elements(name)),
      (index) => isUsed(averaged[index]!),
    );
    await update?.run(rates);
    const names = [...this.#owners.keys()];
    averager.share(
      names.map((name) => this.#store.elements(name)),
      [...this.#owners.values()],
    );
  }

  /** Images have their sides; of everything else there is one number for each pair or image. */
  #shapeOf(values: Float32Array, count: number): number[] {
    const { height, width } = this.#settings.image;
    return values.length === count ? [count] : [count, height, width, 3];
  }

  load(state: TensorMap): void {
    this.#store.load(state);
    this.#averages?.load(state);
  }

  /** Of the first replica weights, statistics and averages as they are now; of each the slots of the weights it owns. */
  state(): TensorMap {
    if (this.#graphs === undefined) return new Map();
    const slots = this.#store.read(this.#graphs.slots(this.#owned()));
    if (this.#settings.index > 0) return slots;
    const weights = this.#store.read(this.#graphs.weights.map(({ name }) => name));
    return new Map([...weights, ...slots, ...(this.#averages?.read() ?? [])]);
  }

  /** Embeddings `[count, size]` of images `[count, height, width, 3]`. */
  async embed(images: Float32Array, count: number): Promise<Float32Array> {
    const { height, width } = this.#settings.image;
    const inputs = new Map([["input_image", float32([count, height, width, 3], images)]]);
    return floats((await this.#inference!.embed.run(inputs)).get("embedding")!);
  }

  /** Probabilities `[count]` that embeddings `[count, size]` are of one person. */
  async compare(anchors: Float32Array, verifications: Float32Array, count: number): Promise<Float32Array> {
    const shape = [count, anchors.length / count];
    const inputs = new Map([
      ["anchor_embedding", float32(shape, anchors)],
      ["verification_embedding", float32(shape, verifications)],
    ]);
    return floats((await this.#inference!.compare.run(inputs)).get("classifier")!);
  }

  async close(): Promise<void> {
    const sessions = [
      this.#sessions?.step,
      this.#sessions?.update,
      this.#inference?.embed,
      this.#inference?.compare,
    ];
    for (const session of sessions) await session?.close();
  }
}
