/** @file A lowered model ready to run: inputs and outputs by name, parameters read from and written to a store. */
import { FaceError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { sizeOf, type Tensor, type TensorMap } from "../../base/tensor.ts";
import type { LoweredModel } from "../lower/lower.ts";
import { ParameterStore } from "./parameter-store.ts";
import { openRuntime, type RuntimeOptions, type RuntimeSession } from "./runtime.ts";

export interface RunOptions {
  /** The stream that random inputs are drawn from; required if the graph has any. */
  readonly random?: Random;
  /** Which outputs to compute; all when left out. */
  readonly outputs?: readonly string[];
}

/** A lowered model with its parameters. Runs block the calling thread; a SessionPool runs in threads of its own. */
export class Session implements AsyncDisposable {
  readonly model: LoweredModel;
  readonly store: ParameterStore;
  readonly #runtime: RuntimeSession;

  private constructor(model: LoweredModel, store: ParameterStore, runtime: RuntimeSession) {
    this.model = model;
    this.store = store;
    this.#runtime = runtime;
  }

  /** Loads a lowered model; several sessions may share one store. */
  static async open(
    model: LoweredModel,
    store = new ParameterStore(),
    options: RuntimeOptions = {},
  ): Promise<Session> {
    store.admit(model.parameters);
    return new Session(model, store, await openRuntime(model.bytes, options));
  }

  /** Runs the model once; parameters with an update take their new values. */
  async run(inputs: TensorMap, { random, outputs }: RunOptions = {}): Promise<Map<string, Tensor>> {
    const ports = this.model.parameters;
    const { reads, writes } = this.store.tensors(ports);
    const feeds = new Map([...inputs, ...reads]);
    this.#drawRandom(feeds, random);
    const names = outputs ?? this.model.outputs.map((port) => port.name);
    const results = await this.#runtime.run(feeds, [...names, ...writes.keys()], writes);
    this.store.commit(ports);
    return new Map(names.map((name) => [name, results.get(name)!]));
  }

  #drawRandom(feeds: Map<string, Tensor>, random: Random | undefined): void {
    for (const { input, stream, shape } of this.model.random) {
      if (random === undefined) {
        throw new FaceError(
          "INTERNAL",
          `internal: a run draws from ${stream} but was given no random stream`,
        );
      }
      const source = random.fork(stream);
      feeds.set(input, {
        dtype: "float32",
        shape,
        data: Float32Array.from({ length: sizeOf(shape) }, () => source.uniform()),
      });
    }
  }

  async close(): Promise<void> {
    await this.#runtime.close();
  }

  readonly [Symbol.asyncDispose] = (): Promise<void> => this.close();
}
