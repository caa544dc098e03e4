/** @file Static quantisation of an ONNX model: convolutions and pools in 8-bit integers, without floats between consecutive ones. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FaceError } from "../../base/errors.ts";
import { bytesOf, float32, floats, type Tensor } from "../../base/tensor.ts";
import {
  type AttributeProto,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProtoSchema,
} from "../../proto/onnx/onnx_pb.ts";
import { ONNX_TYPE } from "../dtypes.ts";

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

const STEPS = 255;
const WEIGHT_STEPS = 127;

/** The scale and zero point for a range; 0 is exact. */
export function scaleFor({ low, high }: ValueRange): { scale: number; zero: number } {
  const [least, most] = [Math.min(0, low), Math.max(0, high)];
  const scale = Math.fround((most - least) / STEPS) || 1;
  return { scale, zero: Math.round(-least / scale) };
}

/** The ReLU that is the only consumer of a convolution, if there is one. */
function onlyRelu(conv: NodeProto, graph: GraphProto): NodeProto | undefined {
  const users = graph.node.filter(({ input }) => input.includes(conv.output[0]!));
  const isOutput = graph.output.some(({ name }) => name === conv.output[0]);
  return users.length === 1 && !isOutput && users[0]!.opType === "Relu" ? users[0] : undefined;
}

const isStored = (graph: GraphProto, name: string | undefined) =>
  name === undefined || name === "" || graph.initializer.some((stored) => stored.name === name);

const isSquare = ({ opType, input }: NodeProto) => opType === "Mul" && input[0] === input[1];

/** Whether a convolution's output is squared, or its input is a square: squares span twice as many bits. */
const isByASquare = (conv: NodeProto, graph: GraphProto) =>
  graph.node.some(
    (node) => isSquare(node) && (node.input[0] === conv.output[0] || node.output[0] === conv.input[0]),
  );

const isQuantizable = (node: NodeProto, graph: GraphProto) =>
  node.opType === "Conv" &&
  node.domain === "" &&
  !isByASquare(node, graph) &&
  isStored(graph, node.input[1]) &&
  isStored(graph, node.input[2]);

/** The values whose ranges quantisation needs: inputs and outputs of convolutions. */
export function valuesToMeasure(bytes: Uint8Array): string[] {
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  const names = new Set<string>();
  for (const node of graph!.node.filter((each) => isQuantizable(each, graph!))) {
    names.add(node.input[0]!).add(onlyRelu(node, graph!)?.output[0] ?? node.output[0]!);
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

/** Quantises one graph. */
class Quantizer {
  readonly #graph: GraphProto;
  readonly #editor: GraphEditor;
  readonly #ranges: ReadonlyMap<string, ValueRange>;
  readonly #quantized = new Map<string, Quantized>();
  readonly #written = new Set<string>();

  constructor(graph: GraphProto, ranges: ReadonlyMap<string, ValueRange>) {
    this.#graph = graph;
    this.#editor = graphEditor(graph);
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
        const relu = onlyRelu(node, original);
        if (relu !== undefined) skipped.add(relu);
        this.#convolution(node, relu?.output[0] ?? node.output[0]!, relu !== undefined);
        count++;
      } else if (node.opType === "MaxPool" && this.#quantized.has(node.input[0]!)) this.#pool(node);
      else this.#other(node);
    }
    for (const { name } of this.#graph.output) this.#restore(name);
    this.#editor.dropUnused();
    return count;
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
    const inputs = [
      x.name,
      ...this.#parameters(x),
      this.#editor.constant({ dtype: "int8", shape: kernel.shape, data: values }),
      this.#editor.constant(float32([scales.length], scales)),
      this.#editor.constant({ dtype: "int8", shape: [scales.length], data: zeros }),
      ...this.#parameters(grid),
    ];
    if (node.input[2] !== undefined && node.input[2] !== "") {
      const bias = floats(storedTensor(this.#graph, node.input[2]));
      const data = Int32Array.from(bias, (value, i) => Math.round(value / (x.scale * scales[i]!)));
      inputs.push(this.#editor.constant({ dtype: "int32", shape: [data.length], data }));
    }
    const name = this.#editor.node("QLinearConv", inputs, attributesOf(node));
    this.#quantized.set(output, { name, ...grid });
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
  if (convolutions === 0) {
    throw new FaceError("MODEL_UNSUPPORTED", "the model has no convolution with stored weights to quantise");
  }
  return { bytes: toBinary(ModelProtoSchema, model), convolutions };
}

// Edits of an existing graph.

/** A stored tensor of floats. */
function storedTensor(graph: GraphProto, name: string): Tensor<"float32"> {
  const stored = graph.initializer.find((each) => each.name === name);
  if (stored === undefined || stored.dataType !== ONNX_TYPE.float32 || stored.rawData.length === 0) {
    throw new FaceError("MODEL_UNSUPPORTED", `${name} is not stored in the model as raw float32`);
  }
  // A copy, because the bytes may be unaligned.
  return float32(stored.dims.map(Number), new Float32Array(new Uint8Array(stored.rawData).buffer));
}

/** The attributes of a node, for another one. */
const attributesOf = ({ attribute }: NodeProto): AttributeProto[] => [...attribute];

/** Adds to the end of a graph. */
interface GraphEditor {
  /** Adds an operator of one output and returns the output's name. */
  node(op: string, inputs: readonly string[], attribute?: AttributeProto[], output?: string): string;
  /** Stores a tensor and returns its name; equal ones are stored once. */
  constant(value: Tensor): string;
  /** Drops stored tensors that no operator reads. */
  dropUnused(): void;
}

function graphEditor(graph: GraphProto): GraphEditor {
  const known = new Map<string, string>();
  let names = 0;
  const fresh = (hint: string) => `quantized/${hint}_${++names}`;
  return {
    node(op, inputs, attribute = [], output = fresh(op)) {
      graph.node.push(
        create(NodeProtoSchema, {
          opType: op,
          input: [...inputs],
          output: [output],
          attribute,
          name: output,
        }),
      );
      return output;
    },
    constant(value) {
      const rawData = bytesOf(value as Parameters<typeof bytesOf>[0]);
      const key = `${value.dtype} ${value.shape.join()} ${Buffer.from(rawData).toString("base64")}`;
      const name = known.get(key) ?? fresh("constant");
      if (!known.has(key)) {
        known.set(key, name);
        const dims = value.shape.map(BigInt);
        graph.initializer.push(
          create(TensorProtoSchema, { name, dims, dataType: ONNX_TYPE[value.dtype], rawData }),
        );
      }
      return name;
    },
    dropUnused() {
      const read = new Set(graph.node.flatMap(({ input }) => input));
      graph.initializer = graph.initializer.filter(({ name }) => read.has(name));
    },
  };
}
