/** @file What the official client asks a server with TensorFlow's models, and what must come back. */
import {
  answer,
  base64,
  type Call,
  type Case,
  example,
  examples,
  failure,
  float,
  predict,
  regress,
  result,
  shape,
  spec,
  spoken,
  x,
} from "./serving-requests.ts";

/** The client predicts from every encoding of a tensor. */
export const ENCODINGS: readonly Case[] = [
  [
    "packed bytes",
    predict(x({ tensorShape: shape(3), tensorContent: base64(Float32Array.of(1, 2, 5)) })),
    answer({ y: float([2.5, 3, 4.5]) }),
  ],
  [
    "a list of values",
    predict(x({ tensorShape: shape(3, 1), floatVal: [1, 2, 5] })),
    answer({ y: float([2.5, 3, 4.5], [3, 1]) }),
  ],
  [
    "one value for all places",
    predict(x({ tensorShape: shape(3), floatVal: [2] })),
    answer({ y: float([3, 3, 3]) }),
  ],
  [
    "the last value for the rest",
    predict(x({ tensorShape: shape(4), floatVal: [1, 2] })),
    answer({ y: float([2.5, 3, 3, 3]) }),
  ],
  [
    "more values than places",
    predict(x({ tensorShape: shape(1), floatVal: [1, 2] })),
    answer({ y: float([2.5]) }),
  ],
  ["no values", predict(x({ tensorShape: shape(2) })), answer({ y: float([2, 2]) })],
  ["a scalar without a shape", predict(x({ floatVal: [2] })), answer({ y: float([3], []) })],
  ["nothing at all", predict(x({ tensorShape: shape(0, 1) })), answer({ y: float([], [0, 1]) })],
  [
    "make_tensor_proto",
    predict(spec("half_plus_two"), { made: { x: { dtype: "float32", shape: [2, 1], values: [1, 2] } } }),
    answer({ y: float([2.5, 3], [2, 1]) }),
  ],
  [
    "a model with ParseExampleV2",
    predict({ ...spec("half_plus_three"), inputs: { x: { dtype: "DT_FLOAT", floatVal: [2] } } }),
    answer({ y: float([4], []) }, "half_plus_three"),
  ],
];

const TYPED: [string, unknown[], object][] = [
  ["float32", [1.5, -2], { floatVal: [1.5, -2] }],
  ["float64", [0.1, 1e300], { doubleVal: [0.1, 1e300] }],
  ["float16", [1, -2.5], { halfVal: [0x3c00, 0xc100] }],
  ["int8", [-128, 127], { intVal: [-128, 127] }],
  ["int16", [-32768, 32767], { intVal: [-32768, 32767] }],
  ["int32", [-2147483648, 7], { intVal: [-2147483648, 7] }],
  ["int64", [-4, 2 ** 53], { int64Val: ["-4", String(2 ** 53)] }],
  ["uint8", [0, 255], { intVal: [0, 255] }],
  ["uint16", [0, 65535], { intVal: [0, 65535] }],
  ["uint32", [0, 4294967295], { uint32Val: [0, 4294967295] }],
  ["uint64", [0, 2 ** 53], { uint64Val: ["0", String(2 ** 53)] }],
  ["bool", [true, false], { boolVal: [true, false] }],
];
const PROTO_NAMES: Record<string, string> = { float32: "FLOAT", float64: "DOUBLE", float16: "HALF" };
/** The client passes every element type through, as a list and as TensorFlow itself writes it. */
export const TYPES: readonly Case[] = TYPED.flatMap(([dtype, values, lists]): Case[] => {
  const listed = {
    dtype: `DT_${PROTO_NAMES[dtype] ?? dtype.toUpperCase()}`,
    tensorShape: shape(2),
    ...lists,
  };
  const expected = answer({ value: { dtype, shape: [2], values } }, "types", "1", dtype);
  return [
    [`${dtype} as a list`, predict({ ...spec("types", dtype), inputs: { value: listed } }), expected],
    [
      `${dtype} by make_tensor_proto`,
      predict(spec("types", dtype), { made: { value: { dtype, shape: [2], values } } }),
      expected,
    ],
  ];
});

const both = { ...spec("half_plus_two", "both"), inputs: { x: { dtype: "DT_FLOAT", floatVal: [2] } } };
/** An example with the float feature x = 2, in protobuf's wire format. */
const SERIALIZED_X_2 = "Cg8KDQoBeBIIEgYKBAAAAEA=";

/** The client chooses outputs and versions. */
export const CHOICES: readonly Case[] = [
  [
    "all outputs",
    predict(both),
    answer({ y: float([3], []), y2: float([4], []) }, "half_plus_two", "123", "both"),
  ],
  [
    "one output",
    predict({ ...both, outputFilter: ["y2"] }),
    answer({ y2: float([4], []) }, "half_plus_two", "123", "both"),
  ],
  [
    "a version",
    predict({ ...both, ...spec("half_plus_two", "both", { version: "123" }), outputFilter: ["y"] }),
    answer({ y: float([3], []) }, "half_plus_two", "123", "both"),
  ],
  [
    "an output that is not there",
    predict({ ...both, outputFilter: ["z"] }),
    failure(
      "INVALID_ARGUMENT",
      "output tensor alias not found in signature: z Outputs expected to be in the set {y,y2}.",
    ),
  ],
  [
    "an output twice",
    predict({ ...both, outputFilter: ["y", "y"] }),
    failure("INVALID_ARGUMENT", "duplicate output tensor alias: y"),
  ],
  [
    "a version that is not there",
    predict(spec("half_plus_two", "", { version: "7" })),
    failure("NOT_FOUND", "Servable not found for request: Specific(half_plus_two, 7)"),
  ],
  [
    "a label that is not there",
    predict(spec("half_plus_two", "", { versionLabel: "no" })),
    failure("INVALID_ARGUMENT", "Unrecognized servable version label: no"),
  ],
  [
    "a model that is not there",
    predict(spec("intentionally_missing_model")),
    failure("NOT_FOUND", "Servable not found for request: Latest(intentionally_missing_model)"),
  ],
  [
    "a signature that is not there",
    predict(spec("half_plus_two", "no")),
    failure("FAILED_PRECONDITION", 'Serving signature key "no" not found.'),
  ],
  [
    "a regress signature, whose method is not looked at",
    predict({
      ...spec("half_plus_two", "regress_x2_to_y3"),
      inputs: { inputs: { dtype: "DT_FLOAT", tensorShape: shape(1, 1), floatVal: [2] } },
    }),
    answer({ outputs: float([4], [1, 1]) }, "half_plus_two", "123", "regress_x2_to_y3"),
  ],
  [
    "a classify signature, with a serialized example",
    predict({
      ...spec("half_plus_two", "classify_x_to_y"),
      inputs: { inputs: { dtype: "DT_STRING", tensorShape: shape(1), stringVal: [SERIALIZED_X_2] } },
    }),
    answer({ scores: float([3], [1, 1]) }, "half_plus_two", "123", "classify_x_to_y"),
  ],
  ["no model", predict({}), failure("INVALID_ARGUMENT", "Missing ModelSpec")],
  [
    "no inputs",
    predict(spec("half_plus_two")),
    failure(
      "INVALID_ARGUMENT",
      "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
  ],
  [
    "bytes of another length",
    predict(x({ tensorShape: shape(2), tensorContent: base64(Uint8Array.of(1, 2, 3)) })),
    failure("INVALID_ARGUMENT", "tensor parsing error: x"),
  ],
  [
    "another type",
    predict({ ...spec("half_plus_two"), inputs: { x: { dtype: "DT_STRING", stringVal: ["YQ=="] } } }),
    failure("INVALID_ARGUMENT", "Expects arg[0] to be float but string is provided (input alias: x)"),
  ],
];

/** The client classifies and regresses. */
export const EXAMPLES: readonly Case[] = Object.entries({
  half_plus_two: 0,
  half_plus_three: 1,
  variables: 0,
}).flatMap(([name, plus]): Case[] => [
  [
    `${name}: regress`,
    regress(name, "regress_x_to_y", examples(example({ x: [2] }), example({ x: [4], x2: [9] }))),
    { response: { result: result(3 + plus, 4 + plus), modelSpec: spoken(name, "regress_x_to_y") } },
  ],
  [
    `${name}: regress with a shared context`,
    regress(name, "regress_x_to_y", {
      input: {
        exampleListWithContext: { context: example({ x: [2] }), examples: [{}, example({ x: [4] })] },
      },
    }),
    { response: { result: result(3 + plus, 4 + plus), modelSpec: spoken(name, "regress_x_to_y") } },
  ],
  [
    `${name}: classify`,
    {
      rpc: "Classify",
      request: { ...spec(name, "classify_x_to_both"), ...examples(example({ x: [2] })) },
    },
    {
      response: {
        result: { classifications: [{ classes: [{ score: 3 + plus }, { score: 4 + plus }] }] },
        modelSpec: spoken(name, "classify_x_to_both"),
      },
    },
  ],
  [
    `${name}: a missing feature`,
    regress(name, "regress_x_to_y", examples(example({ x2: [2] }))),
    failure(
      "INVALID_ARGUMENT",
      "Name: <unknown>, Feature: x (data type: float) is required but could not be found.",
    ),
  ],
  [
    `${name}: too many values`,
    regress(name, "regress_x_to_y", examples(example({ x: [1] }), example({ x: [1, 2] }))),
    failure(
      "INVALID_ARGUMENT",
      "Name: <unknown>, Key: x, Index: 1.  Number of float values != expected.  Values size: 2 but output shape: [1]",
    ),
  ],
  [
    `${name}: no examples`,
    regress(name, "regress_x_to_y", {}),
    failure("INVALID_ARGUMENT", "Input is empty."),
  ],
  [
    `${name}: an input that takes no examples`,
    regress(name, "regress_x2_to_y3", examples(example({ x: [1] }))),
    failure("INVALID_ARGUMENT", "Expects arg[0] to be float but string is provided (input alias: inputs)"),
  ],
]);

const tasks = (...list: [string, string][]) => ({
  tasks: list.map(([signature, method]) => ({
    ...spec("half_plus_two", signature),
    methodName: `tensorflow/serving/${method}`,
  })),
  ...examples(example({ x: [2] })),
});
const multi = (request: object): Call => ({ rpc: "MultiInference", request });
/** The client infers several things at once. */
export const INFERENCES: readonly Case[] = [
  [
    "a regression and a classification",
    multi(tasks(["regress_x_to_y", "regress"], ["classify_x_to_y", "classify"])),
    {
      response: {
        results: [
          { modelSpec: spoken("half_plus_two", "regress_x_to_y"), regressionResult: result(3) },
          {
            modelSpec: spoken("half_plus_two", "classify_x_to_y"),
            classificationResult: { classifications: [{ classes: [{ score: 3 }] }] },
          },
        ],
      },
    },
  ],
  [
    "two regressions",
    multi(tasks(["regress_x_to_y", "regress"], ["regress_x_to_y2", "regress"])),
    {
      response: {
        results: [
          { modelSpec: spoken("half_plus_two", "regress_x_to_y"), regressionResult: result(3) },
          { modelSpec: spoken("half_plus_two", "regress_x_to_y2"), regressionResult: result(4) },
        ],
      },
    },
  ],
  [
    "different input tensors",
    multi(tasks(["regress_x_to_y", "regress"], ["regress_x2_to_y3", "regress"])),
    failure("INVALID_ARGUMENT", "Input tensor must be the same for all Signatures."),
  ],
  [
    "a method that cannot be joined",
    multi(tasks(["serving_default", "predict"])),
    failure("UNIMPLEMENTED", "Unsupported signature method_name: tensorflow/serving/predict"),
  ],
];

const TF2 = { name: "tensorflow2", version: "123" };

/** The client asks a model as TensorFlow 2 saves it, with variables and functions. */
export const TENSORFLOW2: readonly Case[] = [
  [
    "predict",
    predict({
      ...spec("tensorflow2"),
      inputs: { x: { dtype: "DT_FLOAT", tensorShape: shape(2, 1), floatVal: [1, 2] } },
    }),
    answer({ y: float([2.5, 3], [2, 1]) }, "tensorflow2"),
  ],
  [
    "regress, with the parsing inside a function",
    regress("tensorflow2", "regress_x_to_y", examples(example({ x: [2] }), example({ x: [4] }))),
    { response: { result: result(3, 4), modelSpec: { ...TF2, signatureName: "regress_x_to_y" } } },
  ],
  [
    "regress without the feature",
    regress("tensorflow2", "regress_x_to_y", examples({})),
    failure(
      "INVALID_ARGUMENT",
      "Name: <unknown>, Feature: x (data type: float) is required but could not be found.",
    ),
  ],
];
