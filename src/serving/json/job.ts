/** @file The JSON work that is done on the event loop or in a worker thread. */
import type { DType, TensorMap } from "../../base/tensor.ts";
import { DEFAULT_SIGNATURE } from "../../savedmodel/signature.ts";
import type { ModelChoice, Models } from "../repository/catalog.ts";
import { allocatorIn, HEAP } from "../request-memory.ts";
import { invalidArgument, type StatusCode, StatusError, toStatusError } from "../status.ts";
import { type ExamplesJson, readExamplesJson } from "./examples.ts";
import { type JsonFormat, type PredictJson, readPredictJson } from "./tensors.ts";
import { writePredictJson } from "./write.ts";

/** A failure in a form that can be sent between threads. */
export interface PlainStatus {
  readonly status: StatusCode;
  readonly message: string;
}

/** The input types of all signatures of a model, or why the model cannot be used. */
export type SignatureLookup =
  | { readonly signatures: ReadonlyMap<string, ReadonlyMap<string, DType>> }
  | { readonly error: PlainStatus };

/** Reading a request, or writing an answer. */
export type CodecJob =
  | {
      readonly kind: "read";
      readonly bytes: Uint8Array;
      readonly lookup: SignatureLookup;
      /** Shared memory for the numbers; what does not fit goes to the heap. */
      readonly into: Uint8Array | undefined;
    }
  | { readonly kind: "examples"; readonly bytes: Uint8Array }
  | { readonly kind: "write"; readonly outputs: TensorMap; readonly format: JsonFormat };

/** The request that was read or the answer that was written. */
export type CodecResult = PredictJson | ExamplesJson | Uint8Array;

/** What a codec thread can be asked. An error comes as a value, which keeps its status. */
export interface CodecCalls {
  run(job: CodecJob): { readonly result: CodecResult } | { readonly error: PlainStatus };
}

/** The input types of a model for `readPredict`, which reports a missing model only after reading the JSON. */
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
    const { status, message } = toStatusError(error);
    return { error: { status, message } };
  }
}

/** @throws StatusError with TensorFlow Serving's message. */
export function doCodecJob(job: CodecJob): CodecResult {
  if (job.kind === "write") return writePredictJson(job.outputs, job.format);
  if (job.kind === "examples") return readExamplesJson(job.bytes);
  const { lookup, into } = job;
  const inputTypesOf = (requested: string) => {
    if ("error" in lookup) throw new StatusError(lookup.error.status, lookup.error.message);
    const name = requested || DEFAULT_SIGNATURE;
    const inputs = lookup.signatures.get(name);
    if (inputs !== undefined) return inputs;
    throw invalidArgument(`Serving signature name: "${name}" not found in signature def`);
  };
  return readPredictJson(job.bytes, inputTypesOf, into === undefined ? HEAP : allocatorIn(into));
}
