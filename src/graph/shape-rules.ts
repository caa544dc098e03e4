/** @file Value types, broadcasting, and the shape rules of products, pools and ops that move elements. */
import { FaceError } from "../base/errors.ts";
import { type DType, shapeText } from "../base/tensor.ts";
import { type Dim, type Node, type OpAttrs, type Pair, type SymbolicShape, UNKNOWN_DIM } from "./ops.ts";
import { outputSize } from "./windows.ts";

/** Shape and element type of a value. */
export interface ValueType {
  readonly shape: SymbolicShape;
  readonly dtype: DType;
}

/** The error for inputs that an op does not take: what it wants, and what came. */
export function mismatch(op: string, wanted: string, inputs: readonly Node[]): FaceError {
  const got = inputs.map((node) => `${node.dtype}${shapeText(node.shape)}`).join(", ");
  return new FaceError("SHAPE_MISMATCH", `${op}: expected ${wanted}, got ${got}`);
}

/** Product of the sides, or undefined when one is unknown. */
export function knownSize(shape: SymbolicShape): number | undefined {
  let size = 1;
  for (const dim of shape) {
    if (typeof dim !== "number") return undefined;
    size *= dim;
  }
  return size;
}

/** Whether two sides can be equal at run time. */
export function mayEqual(a: Dim | undefined, b: Dim | undefined): boolean {
  return a === b || typeof a === "string" || typeof b === "string";
}

/** The side that two sides broadcast to, or undefined when they do not fit. */
function broadcastDim(a: Dim, b: Dim): Dim | undefined {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === "number" && typeof b === "number") return undefined;
  // An unknown side beside a known one greater than 1 must be equal to it or 1.
  if (typeof a === "number") return a;
  if (typeof b === "number") return b;
  return UNKNOWN_DIM;
}

/**
 * The shape that two shapes broadcast to, right-aligned as in NumPy.
 * @throws FaceError `SHAPE_MISMATCH` when they do not fit.
 */
export function broadcastShapes(a: SymbolicShape, b: SymbolicShape, op = "broadcast"): Dim[] {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const dim = broadcastDim(a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1);
    if (dim === undefined) {
      throw new FaceError("SHAPE_MISMATCH", `${op}: ${shapeText(a)} and ${shapeText(b)} do not broadcast`);
    }
    result.push(dim);
  }
  return result;
}

// Ops that move elements.

const onlyNumbers = (shape: SymbolicShape) => shape.filter((dim) => typeof dim === "number");

/** The side for `-1`: the rest, or the one unknown side when all known sides cancel; undefined if none fits. */
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
  // With a negative step, a slice may begin at the last element and end before the first.
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
  return { dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] };
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

export function lookupShape(inputs: readonly Node[], { keys, values }: OpAttrs["lookup"]): ValueType {
  const x = inputs[0]!;
  if (x.dtype !== keys.dtype) throw mismatch("lookup", `${keys.dtype} keys`, inputs);
  return { dtype: values.dtype, shape: x.shape };
}

/** Whether a value can be what a node declares. */
export function mayBe(value: Node, declared: Node): boolean {
  return (
    value.dtype === declared.dtype &&
    value.shape.length === declared.shape.length &&
    value.shape.every((dim, axis) => mayEqual(dim, declared.shape[axis]))
  );
}

export function loopShape(inputs: readonly Node[], { body, output }: OpAttrs["loop"]): ValueType {
  const { states, captures, items, rounds } = body;
  const taken = [...states, ...captures];
  if (taken.length !== inputs.length || !taken.every((each, i) => mayBe(inputs[i]!, each)))
    throw mismatch("loop", "the states and captures of its body", inputs);
  const state = states[output];
  if (state !== undefined) return { dtype: state.dtype, shape: state.shape };
  const item = items[output - states.length]!;
  return { dtype: item.dtype, shape: [rounds, ...item.shape] };
}

// Products and pools.

/** Whether tensors have rank 4 and one type. */
function areImages(...nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.shape.length === 4 && node.dtype === nodes[0]!.dtype);
}

const imageSize = (x: Node): [Dim, Dim] => [x.shape[1]!, x.shape[2]!];

export function convShape(inputs: readonly Node[], attrs: OpAttrs["conv2d"]): ValueType {
  const [x, kernel] = inputs as [Node, Node];
  const [height, width, perGroup, out] = kernel.shape;
  const fits =
    areImages(x, kernel) &&
    kernel.shape.every((side) => typeof side === "number") &&
    mayEqual(x.shape[3], Number(perGroup) * attrs.groups) &&
    Number(out) % attrs.groups === 0;
  if (!fits) {
    const wanted = `[batch, height, width, in] and [height, width, in / ${attrs.groups}, out]`;
    throw mismatch("conv2d", wanted, inputs);
  }
  const size: Pair = [Number(height), Number(width)];
  return {
    dtype: x.dtype,
    shape: [x.shape[0]!, ...outputSize("conv2d", imageSize(x), { ...attrs, size }), out!],
  };
}

/** `(dy, kernel) → dx`; dy must be what a convolution of an image of that size gives. */
export function convInputGradShape(inputs: readonly Node[], attrs: OpAttrs["conv2dInputGrad"]): ValueType {
  const [dy, kernel] = inputs as [Node, Node];
  if (!areImages(dy, kernel) || !mayEqual(dy.shape[3], kernel.shape[3])) {
    throw mismatch("conv2dInputGrad", "[batch, height, width, out] and [height, width, in, out]", inputs);
  }
  const size: Pair = [Number(kernel.shape[0]), Number(kernel.shape[1])];
  requireOutput(
    "conv2dInputGrad",
    dy,
    outputSize("conv2dInputGrad", attrs.inputSize, { ...attrs, size }),
    inputs,
  );
  const channels = Number(kernel.shape[2]) * attrs.groups;
  return { dtype: dy.dtype, shape: [dy.shape[0]!, ...attrs.inputSize, channels] };
}

/** `(x, dy) → dkernel`. */
export function convKernelGradShape(inputs: readonly Node[], attrs: OpAttrs["conv2dKernelGrad"]): ValueType {
  const [x, dy] = inputs as [Node, Node];
  const { kernelSize: size, groups } = attrs;
  if (!areImages(x, dy) || !mayEqual(x.shape[0], dy.shape[0]) || Number(x.shape[3]) % groups !== 0) {
    throw mismatch("conv2dKernelGrad", "two batches of images of one size", inputs);
  }
  requireOutput(
    "conv2dKernelGrad",
    dy,
    outputSize("conv2dKernelGrad", imageSize(x), { ...attrs, size }),
    inputs,
  );
  return { dtype: x.dtype, shape: [...size, Number(x.shape[3]) / groups, dy.shape[3]!] };
}

/** Refuses a derivative whose height and width are not those of the op's result. */
function requireOutput(op: string, dy: Node, [height, width]: [Dim, Dim], inputs: readonly Node[]): void {
  if (!mayEqual(dy.shape[1], height) || !mayEqual(dy.shape[2], width)) {
    throw mismatch(op, `a derivative of height ${height} and width ${width}`, inputs);
  }
}

export function poolShape(inputs: readonly Node[], attrs: OpAttrs["maxPool"], op: string): ValueType {
  const x = inputs[0]!;
  if (!areImages(x)) throw mismatch(op, "[batch, height, width, channels]", inputs);
  return { dtype: x.dtype, shape: [x.shape[0]!, ...outputSize(op, imageSize(x), attrs), x.shape[3]!] };
}

/** `(dy, x, y) → dx` */
export function maxPoolGradShape(inputs: readonly Node[], attrs: OpAttrs["maxPoolGrad"]): ValueType {
  const [dy, x, y] = inputs as [Node, Node, Node];
  const pooled = poolShape([x], attrs, "maxPoolGrad").shape;
  if (
    ![dy, y].every(({ shape }) => shape.length === 4 && shape.every((dim, i) => mayEqual(dim, pooled[i])))
  ) {
    throw mismatch("maxPoolGrad", "a derivative, the pool's input and its output", inputs);
  }
  return { dtype: x.dtype, shape: x.shape };
}

export function avgPoolGradShape(inputs: readonly Node[], attrs: OpAttrs["avgPoolGrad"]): ValueType {
  const dy = inputs[0]!;
  if (!areImages(dy)) throw mismatch("avgPoolGrad", "[batch, height, width, channels]", inputs);
  requireOutput("avgPoolGrad", dy, outputSize("avgPoolGrad", attrs.inputSize, attrs), inputs);
  return { dtype: dy.dtype, shape: [dy.shape[0]!, ...attrs.inputSize, dy.shape[3]!] };
}

export function matmulShape(inputs: readonly Node[], attrs: OpAttrs["matmul"]): ValueType {
  const [a, b] = inputs as [Node, Node];
  if (a.shape.length < 2 || b.shape.length < 2 || a.dtype !== b.dtype) {
    throw mismatch("matmul", "two tensors of one type and of rank 2 or more", inputs);
  }
  const sides = (node: Node, transposed: boolean) => {
    const [rows, columns] = node.shape.slice(-2) as [Dim, Dim];
    return transposed ? [columns, rows] : [rows, columns];
  };
  const [rows, innerA] = sides(a, attrs.transposeA);
  const [innerB, columns] = sides(b, attrs.transposeB);
  if (!mayEqual(innerA, innerB)) throw mismatch("matmul", "equal inner sides", inputs);
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2), "matmul");
  return { dtype: a.dtype, shape: [...batch, rows!, columns!] };
}
