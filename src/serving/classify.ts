/** @file Classify, Regress and MultiInference: examples in, labels with scores or numbers out. */
import { sizeOf } from "../base/shape.ts";
import { hasDType, type Tensor, type TensorMap } from "../base/tensor.ts";
import { DEFAULT_SIGNATURE, type Signature } from "../savedmodel/signature.ts";
import { dataTypeOf, dataTypeText } from "../savedmodel/tensor-proto.ts";
import type { ScoredClass } from "./json-write.ts";
import { type ModelChoice, type Models, runUntil } from "./predict.ts";
import type { RunOptions, Servable } from "./servable.ts";
import { invalidArgument, StatusError } from "./status.ts";

/** The names that classify and regress signatures use for what goes in and out. */
const INPUTS = "inputs";
const CLASSES = "classes";
const SCORES = "scores";
const OUTPUTS = "outputs";

export const CLASSIFY_METHOD = "tensorflow/serving/classify";
export const REGRESS_METHOD = "tensorflow/serving/regress";

/** What to classify or regress. */
export interface ExampleCall {
  readonly model: ModelChoice;
  /** Empty for `serving_default`. */
  readonly signatureName: string;
  /** Serialized `tensorflow.Example` records. */
  readonly examples: readonly Uint8Array[];
}

/** Which version answered. */
interface Answered {
  readonly name: string;
  readonly version: bigint;
  readonly signatureName: string;
}

/** For each example its labels and scores. */
export interface ClassifyAnswer extends Answered {
  readonly classifications: readonly (readonly ScoredClass[])[];
}

/** For each example one number. */
export interface RegressAnswer extends Answered {
  readonly values: Float32Array;
}

/** @throws StatusError with TensorFlow Serving's code and message. */
export async function classify(
  models: Models,
  call: ExampleCall,
  options: RunOptions = {},
): Promise<ClassifyAnswer> {
  using lease = models.acquire(call.model);
  const { servable } = lease;
  const [signatureName, signature] = findSignature(servable, call.signatureName);
  const classifications = await classifyWith(servable, signatureName, signature, call.examples, options);
  return { name: servable.name, version: servable.version, signatureName, classifications };
}

/** @throws StatusError with TensorFlow Serving's code and message. */
export async function regress(
  models: Models,
  call: ExampleCall,
  options: RunOptions = {},
): Promise<RegressAnswer> {
  using lease = models.acquire(call.model);
  const { servable } = lease;
  const [signatureName, signature] = findSignature(servable, call.signatureName);
  const values = await regressWith(servable, signatureName, signature, call.examples, options);
  return { name: servable.name, version: servable.version, signatureName, values };
}

/** One of the questions asked at once. */
export interface InferenceTask {
  readonly model: ModelChoice;
  readonly signatureName: string;
  readonly methodName: string;
}

/** The answers to several questions about the same examples, in their order. */
export type InferenceAnswer =
  | ({ readonly method: "classify" } & ClassifyAnswer)
  | ({ readonly method: "regress" } & RegressAnswer);

/**
 * Runs several classify and regress signatures of one model on the same examples.
 * @throws StatusError with TensorFlow Serving's code and message.
 */
export async function multiInference(
  models: Models,
  tasks: readonly InferenceTask[],
  examples: readonly Uint8Array[],
  options: RunOptions = {},
): Promise<InferenceAnswer[]> {
  const [first] = tasks;
  if (first === undefined) throw invalidArgument("Inference request should not have an empty list of tasks.");
  using lease = models.acquire(first.model);
  const { servable } = lease;
  const chosen = chooseTasks(servable, tasks);
  return Promise.all(
    chosen.map(async ({ method, signatureName, signature }): Promise<InferenceAnswer> => {
      const answered = { name: servable.name, version: servable.version, signatureName };
      if (method === "classify") {
        const classifications = await classifyWith(servable, signatureName, signature, examples, options);
        return { method, ...answered, classifications };
      }
      const values = await regressWith(servable, signatureName, signature, examples, options);
      return { method, ...answered, values };
    }),
  );
}

interface ChosenTask {
  readonly method: "classify" | "regress";
  readonly signatureName: string;
  readonly signature: Signature;
}

function chooseTasks(servable: Servable, tasks: readonly InferenceTask[]): ChosenTask[] {
  const seen = new Set<string>();
  return tasks.map((task) => {
    if (task.model.name !== servable.name) {
      throw invalidArgument("All ModelSpecs in a MultiInferenceRequest must access the same model name.");
    }
    const signatureName = task.signatureName || DEFAULT_SIGNATURE;
    if (seen.has(signatureName)) throw invalidArgument(`Duplicate evaluation of signature: ${signatureName}`);
    seen.add(signatureName);
    const signature = servable.signatures.get(signatureName);
    if (signature === undefined) {
      throw invalidArgument(`Requested signature not found in model graph: ${signatureName}`);
    }
    if (task.methodName === CLASSIFY_METHOD) return { method: "classify", signatureName, signature };
    if (task.methodName === REGRESS_METHOD) return { method: "regress", signatureName, signature };
    throw new StatusError("UNIMPLEMENTED", `Unsupported signature method_name: ${task.methodName}`);
  });
}

function findSignature(servable: Servable, requested: string): [string, Signature] {
  const name = requested || DEFAULT_SIGNATURE;
  const signature = servable.signatures.get(name);
  if (signature === undefined) throw invalidArgument(`No signature was found with the name: ${name}`);
  return [name, signature];
}

function exampleTensor(examples: readonly Uint8Array[]): TensorMap {
  if (examples.length === 0) throw invalidArgument("Input is empty.");
  return new Map<string, Tensor>([[INPUTS, { dtype: "string", shape: [examples.length], data: examples }]]);
}

function checkExampleInput(signature: Signature, kind: "classification" | "regression"): void {
  if (signature.inputs.size !== 1) throw invalidArgument("Expected one input Tensor.");
  if (!signature.inputs.has(INPUTS)) {
    const names = [...signature.inputs.keys()].join(",");
    throw invalidArgument(`No ${kind} inputs found in SignatureDef: inputs {${names}}`);
  }
  const { dtype } = signature.inputs.get(INPUTS)!;
  if (dtype !== "string") {
    throw invalidArgument(
      `Expected the input '${INPUTS}' to take serialized examples (string), it takes ${typeText(dtype)}`,
    );
  }
}

function typeText(dtype: Tensor["dtype"]): string {
  return dataTypeText(dataTypeOf(dtype));
}

async function classifyWith(
  servable: Servable,
  signatureName: string,
  signature: Signature,
  examples: readonly Uint8Array[],
  options: RunOptions,
): Promise<ScoredClass[][]> {
  checkExampleInput(signature, "classification");
  const names = [CLASSES, SCORES].filter((name) => signature.outputs.has(name));
  if (names.length === 0) {
    const found = [...signature.outputs.keys()].join(",");
    throw invalidArgument(
      `Expected classification signature outputs to contain at least one of "${CLASSES}" or "${SCORES}". ` +
        `Signature outputs: {${found}}`,
    );
  }
  const outputs = await runUntil(servable, signatureName, exampleTensor(examples), names, options);
  return scoredClasses(outputs.get(CLASSES), outputs.get(SCORES), examples.length);
}

function scoredClasses(
  classes: Tensor | undefined,
  scores: Tensor | undefined,
  batch: number,
): ScoredClass[][] {
  if (classes !== undefined && !hasDType(classes, "string")) {
    throw invalidArgument(`Expected classes Tensor of DT_STRING. Got: ${typeText(classes.dtype)}`);
  }
  if (scores !== undefined && !hasDType(scores, "float32")) {
    throw invalidArgument(`Expected scores Tensor of DT_FLOAT. Got: ${typeText(scores.dtype)}`);
  }
  for (const [name, value] of [
    [CLASSES, classes],
    [SCORES, scores],
  ] as const) {
    if (value === undefined) continue;
    if (value.shape.length !== 2 || value.shape[0] !== batch) {
      throw invalidArgument(
        `Expected ${name} output Tensor of shape [${batch}, num_classes], got [${value.shape.join(", ")}]`,
      );
    }
  }
  const count = (scores ?? classes)!.shape[1]!;
  if (classes !== undefined && classes.shape[1] !== count) {
    throw invalidArgument(
      `Tensors class and score should match in dim_size(1). Got ${classes.shape[1]} vs. ${count}`,
    );
  }
  return Array.from({ length: batch }, (_, row) =>
    Array.from({ length: count }, (_, column) => {
      const place = row * count + column;
      const label = classes?.data[place];
      return {
        label: label === undefined ? "" : Buffer.from(label).toString("utf8"),
        score: scores?.data[place] ?? 0,
      };
    }),
  );
}

async function regressWith(
  servable: Servable,
  signatureName: string,
  signature: Signature,
  examples: readonly Uint8Array[],
  options: RunOptions,
): Promise<Float32Array> {
  checkExampleInput(signature, "regression");
  if (signature.outputs.size !== 1) throw invalidArgument("Expected one output Tensor.");
  if (!signature.outputs.has(OUTPUTS)) {
    const found = [...signature.outputs.keys()].join(",");
    throw invalidArgument(`No regression outputs found in SignatureDef: outputs {${found}}`);
  }
  const outputs = await runUntil(servable, signatureName, exampleTensor(examples), [OUTPUTS], options);
  const value = outputs.get(OUTPUTS)!;
  const { shape } = value;
  const isColumn = shape.length === 1 || (shape.length === 2 && shape[1] === 1);
  if (!isColumn || sizeOf(shape) !== examples.length) {
    throw invalidArgument(
      `Expected output Tensor shape to be either [batch_size] or [batch_size, 1] with a batch size of ` +
        `${examples.length}, got [${shape.join(", ")}]`,
    );
  }
  if (!hasDType(value, "float32")) {
    throw invalidArgument(`Expected output Tensor of DT_FLOAT. Got: ${typeText(value.dtype)}`);
  }
  return value.data;
}
