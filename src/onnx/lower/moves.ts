/** @file Lowering of matrix products and of ops that move elements. */
import { fromNumbers, numbersOf } from "../../graph/numbers.ts";
import { isOp, type Node, type Pair } from "../../graph/ops.ts";
import { batchedProduct, repeated } from "./images.ts";
import type { Lowering, Perm, Rule } from "./lowering.ts";
import { inverse, NCHW, PLAIN, permuted, physicalAxis, placeOf } from "./lowering.ts";

/** The end of a slice without end in ONNX. */
const TO_THE_END = 2 ** 53 - 1;

/** Entries per logical axis in the order of the physical ones. */
const arranged = <T>(node: Node, order: Perm, entries: readonly T[]): T[] =>
  node.shape.length === 4 ? permuted(order, entries) : [...entries];

export const lowerMatmul: Rule<"matmul"> = (node, lowering) => {
  const [a, b] = node.inputs as [Node, Node];
  const { transposeA, transposeB } = node.attrs;
  const inputs = [lowering.value(a), lowering.value(b)] as const;
  const flat = a.shape.length === 2 && b.shape.length === 2 && node.dtype === "float32";
  if (flat && (transposeA || transposeB)) {
    const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 };
    lowering.result(node, PLAIN, "Gemm", inputs, attributes);
    return;
  }
  if (lowering.settings.runtimeOps || (!transposeA && !transposeB)) {
    lowering.define(node, batchedProduct(node, lowering, ...inputs, transposeA, transposeB));
    return;
  }
  const turned = (x: Node, value: string, flag: boolean) => {
    const last = x.shape.length - 1;
    const perm = x.shape.map((_, axis) => (axis === last ? last - 1 : axis === last - 1 ? last : axis));
    return flag ? lowering.emit(node, "Transpose", [value], { perm }) : value;
  };
  const product = lowering.emit(node, "MatMul", [
    turned(a, inputs[0], transposeA),
    turned(b, inputs[1], transposeB),
  ]);
  lowering.define(node, product);
};

export const lowerReshape: Rule<"reshape"> = (node, lowering) => {
  lowering.result(node, PLAIN, "Reshape", [
    lowering.value(node.inputs[0]!),
    lowering.model.ints(node.attrs.shape),
  ]);
};

/** Transposing a rank-4 tensor takes no operator: the same value is declared in another order of axes. */
export const lowerTranspose: Rule<"transpose"> = (node, lowering) => {
  const x = node.inputs[0]!;
  const { perm } = node.attrs;
  if (node.shape.length === 4 && lowering.storedValue(x) === undefined) {
    const back = inverse(perm);
    for (const order of lowering.orders(x))
      lowering.define(
        node,
        lowering.value(x, order),
        order.map((axis) => back[axis]!),
      );
    return;
  }
  lowering.result(node, PLAIN, "Transpose", [lowering.value(x)], { perm });
};

export const lowerBroadcastTo: Rule<"broadcastTo"> = (node, lowering) => {
  const { model } = lowering;
  lowering.result(node, PLAIN, "Expand", [lowering.value(node.inputs[0]!), model.ints(node.attrs.shape)]);
};

export const lowerConcat: Rule<"concat"> = (node, lowering) => {
  const order = lowering.commonOrder(node.inputs);
  const axis = placeOf(node, order, node.attrs.axis);
  const parts = node.inputs.map((part) => lowering.value(part, order));
  lowering.result(node, order, "Concat", parts, { axis });
};

export const lowerSlice: Rule<"slice"> = (node, lowering) => {
  const { starts, ends, steps } = node.attrs;
  const { model } = lowering;
  const order = lowering.commonOrder(node.inputs);
  // Only the axes that are cut.
  const axes = node.shape
    .map((_, axis) => axis)
    .filter((axis) => starts[axis] !== 0 || steps[axis] !== 1 || ends[axis]! < TO_THE_END);
  const x = lowering.value(node.inputs[0]!, order);
  const places = axes.map((axis) => placeOf(node, order, axis));
  const list = (entries: readonly number[]) => model.ints(axes.map((axis) => entries[axis]!));
  const value =
    axes.length === 0
      ? lowering.emit(node, "Identity", [x])
      : lowering.emit(node, "Slice", [x, list(starts), list(ends), model.ints(places), list(steps)]);
  lowering.define(node, value, order);
};

export const lowerPad: Rule<"pad"> = (node, lowering) => {
  const { before, after, value } = node.attrs;
  const order = lowering.commonOrder(node.inputs);
  const { model } = lowering;
  const pads = model.ints([...arranged(node, order, before), ...arranged(node, order, after)]);
  const fill = value === 0 ? [] : [model.initializer(fromNumbers(node.dtype, [], [value]))];
  lowering.result(node, order, "Pad", [lowering.value(node.inputs[0]!, order), pads, ...fill]);
};

/** How often each row or column of an image comes in turn, where that is all that a gather does. */
function repeatsOf(node: Node, lowering: Lowering): Pair | undefined {
  if (!isOp(node, "gather") || node.dtype !== "float32" || node.shape.length !== 4) return undefined;
  const [x, indices] = node.inputs as [Node, Node];
  const places = lowering.storedValue(indices);
  const { axis } = node.attrs;
  const times = Number(node.shape[axis]) / Number(x.shape[axis]);
  const isImageAxis = axis === 1 || axis === 2;
  if (places === undefined || indices.shape.length !== 1 || !isImageAxis || !Number.isInteger(times))
    return undefined;
  const numbers = numbersOf(places);
  for (let i = 0; i < numbers.length; i++) if (numbers[i] !== Math.floor(i / times)) return undefined;
  return axis === 1 ? [times, 1] : [1, times];
}

/** Repeated rows and columns are an image made larger, which the runtime does at once, in its blocks too. */
function lowerRepeats(node: Node<"gather">, lowering: Lowering): boolean {
  const own = repeatsOf(node, lowering);
  if (own === undefined) return false;
  const next = lowering.onlyConsumer(node);
  const other = next && repeatsOf(next, lowering);
  const times: Pair = [own[0] * (other?.[0] ?? 1), own[1] * (other?.[1] ?? 1)];
  const value = repeated(node, lowering, lowering.value(node.inputs[0]!, NCHW), times);
  lowering.define(other === undefined ? node : next!, value, NCHW);
  return true;
}

export const lowerGather: Rule<"gather"> = (node, lowering) => {
  if (lowerRepeats(node, lowering)) return;
  const [x, indices] = node.inputs as [Node, Node];
  // A list of indices changes nothing but the length of the axis.
  const isImage = x.shape.length === 4 && indices.shape.length === 1;
  const order = isImage ? lowering.commonOrder([x]) : PLAIN;
  const axis = isImage ? physicalAxis(order, node.attrs.axis) : node.attrs.axis;
  const inputs = [lowering.value(x, order), lowering.value(indices)];
  lowering.result(node, order, "Gather", inputs, { axis });
};

/** Sums rows by index: the axis is moved to the front, rows are scattered into zeros, the axis is moved back. */
export const lowerGatherGrad: Rule<"gatherGrad"> = (node, lowering) => {
  const [dy, indices] = node.inputs as [Node, Node];
  const { axis, length } = node.attrs;
  const { model } = lowering;
  const indexRank = indices.shape.length;
  const front = [
    ...indices.shape.map((_, i) => axis + i),
    ...dy.shape.map((_, i) => i).filter((i) => i < axis || i >= axis + indexRank),
  ];
  const updates = lowering.emit(node, "Transpose", [lowering.value(dy)], { perm: front });
  const rest = front.slice(indexRank).map((i) => Number(dy.shape[i]));
  const zeros = lowering.emit(node, "Expand", [model.float(0), model.ints([length, ...rest])]);
  const places = lowering.emit(node, "Unsqueeze", [lowering.value(indices), model.ints([indexRank])]);
  const summed = lowering.emit(node, "ScatterND", [zeros, places, updates], { reduction: "add" });
  const back = [
    ...Array.from({ length: axis }, (_, i) => i + 1),
    0,
    ...Array.from({ length: rest.length - axis }, (_, i) => axis + 1 + i),
  ];
  lowering.result(node, PLAIN, "Transpose", [summed], { perm: back });
};
