/** @file Classify, Regress and MultiInference: the order of the checks, and the words for each thing that can be wrong. */
import { describe, expect, it } from "vitest";
import { type DType, float32, type Tensor, tensor } from "../base/tensor.ts";
import type { Signature, SignatureTensor } from "../savedmodel/signature.ts";
import { classesOf } from "./classifications.ts";
import { classify } from "./classify.ts";
import type { Servable } from "./engine/servable.ts";
import { multiInference } from "./multi-inference.ts";
import { regress } from "./regress.ts";
import type { Models } from "./repository/catalog.ts";

type Ports = Readonly<Record<string, SignatureTensor>>;

const port = (tensorName: string, dtype: DType = "float32"): SignatureTensor => ({
  tensorName,
  dtype,
  shape: undefined,
});
const EXAMPLES = port("examples:0", "string");
const text = (...values: string[]) => values.map((value) => new TextEncoder().encode(value));
const strings = (shape: number[], ...values: string[]) => tensor("string", shape, text(...values));

/** A model of one signature whose answers are these tensors, whatever it is asked. */
function modelOf(inputs: Ports, outputs: Readonly<Record<string, Tensor>>, more: Record<string, Ports> = {}) {
  const ports = Object.entries(outputs).map(([name, { dtype }]) => [name, port(`${name}:0`, dtype)] as const);
  const signature = (ins: Ports): Signature => ({
    inputs: new Map(Object.entries(ins)),
    outputs: new Map(ports),
    methodName: "",
    defaults: new Map(),
  });
  const servable: Servable = {
    name: "m",
    version: 7n,
    signatures: new Map(
      Object.entries({ serving_default: inputs, ...more }).map(([name, ins]) => [name, signature(ins)]),
    ),
    signatureDefs: {},
    run: async (_name, _inputs, names) => new Map(names.map((name) => [name, outputs[name]!])),
    close: async () => undefined,
  };
  return { acquire: () => ({ servable, [Symbol.dispose]: () => undefined }) } satisfies Models;
}

const MODEL = { name: "m", version: { by: "latest" } } as const;
const call = (count = 2) => ({
  model: MODEL,
  signatureName: "",
  examples: text(...Array<string>(count).fill("")),
});

describe("classify", () => {
  it("pairs labels with scores; either may be missing", async () => {
    const classes = strings([2, 2], "dos", "uno", "cuatro", "tres");
    const scores = float32([2, 2], [2, 1, 4, 3]);
    const both = await classify(modelOf({ inputs: EXAMPLES }, { classes, scores }), call());
    expect(both).toMatchObject({ name: "m", version: 7n, signatureName: "serving_default" });
    expect([classesOf(both, 0), classesOf(both, 1)]).toEqual([
      [
        { label: "dos", score: 2 },
        { label: "uno", score: 1 },
      ],
      [
        { label: "cuatro", score: 4 },
        { label: "tres", score: 3 },
      ],
    ]);
    const labels = await classify(modelOf({ inputs: EXAMPLES }, { classes }), call());
    expect(classesOf(labels, 1)).toEqual([
      { label: "cuatro", score: 0 },
      { label: "tres", score: 0 },
    ]);
    const numbers = await classify(modelOf({ inputs: EXAMPLES }, { scores }), call());
    expect(classesOf(numbers, 0)).toEqual([
      { label: "", score: 2 },
      { label: "", score: 1 },
    ]);
  });

  const scores = float32([2, 1], [1, 2]);
  it.each<[string, Ports, Record<string, Tensor>, string]>([
    ["two inputs", { inputs: EXAMPLES, more: EXAMPLES }, { scores }, "Expected one input Tensor."],
    [
      "three outputs",
      { inputs: EXAMPLES },
      { scores, classes: scores, more: scores },
      "Expected one or two output Tensors, found 3",
    ],
    ["another input", { x: EXAMPLES }, { scores }, "No classification inputs found in SignatureDef: "],
    [
      "another output",
      { inputs: EXAMPLES },
      { y: scores },
      'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: ',
    ],
    [
      "an input that takes no examples",
      { inputs: port("x:0") },
      { scores },
      "Expects arg[0] to be float but string is provided",
    ],
    [
      "scores in a row",
      { inputs: EXAMPLES },
      { scores: float32([2], [1, 2]) },
      "Expected Tensor shape: [batch_size num_classes] but got [2]",
    ],
    [
      "scores of another type",
      { inputs: EXAMPLES },
      { scores: strings([2, 1], "a", "b") },
      "Expected scores Tensor of DT_FLOAT. Got: DT_STRING",
    ],
    [
      "labels of another type",
      { inputs: EXAMPLES },
      { classes: scores },
      "Expected classes Tensor of DT_STRING. Got: DT_FLOAT",
    ],
    [
      "another batch",
      { inputs: EXAMPLES },
      { scores: float32([1, 2], [1, 2]) },
      "Expected scores output batch size of 2. Got: 1",
    ],
    [
      "labels and scores that differ",
      { inputs: EXAMPLES },
      { scores, classes: strings([2, 2], "a", "b", "c", "d") },
      "Tensors class and score should match in dim_size(1). Got 2 vs. 1",
    ],
  ])("refuses %s", async (_, inputs, outputs, message) => {
    await expect(classify(modelOf(inputs, outputs), call())).rejects.toMatchObject({
      status: "INVALID_ARGUMENT",
      message: expect.stringContaining(message),
    });
  });

  it("looks at the signature before it looks at the examples", async () => {
    const unread = () => {
      throw new Error("read");
    };
    const models = modelOf({ x: EXAMPLES }, { scores });
    await expect(classify(models, { ...call(), examples: unread })).rejects.toThrow(
      "No classification inputs",
    );
    await expect(classify(modelOf({ inputs: EXAMPLES }, { scores }), call(0))).rejects.toThrow(
      "Input is empty.",
    );
  });
});

describe("regress", () => {
  it("takes a row or a column", async () => {
    for (const shape of [[2], [2, 1]]) {
      const answer = await regress(
        modelOf({ inputs: EXAMPLES }, { outputs: float32(shape, [3, 4]) }),
        call(),
      );
      expect(answer.values).toEqual(Float32Array.of(3, 4));
    }
  });

  const outputs = float32([2], [1, 2]);
  it.each<[string, Ports, Record<string, Tensor>, string]>([
    ["two outputs", { inputs: EXAMPLES }, { outputs, more: outputs }, "Expected one output Tensor."],
    ["another input", { x: EXAMPLES }, { outputs }, "No regression inputs found in SignatureDef: "],
    ["another output", { inputs: EXAMPLES }, { y: outputs }, "No regression outputs found in SignatureDef: "],
    [
      "a table",
      { inputs: EXAMPLES },
      { outputs: float32([2, 2], [1, 2, 3, 4]) },
      "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
    ],
    [
      "another batch",
      { inputs: EXAMPLES },
      { outputs: float32([3], [1, 2, 3]) },
      "Input batch size did not match output batch size: 2 vs. 3",
    ],
    [
      "another type",
      { inputs: EXAMPLES },
      { outputs: strings([2], "a", "b") },
      "Expected output Tensor of DT_FLOAT.  Got: DT_STRING",
    ],
  ])("refuses %s", async (_, inputs, answers, message) => {
    await expect(regress(modelOf(inputs, answers), call())).rejects.toThrow(message);
  });
});

describe("multi inference", () => {
  const outputs = float32([1], [3]);
  const models = modelOf(
    { inputs: EXAMPLES },
    { outputs },
    { y: { inputs: EXAMPLES }, x2: { inputs: port("x2:0") } },
  );
  const task = (signatureName: string, name = "m", method = "regress") => ({
    model: { ...MODEL, name },
    signatureName,
    methodName: `tensorflow/serving/${method}`,
  });

  it("answers each task", async () => {
    const answers = await multiInference(models, [task(""), task("y")], text(""));
    expect(answers).toMatchObject([
      { method: "regress", signatureName: "serving_default", values: Float32Array.of(3) },
      { method: "regress", signatureName: "y" },
    ]);
  });

  it.each([
    ["no tasks", [], "INVALID_ARGUMENT", "ModelSpec has no name specified."],
    ["no name", [task("", "")], "INVALID_ARGUMENT", "ModelSpec has no name specified."],
    [
      "no second name",
      [task(""), task("y", "")],
      "INVALID_ARGUMENT",
      "Found ModelSpec with an empty model name.",
    ],
    [
      "another model",
      [task(""), task("y", "n")],
      "INVALID_ARGUMENT",
      "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ],
    ["twice the same", [task("y"), task("y")], "INVALID_ARGUMENT", "Duplicate evaluation of signature: y"],
    [
      "an unknown signature",
      [task("no")],
      "INVALID_ARGUMENT",
      "Requested signature not found in model graph: no",
    ],
    [
      "predict",
      [task("", "m", "predict")],
      "UNIMPLEMENTED",
      "Unsupported signature method_name: tensorflow/serving/predict",
    ],
    [
      "another input tensor",
      [task(""), task("x2")],
      "INVALID_ARGUMENT",
      "Input tensor must be the same for all Signatures.",
    ],
  ])("refuses %s, even without examples", async (_, tasks, status, message) => {
    await expect(multiInference(models, tasks, [])).rejects.toMatchObject({ status, message });
  });

  it("refuses no examples", async () => {
    await expect(multiInference(models, [task("")], [])).rejects.toThrow("Input is empty.");
  });
});
