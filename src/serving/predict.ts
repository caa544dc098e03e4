/** @file Predict: finds the model, checks the inputs against the signature, and runs it. */

import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import type { TensorMap } from "../base/tensor.ts";
import { dataTypeOf, dataTypeText } from "../savedmodel/format/tensor-proto.ts";
import type { Signature } from "../savedmodel/signature.ts";
import { type RunOptions, runUntil } from "./engine/servable.ts";
import { predictResponse } from "./grpc/response-messages.ts";
import { predictRequest } from "./observe/request-log.ts";
import type { Answered, ModelChoice, Models } from "./repository/catalog.ts";
import { invalidArgument, photosInstead, StatusError } from "./status.ts";

/** What to predict. */
export interface PredictCall {
  readonly model: ModelChoice;
  /** Empty for `serving_default`. */
  readonly signatureName: string;
  /** The tensors, or a function that reads them, called when the model and its signature are found. */
  readonly inputs: TensorMap | ((signature: Signature) => TensorMap | Promise<TensorMap>);
  /** Which outputs to compute; empty for all. */
  readonly outputFilter: readonly string[];
}

/** The outputs of the version that answered. */
export interface PredictAnswer extends Answered {
  readonly outputs: TensorMap;
}

/**
 * Runs one signature of one model.
 * @throws StatusError with TensorFlow Serving's code and message.
 */
export async function predict(
  models: Models,
  call: PredictCall,
  options: RunOptions = {},
): Promise<PredictAnswer> {
  using lease = models.acquire(call.model);
  const { servable } = lease;
  const signatureName = call.signatureName || DEFAULT_SIGNATURE;
  const signature = servable.signatures.get(signatureName);
  if (signature === undefined) {
    const instead = photosInstead(servable.signatures);
    throw new StatusError(
      "FAILED_PRECONDITION",
      `Serving signature key "${signatureName}" not found${instead || "."}`,
    );
  }
  const given = typeof call.inputs === "function" ? await call.inputs(signature) : call.inputs;
  const inputs = completeInputs(signature, given);
  const outputNames = chooseOutputs(signature, call.outputFilter);
  const answered = { name: servable.name, version: servable.version, signatureName };
  const record = lease.recorder?.begin("predict", bytesOf(inputs), () =>
    predictRequest(answered, given, call.outputFilter),
  );
  const outputs = await runUntil(servable, signatureName, inputs, outputNames, options);
  record?.(() => predictResponse(outputs, answered, true));
  return { ...answered, outputs };
}

function bytesOf(inputs: TensorMap): number {
  let bytes = 0;
  for (const { dtype, data } of inputs.values()) {
    if (dtype !== "string") bytes += (data as { readonly byteLength: number }).byteLength;
    else for (const { length } of data as readonly Uint8Array[]) bytes += length;
  }
  return bytes;
}

function namesText(names: Iterable<string>): string {
  return [...names].sort().join(",");
}

/** The inputs of a request with the signature's defaults for those left out. */
function completeInputs(signature: Signature, given: TensorMap): TensorMap {
  const { inputs: expected, defaults } = signature;
  const tooMany = given.size > expected.size;
  if (tooMany || (given.size < expected.size && defaults.size === 0)) throw sizeError(signature, given);
  const complete = new Map(given);
  let filled = 0;
  for (const [alias, { tensorName }] of expected) {
    if (given.has(alias)) continue;
    const standIn = defaults.get(alias);
    if (standIn === undefined) {
      throw invalidArgument(
        `Signature input alias: ${alias}(feed name: ${tensorName}) not found in request and no default value ` +
          `provided. Inputs expected to be in the request {${namesText(given.keys())}}, ` +
          `or default input alias set: ${namesText(defaults.keys())}`,
      );
    }
    complete.set(alias, standIn);
    filled++;
  }
  if (given.size + filled !== expected.size) {
    const used = [...given.keys()].filter((name) => expected.has(name));
    throw invalidArgument(
      `Inputs contains invalid name. Used request inputs: ${namesText(used)}, ` +
        `request input: ${namesText(given.keys())}`,
    );
  }
  checkTypes(signature, complete);
  return complete;
}

function sizeError(signature: Signature, given: TensorMap): StatusError {
  const expected = signature.inputs;
  const extra = [...given.keys()].filter((name) => !expected.has(name));
  const missing = [...expected.keys()].filter((name) => !given.has(name));
  return invalidArgument(
    `input size does not match signature: ${given.size}!=${expected.size} ` +
      `len({${namesText(given.keys())}}) != len({${namesText(expected.keys())}}). ` +
      `Sent extra: {${namesText(extra)}}. Missing but required: {${namesText(missing)}}.`,
  );
}

/** TensorFlow's limit; a JSON document can nest half a million lists. */
const MOST_AXES = 254;

function checkTypes(signature: Signature, inputs: TensorMap): void {
  for (const [alias, { dtype }] of signature.inputs) {
    const { dtype: given, shape } = inputs.get(alias)!;
    if (shape.length > MOST_AXES) {
      throw invalidArgument(
        `tensor parsing error: ${alias} (${shape.length} axes, at most ${MOST_AXES} are supported)`,
      );
    }
    if (given !== dtype) throw wrongType(signature, alias, dataTypeText(dataTypeOf(given)));
  }
}

/** The error for an input of another type, in TensorFlow's words. */
export function wrongType({ inputs }: Signature, alias: string, provided: string): StatusError {
  const wanted = inputs.get(alias);
  if (wanted === undefined) return invalidArgument(`tensor parsing error: ${alias}`);
  const index = [...inputs.keys()].indexOf(alias);
  return invalidArgument(
    `Expects arg[${index}] to be ${dataTypeText(dataTypeOf(wanted.dtype))} but ${provided} is provided ` +
      `(input alias: ${alias})`,
  );
}

/** The outputs to compute: all, or those the request names. */
function chooseOutputs(signature: Signature, filter: readonly string[]): readonly string[] {
  if (filter.length === 0) return [...signature.outputs.keys()];
  const chosen = new Set<string>();
  for (const alias of filter) {
    if (!signature.outputs.has(alias)) {
      throw invalidArgument(
        `output tensor alias not found in signature: ${alias} ` +
          `Outputs expected to be in the set {${namesText(signature.outputs.keys())}}.`,
      );
    }
    if (chosen.has(alias)) throw invalidArgument(`duplicate output tensor alias: ${alias}`);
    chosen.add(alias);
  }
  return [...chosen];
}
