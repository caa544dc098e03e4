/** @file One piece of JSON work, done the same way on the event loop and in a worker thread. */
import {
  arrayOf,
  bytesPerElement,
  type DType,
  type DTypeData,
  type NumericDType,
  type TensorMap,
} from "../../base/tensor.ts";
import { DEFAULT_SIGNATURE } from "../../savedmodel/signature.ts";
import { invalidArgument, type StatusCode, StatusError } from "../status.ts";
import { type ExamplesJson, readExamplesJson } from "./examples.ts";
import { type JsonFormat, type PredictJson, readPredictJson } from "./tensors.ts";
import { type ElementRoom, HEAP } from "./values.ts";
import { writePredictJson } from "./write.ts";

/** A failure in a form that can be sent between threads. */
export interface PlainStatus {
  readonly status: StatusCode;
  readonly message: string;
}

/** The input types of all signatures of the model a request means, or why there is no such model. */
export type SignatureLookup =
  | { readonly signatures: ReadonlyMap<string, ReadonlyMap<string, DType>> }
  | { readonly error: PlainStatus };

/** Reading a request, or writing an answer. */
export type CodecJob =
  | {
      readonly kind: "read";
      readonly bytes: Uint8Array;
      readonly lookup: SignatureLookup;
      /** Shared memory for the numbers, as far as it reaches; the rest goes to the heap. */
      readonly into: Uint8Array | undefined;
    }
  | { readonly kind: "examples"; readonly bytes: Uint8Array }
  | { readonly kind: "write"; readonly outputs: TensorMap; readonly format: JsonFormat };

/** What comes of a job: a request read, or an answer written. */
export type CodecResult = PredictJson | ExamplesJson | Uint8Array;

/** Every element type may begin at a multiple of this. */
const ALIGNMENT = 8;

/** Arrays one behind the other in one piece of memory. */
export function roomIn(memory: Uint8Array): ElementRoom {
  let taken = 0;
  return {
    array<D extends NumericDType>(dtype: D, size: number): DTypeData[D] {
      const bytes = size * bytesPerElement(dtype);
      const start = taken;
      if (start + bytes > memory.byteLength) return HEAP.array(dtype, size);
      taken += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      return new (arrayOf(dtype))(memory.buffer, memory.byteOffset + start, size);
    },
  };
}

/** @throws StatusError with the contract's message. */
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
  return readPredictJson(job.bytes, inputTypesOf, into === undefined ? HEAP : roomIn(into));
}
