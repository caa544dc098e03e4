/** @file Shape rules of products and pools: what comes of images, kernels and matrices, and of their derivatives. */
import type { Dim, Node, OpAttrs, Pair } from "./ops.ts";
import { broadcastShapes, mayEqual, mismatch, type ValueType } from "./value-type.ts";
import { outputSize } from "./windows.ts";

/** Whether tensors have the rank of images and kernels, and one type. */
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

/** Refuses a derivative whose height and width are not those of the result it belongs to. */
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
