/** @file The calls of the JSON codec's threads, and what their arguments say of a model. */

import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import { type DType, fromBytes, type Tensor, type TensorMap } from "../../base/tensor.ts";
import type { Classifications } from "../classifications.ts";
import { readTensor, type TensorPlan } from "../grpc/tensor-message.ts";
import type { InferenceAnswer } from "../multi-inference.ts";
import type { Regressions } from "../regress.ts";
import type { Answered, ModelChoice, Models } from "../repository/catalog.ts";
import { allocatorIn, HEAP, type TensorMemory } from "../request-memory.ts";
import { invalidArgument, type StatusCode, StatusError, toStatusError } from "../status.ts";
import type { ExamplesJson } from "./examples.ts";
import type { PackedStrings, SentTensors } from "./packed-strings.ts";
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
  readPredict(
    bytes: Uint8Array,
    lookup: SignatureLookup,
    into: Uint8Array | undefined,
  ): Outcome<Omit<PredictJson, "inputs"> & { readonly inputs: SentTensors }>;
  readExamples(
    bytes: Uint8Array,
  ): Outcome<Omit<ExamplesJson, "examples"> & { readonly examples: PackedStrings }>;
  readPhotos(bytes: Uint8Array, names: readonly string[]): Outcome<PhotosJson>;
  writePredict(outputs: TensorMap, format: JsonFormat): Outcome<Uint8Array>;
  writeClassify(answer: Classifications): Outcome<Uint8Array>;
  writeRegress(answer: Regressions): Outcome<Uint8Array>;
  readTensors(bytes: Uint8Array, plans: ReadonlyMap<string, TensorPlan>): Outcome<SentTensors>;
  predictResponse(answered: Answered, outputs: TensorMap, asContent: boolean): Outcome<Uint8Array>;
  classifyResponse(answer: Answered & Classifications): Outcome<Uint8Array>;
  regressResponse(answer: Answered & Regressions): Outcome<Uint8Array>;
  multiInferenceResponse(answers: readonly InferenceAnswer[]): Outcome<Uint8Array>;
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

/** A tensor's memory on the heap. */
const ON_HEAP: TensorMemory = { ...HEAP, fromBytes };

/**
 * Reads the tensors of a gRPC request as planned.
 * @throws StatusError `INVALID_ARGUMENT` that names the input.
 */
export function readTensors(
  bytes: Uint8Array,
  plans: ReadonlyMap<string, TensorPlan>,
  memory: TensorMemory = ON_HEAP,
): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [alias, plan] of plans) {
    try {
      tensors.set(alias, readTensor(bytes, plan, memory));
    } catch (error) {
      if (error instanceof StatusError) throw error;
      throw new StatusError("INVALID_ARGUMENT", `tensor parsing error: ${alias}`, { cause: error });
    }
  }
  return tensors;
}
