/** @file The interface between the protocols and the engine: a loaded model version that answers requests. */
import type { ExportedModel } from "../../artifact/description.ts";
import type { TensorMap } from "../../base/tensor.ts";
import type { SignatureDef } from "../../proto/tensorflow/graph_pb.ts";
import type { Signature } from "../../savedmodel/signature.ts";
import { checkDescribed } from "../described-inputs.ts";
import { holding, type RequestMemory } from "../request-memory.ts";
import { counted } from "./run-statistics.ts";

/** Bounds of one run. */
export interface RunOptions {
  /** Aborted when the client left or its time is over. */
  readonly signal?: AbortSignal;
  /** For large tensors; kept until the run ends, even when nobody waits for it. */
  readonly memory?: RequestMemory;
}

/** How requests share a run. */
export interface BatchLimits {
  /** Most rows of a batch. */
  readonly maxBatchSize: number;
  /** How long a batch waits for more requests. */
  readonly timeoutMs: number;
  /** Sizes that batches are padded to; empty for any size. */
  readonly allowedBatchSizes: readonly number[];
}

/** A model version in memory, ready to run. */
export interface Servable {
  readonly name: string;
  readonly version: bigint;
  readonly signatures: ReadonlyMap<string, Signature>;
  /** The signatures exactly as the model declares them, for metadata requests. */
  readonly signatureDefs: { readonly [name: string]: SignatureDef };
  /** The description beside the model, if it has one. */
  readonly description?: ExportedModel | undefined;

  /**
   * Converts inputs before they enter a batch, for example decodes images. Absent where `run` takes them unchanged.
   * @returns the inputs for `runReady`.
   */
  readonly makeReady?: (
    signatureName: string,
    inputs: TensorMap,
    options?: RunOptions,
  ) => TensorMap | Promise<TensorMap>;

  /** Runs one signature with inputs from `makeReady`. */
  readonly runReady?: (
    signatureName: string,
    inputs: TensorMap,
    outputNames: readonly string[],
  ) => Promise<TensorMap>;

  /**
   * Runs one signature; inputs and outputs have the names of the signature.
   * @param outputNames which outputs to compute.
   * @throws FaceError or StatusError that concerns this run only.
   */
  run(
    signatureName: string,
    inputs: TensorMap,
    outputNames: readonly string[],
    options?: RunOptions,
  ): Promise<TensorMap>;

  /** Signatures that cannot run, each with the reason; absent where all can. */
  readonly problems?: readonly string[];

  /** How requests of a signature share runs; absent or undefined where each runs by itself. */
  batchingOf?(signatureName: string): BatchLimits | undefined;

  /** Whether a signature changes variables of the model; absent where none does. */
  changesState?(signatureName: string): boolean;

  /** Waits for pending runs, then frees the model. */
  close(): Promise<void>;
}

/** A step between a request and the graph, for work that the engine cannot do: parsing examples, decoding images. */
export interface InputStep {
  /** The signature whose inputs are the step's results. */
  readonly signature: Signature;
  /**
   * @param memory for the results.
   * @throws StatusError `INVALID_ARGUMENT` or FaceError for inputs that it cannot convert.
   */
  parse(inputs: TensorMap, memory?: RequestMemory): TensorMap | Promise<TensorMap>;
}

/** Name and version of a servable. */
export interface ServableId {
  readonly name: string;
  readonly version: bigint;
}

/**
 * Loads a version folder.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export type ModelLoader = (folder: string, id: ServableId, signal?: AbortSignal) => Promise<Servable>;

/** A servable in the form of TensorFlow Serving's log. */
export function servableText({ name, version }: ServableId): string {
  return `{name: ${name} version: ${version}}`;
}

/** Waits for work; when the signal aborts, it stops waiting and throws the signal's reason. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    // The own error of work that is still queued comes first.
    stop = () => setImmediate(() => reject(signal.reason));
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/**
 * Runs a signature until the signal; see `untilAborted`.
 * @throws StatusError `INVALID_ARGUMENT` for inputs that the model's description rules out.
 */
export async function runUntil(
  servable: Servable,
  signatureName: string,
  inputs: TensorMap,
  outputNames: readonly string[],
  options: RunOptions,
): Promise<TensorMap> {
  const { signal } = options;
  signal?.throwIfAborted();
  const signature = servable.signatures.get(signatureName);
  if (signature !== undefined) checkDescribed(servable.description, signature, inputs);
  return counted(servable, inputs, () => {
    const run = holding(options.memory, () => servable.run(signatureName, inputs, outputNames, options));
    return signal === undefined ? run : untilAborted(run, signal);
  });
}
