/** @file The ops of a computation and their attributes, from which every table over ops is typed. The room `graph/` says
 * what a computation is: ops, shapes, derivatives and simplification. It knows `base/` only.
 */
import type { DType, Tensor } from "../base/tensor.ts";

/** A side of a tensor: a number, a name shared by equal unknown sides (`"batch"`), or `"?"` for anything. */
export type Dim = number | string;
export type SymbolicShape = readonly Dim[];
/** An unknown side, which may differ from any other. */
export const UNKNOWN_DIM = "?";

/** A pair along height and width. */
export type Pair = readonly [number, number];
/** Rows and columns added around an image: `[[top, bottom], [left, right]]`. */
export type Pads = readonly [Pair, Pair];
/** `same` and `valid` as TensorFlow defines them, or explicit margins. */
export type Padding = "same" | "valid" | Pads;

/** No attributes. */
export type NoAttrs = { readonly [key in never]: never };

export interface ConvAttrs {
  readonly strides: Pair;
  readonly padding: Padding;
  readonly dilations: Pair;
  /** 1, or the number of input channels for a depthwise convolution, or anything that divides both channel counts. */
  readonly groups: number;
}

export interface PoolAttrs {
  readonly size: Pair;
  readonly strides: Pair;
  readonly padding: Padding;
}

export interface ReduceAttrs {
  /** Non-negative axes in ascending order. */
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** Ops of one number, element by element, that work on floats and integers. */
export const NUMBER_OPS = ["neg", "abs", "sign", "relu"] as const;
/** Ops of one float, element by element; `round` goes to the nearest integer, halves to the even one. */
export const FLOAT_OPS = [
  ...(["exp", "log", "sqrt", "sin", "cos", "tanh"] as const),
  ...(["sigmoid", "softplus", "erf", "floor", "ceil", "round"] as const),
] as const;
/** Ops of two numbers, element by element; the inputs broadcast as in NumPy. */
export const ARITHMETIC_OPS = ["add", "sub", "mul", "div", "pow", "max", "min"] as const;
/** Ops of two values of one type whose result is bool; the inputs broadcast. */
export const COMPARISON_OPS = ["equal", "less", "lessEqual"] as const;
/** Ops of two bools; the inputs broadcast. */
export const LOGICAL_OPS = ["and", "or"] as const;
/** Ops that make one element of all elements along some axes. */
export const REDUCE_OPS = ["reduceSum", "reduceMean", "reduceMax", "reduceMin", "reduceProd"] as const;

/** All of these that go element by element. */
export const ELEMENTWISE_OPS = [
  ...([...NUMBER_OPS, ...FLOAT_OPS, "not"] as const),
  ...([...ARITHMETIC_OPS, ...COMPARISON_OPS, ...LOGICAL_OPS] as const),
] as const;

/** Element-by-element ops of one input that have no attributes. */
export type UnaryOp = (typeof NUMBER_OPS | typeof FLOAT_OPS)[number] | "not";
/** Element-by-element ops of two inputs. */
export type BinaryOp = (typeof ARITHMETIC_OPS | typeof COMPARISON_OPS | typeof LOGICAL_OPS)[number];
export type ReduceOp = (typeof REDUCE_OPS)[number];

/** The same entry for each of several ops, as part of a table over ops. */
export function forOps<K extends string, T>(ops: readonly K[], entry: T): { readonly [op in K]: T } {
  return Object.fromEntries(ops.map((op) => [op, entry])) as { [op in K]: T };
}

/** The name of an op in formats that write it with a capital letter, as ONNX and TensorFlow do with most. */
export const capitalized = (op: OpName): string => op.charAt(0).toUpperCase() + op.slice(1);

/** Entries for several ops that a format has under the same names, made from these names. */
export function forNamedOps<K extends OpName, T>(
  ops: readonly K[],
  entry: (name: string) => T,
): { readonly [op in K]: T } {
  return Object.fromEntries(ops.map((op) => [op, entry(capitalized(op))])) as { [op in K]: T };
}

type PlainOps = { readonly [op in (typeof ELEMENTWISE_OPS)[number]]: NoAttrs };
type Reductions = { readonly [op in ReduceOp]: ReduceAttrs };

/** A table of keys, each once, and a value for each: two lists of one length. Keys are int64 or strings. */
export interface LookupTable {
  readonly keys: Tensor;
  readonly values: Tensor;
  /** A scalar for keys that are not in the table. */
  readonly fallback: Tensor;
}

/** The body of a loop: a graph of its own, whose only inputs are its states and captures. */
export interface LoopBody {
  /** What one round passes to the next; a shape holds for every round. */
  readonly states: readonly Node<"input">[];
  /** Values from outside, the same in each round. */
  readonly captures: readonly Node<"input">[];
  /** Of the states: whether a round follows; a bool scalar. */
  readonly condition: Node;
  /** The states of the next round. */
  readonly next: readonly Node[];
  /** Values of which each round makes one, stacked along a new first axis. */
  readonly items: readonly Node[];
  /** How many rounds there will be, as far as is known. */
  readonly rounds: Dim;
  /** A run that would take more rounds fails. */
  readonly mostRounds: number;
}

/**
 * Every op and its attributes. Each op has one output. Images are `[batch, height, width,
 * channels]`, kernels `[height, width, in / groups, out]`: the order of Keras and TensorFlow.
 */
export interface OpAttrs extends PlainOps, Reductions {
  // Leaves: where values come from.
  /** A value given at each run. */
  input: { readonly name: string; readonly dtype: DType; readonly shape: SymbolicShape };
  /** A weight or another value that persists between runs, found by its name. */
  parameter: { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] };
  constant: { readonly value: Tensor };
  /** Uniform numbers in [0, 1), drawn anew for every run from the stream of this name. */
  randomUniform: { readonly stream: string; readonly shape: readonly number[] };

  // Element by element.
  cast: { readonly to: DType };
  /** `condition ? a : b` */
  select: NoAttrs;

  // Per channel, along the last axis; engines have a fast kernel for each.
  /** `x · scale + shift`, scale and shift `[channels]`. */
  affine: NoAttrs;
  /** `(x, mean) →` mean square distance from the mean, per channel; `mean` must be the mean of x per channel. */
  channelVariance: NoAttrs;
  /** `x < 0 ? slope · x : x`, slope `[channels]`. */
  prelu: NoAttrs;
  /** Derivative of relu: `(dy, y) → y > 0 ? dy : 0`. */
  reluGrad: NoAttrs;
  /** Derivative of prelu by x: `(dy, x, slope) → x > 0 ? dy : slope · dy`. */
  preluGrad: NoAttrs;

  // Over whole axes.
  /** Index of the first maximum along an axis, int64; the axis is dropped. */
  argMax: { readonly axis: number };
  softmax: { readonly axis: number };

  /** Length of an axis as an int64 scalar, for graphs that compute with the batch size. */
  side: { readonly axis: number };

  // Products.
  /** Matrix product over the last two axes; the axes before them broadcast. */
  matmul: { readonly transposeA: boolean; readonly transposeB: boolean };
  conv2d: ConvAttrs;
  /** Derivative of conv2d by its input: `(dy, kernel)`. */
  conv2dInputGrad: ConvAttrs & { readonly inputSize: Pair };
  /** Derivative of conv2d by its kernel: `(x, dy)`. */
  conv2dKernelGrad: ConvAttrs & { readonly kernelSize: Pair };
  maxPool: PoolAttrs;
  /**
   * Derivative of maxPool: `(dy, x, y)`; elements equal to a window's maximum share its derivative equally. Where only a
   * kernel's derivative uses it, the engine may give all of it to the first of them.
   */
  maxPoolGrad: PoolAttrs;
  /** Mean of the window's elements that lie inside the image. */
  avgPool: PoolAttrs;
  /** Derivative of avgPool: `(dy)`. */
  avgPoolGrad: PoolAttrs & { readonly inputSize: Pair };

  // Moving elements.
  /** At most one side may be -1, which is inferred. A side 0 keeps the input's side at that axis. */
  reshape: { readonly shape: readonly number[] };
  transpose: { readonly perm: readonly number[] };
  broadcastTo: { readonly shape: readonly number[] };
  concat: { readonly axis: number };
  /** One entry per axis. `ends` beyond the side mean its end; with a negative step, `ends` far below 0 include index 0. */
  slice: {
    readonly starts: readonly number[];
    readonly ends: readonly number[];
    readonly steps: readonly number[];
  };
  /** One entry per axis. */
  pad: { readonly before: readonly number[]; readonly after: readonly number[]; readonly value: number };
  /** `(x, indices)`: the slices of x at the indices along an axis. */
  gather: { readonly axis: number };
  /** Derivative of gather: `(dy, indices)`, summed into an axis of the given length. */
  gatherGrad: { readonly axis: number; readonly length: number };
  /** The value beside the key that equals an element, `fallback` where none does. */
  lookup: LookupTable;

  // Repetition.
  /** `(first states, captures) →` one output of a loop: its last states come first, then its stacked items. */
  loop: { readonly body: LoopBody; readonly output: number };
}

export type OpName = keyof OpAttrs;

/** An op with its inputs; its value is one tensor. Nodes are immutable and refer to their inputs. */
export interface Node<K extends OpName = OpName> {
  readonly op: K;
  readonly inputs: readonly Node[];
  readonly attrs: OpAttrs[K];
  readonly shape: SymbolicShape;
  readonly dtype: DType;
  /** A name for people, such as the layer's; it does not change the computation. */
  readonly label?: string | undefined;
}

/** Whether a node is of this op; narrows its attributes. */
export function isOp<K extends OpName>(node: Node, op: K): node is Node<K> {
  return node.op === op;
}

/** The values that a round of a loop makes: the condition, the next states, the items. */
export function loopValues({ condition, next, items }: LoopBody): Node[] {
  return [condition, ...next, ...items];
}

/** The nodes that the outputs need, each after its inputs, each once. */
export function topological(outputs: readonly Node[]): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  // An explicit stack: imported graphs can be deeper than the call stack.
  const stack: { node: Node; next: number }[] = [];
  const visit = (node: Node) => {
    if (!seen.has(node)) {
      seen.add(node);
      stack.push({ node, next: 0 });
    }
  };
  for (const output of outputs) {
    visit(output);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      if (top.next < top.node.inputs.length) {
        visit(top.node.inputs[top.next++]!);
      } else {
        order.push(top.node);
        stack.pop();
      }
    }
  }
  return order;
}
