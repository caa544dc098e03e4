/** @file Predict, the one way for REST, gRPC and callers in the same process: find the model, check, run. */
import type { TensorMap } from "../base/tensor.ts";
import { dataTypeOf, dataTypeText } from "../savedmodel/format/tensor-proto.ts";
import { DEFAULT_SIGNATURE, type Signature } from "../savedmodel/signature.ts";
import type { RunOptions, Servable } from "./engine/servable.ts";
import { holding } from "./request-memory.ts";
import { invalidArgument, StatusError } from "./status.ts";

/** Which version of a model a request means. */
export type VersionChoice =
  | { readonly by: "latest" }
  | { readonly by: "version"; readonly version: bigint }
  | { readonly by: "label"; readonly label: string };

/** Which model a request means. */
export interface ModelChoice {
  readonly name: string;
  readonly version: VersionChoice;
}

/** The right to use a servable, which stays loaded until this is given back. */
export interface Lease extends Disposable {
  readonly servable: Servable;
}

/** The models that are there. */
export interface Models {
  /** @throws StatusError `NOT_FOUND`, or `INVALID_ARGUMENT` for an unknown label. */
  acquire(choice: ModelChoice): Lease;
}

/** What to predict. */
export interface PredictCall {
  readonly model: ModelChoice;
  /** Empty for `serving_default`. */
  readonly signatureName: string;
  /** The tensors, or how to read them once the model and its signature are found. */
  readonly inputs: TensorMap | (() => TensorMap);
  /** Which outputs to compute; empty for all. */
  readonly outputFilter: readonly string[];
}

/** Which version answered, and with what. */
export interface PredictAnswer {
  readonly name: string;
  readonly version: bigint;
  readonly signatureName: string;
  readonly outputs: TensorMap;
}

/**
 * Runs one signature of one model.
 * @throws StatusError with the code and message that TensorFlow Serving answers over gRPC.
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
    throw new StatusError("FAILED_PRECONDITION", `Serving signature key "${signatureName}" not found.`);
  }
  const given = typeof call.inputs === "function" ? call.inputs() : call.inputs;
  const inputs = completeInputs(signature, given);
  const outputNames = chooseOutputs(signature, call.outputFilter);
  const outputs = await runUntil(servable, signatureName, inputs, outputNames, options);
  return { name: servable.name, version: servable.version, signatureName, outputs };
}

/** Runs a signature and stops waiting, with the signal's reason, when the signal is aborted. */
export async function runUntil(
  servable: Servable,
  signatureName: string,
  inputs: TensorMap,
  outputNames: readonly string[],
  options: RunOptions,
): Promise<TensorMap> {
  const { signal } = options;
  signal?.throwIfAborted();
  const run = holding(options.memory, () => servable.run(signatureName, inputs, outputNames, options));
  if (signal === undefined) return run;
  let stop: () => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    // What still waits for a batch has words of its own for that, which come first.
    stop = () => setImmediate(() => reject(signal.reason));
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([run, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
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

/** TensorFlow has no tensors of more axes; a document can nest half a million lists. */
const MOST_AXES = 254;

function checkTypes(signature: Signature, inputs: TensorMap): void {
  let index = 0;
  for (const [alias, { dtype }] of signature.inputs) {
    const { dtype: given, shape } = inputs.get(alias)!;
    if (shape.length > MOST_AXES) {
      throw invalidArgument(
        `tensor parsing error: ${alias} (${shape.length} axes, at most ${MOST_AXES} can be had)`,
      );
    }
    if (given !== dtype) {
      const [wanted, provided] = [dtype, given].map((type) => dataTypeText(dataTypeOf(type)));
      throw invalidArgument(
        `Expects arg[${index}] to be ${wanted} but ${provided} is provided (input alias: ${alias})`,
      );
    }
    index++;
  }
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
