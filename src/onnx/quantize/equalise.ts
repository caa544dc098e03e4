/** @file Like ranges for the channels of a network's inner images, and slopes of at most 1 for its PReLUs, before it is quantised. */
// Cross-layer equalisation: Nagel et al., 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1.
// The ranges are measured here. Up to a slope of 1 a PReLU can be computed in integers.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { float32, type Tensor } from "../../base/tensor.ts";
import { type GraphProto, ModelProtoSchema, type NodeProto } from "../../proto/onnx/onnx_pb.ts";
import {
  channelScale,
  type GraphEditor,
  graphEditor,
  onlyUser,
  storedTensor,
  usersOf,
} from "./graph-edits.ts";
import { isQuantizable, onlyRelu, preluAfter } from "./patterns.ts";

/** A PReLU as it is lowered where a slope is greater than 1: `slope · x + (1 − slope) · relu(x)`. */
interface SteepPrelu {
  readonly relu: NodeProto;
  /** Multiplies what the ReLU lets through by `1 − slope`. */
  readonly positive: NodeProto;
  /** Multiplies all by `slope`. */
  readonly whole: NodeProto;
  readonly slope: Float32Array;
  readonly output: string;
}

function steepPreluAfter(conv: NodeProto, graph: GraphProto): SteepPrelu | undefined {
  const users = usersOf(conv.output[0]!, graph);
  const relu = users.find(({ opType }) => opType === "Relu");
  const whole = users.find((each) => each !== relu);
  if (users.length !== 2 || relu === undefined || whole === undefined) return undefined;
  const [positive, sum] = [onlyUser(relu, graph), onlyUser(whole, graph)];
  const [slope, other] = [channelScale(whole, graph), channelScale(positive, graph)];
  if (slope === undefined || other === undefined || positive === undefined) return undefined;
  const isPrelu = slope.every((value, i) => Math.fround(1 - value) === other[i]);
  if (!isPrelu || sum?.opType !== "Add" || onlyUser(positive, graph) !== sum) return undefined;
  return { relu, positive, whole, slope, output: sum.output[0]! };
}

/** A convolution whose result, after its activation, only other convolutions read. */
interface Block {
  readonly conv: NodeProto;
  readonly steep?: SteepPrelu;
  readonly readers: readonly NodeProto[];
}

function blockOf(conv: NodeProto, graph: GraphProto): Block | undefined {
  if (!isQuantizable(conv, graph)) return undefined;
  const steep = steepPreluAfter(conv, graph);
  const output =
    steep?.output ?? preluAfter(conv, graph)?.output ?? onlyRelu(conv, graph)?.output[0] ?? conv.output[0]!;
  const isInner = graph.output.every(({ name }) => name !== conv.output[0] && name !== output);
  const readers = usersOf(output, graph);
  const areRead = readers.every((each) => isQuantizable(each, graph) && each.input.indexOf(output, 1) < 0);
  if (!isInner || !areRead || readers.length === 0) return undefined;
  return { conv, readers, ...(steep && { steep }) };
}

/** The outputs of the convolutions whose channels can be equalised. */
export function valuesToEqualise(bytes: Uint8Array): string[] {
  const graph = fromBinary(ModelProtoSchema, bytes).graph!;
  return graph.node.flatMap((node) => (blockOf(node, graph) === undefined ? [] : [node.output[0]!]));
}

/** Steps to a doubling of a factor. */
const STEPS_TO_A_DOUBLING = 4;
/** No channel is multiplied by more than 2^3: its weights in the next convolution would be too small for 8 bits. */
const MOST_STEPS = 12;

/** Value → a factor for each channel, 2^(k / 4) with k as a digit to the base of 16. */
export type Factors = ReadonlyMap<string, string>;

/**
 * Factors that bring each channel of each value to the range of the widest, as far as they may.
 * @param peaks the greatest magnitude in each channel of the values that `valuesToEqualise` names. Convolutions with one kernel
 *   get the same factors.
 */
export function factorsFor(bytes: Uint8Array, peaks: ReadonlyMap<string, Float32Array>): Factors {
  const graph = fromBinary(ModelProtoSchema, bytes).graph!;
  const together = new Map<string, Float32Array>();
  const kernels = new Map(graph.node.map((node) => [node.output[0]!, node.input[1]!]));
  for (const [name, own] of peaks) {
    const kernel = kernels.get(name)!;
    const known = together.get(kernel);
    together.set(kernel, known === undefined ? own : own.map((peak, i) => Math.max(peak, known[i]!)));
  }
  const digits = (all: Float32Array) => {
    const most = all.reduce((greatest, peak) => Math.max(greatest, peak), 0);
    return Array.from(all, (peak) => {
      const steps = peak > 0 ? Math.round(STEPS_TO_A_DOUBLING * Math.log2(most / peak)) : 0;
      return Math.min(MOST_STEPS, steps).toString(16);
    }).join("");
  };
  return new Map([...peaks.keys()].map((name) => [name, digits(together.get(kernels.get(name)!)!)]));
}

/** A tensor whose blocks along the first axis are multiplied by a factor each. */
function scaledRows({ shape, data }: Tensor<"float32">, factors: Float32Array): Tensor<"float32"> {
  const length = data.length / shape[0]!;
  return float32(
    shape,
    data.map((value, i) => value * factors[Math.floor(i / length)]!),
  );
}

/** A kernel `[out, in / groups, …]` whose weights for each input channel are multiplied by a factor. */
function scaledInputs(kernel: Tensor<"float32">, factors: Float32Array, groups: number): Tensor<"float32"> {
  const [out, channels, ...sides] = kernel.shape as [number, number, ...number[]];
  const window = sides.reduce((product, side) => product * side, 1);
  return float32(
    kernel.shape,
    kernel.data.map((value, i) => {
      const [row, column] = [Math.floor(i / (channels * window)), Math.floor(i / window) % channels];
      return value * factors[Math.floor((row * groups) / out) * channels + column]!;
    }),
  );
}

const groupsOf = ({ attribute }: NodeProto) =>
  Number(attribute.find(({ name }) => name === "group")?.i ?? 1n);

/** From `slope · x + (1 − slope) · relu(x)` to `slope · x + relu((1 − slope) · x)`. */
function lessen(prelu: SteepPrelu, slopes: Float32Array, graph: GraphProto, editor: GraphEditor): void {
  const { relu, positive, whole } = prelu;
  const rest = slopes.map((value) => 1 - value);
  whole.input[1] = editor.constant(float32([slopes.length], slopes));
  positive.input[1] = editor.constant(float32([rest.length], rest));
  const [x, through, scaled] = [relu.input[0]!, relu.output[0]!, positive.output[0]!];
  positive.input[0] = x;
  positive.output[0] = through;
  relu.input[0] = through;
  relu.output[0] = scaled;
  const [first, second] = [graph.node.indexOf(relu), graph.node.indexOf(positive)];
  graph.node[first] = positive;
  graph.node[second] = relu;
}

/** Multiplies the channels of a block's result, and what reads them by the inverse. */
function scale(
  { conv, steep, readers }: Block,
  factors: Float32Array,
  graph: GraphProto,
  editor: GraphEditor,
) {
  // PReLU_a(x) is −a · PReLU_{1/a}(−x).
  const isTurned = (i: number) => (steep?.slope[i] ?? 0) > 1;
  const before = factors.map((factor, i) => (isTurned(i) ? -factor : factor));
  const after = factors.map((factor, i) => (isTurned(i) ? -steep!.slope[i]! / factor : 1 / factor));
  for (const i of [1, 2]) {
    const name = conv.input[i];
    if (name === undefined || name === "") continue;
    conv.input[i] = editor.constant(scaledRows(storedTensor(graph, name), before));
  }
  for (const each of readers) {
    const kernel = storedTensor(graph, each.input[1]!);
    each.input[1] = editor.constant(scaledInputs(kernel, after, groupsOf(each)));
  }
  if (steep === undefined) return;
  const slopes = steep.slope.map((value, i) => (isTurned(i) ? 1 / value : value));
  lessen(steep, slopes, graph, editor);
}

/** The same network, but for rounding, with channels of like ranges and PReLUs whose slopes are at most 1. */
export function equalised(bytes: Uint8Array, factors: Factors): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const graph = model.graph!;
  const editor = graphEditor(graph, "equalised");
  for (const node of [...graph.node]) {
    const digits = factors.get(node.output[0]!);
    const block = digits === undefined ? undefined : blockOf(node, graph);
    if (block === undefined || digits === undefined) continue;
    const values = Float32Array.from(
      digits,
      (digit) => 2 ** (Number.parseInt(digit, 16) / STEPS_TO_A_DOUBLING),
    );
    scale(block, values, graph, editor);
  }
  editor.dropUnused();
  return toBinary(ModelProtoSchema, model);
}
