/** @file One replica of the network: holds the weights and the sessions, computes steps and inference. */
import { FaceError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { float32, floats, type TensorMap } from "../base/tensor.ts";
import { networkNamed } from "../model/networks.ts";
import { hasBlockedOps } from "../onnx/blocked-support.ts";
import { lower, type Program } from "../onnx/lower.ts";
import { ParameterStore } from "../onnx/parameter-store.ts";
import { Session } from "../onnx/session.ts";
import { Averager } from "./averaging.ts";
import type { Answers, ReplicaSettings, StepCommand } from "./engine-messages.ts";
import { optimizerOf } from "./optimizer-settings.ts";
import { inferenceGraphs, STEP_INPUTS, type TrainingGraphs, trainingGraphs } from "./step.ts";
import { WeightAverages } from "./weight-averages.ts";

interface Sessions {
  /** The whole step, or its first half. */
  readonly step: Session;
  /** The second half, where replicas average in between. */
  readonly update: Session | undefined;
}

/** Weights and sessions of one replica; all methods occupy the calling thread. */
export class Replica {
  readonly #settings: ReplicaSettings;
  readonly #store = new ParameterStore();
  readonly #averager: Averager | undefined;
  #graphs: TrainingGraphs | undefined;
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
    this.#sessions =
      this.#averager === undefined
        ? { step: await this.#session(graphs.whole, "step"), update: undefined }
        : {
            step: await this.#session(graphs.derivatives, "derivatives"),
            update: await this.#session(graphs.update, "update"),
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
    const { step, update } = this.#sessions;
    const results = await step.run(update === undefined ? new Map([...feeds, ...rates]) : feeds, { random });
    if (update !== undefined) {
      this.#averager?.average(this.#graphs.averaged.map((name) => this.#store.elements(name)));
      await update.run(rates);
    }
    this.#averages?.follow(command.step);
    const [loss, accuracy] = ["loss", "accuracy"].map((name) => floats(results.get(name)!)[0]!) as [
      number,
      number,
    ];
    return { loss, accuracy, busyMs: performance.now() - started };
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

  /** Weights, statistics and optimiser slots as they are now. */
  state(): TensorMap {
    const state = this.#store.read(this.#graphs?.state ?? []);
    return this.#averages === undefined ? state : new Map([...state, ...this.#averages.read()]);
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
