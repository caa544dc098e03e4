/** @file Shape rules of the ops that move elements about without computing with them. */
import { shapeText } from "../base/tensor.ts";
import { type Dim, type Node, type OpAttrs, type SymbolicShape, UNKNOWN_DIM } from "./ops.ts";
import { broadcastShapes, knownSize, mayEqual, mismatch, type ValueType } from "./value-type.ts";

const onlyNumbers = (shape: SymbolicShape) => shape.filter((dim) => typeof dim === "number");

/** What `-1` stands for: the rest, or the one unknown side when all the known ones cancel; undefined if none fits. */
function inferredDim(from: SymbolicShape, target: readonly number[], kept: SymbolicShape): Dim | undefined {
  const open = from.filter((dim, axis) => typeof dim !== "number" && target[axis] !== 0);
  const rest = knownSize(onlyNumbers(from))! / knownSize(onlyNumbers(kept).filter((dim) => dim !== -1))!;
  if (open.length === 0) return Number.isInteger(rest) ? rest : undefined;
  return open.length === 1 && rest === 1 ? open[0] : UNKNOWN_DIM;
}

export function reshapeShape(inputs: readonly Node[], attrs: OpAttrs["reshape"]): ValueType {
  const x = inputs[0]!;
  const kept = attrs.shape.map((side, axis): Dim => (side === 0 ? (x.shape[axis] ?? side) : side));
  const inferred = kept.includes(-1) ? inferredDim(x.shape, attrs.shape, kept) : undefined;
  const shape = kept.map((dim) => (dim === -1 ? (inferred ?? -1) : dim));
  const [before, after] = [knownSize(x.shape), knownSize(shape)];
  const wildcards = attrs.shape.filter((side) => side === -1).length;
  const legal = attrs.shape.every((side) => Number.isInteger(side) && side >= -1);
  const fits = before === undefined || after === undefined || before === after;
  if (!legal || wildcards > 1 || shape.includes(-1) || !fits) {
    throw mismatch("reshape", `a tensor that can take the shape ${shapeText(attrs.shape)}`, inputs);
  }
  return { dtype: x.dtype, shape };
}

export function transposeShape(inputs: readonly Node[], attrs: OpAttrs["transpose"]): ValueType {
  const x = inputs[0]!;
  const sorted = attrs.perm.toSorted((a, b) => a - b);
  if (sorted.length !== x.shape.length || sorted.some((axis, i) => axis !== i)) {
    throw mismatch(
      "transpose",
      `a permutation of the tensor's axes instead of ${shapeText(attrs.perm)}`,
      inputs,
    );
  }
  return { dtype: x.dtype, shape: attrs.perm.map((axis) => x.shape[axis]!) };
}

export function broadcastToShape(inputs: readonly Node[], attrs: OpAttrs["broadcastTo"]): ValueType {
  const x = inputs[0]!;
  return { dtype: x.dtype, shape: broadcastShapes(x.shape, attrs.shape, "broadcastTo") };
}

export function concatShape(inputs: readonly Node[], { axis }: OpAttrs["concat"]): ValueType {
  const first = inputs[0]!;
  const fits = inputs.every(
    (node) =>
      node.dtype === first.dtype &&
      node.shape.length === first.shape.length &&
      node.shape.every((dim, i) => i === axis || mayEqual(dim, first.shape[i])),
  );
  if (!fits || !(axis >= 0 && axis < first.shape.length)) {
    throw mismatch("concat", `tensors of one type that differ only along axis ${axis}`, inputs);
  }
  const total = inputs.reduce<Dim>((sum, node) => {
    const side = node.shape[axis]!;
    return typeof sum === "number" && typeof side === "number" ? sum + side : UNKNOWN_DIM;
  }, 0);
  const known = (i: number) => inputs.map((node) => node.shape[i]!).find((dim) => typeof dim === "number");
  return { dtype: first.dtype, shape: first.shape.map((dim, i) => (i === axis ? total : (known(i) ?? dim))) };
}

/** First index and count of the elements that a slice takes along an axis of known length, as in NumPy and ONNX. */
export function sliceRange(
  length: number,
  start: number,
  end: number,
  step: number,
): { first: number; count: number } {
  // Going backwards, a slice may begin at the last element and end before the first.
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const within = (index: number) => Math.min(Math.max(index < 0 ? index + length : index, low), high);
  const first = within(start);
  return { first, count: Math.max(0, Math.ceil((within(end) - first) / step)) };
}

export function sliceShape(inputs: readonly Node[], attrs: OpAttrs["slice"]): ValueType {
  const x = inputs[0]!;
  const { starts, ends, steps } = attrs;
  const rank = x.shape.length;
  if (starts.length !== rank || ends.length !== rank || steps.length !== rank) {
    throw mismatch("slice", `a tensor of rank ${starts.length}`, inputs);
  }
  if (steps.includes(0)) throw mismatch("slice", "steps other than 0", inputs);
  const shape = x.shape.map((dim, axis) => {
    const [start, end, step] = [starts[axis]!, ends[axis]!, steps[axis]!];
    if (typeof dim === "number") return sliceRange(dim, start, end, step).count;
    const whole = start === 0 && end >= Number.MAX_SAFE_INTEGER && step === 1;
    return whole ? dim : UNKNOWN_DIM;
  });
  return { dtype: x.dtype, shape };
}

export function padShape(inputs: readonly Node[], attrs: OpAttrs["pad"]): ValueType {
  const x = inputs[0]!;
  if (attrs.before.length !== x.shape.length || attrs.after.length !== x.shape.length) {
    throw mismatch("pad", `a tensor of rank ${attrs.before.length}`, inputs);
  }
  const shape = x.shape.map((dim, axis) => {
    const margin = attrs.before[axis]! + attrs.after[axis]!;
    if (typeof dim === "number") return dim + margin;
    return margin === 0 ? dim : UNKNOWN_DIM;
  });
  return { dtype: x.dtype, shape };
}

const isIndex = (node: Node) => node.dtype === "int32" || node.dtype === "int64";

export function gatherShape(inputs: readonly Node[], { axis }: OpAttrs["gather"]): ValueType {
  const [x, indices] = inputs as [Node, Node];
  if (!(axis >= 0 && axis < x.shape.length) || !isIndex(indices)) {
    throw mismatch("gather", `a tensor with axis ${axis} and int32 or int64 indices`, inputs);
  }
  return {
    dtype: x.dtype,
    shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)],
  };
}

export function gatherGradShape(inputs: readonly Node[], { axis, length }: OpAttrs["gatherGrad"]): ValueType {
  const [dy, indices] = inputs as [Node, Node];
  const end = axis + indices.shape.length;
  const fits = indices.shape.every((dim, i) => mayEqual(dim, dy.shape[axis + i])) && end <= dy.shape.length;
  if (!fits || !isIndex(indices)) {
    throw mismatch("gatherGrad", `a derivative that holds the indices' shape from axis ${axis} on`, inputs);
  }
  return { dtype: dy.dtype, shape: [...dy.shape.slice(0, axis), length, ...dy.shape.slice(end)] };
}
