/** @file Loads a version's folder into an engine: the SavedModel's graphs lowered to ONNX, in worker threads. */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { FaceError, systemCode } from "../base/errors.ts";
import type { Tensor, TensorMap } from "../base/tensor.ts";
import { lower } from "../onnx/lower.ts";
import { WorkerSession } from "../onnx/worker-session.ts";
import { type ReadModel, readSavedModel } from "../savedmodel/read.ts";
import { DEFAULT_SIGNATURE } from "../savedmodel/signature.ts";
import type { ModelLoader, RunOptions, Servable, ServableId } from "./servable.ts";
import { StatusError } from "./status.ts";

export interface LoaderOptions {
  /** Sessions side by side for each signature, each with a thread of its own. Default: one per core. */
  readonly lanes?: number;
  /** Tags of the meta graph to serve. */
  readonly tags?: readonly string[];
}

const DESCRIPTION_FILE = "assets.extra/faceid.json";

/** Sessions of one signature; a request goes to the one with the fewest requests under way. */
class Lanes {
  readonly #sessions: readonly { readonly session: WorkerSession; underWay: number }[];

  constructor(sessions: readonly WorkerSession[]) {
    this.#sessions = sessions.map((session) => ({ session, underWay: 0 }));
  }

  static async open(bytes: Uint8Array, lanes: number): Promise<Lanes> {
    return new Lanes(await Promise.all(Array.from({ length: lanes }, () => WorkerSession.open(bytes))));
  }

  async run(inputs: TensorMap, outputs: readonly string[]): Promise<TensorMap> {
    const lane = this.#sessions.reduce((best, other) => (other.underWay < best.underWay ? other : best));
    lane.underWay++;
    try {
      return await lane.session.run(inputs, outputs);
    } finally {
      lane.underWay--;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map(({ session }) => session.close()));
  }
}

async function readDescription(folder: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(folder, DESCRIPTION_FILE), "utf8"));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new FaceError("MODEL_INVALID", `${DESCRIPTION_FILE} is damaged`, { cause: error });
  }
}

/** A SavedModel version in memory. Signatures other than the default one are made ready on their first request. */
class SavedModelServable implements Servable {
  readonly name: string;
  readonly version: bigint;
  readonly description: unknown;
  readonly #model: ReadModel;
  readonly #lanes: number;
  readonly #ready = new Map<string, Promise<Lanes>>();
  readonly #running = new Set<Promise<unknown>>();

  constructor({ name, version }: ServableId, model: ReadModel, description: unknown, lanes: number) {
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

  /** Reads, lowers and opens a signature once. */
  prepare(signature: string): Promise<Lanes> {
    const known = this.#ready.get(signature);
    if (known !== undefined) return known;
    const opened = Promise.resolve().then(() => {
      const { bytes } = lower({ outputs: this.#model.program(signature).outputs });
      return Lanes.open(bytes, this.#lanes);
    });
    this.#ready.set(signature, opened);
    // A failure is told to who asked; the next request may try again.
    opened.catch(() => this.#ready.delete(signature));
    return opened;
  }

  async run(
    signatureName: string,
    inputs: TensorMap,
    outputNames: readonly string[],
    { signal }: RunOptions = {},
  ): Promise<TensorMap> {
    this.#checkTypes(signatureName, inputs);
    const work = this.prepare(signatureName).then((lanes) => {
      signal?.throwIfAborted();
      return lanes.run(inputs, outputNames);
    });
    this.#running.add(work);
    try {
      return await work;
    } catch (error) {
      // The runtime's words on inputs that do not fit are the client's to read, not a fault of the server.
      if (error instanceof FaceError && error.code === "MODEL_UNSUPPORTED") {
        throw new StatusError("INVALID_ARGUMENT", error.message);
      }
      throw error;
    } finally {
      this.#running.delete(work);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    const lanes = await Promise.allSettled(this.#ready.values());
    await Promise.all(lanes.map((each) => (each.status === "fulfilled" ? each.value.close() : undefined)));
  }

  #checkTypes(signatureName: string, inputs: TensorMap): void {
    const wanted = this.#model.signatures.get(signatureName)?.inputs;
    let i = 0;
    for (const [alias, value] of inputs) {
      const dtype = wanted?.get(alias)?.dtype;
      if (dtype !== undefined && dtype !== value.dtype) {
        throw new StatusError(
          "INVALID_ARGUMENT",
          `Expects arg[${i}] to be ${typeText(dtype)} but ${typeText(value.dtype)} is provided`,
        );
      }
      i++;
    }
  }
}

/** Names of types as TensorFlow says them. */
const typeText = (dtype: Tensor["dtype"]): string =>
  ({ float32: "float", float64: "double", float16: "half" })[dtype as "float32"] ?? dtype;

/** Loads SavedModels; the model answers as soon as the promise resolves. */
export function savedModelLoader({
  lanes = availableParallelism(),
  tags = ["serve"],
}: LoaderOptions = {}): ModelLoader {
  return async (folder, id) => {
    const model = await readSavedModel(folder, tags);
    const servable = new SavedModelServable(id, model, await readDescription(folder), lanes);
    const first = model.signatures.has(DEFAULT_SIGNATURE)
      ? DEFAULT_SIGNATURE
      : model.signatures.keys().next().value;
    if (first !== undefined) await servable.prepare(first);
    return servable;
  };
}
