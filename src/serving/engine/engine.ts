/** @file Signatures of a SavedModel as running engines: lowered to ONNX when first used, for the shapes that come. */
import { FaceError } from "../../base/errors.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { lower } from "../../onnx/lower/lower.ts";
import { SessionPool } from "../../onnx/runtime/session-pool.ts";
import type { ReadModel } from "../../savedmodel/read/read.ts";
import type { Signature } from "../../savedmodel/signature.ts";
import { invalidArgument, StatusError } from "../status.ts";
import { photographStep } from "./decode-step.ts";
import type { InputStep } from "./input-step.ts";
import { exampleStep } from "./parse-example.ts";
import type { RunOptions } from "./servable.ts";

/** Engines for shapes other than the declared ones that are kept at once, for each signature. */
const MOST_VARIANTS = 4;
const DECLARED = "declared";
/** The thread that talks to clients goes before the engine's: its work is short, and keeps theirs coming. */
export const ENGINE_NICENESS = 5;
/** Keeps outputs apart from inputs of the same name, which signatures may have. */
const OUTPUT = "output/";

type Shapes = ReadonlyMap<string, readonly number[]>;

/** Whether tensors have the shapes that a signature declares. */
function fits({ inputs }: Signature, shapes: Shapes): boolean {
  return [...inputs].every(([alias, { shape }]) => {
    const given = shapes.get(alias);
    return (
      shape !== undefined &&
      given !== undefined &&
      given.length === shape.length &&
      shape.every((side, axis) => side < 0 || side === given[axis])
    );
  });
}

/** The same signature with the ranks and sides of these tensors; the first side stays open for batches. */
function reshaped(signature: Signature, shapes: Shapes): Signature {
  const inputs = new Map(
    [...signature.inputs].map(([alias, input]) => {
      const [, ...sides] = shapes.get(alias)!;
      return [alias, { ...input, shape: shapes.get(alias)!.length === 0 ? [] : [-1, ...sides] }];
    }),
  );
  return { ...signature, inputs };
}

/** One signature of a model. */
export class SignatureEngine {
  readonly #model: ReadModel;
  readonly #name: string;
  readonly #lanes: number;
  /** The signature as the graph takes it: behind the parsing of examples or the decoding of files, where there is one. */
  readonly #signature: Signature;
  readonly #step: InputStep | undefined;
  readonly #engines = new Map<string, Promise<SessionPool>>();

  constructor(model: ReadModel, name: string, lanes: number) {
    const declared = model.signatures.get(name)!;
    this.#model = model;
    this.#name = name;
    this.#lanes = lanes;
    this.#step = exampleStep(model.graph, declared) ?? photographStep(model.graph, declared);
    this.#signature = this.#step?.signature ?? declared;
  }

  /**
   * Makes the engine for the declared shapes ready.
   * @throws FaceError `MODEL_UNSUPPORTED` or `MODEL_INVALID`.
   */
  async prepare(): Promise<void> {
    const isRankKnown = [...this.#signature.inputs.values()].every(({ shape }) => shape !== undefined);
    if (isRankKnown) await this.#engine(DECLARED, this.#signature);
  }

  /**
   * The step in front of the graph, if there is one.
   * @throws StatusError `INVALID_ARGUMENT` or FaceError for inputs that it can make nothing of.
   */
  async makeReady(given: TensorMap, { signal, memory }: RunOptions = {}): Promise<TensorMap> {
    const inputs = this.#step === undefined ? given : await this.#step.parse(given, memory);
    signal?.throwIfAborted();
    return inputs;
  }

  /** @throws StatusError `INVALID_ARGUMENT` for inputs that the graph cannot work with. */
  async run(inputs: TensorMap, outputNames: readonly string[], signal?: AbortSignal): Promise<TensorMap> {
    const lanes = await this.#engineFor(inputs);
    signal?.throwIfAborted();
    try {
      const outputs = await lanes.run(
        inputs,
        outputNames.map((name) => OUTPUT + name),
      );
      return new Map(outputNames.map((name) => [name, outputs.get(OUTPUT + name)!]));
    } catch (error) {
      // The runtime's words on inputs that do not fit are the client's to read, not a fault of the server.
      if (error instanceof FaceError && error.code === "MODEL_UNSUPPORTED")
        throw invalidArgument(error.message);
      throw error;
    }
  }

  async #engineFor(inputs: TensorMap): Promise<SessionPool> {
    const shapes = new Map([...inputs].map(([alias, { shape }]) => [alias, shape]));
    if (fits(this.#signature, shapes)) return this.#engine(DECLARED, this.#signature);
    const key = JSON.stringify([...shapes].map(([alias, shape]) => [alias, shape.length, shape.slice(1)]));
    try {
      return await this.#engine(key, reshaped(this.#signature, shapes));
    } catch (error) {
      throw new StatusError("INVALID_ARGUMENT", misfitText(this.#signature, shapes), { cause: error });
    }
  }

  #engine(key: string, signature: Signature): Promise<SessionPool> {
    const known = this.#engines.get(key);
    if (known !== undefined) return known;
    this.#dropVariant();
    const opened = Promise.resolve().then(async () => {
      const { outputs } = await this.#model.program(this.#name, signature);
      const named = Object.entries(outputs).map(([name, node]) => [OUTPUT + name, node] as const);
      const lowered = lower({ outputs: Object.fromEntries(named) });
      const names = lowered.inputs.map(({ name }) => name);
      const size = key === DECLARED ? this.#lanes : 1;
      return SessionPool.open(lowered.bytes, size, { inputNames: names, niceness: ENGINE_NICENESS });
    });
    this.#engines.set(key, opened);
    // A failure is told to who asked; the next request may try again.
    opened.catch(() => this.#engines.delete(key));
    return opened;
  }

  /** Makes room for another shape. */
  #dropVariant(): void {
    const variants = [...this.#engines.keys()].filter((key) => key !== DECLARED);
    const [oldest] = variants;
    if (oldest === undefined || variants.length < MOST_VARIANTS) return;
    const engine = this.#engines.get(oldest)!;
    this.#engines.delete(oldest);
    void engine.then(
      (lanes) => lanes.close(),
      () => undefined,
    );
  }

  async close(): Promise<void> {
    const engines = await Promise.allSettled(this.#engines.values());
    await Promise.all(engines.map((each) => (each.status === "fulfilled" ? each.value.close() : undefined)));
  }
}

/** What a signature takes and what it was given, for an error. */
export function misfitText({ inputs }: Signature, shapes: Shapes): string {
  const parts = [...inputs].map(([alias, { shape }]) => {
    const wanted = shape === undefined ? "any shape" : `[${shape.join(",")}]`;
    return `${alias} takes ${wanted}, got [${(shapes.get(alias) ?? []).join(",")}]`;
  });
  return `Shapes do not fit the model: ${parts.join("; ")}`;
}
