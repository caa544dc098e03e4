/** @file What classify and regress have in common: examples in, and a signature that is checked before they are read. */

import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import type { Tensor, TensorMap } from "../base/tensor.ts";
import { DataType } from "../proto/tensorflow/tensor_pb.ts";
import { dataTypeOf, dataTypeText } from "../savedmodel/format/tensor-proto.ts";
import type { Signature } from "../savedmodel/signature.ts";
import { type RunOptions, runUntil, type Servable } from "./engine/servable.ts";
import { exampleRequest } from "./observe/request-log.ts";
import type { Answered, ModelChoice, Models } from "./repository/catalog.ts";
import { invalidArgument, photosInstead, type StatusError } from "./status.ts";

const INPUTS = "inputs";

/** Serialized `tensorflow.Example` records, or a function that reads them, called when the signature is found to fit. */
export type Examples = readonly Uint8Array[] | (() => ReadExamples);
/** Many are read in steps. */
export type ReadExamples = readonly Uint8Array[] | Promise<readonly Uint8Array[]>;

/** What to classify or regress. */
export interface ExampleCall {
  readonly model: ModelChoice;
  /** Empty for `serving_default`. */
  readonly signatureName: string;
  readonly examples: Examples;
}

/** How a verb uses a signature. */
export interface ExampleVerb<A> {
  readonly kind: "classify" | "regress";
  /**
   * Checks the signature.
   * @returns the outputs to compute.
   * @throws StatusError for a signature of another kind.
   */
  outputsOf(signature: Signature): readonly string[];
  /** The answer for `batch` examples. @throws StatusError when the outputs do not fit. */
  answer(outputs: TensorMap, batch: number): A;
  /** The answer as a message. */
  response(answer: Answered & A): Uint8Array;
}

/** Bytes of examples. */
export const sumOf = (examples: readonly Uint8Array[]): number =>
  examples.reduce((sum, { length }) => sum + length, 0);

/**
 * Runs a verb on one signature.
 * @throws StatusError with TensorFlow Serving's code and message.
 */
export async function runExamples<A>(
  verb: ExampleVerb<A>,
  servable: Servable,
  signatureName: string,
  examples: Examples,
  options: RunOptions,
): Promise<Answered & A> {
  const { name, version, signatures } = servable;
  const signature = signatures.get(signatureName);
  if (signature === undefined)
    throw invalidArgument(
      `No signature was found with the name: ${signatureName}${photosInstead(signatures)}`,
    );
  const outputNames = verb.outputsOf(signature);
  const records = typeof examples === "function" ? await examples() : examples;
  const inputs = exampleTensor(signature, records);
  const outputs = await runUntil(servable, signatureName, inputs, outputNames, options);
  return { name, version, signatureName, ...verb.answer(outputs, records.length) };
}

/**
 * A verb as a function that finds the model of a call and runs it.
 * @returns a function that throws StatusError with TensorFlow Serving's code and message.
 */
export function exampleFunction<A>(verb: ExampleVerb<A>) {
  return async (models: Models, call: ExampleCall, options: RunOptions = {}): Promise<Answered & A> => {
    using lease = models.acquire(call.model);
    const signatureName = call.signatureName || DEFAULT_SIGNATURE;
    const { recorder, servable } = lease;
    if (recorder === undefined)
      return await runExamples(verb, servable, signatureName, call.examples, options);
    // The signature is checked before the examples are read.
    let record: ReturnType<typeof recorder.begin>;
    const examples = async () => {
      const read = typeof call.examples === "function" ? await call.examples() : call.examples;
      const asked = { name: servable.name, signatureName };
      record = recorder.begin(verb.kind, sumOf(read), () => exampleRequest(verb.kind, asked, read));
      return read;
    };
    const answer = await runExamples(verb, servable, signatureName, examples, options);
    record?.(() => verb.response(answer));
    return answer;
  };
}

function exampleTensor(signature: Signature, records: readonly Uint8Array[]): TensorMap {
  if (records.length === 0) throw invalidArgument("Input is empty.");
  const { dtype } = signature.inputs.get(INPUTS)!;
  if (dtype !== "string") {
    const wanted = dataTypeText(dataTypeOf(dtype));
    throw invalidArgument(`Expects arg[0] to be ${wanted} but string is provided (input alias: ${INPUTS})`);
  }
  return new Map<string, Tensor>([[INPUTS, { dtype, shape: [records.length], data: records }]]);
}

/** Checks that a signature takes examples and nothing else. */
export function checkExampleInput(signature: Signature, kind: "classification" | "regression"): void {
  if (signature.inputs.has(INPUTS)) return;
  throw unfit(`No ${kind} inputs found in SignatureDef: `, signature);
}

/** The graph's name for the input of a signature that was checked. */
export function exampleInputName(signature: Signature): string {
  return signature.inputs.get(INPUTS)!.tensorName;
}

/** An error that lists the inputs and outputs of a signature. */
export function unfit(message: string, { inputs, outputs }: Signature): StatusError {
  const list = (names: Iterable<string>) => [...names].join(",");
  return invalidArgument(`${message}inputs {${list(inputs.keys())}} outputs {${list(outputs.keys())}}`);
}

/** `DT_FLOAT` and the like. */
export function typeName({ dtype }: Tensor): string {
  return DataType[dataTypeOf(dtype)]!;
}
