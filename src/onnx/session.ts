/** @file A lowered model ready to run: inputs and outputs by name, parameters kept and renewed from run to run. */
import { FaceError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { sameShape, shapeText, sizeOf } from "../base/shape.ts";
import type { Tensor, TensorMap } from "../base/tensor.ts";
import type { LoweredModel, ParameterPort } from "./lower.ts";
import { inverse, permuted, permuteTensor } from "./lowering.ts";
import { openRuntime, type RuntimeOptions, type RuntimeSession } from "./runtime.ts";

/** One parameter's memory: what the next run reads, and where it will write. The two change places after each run. */
interface Slot {
  readonly port: ParameterPort;
  current: Tensor;
  next: Tensor | undefined;
}

const physicalShape = ({ perm, shape }: ParameterPort) =>
  perm === undefined ? shape : permuted(perm, shape);

function blank(port: ParameterPort): Tensor {
  const shape = physicalShape(port);
  return { dtype: "float32", shape, data: new Float32Array(sizeOf(shape)) };
}

/** A lowered model with its parameters. Runs occupy the calling thread; see worker.ts for one of its own. */
export class Session implements AsyncDisposable {
  readonly model: LoweredModel;
  readonly #runtime: RuntimeSession;
  readonly #slots: ReadonlyMap<string, Slot>;

  private constructor(model: LoweredModel, runtime: RuntimeSession, slots: ReadonlyMap<string, Slot>) {
    this.model = model;
    this.#runtime = runtime;
    this.#slots = slots;
  }

  /**
   * Loads a lowered model.
   * @param parameters values of the parameters that are not stored in the model.
   * @throws FaceError `CHECKPOINT_MISMATCH` when one is missing or of another shape.
   */
  static async open(
    model: LoweredModel,
    parameters: TensorMap = new Map(),
    options: RuntimeOptions = {},
  ): Promise<Session> {
    const runtime = await openRuntime(model.bytes, options);
    const slots = new Map(
      model.parameters.map((port) => {
        const next = port.output === undefined ? undefined : blank(port);
        return [port.name, { port, current: blank(port), next }];
      }),
    );
    const session = new Session(model, runtime, slots);
    session.load(parameters);
    return session;
  }

  /** Replaces the values of all parameters. */
  load(parameters: TensorMap): void {
    for (const slot of this.#slots.values()) {
      const { name, shape, perm } = slot.port;
      const value = parameters.get(name);
      if (value === undefined || !sameShape(value.shape, shape)) {
        const came = value === undefined ? "nothing" : shapeText(value.shape);
        throw new FaceError(
          "CHECKPOINT_MISMATCH",
          `the network wants ${name} of shape ${shapeText(shape)}, got ${came}`,
        );
      }
      const arranged = perm === undefined ? value : permuteTensor(value, perm);
      (slot.current.data as Float32Array).set(arranged.data as Float32Array);
    }
  }

  /** Copies of all parameters as they are now. */
  parameters(): Map<string, Tensor> {
    return new Map(
      [...this.#slots].map(([name, { port, current }]) => {
        const value = port.perm === undefined ? current : permuteTensor(current, inverse(port.perm));
        return [name, { ...value, data: (value.data as Float32Array).slice() } as Tensor];
      }),
    );
  }

  /**
   * Runs the model once; parameters with an update take their new values.
   * @param random the stream that random inputs are drawn from; needed only where the graph has some.
   */
  async run(inputs: TensorMap, { random, outputs }: RunOptions = {}): Promise<Map<string, Tensor>> {
    const feeds = new Map(inputs);
    const wanted = [...(outputs ?? this.model.outputs.map((port) => port.name))];
    const into = new Map<string, Tensor>();
    for (const { port, current, next } of this.#slots.values()) {
      feeds.set(port.input, current);
      if (port.output === undefined || next === undefined) continue;
      wanted.push(port.output);
      into.set(port.output, next);
    }
    this.#drawRandom(feeds, random);
    const results = await this.#runtime.run(feeds, wanted, into);
    for (const slot of this.#slots.values()) {
      if (slot.next === undefined) continue;
      [slot.current, slot.next] = [slot.next, slot.current];
      results.delete(slot.port.output!);
    }
    return results;
  }

  #drawRandom(feeds: Map<string, Tensor>, random: Random | undefined): void {
    for (const { input, stream, shape } of this.model.random) {
      if (random === undefined)
        throw new FaceError(
          "INTERNAL",
          `internal: a run draws from ${stream} but no random stream was given`,
        );
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export interface RunOptions {
  readonly random?: Random;
  /** Which outputs to compute; all when left out. */
  readonly outputs?: readonly string[];
}
