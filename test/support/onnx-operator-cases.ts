/** @file How every ONNX operator that can be read is tried: inputs, stored values and attributes. */
import { Random } from "../../src/base/random.ts";
import { float32, int64, sizeOf, type Tensor, tensor } from "../../src/base/tensor.ts";
import type { Attribute } from "./onnx-file.ts";

export type Attributes = Readonly<Record<string, Attribute>>;

/** One try of an operator. */
export interface OnnxCase {
  /** What is special about it. */
  readonly title: string;
  readonly opset?: number;
  /** Shapes of float inputs, or other tensors that are given at each run. */
  readonly given: readonly (readonly number[] | Tensor)[];
  /** Inputs after those that the file stores. */
  readonly stored?: readonly (Tensor | undefined)[];
  readonly attributes?: Attributes;
  readonly outputs?: number;
  /** Values that inputs lie between. */
  readonly between?: readonly [number, number];
}

const random = new Random(7);
const noise = (...shape: number[]) =>
  float32(
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.between(-1, 1)),
  );
const positive = (...shape: number[]) =>
  float32(
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.between(0.5, 1.5)),
  );
const ints = (...values: number[]) => int64([values.length], values);
const whole = (...values: number[]) => int64([], values);
const real = (value: number) => float32([], [value]);
const bool = (shape: readonly number[]) =>
  tensor(
    "bool",
    shape,
    Uint8Array.from({ length: sizeOf(shape) }, () => random.integer(2)),
  );
const bytes = (dtype: "int8" | "uint8", shape: readonly number[]) =>
  dtype === "int8"
    ? tensor(
        "int8",
        shape,
        Int8Array.from({ length: sizeOf(shape) }, () => random.integer(256) - 128),
      )
    : tensor(
        "uint8",
        shape,
        Uint8Array.from({ length: sizeOf(shape) }, () => random.integer(256)),
      );

const IMAGE = [2, 3, 6, 5];
const MATRIX = [2, 5];
const plain = (attributes: Attributes = {}): OnnxCase[] => [
  { title: "an image", given: [IMAGE], attributes },
  { title: "a matrix", given: [MATRIX], attributes },
];
const aboveZero = (): OnnxCase[] => plain().map((each) => ({ ...each, between: [0.1, 3] }));
/** Two operands that broadcast in all the ways that matter for the order of axes. */
const pairs = (): OnnxCase[] => [
  { title: "two images", given: [IMAGE, IMAGE] },
  { title: "an image and a stored number", given: [IMAGE], stored: [real(0.7)] },
  { title: "an image and a number per channel", given: [IMAGE], stored: [positive(3, 1, 1)] },
  { title: "an image and a number per channel, rank 4", given: [IMAGE], stored: [positive(1, 3, 1, 1)] },
  { title: "an image and a column", given: [IMAGE], stored: [positive(5)] },
  { title: "an image and a plane", given: [IMAGE], stored: [positive(6, 5)] },
  { title: "a vector and an image", given: [[3, 1, 1], IMAGE] },
  { title: "an image of one channel and another", given: [[2, 1, 6, 5], IMAGE] },
  { title: "matrices", given: [MATRIX, [5]] },
];
const compared = (): OnnxCase[] => pairs().map((each) => ({ ...each, between: [-2, 2] }));
const truths: OnnxCase[] = [{ title: "truths", given: [bool(IMAGE), bool([3, 1, 1])] }];
const conv = (
  title: string,
  kernel: readonly number[],
  attributes: Attributes = {},
  bias = true,
): OnnxCase => ({
  title,
  given: [[2, 4, 7, 6]],
  stored: [noise(...kernel), ...(bias ? [noise(kernel[0]!)] : [])],
  attributes,
});
const pool = (title: string, attributes: Attributes, opset = 19): OnnxCase => ({
  title,
  given: [[2, 3, 7, 6]],
  attributes: { kernel_shape: [3, 3], ...attributes },
  opset,
});
const poolCases = (): OnnxCase[] => [
  pool("no margins", {}),
  pool("strides and margins", { strides: [2, 2], pads: [1, 0, 1, 1] }),
  pool("SAME_UPPER", { strides: [2, 2], auto_pad: "SAME_UPPER" }),
  pool("SAME_LOWER", { strides: [2, 2], auto_pad: "SAME_LOWER" }),
  pool("VALID", { auto_pad: "VALID" }),
  pool("ceil_mode", { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }),
  pool("ceil_mode with margins", { kernel_shape: [3, 2], strides: [3, 2], pads: [1, 0, 1, 1], ceil_mode: 1 }),
  pool("ceil_mode whose last window begins in a margin", {
    kernel_shape: [2, 2],
    strides: [3, 3],
    pads: [1, 1, 1, 1],
    ceil_mode: 1,
  }),
];
const batchNorm = (...shape: number[]): OnnxCase => ({
  title: `rank ${shape.length}`,
  given: [shape],
  stored: [positive(shape[1]!), noise(shape[1]!), noise(shape[1]!), positive(shape[1]!)],
  attributes: { epsilon: { float: 1e-3 } },
});
const reductions = (axesInput: number): OnnxCase[] => [
  { title: "all axes", given: [IMAGE], opset: 17 },
  { title: "the image's places", given: [IMAGE], opset: 11, attributes: { axes: [2, 3], keepdims: 0 } },
  { title: "the image's places kept", given: [IMAGE], opset: 11, attributes: { axes: [-1, 2] } },
  { title: "channels", given: [IMAGE], opset: 11, attributes: { axes: [1], keepdims: 0 } },
  {
    title: "axes as an input",
    given: [IMAGE],
    opset: axesInput,
    stored: [ints(1, -1)],
    attributes: { keepdims: 0 },
  },
  { title: "no axes", given: [IMAGE], opset: 18, attributes: { noop_with_empty_axes: 1 } },
];
const resize = (title: string, attributes: Attributes, scales: readonly number[], opset = 19): OnnxCase => ({
  title,
  given: [[2, 3, 6, 5]],
  opset,
  // Operator set 11 wants a region of interest, which only cropping looks at.
  stored: [opset === 11 ? float32([0], []) : undefined, float32([4], [1, 1, ...scales])],
  attributes,
});
const MODES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"];
const resizeCases = (): OnnxCase[] => [
  ...MODES.flatMap((mode) =>
    ["nearest", "linear"].flatMap((kind) =>
      [
        [2, 2],
        [1.7, 2.3],
        [0.6, 0.5],
      ].map((scales) =>
        resize(
          `${kind}, ${mode}, times ${scales.join(" and ")}`,
          { mode: kind, coordinate_transformation_mode: mode },
          scales,
        ),
      ),
    ),
  ),
  ...["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"].flatMap((nearest) =>
    [
      [2, 3],
      [0.5, 0.7],
    ].map((scales) => resize(`${nearest}, times ${scales.join(" and ")}`, { nearest_mode: nearest }, scales)),
  ),
  resize(
    "asymmetric and floor, as detectors do",
    { coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
    [2, 2],
    11,
  ),
  resize("tf_half_pixel_for_nn", { coordinate_transformation_mode: "tf_half_pixel_for_nn" }, [1.5, 2], 11),
  {
    title: "sizes",
    given: [IMAGE],
    opset: 13,
    stored: [undefined, undefined, ints(2, 3, 9, 4)],
    attributes: { mode: "linear" },
  },
  {
    title: "sizes of two axes",
    given: [IMAGE],
    opset: 18,
    stored: [undefined, undefined, ints(9, 4)],
    attributes: { mode: "linear", axes: [2, 3] },
  },
  { title: "operator set 10, larger", given: [IMAGE], opset: 10, stored: [float32([4], [1, 1, 2, 2])] },
  { title: "operator set 10, smaller", given: [IMAGE], opset: 10, stored: [float32([4], [1, 1, 0.6, 0.5])] },
  {
    title: "operator set 10, linear",
    given: [IMAGE],
    opset: 10,
    stored: [float32([4], [1, 1, 2, 1.5])],
    attributes: { mode: "linear" },
  },
];
const softmaxes = (): OnnxCase[] => [
  { title: "the last axis", given: [IMAGE], opset: 13 },
  { title: "channels", given: [IMAGE], opset: 13, attributes: { axis: 1 } },
  { title: "operator set 11: channels and places together", given: [IMAGE], opset: 11 },
  { title: "operator set 11: the last axis", given: [MATRIX], opset: 11, attributes: { axis: -1 } },
];
const scales = float32([3], [0.02, 0.1, 0.03]);

/** Operator → what to try; every operator that can be read has at least one. */
export const onnxOperatorCases: Readonly<Record<string, readonly OnnxCase[]>> = {
  Identity: plain(),
  Dropout: [
    { title: "a rate as attribute", given: [IMAGE], opset: 10, attributes: { ratio: { float: 0.3 } } },
    { title: "inputs", given: [IMAGE], stored: [real(0.3), tensor("bool", [], Uint8Array.of(0))] },
  ],
  Abs: plain(),
  Neg: plain(),
  Sign: plain(),
  Exp: plain(),
  Log: aboveZero(),
  Sqrt: aboveZero(),
  Reciprocal: aboveZero(),
  Sin: plain(),
  Cos: plain(),
  Tanh: plain(),
  Erf: plain(),
  Floor: plain(),
  Ceil: plain(),
  Round: plain(),
  Not: [{ title: "truths", given: [bool(IMAGE)] }],
  IsNaN: [{ title: "some", given: [float32([3], [1, Number.NaN, 2])] }],
  Cast: [
    { title: "to int32", given: [IMAGE], attributes: { to: 6 } },
    { title: "to float64", given: [IMAGE], attributes: { to: 11 } },
  ],
  Relu: plain(),
  LeakyRelu: plain({ alpha: { float: 0.1 } }),
  PRelu: [
    { title: "a slope per channel", given: [IMAGE], stored: [noise(3, 1, 1)] },
    { title: "one slope", given: [IMAGE], stored: [noise(1)] },
    { title: "a slope per column", given: [IMAGE], stored: [noise(5)] },
    { title: "a matrix", given: [MATRIX], stored: [noise(5)] },
    { title: "a slope for each element", given: [MATRIX], stored: [noise(2, 5)] },
  ],
  Elu: plain({ alpha: { float: 0.7 } }),
  Celu: plain({ alpha: { float: 0.7 } }),
  Selu: plain(),
  Sigmoid: plain(),
  HardSigmoid: plain({ alpha: { float: 0.3 }, beta: { float: 0.4 } }),
  HardSwish: plain(),
  Mish: plain().map((each) => ({ ...each, opset: 18 })),
  Gelu: [
    { title: "exact", given: [IMAGE], opset: 20 },
    { title: "by tanh", given: [IMAGE], opset: 20, attributes: { approximate: "tanh" } },
  ],
  Softplus: plain(),
  Softsign: plain(),
  Clip: [
    { title: "inputs", given: [IMAGE], stored: [real(-0.5), real(0.6)] },
    { title: "only a greatest", given: [IMAGE], stored: [undefined, real(0.6)] },
    { title: "given bounds", given: [IMAGE, float32([], [-0.2]), float32([], [0.4])] },
    {
      title: "attributes",
      given: [IMAGE],
      opset: 9,
      attributes: { min: { float: -0.5 }, max: { float: 0.6 } },
    },
    { title: "none", given: [IMAGE], opset: 9 },
  ],
  Add: pairs(),
  Sub: pairs(),
  Mul: pairs(),
  Div: pairs().map((each) => ({ ...each, between: [0.5, 2] })),
  Mod: [{ title: "floats", given: [IMAGE, IMAGE], attributes: { fmod: 1 } }],
  Pow: [
    ...pairs().map((each): OnnxCase => ({ ...each, between: [0.5, 2] })),
    { title: "a whole exponent", given: [IMAGE], stored: [whole(2)] },
  ],
  Max: [...pairs(), { title: "three", given: [IMAGE, IMAGE, [3, 1, 1]] }],
  Min: [...pairs(), { title: "one", given: [IMAGE] }],
  Sum: [...pairs(), { title: "three", given: [IMAGE, IMAGE, [3, 1, 1]] }],
  Mean: [...pairs(), { title: "three", given: [IMAGE, IMAGE, [3, 1, 1]] }],
  Equal: [{ title: "whole numbers", given: [int64([2, 2], [1, 2, 3, 4])], stored: [ints(1, 4)] }],
  Less: compared(),
  LessOrEqual: compared(),
  Greater: compared(),
  GreaterOrEqual: compared(),
  And: truths,
  Or: truths,
  Xor: truths,
  Where: [
    { title: "an image", given: [bool(IMAGE), IMAGE, IMAGE] },
    { title: "broadcast", given: [bool([3, 1, 1]), IMAGE], stored: [real(0.5)] },
  ],
  Conv: [
    conv("1×1", [5, 4, 1, 1]),
    conv("no bias", [5, 4, 3, 3], {}, false),
    conv("margins that keep the size", [5, 4, 3, 3], { pads: [1, 1, 1, 1] }),
    conv("margins of all kinds, strides", [5, 4, 3, 2], { pads: [2, 0, 1, 1], strides: [2, 1] }),
    conv("SAME_UPPER", [5, 4, 3, 3], { auto_pad: "SAME_UPPER", strides: [2, 2] }),
    conv("SAME_LOWER", [5, 4, 3, 3], { auto_pad: "SAME_LOWER", strides: [2, 2] }),
    conv("VALID", [5, 4, 3, 3], { auto_pad: "VALID" }),
    conv("dilations", [5, 4, 3, 3], { dilations: [2, 1], pads: [2, 1, 2, 1] }),
    conv("groups", [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }),
    conv("one group per channel", [4, 1, 3, 3], { group: 4, kernel_shape: [3, 3] }),
    conv("two filters per channel", [8, 1, 3, 3], { group: 4 }),
    {
      title: "a computed kernel",
      given: [
        [2, 4, 7, 6],
        [5, 4, 3, 3],
      ],
    },
  ],
  MaxPool: poolCases(),
  AveragePool: [
    ...poolCases(),
    ...poolCases().map((each) => ({
      ...each,
      title: `${each.title}, margins counted`,
      attributes: { ...each.attributes, count_include_pad: 1 },
    })),
  ],
  GlobalAveragePool: [{ title: "an image", given: [IMAGE] }],
  GlobalMaxPool: [{ title: "an image", given: [IMAGE] }],
  BatchNormalization: [batchNorm(...IMAGE), batchNorm(4, 5), batchNorm(2, 3, 4)],
  InstanceNormalization: [{ title: "an image", given: [IMAGE], stored: [positive(3), noise(3)] }],
  MatMul: [
    { title: "matrices", given: [MATRIX], stored: [noise(5, 4)] },
    {
      title: "batches",
      given: [
        [2, 3, 4, 5],
        [2, 1, 5, 6],
      ],
    },
    { title: "a row", given: [[5]], stored: [noise(5, 4)] },
    { title: "a column", given: [[2, 4, 5]], stored: [noise(5)] },
    { title: "two vectors", given: [[5], [5]] },
  ],
  Gemm: [
    { title: "a bias", given: [MATRIX], stored: [noise(5, 4), noise(4)] },
    { title: "no bias", given: [MATRIX], stored: [noise(5, 4)] },
    {
      title: "both transposed and scaled",
      given: [[5, 2]],
      stored: [noise(4, 5), noise(1, 4)],
      attributes: { transA: 1, transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } },
    },
  ],
  ReduceSum: reductions(13),
  ReduceMean: reductions(18),
  ReduceMax: reductions(18),
  ReduceMin: reductions(18),
  ReduceProd: reductions(18),
  ReduceL1: reductions(18).filter(({ title }) => title !== "no axes"),
  ReduceL2: reductions(18).filter(({ title }) => title !== "no axes"),
  ReduceSumSquare: reductions(18).filter(({ title }) => title !== "no axes"),
  LpNormalization: [
    { title: "the last axis", given: [MATRIX] },
    { title: "channels, sum of sizes", given: [IMAGE], attributes: { axis: 1, p: 1 } },
    { title: "no length at all", given: [float32([2, 2], [0, 0, 3, 4])] },
  ],
  Softmax: softmaxes(),
  LogSoftmax: softmaxes(),
  ArgMax: [
    { title: "channels", given: [IMAGE], attributes: { axis: 1 } },
    { title: "the axis dropped", given: [IMAGE], attributes: { axis: -1, keepdims: 0 } },
  ],
  ArgMin: [{ title: "channels", given: [IMAGE], attributes: { axis: 1 } }],
  Transpose: [
    { title: "reversed", given: [[2, 3, 4]] },
    { title: "channels to the end", given: [IMAGE], attributes: { perm: [0, 2, 3, 1] } },
    { title: "channels to the front", given: [IMAGE], attributes: { perm: [1, 0, 3, 2] } },
  ],
  Concat: [
    { title: "channels", given: [IMAGE, [2, 2, 6, 5]], attributes: { axis: 1 } },
    { title: "columns", given: [IMAGE, [2, 3, 6, 2]], attributes: { axis: -1 } },
    { title: "matrices", given: [MATRIX, [4, 5]], attributes: { axis: 0 } },
  ],
  Split: [
    { title: "equal parts", given: [[2, 4, 3, 3]], attributes: { axis: 1 }, outputs: 2, opset: 13 },
    {
      title: "lengths as attribute",
      given: [IMAGE],
      attributes: { axis: 2, split: [1, 5] },
      outputs: 2,
      opset: 11,
    },
    { title: "lengths as input", given: [IMAGE], stored: [ints(2, 1)], attributes: { axis: 1 }, outputs: 2 },
    {
      title: "a number of parts",
      given: [IMAGE],
      attributes: { axis: 3, num_outputs: 2 },
      outputs: 2,
      opset: 18,
    },
  ],
  Slice: [
    {
      title: "attributes",
      given: [IMAGE],
      opset: 9,
      attributes: { starts: [1, -3], ends: [9, -1], axes: [1, 2] },
    },
    { title: "inputs", given: [IMAGE], stored: [ints(0, 1), ints(2, 1000), ints(1, -1)] },
    {
      title: "steps, backwards too",
      given: [IMAGE],
      stored: [ints(-1, 0), ints(-100, 5), ints(3, 2), ints(-1, 2)],
    },
    {
      title: "the largest end that there is",
      given: [[4, 5]],
      stored: [ints(1), ints(Number.MAX_SAFE_INTEGER)],
    },
  ],
  Pad: [
    {
      title: "attributes",
      given: [IMAGE],
      opset: 9,
      attributes: { pads: [0, 0, 1, 2, 0, 0, 0, 1], value: { float: 0.5 } },
    },
    { title: "inputs", given: [IMAGE], stored: [ints(0, 1, 1, 2, 0, 0, 0, 1), real(0.5)] },
    { title: "some axes", given: [IMAGE], opset: 18, stored: [ints(1, 2, 0, 1), undefined, ints(3, 1)] },
    {
      title: "reflected",
      given: [IMAGE],
      stored: [ints(0, 0, 1, 2, 0, 0, 3, 0)],
      attributes: { mode: "reflect" },
    },
    { title: "edges", given: [IMAGE], stored: [ints(0, 0, 1, 2, 0, 0, 3, 0)], attributes: { mode: "edge" } },
    { title: "cut off", given: [IMAGE], stored: [ints(0, 0, -1, 2, 0, 0, 1, -2)] },
  ],
  Gather: [
    { title: "channels", given: [IMAGE], stored: [ints(2, 0)], attributes: { axis: 1 } },
    { title: "one", given: [IMAGE], stored: [whole(1)], attributes: { axis: 2 } },
    { title: "from the end", given: [IMAGE], stored: [ints(-1, 0)], attributes: { axis: -1 } },
    { title: "rows for given indices", given: [MATRIX, int64([2, 2], [0, -1, 1, -2])] },
  ],
  Constant: [],
  ConstantOfShape: [
    { title: "zeros", given: [], stored: [ints(2, 3)] },
    { title: "a value", given: [], stored: [ints(2)], attributes: { value: float32([1], [2.5]) } },
  ],
  Reshape: [
    { title: "a side that is left", given: [IMAGE], stored: [ints(2, -1)] },
    { title: "sides as they were", given: [IMAGE], stored: [ints(0, -1, 5)] },
  ],
  Flatten: [
    { title: "all but the batch", given: [IMAGE] },
    { title: "from the last axis on", given: [IMAGE], attributes: { axis: -1 } },
    { title: "everything", given: [IMAGE], attributes: { axis: 0 } },
    { title: "before the end", given: [MATRIX], attributes: { axis: 2 } },
  ],
  Squeeze: [
    { title: "attributes", given: [[2, 1, 3, 1]], opset: 11, attributes: { axes: [-1] } },
    { title: "inputs", given: [[2, 1, 3, 1]], stored: [ints(1, 3)] },
    { title: "all of 1", given: [[2, 1, 3, 1]] },
  ],
  Unsqueeze: [
    { title: "attributes", given: [[2, 3]], opset: 11, attributes: { axes: [0, 3] } },
    { title: "inputs", given: [[2, 3]], stored: [ints(-1, 1)] },
  ],
  Shape: [
    { title: "all", given: [IMAGE] },
    { title: "a part", given: [IMAGE], attributes: { start: -2, end: 4 } },
  ],
  Size: [{ title: "an image", given: [IMAGE] }],
  Expand: [
    { title: "channels", given: [[2, 1, 6, 5]], stored: [ints(2, 3, 1, 5)] },
    { title: "a shorter shape", given: [IMAGE], stored: [ints(1, 5)] },
    { title: "a longer shape", given: [[5]], stored: [ints(2, 3, 5)] },
  ],
  Tile: [
    { title: "sides of 1 and others", given: [[2, 1, 3]], stored: [ints(1, 4, 2)] },
    { title: "an image", given: [IMAGE], stored: [ints(1, 1, 2, 1)] },
  ],
  Range: [{ title: "whole numbers", given: [], stored: [whole(1), whole(8), whole(3)] }],
  DequantizeLinear: [
    {
      title: "one scale",
      given: [],
      stored: [bytes("int8", [3, 4]), real(0.02), tensor("int8", [], Int8Array.of(3))],
    },
    { title: "given numbers", given: [bytes("uint8", IMAGE)], stored: [real(0.02)] },
    {
      title: "a scale per channel",
      given: [bytes("int8", IMAGE)],
      stored: [scales, tensor("int8", [3], Int8Array.of(1, -2, 0))],
      attributes: { axis: 1 },
    },
    {
      title: "a stored scale per row",
      given: [],
      stored: [bytes("int8", [3, 4]), scales],
      attributes: { axis: 0 },
    },
    {
      title: "blocks",
      given: [],
      opset: 21,
      stored: [bytes("int8", [2, 6]), float32([2, 3], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), bytes("int8", [2, 3])],
      attributes: { axis: 1, block_size: 2 },
    },
    {
      title: "blocks along the first axis",
      given: [],
      opset: 21,
      stored: [bytes("int8", [4, 3]), positive(2, 3)],
      attributes: { axis: 0, block_size: 2 },
    },
  ],
  QuantizeLinear: [
    { title: "one scale", given: [IMAGE], stored: [real(0.02), tensor("uint8", [], Uint8Array.of(100))] },
    {
      title: "a scale per channel",
      given: [IMAGE],
      stored: [scales, tensor("int8", [3], Int8Array.of(1, -2, 0))],
    },
    { title: "no zero point", given: [IMAGE], stored: [real(0.02)] },
  ],
  Resize: resizeCases(),
  Upsample: [
    { title: "nearest", given: [IMAGE], opset: 9, stored: [float32([4], [1, 1, 2, 2])] },
    {
      title: "linear",
      given: [IMAGE],
      opset: 9,
      stored: [float32([4], [1, 1, 2, 2])],
      attributes: { mode: "linear" },
    },
  ],
};
