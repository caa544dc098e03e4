/** @file Small ONNX networks of all ages: what exporters have written, in a few nodes each. */
import { Random } from "../../src/base/random.ts";
import { float32, int64, sizeOf, type Tensor, tensor } from "../../src/base/tensor.ts";
import type { OnnxFile } from "./onnx-file.ts";

const random = new Random(3);
const noise = (...shape: number[]) =>
  float32(
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.between(-0.6, 0.6)),
  );
const positive = (...shape: number[]) =>
  float32(
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.between(0.5, 1.5)),
  );
const ints = (...values: number[]) => int64([values.length], values);

const normalised = (name: string, channels: number): Record<string, Tensor> => ({
  [`${name}.gamma`]: positive(channels),
  [`${name}.beta`]: noise(channels),
  [`${name}.mean`]: noise(channels),
  [`${name}.variance`]: positive(channels),
});
const normalise = (x: string, name: string, y: string) => ({
  op: "BatchNormalization",
  inputs: [x, ...["gamma", "beta", "mean", "variance"].map((each) => `${name}.${each}`)],
  outputs: [y],
});

/** An embedding as MobileFaceNet is exported: depthwise kernels, PRelu, a residual sum, a global depthwise kernel. */
const embedding: OnnxFile = {
  opset: 11,
  inputs: { "input.1": { shape: [1, 3, 12, 12] } },
  stored: {
    first: noise(8, 3, 3, 3),
    ...normalised("n1", 8),
    slope1: noise(8, 1, 1),
    deep: noise(8, 1, 3, 3),
    deepBias: noise(8),
    point: noise(8, 8, 1, 1),
    ...normalised("n2", 8),
    global: noise(8, 1, 6, 6),
    dense: noise(4, 8),
    denseBias: noise(4),
  },
  nodes: [
    {
      op: "Conv",
      inputs: ["input.1", "first"],
      outputs: ["a"],
      attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    normalise("a", "n1", "b"),
    { op: "PRelu", inputs: ["b", "slope1"], outputs: ["c"] },
    {
      op: "Conv",
      inputs: ["c", "deep", "deepBias"],
      outputs: ["d"],
      attributes: { group: 8, pads: [1, 1, 1, 1] },
    },
    { op: "LeakyRelu", inputs: ["d"], outputs: ["e"], attributes: { alpha: { float: 0.2 } } },
    { op: "Conv", inputs: ["e", "point"], outputs: ["f"] },
    normalise("f", "n2", "g"),
    { op: "Add", inputs: ["c", "g"], outputs: ["h"] },
    { op: "Conv", inputs: ["h", "global"], outputs: ["i"], attributes: { group: 8 } },
    { op: "Flatten", inputs: ["i"], outputs: ["j"] },
    { op: "Gemm", inputs: ["j", "dense", "denseBias"], outputs: ["k"], attributes: { transB: 1 } },
    { op: "LpNormalization", inputs: ["k"], outputs: ["y"], attributes: { axis: 1 } },
  ],
};

/** A residual network with squeezing and excitation; its shapes are computed as PyTorch's exporter writes them. */
const excited: OnnxFile = {
  opset: 13,
  inputs: { image: { shape: ["N", 3, 9, 8] } },
  stored: {
    first: noise(6, 3, 3, 3),
    firstBias: noise(6),
    down: noise(3, 6, 1, 1),
    up: noise(6, 3, 1, 1),
    one: int64([], [0]),
    rest: ints(-1),
    zero: ints(0),
    low: float32([], [0]),
    high: float32([], [6]),
    dense: noise(120, 5),
  },
  nodes: [
    {
      op: "Conv",
      inputs: ["image", "first", "firstBias"],
      outputs: ["a"],
      attributes: { auto_pad: "SAME_UPPER", strides: [2, 2] },
    },
    { op: "Clip", inputs: ["a", "low", "high"], outputs: ["b"] },
    { op: "GlobalAveragePool", inputs: ["b"], outputs: ["c"] },
    { op: "Conv", inputs: ["c", "down"], outputs: ["d"] },
    { op: "Relu", inputs: ["d"], outputs: ["e"] },
    { op: "Conv", inputs: ["e", "up"], outputs: ["f"] },
    { op: "HardSigmoid", inputs: ["f"], outputs: ["g"] },
    { op: "Mul", inputs: ["b", "g"], outputs: ["h"] },
    { op: "Add", inputs: ["h", "b"], outputs: ["i"] },
    { op: "Shape", inputs: ["i"], outputs: ["sides"] },
    { op: "Gather", inputs: ["sides", "one"], outputs: ["batch"] },
    { op: "Unsqueeze", inputs: ["batch", "zero"], outputs: ["batches"] },
    { op: "Concat", inputs: ["batches", "rest"], outputs: ["target"], attributes: { axis: 0 } },
    { op: "Reshape", inputs: ["i", "target"], outputs: ["j"] },
    { op: "MatMul", inputs: ["j", "dense"], outputs: ["k"] },
    { op: "Softmax", inputs: ["k"], outputs: ["y"], attributes: { axis: -1 } },
  ],
};

/** A detector's pyramid: pools, an image made larger, concatenated channels, boxes laid out in a row. */
const detector: OnnxFile = {
  opset: 18,
  inputs: { input: { shape: [1, 3, 16, 16] } },
  stored: {
    stem: noise(4, 3, 3, 3),
    side: noise(4, 4, 1, 1),
    boxes: noise(6, 8, 1, 1),
    factors: float32([4], [1, 1, 2, 2]),
    pads: ints(0, 0, 1, 1, 0, 0, 1, 1),
    shape: ints(1, -1, 6),
    starts: ints(4),
    ends: ints(Number.MAX_SAFE_INTEGER),
    last: ints(-1),
    two: float32([], [2]),
    places: ints(2, 3),
  },
  nodes: [
    { op: "Pad", inputs: ["input", "pads"], outputs: ["padded"] },
    { op: "Conv", inputs: ["padded", "stem"], outputs: ["a"] },
    { op: "HardSwish", inputs: ["a"], outputs: ["b"] },
    { op: "MaxPool", inputs: ["b"], outputs: ["c"], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
    {
      op: "AveragePool",
      inputs: ["c"],
      outputs: ["d"],
      attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
    },
    { op: "Conv", inputs: ["d", "side"], outputs: ["e"] },
    {
      op: "Resize",
      inputs: ["e", "", "factors"],
      outputs: ["f"],
      attributes: { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
    },
    { op: "Concat", inputs: ["c", "f"], outputs: ["g"], attributes: { axis: 1 } },
    { op: "Conv", inputs: ["g", "boxes"], outputs: ["h"] },
    { op: "Transpose", inputs: ["h"], outputs: ["i"], attributes: { perm: [0, 2, 3, 1] } },
    { op: "Reshape", inputs: ["i", "shape"], outputs: ["j"] },
    { op: "Slice", inputs: ["j", "starts", "ends", "last"], outputs: ["k"] },
    { op: "Sigmoid", inputs: ["k"], outputs: ["scores"] },
    { op: "ReduceMean", inputs: ["g", "places"], outputs: ["l"], attributes: { keepdims: 0 } },
    { op: "Pow", inputs: ["l", "two"], outputs: ["m"] },
    { op: "Sqrt", inputs: ["m"], outputs: ["level"] },
  ],
  outputs: { scores: {}, level: {} },
};

/** Weights in blocks of whole numbers, as OpenCV stores them, and rounded activations. */
const quantised: OnnxFile = {
  opset: 21,
  inputs: { data: { shape: [1, 2, 4, 4] }, stale: { shape: [3] } },
  stored: {
    whole: tensor(
      "int8",
      [4, 6],
      Int8Array.from({ length: 24 }, () => random.integer(256) - 128),
    ),
    scales: positive(4, 2),
    zeros: tensor(
      "int8",
      [4, 2],
      Int8Array.from({ length: 8 }, () => random.integer(9) - 4),
    ),
    shape: ints(3, 2, 2, 2),
    step: float32([], [0.25]),
    middle: tensor("uint8", [], Uint8Array.of(128)),
  },
  nodes: [
    {
      op: "DequantizeLinear",
      inputs: ["whole", "scales", "zeros"],
      outputs: ["real"],
      attributes: { axis: 1, block_size: 3 },
    },
    { op: "Reshape", inputs: ["real", "shape"], outputs: ["kernel"] },
    { op: "Conv", inputs: ["data", "kernel"], outputs: ["a"] },
    { op: "QuantizeLinear", inputs: ["a", "step", "middle"], outputs: ["b"] },
    { op: "DequantizeLinear", inputs: ["b", "step", "middle"], outputs: ["c"] },
    { op: "Split", inputs: ["c"], outputs: ["d", "e", "f"], attributes: { axis: 1, num_outputs: 3 } },
    { op: "Max", inputs: ["d", "e", "f"], outputs: ["y"] },
  ],
};

/** Kernels with gaps and unequal strides: convolutions per channel, in groups, and plain. */
const dilated: OnnxFile = {
  opset: 17,
  inputs: { image: { shape: ["N", 4, 13, 12] } },
  stored: {
    apart: noise(4, 1, 3, 3),
    wide: noise(8, 1, 3, 3),
    uneven: noise(8, 1, 3, 3),
    grouped: noise(6, 4, 3, 3),
    wideBias: noise(8),
    unevenBias: noise(8),
    groupedBias: noise(6),
    plain: noise(5, 6, 3, 3),
  },
  nodes: [
    {
      op: "Conv",
      inputs: ["image", "apart"],
      outputs: ["a"],
      attributes: { group: 4, dilations: [2, 2], pads: [2, 2, 2, 2] },
    },
    {
      op: "Conv",
      inputs: ["a", "wide", "wideBias"],
      outputs: ["b"],
      attributes: { group: 4, dilations: [1, 3], strides: [1, 1], pads: [1, 3, 1, 3] },
    },
    {
      op: "Conv",
      inputs: ["b", "uneven", "unevenBias"],
      outputs: ["c"],
      attributes: { group: 8, strides: [2, 1], pads: [1, 1, 1, 1] },
    },
    {
      op: "Conv",
      inputs: ["c", "grouped", "groupedBias"],
      outputs: ["d"],
      attributes: { group: 2, dilations: [2, 1], strides: [1, 2], pads: [2, 1, 2, 1] },
    },
    {
      op: "Conv",
      inputs: ["d", "plain"],
      outputs: ["y"],
      attributes: { dilations: [1, 2], pads: [0, 1, 0, 1] },
    },
  ],
};

/** Convolutions of one channel and one window in a row, with strides along the row only; two of them, of different sides. */
const column: OnnxFile = {
  opset: 17,
  inputs: { image: { shape: ["N", 1, 22, 14] } },
  stored: { first: noise(1, 1, 5, 12), wide: noise(3, 1, 4, 2), bias: noise(3), last: noise(2, 3, 3, 1) },
  nodes: [
    { op: "Conv", inputs: ["image", "first"], outputs: ["a"], attributes: { strides: [1, 2] } },
    {
      op: "Conv",
      inputs: ["a", "wide", "bias"],
      outputs: ["b"],
      attributes: { strides: [1, 3], pads: [1, 0, 2, 0] },
    },
    { op: "Conv", inputs: ["b", "last"], outputs: ["y"] },
  ],
};

/** Network → its file; `quantised` needs what ONNX Runtime does not take. */
export const ONNX_NETWORKS = { embedding, excited, detector, dilated, column, quantised } as const;
