/** @file Static quantisation of an ONNX model: convolutions, PReLUs, sums and pools in 8-bit integers, without floats between. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FaceError } from "../../base/errors.ts";
import { float32, floats, sizeOf, type Tensor } from "../../base/tensor.ts";
import type { AttributeProto, GraphProto, NodeProto } from "../../proto/onnx/onnx_pb.ts";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
} from "../../proto/onnx/onnx_pb.ts";
import { MICROSOFT } from "../lower/model-builder.ts";
import { attributesOf, type GraphEditor, graphEditor, storedTensor } from "./graph-edits.ts";
import { isQuantizable, onlyRelu, type Prelu, preluAfter } from "./patterns.ts";

/** The smallest and largest element of a value. */
export interface ValueRange {
  readonly low: number;
  readonly high: number;
}

/** A value as 8-bit numbers: `real = scale · (stored − zero)`. */
interface Quantized {
  readonly name: string;
  readonly scale: number;
  readonly zero: number;
}

/** The runtime's integer convolutions without copies take so many input channels at a time. */
const RUNTIME_CHANNELS = 4;
/** From so many columns of a window on its rows are gathered first; with three that takes as long as it saves. */
const LONG_ROW = 4;
const STEPS = 255;
const WEIGHT_STEPS = 127;

/** The scale and zero point for a range; 0 is exact. */
export function scaleFor({ low, high }: ValueRange): { scale: number; zero: number } {
  const [least, most] = [Math.min(0, low), Math.max(0, high)];
  const scale = Math.fround((most - least) / STEPS) || 1;
  return { scale, zero: Math.round(-least / scale) };
}

/** Products of fewer numbers are left in floats. */
const LARGE_PRODUCT = 1 << 20;

/** A product of rows with many stored columns, whose reading takes the time. */
function isLargeProduct({ opType, input, attribute }: NodeProto, graph: GraphProto): boolean {
  const stored = graph.initializer.find(({ name }) => name === input[1]);
  const isPlain = attribute.every(({ name, i }) => name === "transB" || (name === "transA" && i === 0n));
  const size = stored?.dims.reduce((product, side) => product * Number(side), 1) ?? 0;
  return opType === "Gemm" && input.length === 2 && isPlain && size >= LARGE_PRODUCT;
}

/** The values whose ranges quantisation needs: what goes into and comes out of its operators. */
export function valuesToMeasure(bytes: Uint8Array): string[] {
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  const names = new Set<string>();
  const integers = new Set<string>();
  for (const node of graph!.node) {
    if (isQuantizable(node, graph!)) {
      const output = onlyRelu(node, graph!)?.output[0] ?? node.output[0]!;
      names.add(node.input[0]!).add(output);
      const prelu = preluAfter(node, graph!);
      if (prelu !== undefined) names.add(prelu.output);
      integers.add(prelu?.output ?? output);
    } else if (isLargeProduct(node, graph!)) names.add(node.input[0]!);
    else if (node.opType === "Add" && node.input.every((name) => integers.has(name))) {
      names.add(node.output[0]!);
      integers.add(node.output[0]!);
    }
  }
  return [...names];
}

/** Weights `[out, …]` as integers in −127…127, with a scale for each row. */
function quantizedRows({ shape, data }: Tensor<"float32">): { values: Int8Array; scales: Float32Array } {
  const rows = shape[0]!;
  const length = data.length / rows;
  const values = new Int8Array(data.length);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const weights = data.subarray(row * length, (row + 1) * length);
    const most = weights.reduce((greatest, value) => Math.max(greatest, Math.abs(value)), 0);
    const scale = Math.fround(most / WEIGHT_STEPS) || 1;
    scales[row] = scale;
    weights.forEach((value, i) => {
      values[row * length + i] = Math.round(value / scale);
    });
  }
  return { values, scales };
}

/** The elements of a matrix with rows and columns exchanged. */
function turned<T extends Float32Array | Int8Array>(data: T, rows: number, columns: number): T {
  const out = data.slice() as T;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = data[row * columns + column]!;
  }
  return out;
}

/** A convolution as the runtime computes it fastest. */
interface Widened {
  readonly input: string;
  readonly kernel: Tensor<"int8">;
  readonly attributes: AttributeProto[];
}

/** A kernel `[out, in, …]` with so many input channels, the further ones of zeros. */
function withChannels({ shape, data }: Tensor<"int8">, channels: number): Tensor<"int8"> {
  const [out, before, ...sides] = shape as [number, number, ...number[]];
  const [length, longer] = [before * sizeOf(sides), channels * sizeOf(sides)];
  const wide = new Int8Array(out * longer);
  for (let row = 0; row < out; row++) wide.set(data.subarray(row * length, (row + 1) * length), row * longer);
  return { dtype: "int8", shape: [out, channels, ...sides], data: wide };
}

/** The attributes of a convolution of images that does along one axis what another does, and nothing along the other. */
function alongAxis(attributes: readonly AttributeProto[], axis: 0 | 1): AttributeProto[] {
  const neutral: Readonly<Record<string, bigint>> = {
    kernel_shape: 1n,
    strides: 1n,
    dilations: 1n,
    pads: 0n,
  };
  return attributes.map((each) => {
    const otherwise = neutral[each.name];
    if (otherwise === undefined) return each;
    // Pads are those before along both axes, then those after.
    const ints = each.ints.map((value, i) => (i % 2 === axis ? value : otherwise));
    return create(AttributeProtoSchema, { ...each, ints });
  });
}

/** Quantises one graph. */
class Quantizer {
  readonly #graph: GraphProto;
  readonly #editor: GraphEditor;
  readonly #ranges: ReadonlyMap<string, ValueRange>;
  readonly #quantized = new Map<string, Quantized>();
  readonly #written = new Set<string>();

  constructor(graph: GraphProto, ranges: ReadonlyMap<string, ValueRange>) {
    this.#graph = graph;
    this.#editor = graphEditor(graph, "quantized");
    this.#ranges = ranges;
  }

  /** Returns how many convolutions have become integer ones. */
  run(): number {
    const nodes = this.#graph.node.splice(0);
    const original = { ...this.#graph, node: nodes };
    const skipped = new Set<NodeProto>();
    let count = 0;
    for (const node of nodes) {
      if (skipped.has(node)) continue;
      if (isQuantizable(node, original)) {
        for (const each of this.#convolved(node, original)) skipped.add(each);
        count++;
      } else if (node.opType === "MaxPool" && this.#quantized.has(node.input[0]!)) this.#pool(node);
      else if (isLargeProduct(node, original)) this.#product(node);
      else if (this.#isSumOfIntegers(node)) this.#sum(node.input, node.output[0]!);
      else this.#other(node);
    }
    for (const { name } of this.#graph.output) this.#restore(name);
    this.#editor.dropUnused();
    return count;
  }

  /** A convolution with the activation that follows it; returns the nodes of the activation. */
  #convolved(node: NodeProto, graph: GraphProto): readonly NodeProto[] {
    const relu = onlyRelu(node, graph);
    const prelu = preluAfter(node, graph);
    this.#convolution(node, relu?.output[0] ?? node.output[0]!, relu !== undefined);
    if (prelu !== undefined) this.#prelu(node.output[0]!, prelu);
    return relu === undefined ? (prelu?.nodes ?? []) : [relu];
  }

  #rangeOf(name: string): ValueRange {
    const range = this.#ranges.get(name);
    if (range !== undefined) return range;
    throw new FaceError("INTERNAL", `internal: the range of ${name} was not measured`);
  }

  #parameters({ scale, zero }: Pick<Quantized, "scale" | "zero">): [string, string] {
    const zeroPoint = { dtype: "uint8", shape: [], data: Uint8Array.of(zero) } as const;
    return [this.#editor.constant(float32([], [scale])), this.#editor.constant(zeroPoint)];
  }

  #input(name: string): Quantized {
    const known = this.#quantized.get(name);
    if (known !== undefined) return known;
    const grid = scaleFor(this.#rangeOf(name));
    const stored = this.#editor.node("QuantizeLinear", [name, ...this.#parameters(grid)]);
    const value = { name: stored, ...grid };
    this.#quantized.set(name, value);
    // The float exists already.
    this.#written.add(name);
    return value;
  }

  #convolution(node: NodeProto, output: string, positive: boolean): void {
    const x = this.#input(node.input[0]!);
    const kernel = storedTensor(this.#graph, node.input[1]!);
    const { values, scales } = quantizedRows(kernel);
    const range = this.#rangeOf(output);
    // A zero point of 0 clips negative values, which is what ReLU does.
    const grid = scaleFor(positive ? { low: 0, high: range.high } : range);
    const zeros = new Int8Array(scales.length);
    const first = this.#widened(node, x, { dtype: "int8", shape: kernel.shape, data: values });
    const inputs = [
      first.input,
      ...this.#parameters(x),
      this.#editor.constant(first.kernel),
      this.#editor.constant(float32([scales.length], scales)),
      this.#editor.constant({ dtype: "int8", shape: [scales.length], data: zeros }),
      ...this.#parameters(grid),
    ];
    if (node.input[2] !== undefined && node.input[2] !== "") {
      const bias = floats(storedTensor(this.#graph, node.input[2]));
      const data = Int32Array.from(bias, (value, i) => Math.round(value / (x.scale * scales[i]!)));
      inputs.push(this.#editor.constant({ dtype: "int32", shape: [data.length], data }));
    }
    const name = this.#editor.node("QLinearConv", inputs, first.attributes);
    this.#quantized.set(output, { name, ...grid });
  }

  /**
   * The input and the kernel of a convolution of images, such as the first one's three colours, with further channels of zeros up
   * to a multiple of four: for others the runtime copies the input once for each place of the window, in twice the time. The sums
   * stay the same integers.
   */
  #widened(node: NodeProto, x: Quantized, kernel: Tensor<"int8">): Widened {
    const [, channels, ...sides] = kernel.shape as [number, number, ...number[]];
    const missing = (RUNTIME_CHANNELS - (channels % RUNTIME_CHANNELS)) % RUNTIME_CHANNELS;
    const attributes = attributesOf(node);
    const isGrouped = attributes.some(({ name, i }) => name === "group" && i !== 1n);
    if (isGrouped || missing === 0 || sizeOf(sides) === 1) return { input: x.name, kernel, attributes };
    const input = this.#moreChannels(x, missing, sides.length);
    const wide = { input, kernel: withChannels(kernel, channels + missing), attributes };
    const [height, width] = sides;
    const hasLongRows =
      sides.length === 2 && height! > 1 && width! >= LONG_ROW && channels < RUNTIME_CHANNELS;
    return hasLongRows ? this.#rowsAsChannels(x, wide, channels) : wide;
  }

  /**
   * The same with each row of the window as channels, which a convolution with a kernel of ones gathers: the runtime takes the places
   * of a window one by one, and three colours for each are less work than a step. 5×5 places of three take two thirds of the time.
   */
  #rowsAsChannels(x: Quantized, { input, kernel, attributes }: Widened, channels: number): Widened {
    const [out, stored, height, width] = kernel.shape as [number, number, number, number];
    const gathered = width * channels;
    const wide = Math.ceil(gathered / RUNTIME_CHANNELS) * RUNTIME_CHANNELS;
    const ones = new Int8Array(wide * stored * width);
    const data = new Int8Array(out * wide * height);
    for (let column = 0; column < width; column++) {
      for (let channel = 0; channel < channels; channel++) {
        const to = column * channels + channel;
        ones[(to * stored + channel) * width + column] = WEIGHT_STEPS;
        for (let row = 0; row < out; row++) {
          for (let y = 0; y < height; y++) {
            data[(row * wide + to) * height + y] =
              kernel.data[((row * stored + channel) * height + y) * width + column]!;
          }
        }
      }
    }
    const rows = this.#editor.node(
      "QLinearConv",
      [
        input,
        ...this.#parameters(x),
        this.#editor.constant({ dtype: "int8", shape: [wide, stored, 1, width], data: ones }),
        this.#editor.constant(float32([wide], new Float32Array(wide).fill(1 / WEIGHT_STEPS))),
        this.#editor.constant({ dtype: "int8", shape: [wide], data: new Int8Array(wide) }),
        ...this.#parameters(x),
      ],
      alongAxis(attributes, 1),
    );
    const columns = { dtype: "int8", shape: [out, wide, height, 1], data } as const;
    return { input: rows, kernel: columns, attributes: alongAxis(attributes, 0) };
  }

  /**
   * Images with channels of zeros after their own. Each channel is one row for it: as an image, the runtime would write its pixels one
   * after the other, in a fifth of the time that the network's first convolution takes.
   */
  #moreChannels(x: Quantized, count: number, sides: number): string {
    const integers = (values: readonly number[]) =>
      this.#editor.constant({
        dtype: "int64",
        shape: [values.length],
        data: BigInt64Array.from(values, BigInt),
      });
    const [, zero] = this.#parameters(x);
    const rows = this.#editor.node("Reshape", [x.name, integers([0, 0, -1])]);
    const padded = this.#editor.node("Pad", [rows, integers([0, 0, 0, 0, count, 0]), zero]);
    const more = integers([0, count, ...new Array<number>(sides).fill(0)]);
    const shape = this.#editor.node("Add", [this.#editor.node("Shape", [x.name]), more]);
    return this.#editor.node("Reshape", [padded, shape]);
  }

  /**
   * `x + relu((slope − 1) · x)`: the second part is a product per channel whose zero point of 0 clips what is negative.
   */
  #prelu(input: string, { output, slope }: Prelu): void {
    const x = this.#quantized.get(input)!;
    const less = slope.map((value) => 1 - value);
    const most = less.reduce((greatest, value) => Math.max(greatest, value), 0);
    const grid = scaleFor({ low: 0, high: most * x.scale * x.zero });
    const scales = less.map((value) => Math.fround(value / WEIGHT_STEPS) || 1);
    const weights = Int8Array.from(less, (value) => (value === 0 ? 0 : -WEIGHT_STEPS));
    const channels = slope.length;
    const inputs = [
      x.name,
      ...this.#parameters(x),
      this.#editor.constant({ dtype: "int8", shape: [channels, 1, 1, 1], data: weights }),
      this.#editor.constant(float32([channels], scales)),
      this.#editor.constant({ dtype: "int8", shape: [channels], data: new Int8Array(channels) }),
      ...this.#parameters(grid),
    ];
    const group = create(AttributeProtoSchema, {
      name: "group",
      type: AttributeProto_AttributeType.INT,
      i: BigInt(channels),
    });
    const part = `${output}/negative part`;
    this.#quantized.set(part, { name: this.#editor.node("QLinearConv", inputs, [group]), ...grid });
    this.#sum([input, part], output);
  }

  #isSumOfIntegers({ opType, input, output }: NodeProto): boolean {
    const isMeasured = this.#ranges.has(output[0]!);
    return opType === "Add" && isMeasured && input.every((name) => this.#quantized.has(name));
  }

  #sum(names: readonly string[], output: string): void {
    const grid = scaleFor(this.#rangeOf(output));
    const parts = names.flatMap((name) => {
      const value = this.#quantized.get(name)!;
      return [value.name, ...this.#parameters(value)];
    });
    const inputs = [...parts, ...this.#parameters(grid)];
    const name = this.#editor.node("QLinearAdd", inputs, [], undefined, MICROSOFT);
    this.#quantized.set(output, { name, ...grid });
  }

  /** Rows in integers times stored columns, as floats. */
  #product(node: NodeProto): void {
    const x = this.#input(node.input[0]!);
    const stored = storedTensor(this.#graph, node.input[1]!);
    const isTurned = node.attribute.some(({ name, i }) => name === "transB" && i === 1n);
    const [columns, length] = (isTurned ? stored.shape : stored.shape.toReversed()) as [number, number];
    const rows = isTurned ? stored.data : turned(stored.data, length, columns);
    const { values, scales } = quantizedRows(float32([columns, length], rows));
    const data = turned(values, columns, length);
    const [scale, zero] = this.#parameters(x);
    const inputs = [
      x.name,
      this.#editor.constant({ dtype: "int8", shape: [length, columns], data }),
      scale,
      this.#editor.constant(float32([columns], scales)),
      zero,
      this.#editor.constant({ dtype: "int8", shape: [columns], data: new Int8Array(columns) }),
    ];
    this.#editor.node("MatMulIntegerToFloat", inputs, [], node.output[0]!, MICROSOFT);
  }

  #pool(node: NodeProto): void {
    const x = this.#quantized.get(node.input[0]!)!;
    const name = this.#editor.node("MaxPool", [x.name], attributesOf(node));
    this.#quantized.set(node.output[0]!, { ...x, name });
  }

  /** An operator that stays in floats gets float inputs. */
  #other(node: NodeProto): void {
    for (const name of node.input) this.#restore(name);
    this.#graph.node.push(node);
  }

  #restore(name: string): void {
    const value = this.#quantized.get(name);
    if (value === undefined || this.#written.has(name)) return;
    this.#editor.node("DequantizeLinear", [value.name, ...this.#parameters(value)], [], name);
    this.#written.add(name);
  }
}

/**
 * Rewrites convolutions with stored kernels to integers: activations are unsigned 8-bit, weights signed 8-bit with a
 * scale for each channel, products are summed in 32 bits.
 * @param ranges of all values that `valuesToMeasure` names.
 * @throws FaceError `MODEL_UNSUPPORTED` when the model has no such convolution.
 */
export function quantize(
  bytes: Uint8Array,
  ranges: ReadonlyMap<string, ValueRange>,
): { readonly bytes: Uint8Array; readonly convolutions: number } {
  const model = fromBinary(ModelProtoSchema, bytes);
  const convolutions = new Quantizer(model.graph!, ranges).run();
  if (model.opsetImport.every(({ domain }) => domain !== MICROSOFT)) {
    model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: MICROSOFT, version: 1n }));
  }
  if (convolutions === 0) {
    throw new FaceError("MODEL_UNSUPPORTED", "the model has no convolution with stored weights to quantise");
  }
  return { bytes: toBinary(ModelProtoSchema, model), convolutions };
}
