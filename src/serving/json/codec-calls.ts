/** @file The calls of the JSON codec's threads, and what their arguments say of a model. */

import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import { type DType, fromBytes, type Tensor } from "../../base/tensor.ts";
import { collectWhenIdle } from "../../base/worker.ts";
import { Moved } from "../../base/worker-client.ts";
import * as messages from "../grpc/response-messages.ts";
import { readTensor, type TensorPlan } from "../grpc/tensor-message.ts";
import { type InferBody, writeInferBody } from "../open-inference/body.ts";
import { type InferPlan, inferResponse, readInferTensor } from "../open-inference/messages.ts";
import type { Regressions } from "../regress.ts";
import type { ModelChoice, Models } from "../repository/catalog.ts";
import { allocatorIn, HEAP, type TensorMemory } from "../request-memory.ts";
import { invalidArgument, photosInstead, type StatusCode, StatusError, toStatusError } from "../status.ts";
import type { ExamplesJson } from "./examples.ts";
import type { PackedStrings, SentTensors } from "./packed-strings.ts";
import type { PhotoList, PhotosJson } from "./photos.ts";
import { type PredictJson, readPredictJson } from "./tensors.ts";
import { writeClassifyJson, writePredictJson, writeRegressJson } from "./write.ts";

/** A failure in a form that can be sent between threads. */
export interface PlainStatus {
  readonly status: StatusCode;
  readonly message: string;
}

/** A result, or an error as a value, which keeps its status on the way between threads. */
export type Outcome<T> = { readonly result: T } | { readonly error: PlainStatus };

/**
 * What a thread answers for a document.
 * @param buffers the memory of a result that moves to the caller.
 */
export function outcome<T>(
  work: () => T,
  buffers: (result: T) => readonly ArrayBuffer[],
): Outcome<T> | Moved<Outcome<T>> {
  try {
    const result = work();
    return new Moved({ result }, buffers(result));
  } catch (error) {
    return { error: plainStatus(error) };
  } finally {
    // A document leaves many times its size.
    collectWhenIdle();
  }
}

/** @throws StatusError the error that the thread answered. */
export function resultOf<T>(answer: Outcome<T>): T {
  if ("result" in answer) return answer.result;
  throw new StatusError(answer.error.status, answer.error.message);
}

/** How each form of an answer is written; the first argument holds its numbers. */
export const WRITERS = {
  predictJson: writePredictJson,
  classifyJson: writeClassifyJson,
  regressJson: ({ values }: Regressions) => writeRegressJson(values),
  predictMessage: messages.predictResponse,
  classifyMessage: messages.classifyResponse,
  regressMessage: messages.regressResponse,
  multiInferenceMessage: messages.multiInferenceResponse,
  inferJson: writeInferBody,
  inferMessage: inferResponse,
} as const;
export type AnswerForm = keyof typeof WRITERS;
export type WriterArguments<F extends AnswerForm = AnswerForm> = Parameters<(typeof WRITERS)[F]>;

/** The bytes of an answer. */
export const written = (form: AnswerForm, args: WriterArguments): Uint8Array =>
  (WRITERS[form] as (...args: WriterArguments) => Uint8Array)(...args);

/** The tensors of a gRPC request, of either protocol. */
export type TensorPlans = ReadonlyMap<string, TensorPlan | InferPlan>;

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
  readPhotos(bytes: Uint8Array, names: readonly string[], list?: PhotoList): Outcome<PhotosJson>;
  readInfer(
    bytes: Uint8Array,
    jsonLength: number,
  ): Outcome<Omit<InferBody, "inputs"> & { readonly inputs: SentTensors }>;
  readTensors(bytes: Uint8Array, plans: TensorPlans): Outcome<SentTensors>;
  write(form: AnswerForm, args: WriterArguments): Outcome<Uint8Array>;
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
    throw invalidArgument(
      `Serving signature name: "${name}" not found in signature def${photosInstead(lookup.signatures)}`,
    );
  };
  return readPredictJson(bytes, inputTypesOf, into === undefined ? HEAP : allocatorIn(into));
}

/**
 * Reads an input of a gRPC request.
 * @throws StatusError TensorFlow Serving's error for a tensor that cannot be read.
 */
export function readingInput<T>(alias: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw new StatusError("INVALID_ARGUMENT", `tensor parsing error: ${alias}`, { cause: error });
  }
}

/** A tensor's memory on the heap. */
export const ON_HEAP: TensorMemory = { ...HEAP, fromBytes };

/**
 * Reads the tensors of a gRPC request as planned.
 * @throws StatusError `INVALID_ARGUMENT` that names the input.
 */
export function readTensors(
  bytes: Uint8Array,
  plans: TensorPlans,
  memory: TensorMemory = ON_HEAP,
): Map<string, Tensor> {
  const read = (alias: string, plan: TensorPlan | InferPlan) =>
    "isRaw" in plan ? readInferTensor(alias, bytes, plan, memory) : readTensor(bytes, plan, memory);
  return new Map([...plans].map(([alias, plan]) => [alias, readingInput(alias, () => read(alias, plan))]));
}
