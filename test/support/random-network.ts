/** @file Random ONNX networks of the layers that face models are made of. */
import { Random } from "../../src/base/random.ts";
import { float32, int64, sizeOf, type Tensor } from "../../src/base/tensor.ts";
import type { Attribute, OnnxFile, OnnxFileNode } from "./onnx-file.ts";

/** A value of the network: its name and `[channels, height, width]`. */
interface Value {
  readonly name: string;
  readonly sides: readonly [number, number, number];
}

/** A network as it grows. */
class Draft {
  readonly random: Random;
  readonly opset: number;
  readonly nodes: OnnxFileNode[] = [];
  readonly stored: Record<string, Tensor> = {};

  constructor(seed: number) {
    this.random = new Random(seed);
    this.opset = this.random.pick([11, 13, 15]);
  }

  weights(low: number, high: number, ...shape: number[]): string {
    const values = Array.from({ length: sizeOf(shape) }, () => this.random.between(low, high));
    return this.keep(float32(shape, values));
  }

  keep(value: Tensor): string {
    const name = `w${Object.keys(this.stored).length}`;
    this.stored[name] = value;
    return name;
  }

  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const name = `v${this.nodes.length}`;
    this.nodes.push({ op, inputs, outputs: [name], attributes });
    return name;
  }
}

type Layer = (draft: Draft, x: Value) => Value;

const ACTIVATIONS = ["Relu", "LeakyRelu", "Sigmoid", "Elu", "Tanh", "Softplus"];
/** What operator set 14 has beside them. */
const NEW_ACTIVATIONS = ["HardSwish"];

const activation: Layer = (draft, { name, sides }) => {
  const op = draft.random.pick(draft.opset < 14 ? ACTIVATIONS : [...ACTIVATIONS, ...NEW_ACTIVATIONS]);
  return { name: draft.node(op, [name]), sides };
};

const prelu: Layer = (draft, { name, sides }) => ({
  name: draft.node("PRelu", [name, draft.weights(0, 0.5, sides[0], 1, 1)]),
  sides,
});

const normalise: Layer = (draft, { name, sides }) => {
  const vector = (low: number, high: number) => draft.weights(low, high, sides[0]);
  const inputs = [name, vector(0.5, 1.5), vector(-0.3, 0.3), vector(-0.3, 0.3), vector(0.5, 1.5)];
  return { name: draft.node("BatchNormalization", inputs), sides };
};

const conv: Layer = (draft, { name, sides: [channels, height, width] }) => {
  const { random } = draft;
  const size = height < 3 || width < 3 ? 1 : random.pick([1, 3]);
  const stride = height > 4 && width > 4 ? random.pick([1, 2]) : 1;
  const groups = random.pick([1, channels, channels % 2 === 0 ? 2 : 1]);
  const outputs = groups === 1 ? random.pick([4, 6, 8]) : channels;
  const margin = size === 3 ? random.pick([0, 1]) : 0;
  const reach = Math.sqrt(3 / ((channels / groups) * size * size));
  const kernel = draft.weights(-reach, reach, outputs, channels / groups, size, size);
  const bias = random.chance(0.5) ? [draft.weights(-0.3, 0.3, outputs)] : [];
  const attributes = { strides: [stride, stride], group: groups, pads: new Array<number>(4).fill(margin) };
  const along = (side: number) => Math.floor((side + 2 * margin - size) / stride) + 1;
  return {
    name: draft.node("Conv", [name, kernel, ...bias], attributes),
    sides: [outputs, along(height), along(width)],
  };
};

const pool: Layer = (draft, x) => {
  const [channels, height, width] = x.sides;
  if (height < 5 || width < 5) return x;
  const attributes = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
  const op = draft.random.pick(["MaxPool", "AveragePool"]);
  const along = (side: number) => Math.floor((side - 1) / 2) + 1;
  return { name: draft.node(op, [x.name], attributes), sides: [channels, along(height), along(width)] };
};

const enlarge: Layer = (draft, x) => {
  const [channels, height, width] = x.sides;
  if (height > 8 || width > 8) return x;
  const scales = draft.keep(float32([4], [1, 1, 2, 2]));
  const mode = draft.random.pick(["nearest", "linear"]);
  const coordinates = {
    coordinate_transformation_mode: draft.random.pick(["asymmetric", "half_pixel", "align_corners"]),
  };
  const inputs = [x.name, draft.keep(float32([0], [])), scales];
  return {
    name: draft.node("Resize", inputs, { mode, ...coordinates }),
    sides: [channels, height * 2, width * 2],
  };
};

/** A branch of its own, added or joined to what it branched off from. */
const branch: Layer = (draft, x) => {
  const kernel = draft.weights(-0.5, 0.5, x.sides[0], x.sides[0], 1, 1);
  const side = draft.node("Relu", [draft.node("Conv", [x.name, kernel])]);
  if (draft.random.chance(0.5)) return { ...x, name: draft.node("Add", [x.name, side]) };
  const [channels, height, width] = x.sides;
  return { name: draft.node("Concat", [x.name, side], { axis: 1 }), sides: [2 * channels, height, width] };
};

/** Channels weighed by what the whole image shows (Hu et al., 2018). */
const excite: Layer = (draft, x) => {
  const channels = x.sides[0];
  const mean = draft.node("GlobalAveragePool", [x.name]);
  const weighed = draft.node("Conv", [mean, draft.weights(-1, 1, channels, channels, 1, 1)]);
  return { ...x, name: draft.node("Mul", [x.name, draft.node("HardSigmoid", [weighed])]) };
};

const cut: Layer = (draft, x) => {
  const [channels, height, width] = x.sides;
  if (height < 4) return x;
  const list = (...values: number[]) => draft.keep(int64([values.length], values));
  const name = draft.node("Slice", [x.name, list(1), list(height - 1), list(2)]);
  return { name, sides: [channels, height - 2, width] };
};

const LAYERS = [activation, prelu, normalise, conv, conv, conv, pool, enlarge, branch, excite, cut];

/** Sides of the image that random networks take. */
export const NETWORK_IMAGE = [3, 12, 10] as const;

/** A network of some layers that ends in an embedding of 5 numbers. */
export function randomNetwork(seed: number, layers = 10): OnnxFile {
  const draft = new Draft(seed);
  let x: Value = { name: "image", sides: NETWORK_IMAGE };
  for (let i = 0; i < layers; i++) x = draft.random.pick(LAYERS)(draft, x);
  const flat = draft.node("Flatten", [draft.node("GlobalAveragePool", [x.name])]);
  const dense = [draft.weights(-1, 1, 5, x.sides[0]), draft.weights(-1, 1, 5)];
  draft.nodes.push({ op: "Gemm", inputs: [flat, ...dense], outputs: ["y"], attributes: { transB: 1 } });
  return {
    opset: draft.opset,
    inputs: { image: { shape: [draft.random.pick([1, "N"]), ...NETWORK_IMAGE] } },
    stored: draft.stored,
    nodes: draft.nodes,
  };
}
