/** @file Loads a version's folder: a SavedModel's signatures, or an ONNX file, as engines in worker threads. */
import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type ExportedModel, readDescription } from "../../artifact/description.ts";
import { modelFileIn, ONNX_FILE } from "../../artifact/files.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { type ReadModel, readSavedModel } from "../../savedmodel/read/read.ts";
import { DEFAULT_SIGNATURE } from "../../savedmodel/signature.ts";
import { SignatureEngine } from "../engine/engine.ts";
import { loadOnnx } from "../engine/onnx-servable.ts";
import type { ModelLoader, RunOptions, Servable, ServableId } from "../engine/servable.ts";

export interface LoaderOptions {
  /** Sessions side by side for each signature, each with a thread of its own. Default: one per core. */
  readonly lanes?: number;
  /** Tags of the meta graph to serve. */
  readonly tags?: readonly string[];
}

/** A SavedModel version in memory. Signatures other than the default one are made ready on their first request. */
class SavedModelServable implements Servable {
  readonly name: string;
  readonly version: bigint;
  readonly description: ExportedModel | undefined;
  readonly #model: ReadModel;
  readonly #lanes: number;
  readonly #engines = new Map<string, SignatureEngine>();
  readonly #running = new Set<Promise<unknown>>();

  constructor(
    { name, version }: ServableId,
    model: ReadModel,
    description: ExportedModel | undefined,
    lanes: number,
  ) {
    this.name = name;
    this.version = version;
    this.description = description;
    this.#model = model;
    this.#lanes = lanes;
  }

  get signatures(): ReadModel["signatures"] {
    return this.#model.signatures;
  }

  get signatureDefs(): ReadModel["signatureDefs"] {
    return this.#model.signatureDefs;
  }

  engine(signatureName: string): SignatureEngine {
    let engine = this.#engines.get(signatureName);
    if (engine === undefined) {
      engine = new SignatureEngine(this.#model, signatureName, this.#lanes);
      this.#engines.set(signatureName, engine);
    }
    return engine;
  }

  makeReady(signatureName: string, inputs: TensorMap, options?: RunOptions): Promise<TensorMap> {
    return this.#counted(this.engine(signatureName).makeReady(inputs, options));
  }

  runReady(signatureName: string, inputs: TensorMap, outputNames: readonly string[]): Promise<TensorMap> {
    return this.#counted(this.engine(signatureName).run(inputs, outputNames));
  }

  async run(
    signatureName: string,
    inputs: TensorMap,
    outputNames: readonly string[],
    options: RunOptions = {},
  ): Promise<TensorMap> {
    const engine = this.engine(signatureName);
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

/** Reads a SavedModel and makes its default signature, or else its first, ready. */
async function loadSavedModel(
  folder: string,
  id: ServableId,
  { lanes, tags }: Required<LoaderOptions>,
): Promise<Servable> {
  const model = await readSavedModel(folder, tags);
  const servable = new SavedModelServable(id, model, await readDescription(folder), lanes);
  const first = model.signatures.has(DEFAULT_SIGNATURE)
    ? DEFAULT_SIGNATURE
    : model.signatures.keys().next().value;
  if (first !== undefined) await servable.engine(first).prepare();
  return servable;
}

/**
 * Loads SavedModels, and ONNX files where a version's folder holds `model.onnx` instead; the default signature answers
 * as soon as the promise resolves.
 */
export function savedModelLoader({
  lanes = availableParallelism(),
  tags = ["serve"],
}: LoaderOptions = {}): ModelLoader {
  return async (folder, id, signal) => {
    const names = await readdir(folder).catch((): string[] => []);
    const servable =
      modelFileIn(names) === ONNX_FILE
        ? await loadOnnx(join(folder, ONNX_FILE), id, lanes, await readDescription(folder))
        : await loadSavedModel(folder, id, { lanes, tags });
    if (signal?.aborted) {
      await servable.close();
      signal.throwIfAborted();
    }
    return servable;
  };
}
