/** @file A SavedModel as a servable: each signature in a session pool for the shapes that requests bring. */
import type { ExportedModel } from "../../artifact/description.ts";
import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import { messageOf } from "../../base/errors.ts";
import { Limiter } from "../../base/limiter.ts";
import type { Tensor, TensorMap } from "../../base/tensor.ts";
import { rowsAtATime } from "../../graph/batch-rows.ts";
import { lower } from "../../onnx/lower/lower.ts";
import type { SessionPool } from "../../onnx/runtime/session-pool.ts";
import { checkReadable, sliceOf } from "../../savedmodel/read/import-graph.ts";
import { type ReadModel, readSavedModel, type SignatureProgram } from "../../savedmodel/read/read.ts";
import type { Signature } from "../../savedmodel/signature.ts";
import { checkDescribed } from "../described-inputs.ts";
import { StatusError } from "../status.ts";
import { decodeStep } from "./image-input.ts";
import { exampleStep } from "./parse-example.ts";
import type { InputStep, RunOptions, Servable, ServableId } from "./servable.ts";
import { fits, misfitText, NICENESS, runSession, type Shapes, shapesOf } from "./session-run.ts";
import { ShapeVariants } from "./shape-variants.ts";
import { SharedPools } from "./shared-pools.ts";

/**
 * Names by place instead of a signature's own: those with the same graph then have the same model. Each has a prefix, since
 * an input and an output may have one name.
 */
function placeNames(prefix: string, ports: ReadonlyMap<string, unknown>): ReadonlyMap<string, string> {
  return new Map([...ports.keys()].toSorted().map((alias, place) => [alias, `${prefix}/${place}`]));
}
/** The output with a variable's value after a run. */
const nextName = (place: string): string => `next/${place}`;

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

/** The variables that a model's signatures change: one value each, shared by all signatures of a version. */
class ModelState {
  readonly #values = new Map<string, Tensor>();
  readonly #turns = new Limiter(1);

  /**
   * Runs a signature that reads or changes variables, one run at a time.
   * @param run gets the variables' inputs and the names of their next values, and answers with all outputs by name.
   */
  run(
    state: NonNullable<SignatureProgram["state"]>,
    run: (variables: TensorMap, next: readonly string[]) => Promise<TensorMap>,
  ): Promise<TensorMap> {
    return this.#turns.run(async () => {
      const inputs = [...state].map(
        ([place, { input, initial }]) => [input.attrs.name, this.#values.get(place) ?? initial] as const,
      );
      const changed = [...state].flatMap(([place, { next }]) => (next === undefined ? [] : [place]));
      const outputs = await run(new Map(inputs), changed.map(nextName));
      for (const place of changed) this.#values.set(place, outputs.get(nextName(place))!);
      return outputs;
    });
  }
}

/** A signature for shapes, in sessions. */
interface Compiled {
  readonly pool: SessionPool;
  readonly state: SignatureProgram["state"];
  close(): Promise<void>;
}

interface SignatureEngineOptions {
  /** Sessions for the declared shapes. */
  readonly sessions: number;
  /** Threads of the session for runs that are alone. Default 1: there is none. */
  readonly aloneThreads?: number | undefined;
  readonly state: ModelState;
  /** The pools of all signatures. */
  readonly pools: SharedPools;
  readonly description: ExportedModel | undefined;
}

/** One signature of a model, lowered to ONNX when first used. */
export class SignatureEngine {
  readonly #model: ReadModel;
  readonly #name: string;
  readonly #sessions: number;
  readonly #aloneThreads: number | undefined;
  /** The inputs of the graph, after the step that parses examples or decodes files, if there is one. */
  readonly #signature: Signature;
  readonly #step: InputStep | undefined;
  readonly #description: ExportedModel | undefined;
  readonly #state: ModelState;
  readonly #pools: SharedPools;
  /** The names in the model, by the signature's own. */
  readonly #inputNames: ReadonlyMap<string, string>;
  readonly #outputNames: ReadonlyMap<string, string>;
  readonly #variants = new ShapeVariants<Compiled>();
  #declared: Promise<Compiled> | undefined;

  constructor(model: ReadModel, name: string, options: SignatureEngineOptions) {
    const declared = model.signatures.get(name)!;
    this.#model = model;
    this.#name = name;
    const { description } = options;
    this.#sessions = options.sessions;
    this.#aloneThreads = options.aloneThreads;
    this.#description = description;
    this.#state = options.state;
    this.#pools = options.pools;
    this.#step =
      exampleStep(model.graph, declared) ?? decodeStep(model.graph, declared, description !== undefined);
    this.#signature = this.#step?.signature ?? declared;
    this.#inputNames = placeNames("input", this.#signature.inputs);
    this.#outputNames = placeNames("output", this.#signature.outputs);
  }

  get #isRankKnown(): boolean {
    return [...this.#signature.inputs.values()].every(({ shape }) => shape !== undefined);
  }

  /**
   * Opens the sessions for the declared shapes.
   * @throws FaceError `MODEL_UNSUPPORTED` or `MODEL_INVALID`.
   */
  async prepare(): Promise<void> {
    if (this.#isRankKnown) await this.#declaredPool();
  }

  /**
   * Checks that the signature can be run, without compiling it: its operators, and the forms in which they are used where
   * the inputs have a known rank.
   * @throws FaceError `MODEL_UNSUPPORTED` or `MODEL_INVALID`.
   */
  async check(): Promise<void> {
    checkReadable(this.#model.graph, this.#name, this.#signature);
    if (this.#isRankKnown) await this.#model.program(this.#name, this.#signature);
  }

  /** Whether the signature changes variables. */
  get changesState(): boolean {
    return sliceOf(this.#model.graph, this.#signature).assignments.size > 0;
  }

  /**
   * Parses examples or decodes files, where the signature takes them.
   * @throws StatusError `INVALID_ARGUMENT` or FaceError for inputs that it cannot convert.
   */
  async makeReady(given: TensorMap, { signal, memory }: RunOptions = {}): Promise<TensorMap> {
    if (this.#step === undefined) return given;
    const inputs = await this.#step.parse(given, memory);
    signal?.throwIfAborted();
    checkDescribed(this.#description, this.#signature, inputs);
    return inputs;
  }

  /** @throws StatusError `INVALID_ARGUMENT` for inputs that do not fit the graph. */
  async run(given: TensorMap, outputNames: readonly string[], signal?: AbortSignal): Promise<TensorMap> {
    const names = outputNames.map((name) => this.#outputNames.get(name)!);
    const inputs = new Map([...given].map(([alias, value]) => [this.#inputNames.get(alias)!, value]));
    const work = async ({ pool, state }: Compiled) => {
      signal?.throwIfAborted();
      const outputs =
        state === undefined
          ? await runSession(pool, inputs, names, this.#inputNames)
          : await this.#state.run(state, (variables, next) =>
              runSession(pool, new Map([...inputs, ...variables]), [...names, ...next], this.#inputNames),
            );
      return new Map(outputNames.map((name, i) => [name, outputs.get(names[i]!)!]));
    };
    const shapes = shapesOf(given);
    if (this.#isRankKnown && fits(this.#signature, shapes)) return await work(await this.#declaredPool());
    const key = JSON.stringify([...shapes].map(([alias, shape]) => [alias, shape.length, shape.slice(1)]));
    return await this.#variants.use(key, () => this.#variantPool(shapes), work, signal);
  }

  #declaredPool(): Promise<Compiled> {
    this.#declared ??= this.#open(this.#signature, this.#sessions).catch((error: unknown) => {
      // This request gets the error, the next one tries again.
      this.#declared = undefined;
      throw error;
    });
    return this.#declared;
  }

  async #variantPool(shapes: Shapes): Promise<Compiled> {
    try {
      return await this.#open(reshaped(this.#signature, shapes), 1);
    } catch (error) {
      throw new StatusError("INVALID_ARGUMENT", misfitText(this.#signature, shapes), { cause: error });
    }
  }

  async #open(signature: Signature, sessions: number): Promise<Compiled> {
    const { outputs, state } = await this.#model.program(this.#name, signature);
    const named = Object.entries(outputs).map(
      ([name, node]) => [this.#outputNames.get(name)!, node] as const,
    );
    const next = [...(state ?? [])].flatMap(([place, variable]) =>
      variable.next === undefined ? [] : [[nextName(place), variable.next] as const],
    );
    const lowered = lower(
      { outputs: Object.fromEntries([...named, ...next]) },
      { inputNames: this.#inputNames },
    );
    const inputNames = lowered.inputs.map(({ name }) => name);
    const shared = await this.#pools.open(lowered.bytes, sessions, {
      inputNames,
      niceness: NICENESS,
      rowsAtATime: state === undefined ? rowsAtATime(Object.values(outputs)) : undefined,
      ...(this.#aloneThreads === undefined ? {} : { aloneThreads: this.#aloneThreads }),
    });
    return { ...shared, state };
  }

  async close(): Promise<void> {
    await Promise.all([this.#declared?.then((compiled) => compiled.close()), this.#variants.close()]);
  }
}

/** How many sessions a signature has, and the threads of the one for requests that are alone. */
export type EngineSessions = Pick<SignatureEngineOptions, "sessions" | "aloneThreads">;

/** A SavedModel version in memory. Signatures other than the default one are opened on their first request. */
class SavedModelServable implements Servable {
  readonly name: string;
  readonly version: bigint;
  readonly description: ExportedModel | undefined;
  readonly #model: ReadModel;
  readonly #sessions: EngineSessions;
  readonly #engines = new Map<string, SignatureEngine>();
  readonly #state = new ModelState();
  readonly #pools = new SharedPools();
  /** Why signatures cannot run. */
  readonly #problems = new Map<string, string>();
  readonly #running = new Set<Promise<unknown>>();

  constructor(
    { name, version }: ServableId,
    model: ReadModel,
    description: ExportedModel | undefined,
    sessions: EngineSessions,
  ) {
    this.name = name;
    this.version = version;
    this.description = description;
    this.#model = model;
    this.#sessions = sessions;
  }

  get signatures(): ReadModel["signatures"] {
    return this.#model.signatures;
  }

  get signatureDefs(): ReadModel["signatureDefs"] {
    return this.#model.signatureDefs;
  }

  #engine(signatureName: string): SignatureEngine {
    let engine = this.#engines.get(signatureName);
    if (engine === undefined) {
      engine = new SignatureEngine(this.#model, signatureName, {
        ...this.#sessions,
        state: this.#state,
        pools: this.#pools,
        description: this.description,
      });
      this.#engines.set(signatureName, engine);
    }
    return engine;
  }

  /** Opens the sessions of a signature before its first request. */
  prepare(signatureName: string): Promise<void> {
    return this.#engine(signatureName).prepare();
  }

  get problems(): readonly string[] {
    return [...this.#problems.values()];
  }

  /** Opens the sessions of the default signature, or else of the first, and notes which of the others cannot run. */
  async open(): Promise<void> {
    const names = [...this.signatures.keys()];
    const first = names.includes(DEFAULT_SIGNATURE) ? DEFAULT_SIGNATURE : names[0];
    if (first === undefined) return;
    await this.prepare(first);
    for (const name of names) {
      if (name === first) continue;
      try {
        await this.#engine(name).check();
      } catch (error) {
        this.#problems.set(name, `signature ${name} cannot run: ${messageOf(error)}`);
      }
    }
  }

  /** @throws StatusError `UNIMPLEMENTED` for a signature that cannot run. */
  #runnable(name: string): SignatureEngine {
    if (this.#problems.has(name)) {
      throw new StatusError(
        "UNIMPLEMENTED",
        `The signature "${name}" cannot run here; the version's status says why.`,
      );
    }
    return this.#engine(name);
  }

  changesState(signatureName: string): boolean {
    return this.#engine(signatureName).changesState;
  }

  async makeReady(signatureName: string, inputs: TensorMap, options?: RunOptions): Promise<TensorMap> {
    return await this.#counted(this.#runnable(signatureName).makeReady(inputs, options));
  }

  async runReady(
    signatureName: string,
    inputs: TensorMap,
    outputNames: readonly string[],
  ): Promise<TensorMap> {
    return await this.#counted(this.#engine(signatureName).run(inputs, outputNames));
  }

  async run(
    signatureName: string,
    inputs: TensorMap,
    outputNames: readonly string[],
    options: RunOptions = {},
  ): Promise<TensorMap> {
    const engine = this.#runnable(signatureName);
    return this.#counted(
      engine.makeReady(inputs, options).then((ready) => engine.run(ready, outputNames, options.signal)),
    );
  }

  async #counted<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    await Promise.all([...this.#engines.values()].map((engine) => engine.close()));
  }
}

/**
 * Reads a SavedModel and opens its default signature, or else its first, in `sessions` threads.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function loadSavedModel(
  folder: string,
  id: ServableId,
  { tags, ...sessions }: EngineSessions & { readonly tags: readonly string[] },
  description: ExportedModel | undefined,
): Promise<Servable> {
  const model = await readSavedModel(folder, tags);
  const servable = new SavedModelServable(id, model, description, sessions);
  await servable.open();
  return servable;
}
