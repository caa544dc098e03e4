/** @file The calls of the JSON codec's threads, and what their arguments say of a model. */

import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import type { DType, TensorMap } from "../../base/tensor.ts";
import type { ModelChoice, Models } from "../repository/catalog.ts";
import { allocatorIn, HEAP } from "../request-memory.ts";
import { invalidArgument, type StatusCode, StatusError, toStatusError } from "../status.ts";
import type { ExamplesJson } from "./examples.ts";
import type { PhotosJson } from "./photos.ts";
import { type JsonFormat, type PredictJson, readPredictJson } from "./tensors.ts";

/** A failure in a form that can be sent between threads. */
export interface PlainStatus {
  readonly status: StatusCode;
  readonly message: string;
}

/** A result, or an error as a value, which keeps its status on the way between threads. */
export type Outcome<T> = { readonly result: T } | { readonly error: PlainStatus };

/** What a codec thread can be asked. */
export interface CodecCalls {
  readPredict(bytes: Uint8Array, lookup: SignatureLookup, into: Uint8Array | undefined): Outcome<PredictJson>;
  readExamples(bytes: Uint8Array): Outcome<ExamplesJson>;
  readPhotos(bytes: Uint8Array, names: readonly string[]): Outcome<PhotosJson>;
  writePredict(outputs: TensorMap, format: JsonFormat): Outcome<Uint8Array>;
}

/** The input types of all signatures of a model, or why the model cannot be used. */
export type SignatureLookup =
  | { readonly signatures: ReadonlyMap<string, ReadonlyMap<string, DType>> }
  | { readonly error: PlainStatus };

export function plainStatus(error: unknown): PlainStatus {
  const { status, message } = toStatusError(error);
  return { status, message };
}

/** Looks up a model for `readPredict`, which reports a missing model only after reading the JSON. */
export function signatureTypes(models: Models, model: ModelChoice): SignatureLookup {
  try {
    using lease = models.acquire(model);
    const signatures = new Map(
      [...lease.servable.signatures].map(([name, { inputs }]) => [
        name,
        new Map([...inputs].map(([alias, { dtype }]) => [alias, dtype])),
      ]),
    );
    return { signatures };
  } catch (error) {
    return { error: plainStatus(error) };
  }
}

/**
 * Reads a predict body by the input types of a model.
 * @param into shared memory for the numbers; what does not fit goes to the heap.
 * @throws StatusError with TensorFlow Serving's message.
 */
export function readPredict(bytes: Uint8Array, lookup: SignatureLookup, into?: Uint8Array): PredictJson {
  const inputTypesOf = (requested: string) => {
    if ("error" in lookup) throw new StatusError(lookup.error.status, lookup.error.message);
    const name = requested || DEFAULT_SIGNATURE;
    const inputs = lookup.signatures.get(name);
    if (inputs !== undefined) return inputs;
    throw invalidArgument(`Serving signature name: "${name}" not found in signature def`);
  };
  return readPredictJson(bytes, inputTypesOf, into === undefined ? HEAP : allocatorIn(into));
}
