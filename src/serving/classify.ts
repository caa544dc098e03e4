/** @file Classify, Regress and MultiInference: examples in, labels with scores or numbers out. */
import { hasDType, type Tensor, type TensorMap } from "../base/tensor.ts";
import { DataType } from "../proto/tensorflow/tensor_pb.ts";
import { dataTypeOf, dataTypeText } from "../savedmodel/format/tensor-proto.ts";
import { DEFAULT_SIGNATURE, type Signature } from "../savedmodel/signature.ts";
import type { RunOptions, Servable } from "./engine/servable.ts";
import type { ScoredClass } from "./json/write.ts";
import { type ModelChoice, type Models, runUntil } from "./predict.ts";
import { invalidArgument, StatusError } from "./status.ts";

/** The names that classify and regress signatures use for what goes in and out. */
const INPUTS = "inputs";
const CLASSES = "classes";
const SCORES = "scores";
const OUTPUTS = "outputs";

export const CLASSIFY_METHOD = "tensorflow/serving/classify";
export const REGRESS_METHOD = "tensorflow/serving/regress";
const METHODS: ReadonlyMap<string, "classify" | "regress"> = new Map([
  [CLASSIFY_METHOD, "classify"],
  [REGRESS_METHOD, "regress"],
]);

/** What to classify or regress. */
export interface ExampleCall {
  readonly model: ModelChoice;
  /** Empty for `serving_default`. */
  readonly signatureName: string;
  /** Serialized `tensorflow.Example` records, or how to get them once the signature is found to be right. */
  readonly examples: Examples;
}

type Examples = readonly Uint8Array[] | (() => readonly Uint8Array[]);

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
  examples: Examples,
  options: RunOptions = {},
): Promise<InferenceAnswer[]> {
  const [first] = tasks;
  if (first === undefined || first.model.name === "") {
    throw invalidArgument("ModelSpec has no name specified.");
  }
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
  const inputs = new Set<string>();
  return tasks.map((task) => {
    if (task.model.name === "") throw invalidArgument("Found ModelSpec with an empty model name.");
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
    const method = METHODS.get(task.methodName);
    if (method === undefined) {
      throw new StatusError("UNIMPLEMENTED", `Unsupported signature method_name: ${task.methodName}`);
    }
    inputs.add(method === "classify" ? checkClassify(signature) : checkRegress(signature));
    if (inputs.size > 1) throw invalidArgument("Input tensor must be the same for all Signatures.");
    return { method, signatureName, signature };
  });
}

function findSignature(servable: Servable, requested: string): [string, Signature] {
  const name = requested || DEFAULT_SIGNATURE;
  const signature = servable.signatures.get(name);
  if (signature === undefined) throw invalidArgument(`No signature was found with the name: ${name}`);
  return [name, signature];
}

function exampleTensor(signature: Signature, examples: Examples): TensorMap {
  const records = typeof examples === "function" ? examples() : examples;
  if (records.length === 0) throw invalidArgument("Input is empty.");
  const { dtype } = signature.inputs.get(INPUTS)!;
  if (dtype !== "string") {
    const wanted = dataTypeText(dataTypeOf(dtype));
    throw invalidArgument(`Expects arg[0] to be ${wanted} but string is provided (input alias: ${INPUTS})`);
  }
  return new Map<string, Tensor>([[INPUTS, { dtype, shape: [records.length], data: records }]]);
}

function unfit(message: string, { inputs, outputs }: Signature): StatusError {
  const list = (names: Iterable<string>) => [...names].join(",");
  return invalidArgument(`${message}inputs {${list(inputs.keys())}} outputs {${list(outputs.keys())}}`);
}

/** @returns the graph's name for the one input. */
function checkInput(signature: Signature, kind: "classification" | "regression"): string {
  const input = signature.inputs.get(INPUTS);
  if (input === undefined) throw unfit(`No ${kind} inputs found in SignatureDef: `, signature);
  return input.tensorName;
}

/** @returns the graph's name for the one input. */
function checkClassify(signature: Signature): string {
  const { inputs, outputs } = signature;
  if (inputs.size !== 1) throw invalidArgument("Expected one input Tensor.");
  if (outputs.size !== 1 && outputs.size !== 2) {
    throw invalidArgument(`Expected one or two output Tensors, found ${outputs.size}`);
  }
  const tensorName = checkInput(signature, "classification");
  if (outputs.has(CLASSES) || outputs.has(SCORES)) return tensorName;
  throw unfit(
    `Expected classification signature outputs to contain at least one of "${CLASSES}" or "${SCORES}". ` +
      "Signature was: ",
    signature,
  );
}

/** @returns the graph's name for the one input. */
function checkRegress(signature: Signature): string {
  if (signature.inputs.size !== 1) throw invalidArgument("Expected one input Tensor.");
  if (signature.outputs.size !== 1) throw invalidArgument("Expected one output Tensor.");
  const tensorName = checkInput(signature, "regression");
  if (signature.outputs.has(OUTPUTS)) return tensorName;
  throw unfit("No regression outputs found in SignatureDef: ", signature);
}

/** `DT_FLOAT` and the like. */
function typeName({ dtype }: Tensor): string {
  return DataType[dataTypeOf(dtype)]!;
}

async function classifyWith(
  servable: Servable,
  signatureName: string,
  signature: Signature,
  examples: Examples,
  options: RunOptions,
): Promise<ScoredClass[][]> {
  checkClassify(signature);
  const names = [CLASSES, SCORES].filter((name) => signature.outputs.has(name));
  const inputs = exampleTensor(signature, examples);
  const outputs = await runUntil(servable, signatureName, inputs, names, options);
  return scoredClasses(outputs.get(CLASSES), outputs.get(SCORES), inputs.get(INPUTS)!.shape[0]!);
}

function checkScored(value: Tensor | undefined, name: string, wanted: Tensor["dtype"], batch: number): void {
  if (value === undefined) return;
  const { dtype, shape } = value;
  if (shape.length !== 2) {
    throw invalidArgument(`Expected Tensor shape: [batch_size num_classes] but got [${shape.join(",")}]`);
  }
  if (dtype !== wanted) {
    const type = DataType[dataTypeOf(wanted)];
    throw invalidArgument(`Expected ${name} Tensor of ${type}. Got: ${typeName(value)}`);
  }
  if (shape[0] !== batch) {
    throw invalidArgument(`Expected ${name} output batch size of ${batch}. Got: ${shape[0]}`);
  }
}

function scoredClasses(
  classes: Tensor | undefined,
  scores: Tensor | undefined,
  batch: number,
): ScoredClass[][] {
  checkScored(classes, CLASSES, "string", batch);
  checkScored(scores, SCORES, "float32", batch);
  const count = (scores ?? classes)!.shape[1]!;
  if (classes !== undefined && classes.shape[1] !== count) {
    throw invalidArgument(
      `Tensors class and score should match in dim_size(1). Got ${classes.shape[1]} vs. ${count}`,
    );
  }
  const labels = classes?.data as readonly Uint8Array[] | undefined;
  const values = scores?.data as Float32Array | undefined;
  return Array.from({ length: batch }, (_, row) =>
    Array.from({ length: count }, (_, column) => {
      const place = row * count + column;
      const label = labels?.[place];
      return {
        label: label === undefined ? "" : Buffer.from(label).toString("utf8"),
        score: values?.[place] ?? 0,
      };
    }),
  );
}

async function regressWith(
  servable: Servable,
  signatureName: string,
  signature: Signature,
  examples: Examples,
  options: RunOptions,
): Promise<Float32Array> {
  checkRegress(signature);
  const inputs = exampleTensor(signature, examples);
  const batch = inputs.get(INPUTS)!.shape[0]!;
  const outputs = await runUntil(servable, signatureName, inputs, [OUTPUTS], options);
  const value = outputs.get(OUTPUTS)!;
  const { shape } = value;
  if (shape.length !== 1 && !(shape.length === 2 && shape[1] === 1)) {
    throw invalidArgument(
      "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got " +
        `[${shape.join(",")}]`,
    );
  }
  if (shape[0] !== batch) {
    throw invalidArgument(`Input batch size did not match output batch size: ${batch} vs. ${shape[0]}`);
  }
  if (!hasDType(value, "float32")) {
    throw invalidArgument(`Expected output Tensor of DT_FLOAT.  Got: ${typeName(value)}`);
  }
  return value.data;
}
