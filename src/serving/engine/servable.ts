/** @file The interface between the protocols and the engine: a loaded model version that answers requests. */
import type { ExportedModel } from "../../artifact/description.ts";
import type { TensorMap } from "../../base/tensor.ts";
import type { SignatureDef } from "../../proto/tensorflow/graph_pb.ts";
import type { Signature } from "../../savedmodel/signature.ts";
import type { RequestMemory } from "../request-memory.ts";

/** Bounds of one run. */
export interface RunOptions {
  /** Aborted when nobody waits for the answer any more: the client left, or its time is over. */
  readonly signal?: AbortSignal;
  /** Where large tensors may lie; kept until the run is over, whether somebody waits for it or not. */
  readonly memory?: RequestMemory;
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
   * What must be done to inputs before the engine can take them, such as decoding: work that needs no place in a batch.
   * @returns the inputs for `runReady`; absent where `run` takes them as they are.
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
   * Runs one signature. Inputs and outputs go by the names of the signature.
   * @param outputNames which outputs to compute.
   * @throws FaceError or StatusError; either concerns this run only.
   */
  run(
    signatureName: string,
    inputs: TensorMap,
    outputNames: readonly string[],
    options?: RunOptions,
  ): Promise<TensorMap>;

  /** Waits for the runs under way, then frees the model. */
  close(): Promise<void>;
}

/** Which version folder to load as which servable. */
export interface ServableId {
  readonly name: string;
  readonly version: bigint;
}

/**
 * Loads a version folder.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export type ModelLoader = (folder: string, id: ServableId, signal?: AbortSignal) => Promise<Servable>;

/** A servable as TensorFlow Serving writes it in its log. */
export function servableText({ name, version }: ServableId): string {
  return `{name: ${name} version: ${version}}`;
}
