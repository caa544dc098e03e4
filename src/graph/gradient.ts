/** @file Reverse-mode differentiation: the derivative rule of each op, and the derivative of a scalar as more nodes. */
import { FaceError } from "../base/errors.ts";
import { isFloat, shapeText } from "../base/tensor.ts";
import * as g from "./build.ts";
import type { Node, OpName, Pair, SymbolicShape } from "./ops.ts";
import { COMPARISON_OPS, forOps, LOGICAL_OPS, topological } from "./ops.ts";
import { sliceRange } from "./shape-rules.ts";

/** From a node and the derivative by its value to the derivatives by its inputs; `undefined` where there is none. */
type GradRule<K extends OpName> = (node: Node<K>, dy: Node) => readonly (Node | undefined)[];
export type GradRules = { readonly [K in OpName]: GradRule<K> };

/** For ops whose derivative is zero wherever it exists. */
const stop = (): readonly undefined[] => [];

/** For ops whose derivative no network here needs; differentiating one is an error, unlike under `stop`. */
const unavailable = (node: Node): never => {
  throw new FaceError("MODEL_UNSUPPORTED", `the derivative of ${node.op} is not available`);
};

/** Sums a derivative over the axes along which its operand was repeated. */
function unbroadcast(dy: Node, shape: SymbolicShape): Node {
  const extra = dy.shape.length - shape.length;
  const missing = dy.shape.slice(0, extra).map((_, axis) => axis);
  const summed = extra === 0 ? dy : g.reduceSum(dy, { axes: missing });
  const repeated = shape.flatMap((dim, axis) => (dim === 1 && summed.shape[axis] !== 1 ? [axis] : []));
  return repeated.length === 0 ? summed : g.reduceSum(summed, { axes: repeated, keepDims: true });
}

/** A shape as a reshape target: an unknown side becomes -1. */
function reshapeLike(x: Node, shape: SymbolicShape): Node {
  return g.reshape(
    x,
    shape.map((dim) => (typeof dim === "number" ? dim : -1)),
  );
}

function knownShape(node: Node): number[] {
  return node.shape.map((dim) => {
    if (typeof dim === "number") return dim;
    throw new FaceError(
      "SHAPE_MISMATCH",
      `a derivative needs every side of the ${node.op} result, ${dim} is unknown`,
      { hint: "build the training graph for one batch size" },
    );
  });
}

/** The derivative of a reduction broadcast over the reduced axes. */
function spread(dy: Node, x: Node, axes: readonly number[], keepDims: boolean): Node {
  const kept = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  return g.broadcastTo(keepDims ? dy : reshapeLike(dy, kept), knownShape(x));
}

const countOver = (x: Node, axes: readonly number[]) =>
  axes.reduce((count, axis) => count * knownShape(x)[axis]!, 1);

/** All axes but the channels'. */
const positions = (x: Node) => x.shape.slice(0, -1).map((_, axis) => axis);

function extremeGrad(node: Node<"reduceMax" | "reduceMin">, dy: Node): [Node] {
  const x = node.inputs[0]!;
  const { axes, keepDims } = node.attrs;
  const hits = g.cast(g.equal(x, spread(node, x, axes, keepDims)), x.dtype);
  // Ties share equally, as in TensorFlow.
  const share = g.div(hits, g.reduceSum(hits, { axes, keepDims: true }));
  return [g.mul(share, spread(dy, x, axes, keepDims))];
}

function pickGrad(node: Node<"max" | "min">, dy: Node, first: Node): [Node, Node] {
  const [a, b] = node.inputs as [Node, Node];
  const none = g.scalar(0, dy.dtype);
  return [unbroadcast(g.select(first, dy, none), a.shape), unbroadcast(g.select(first, none, dy), b.shape)];
}

function matmulGrad(node: Node<"matmul">, dy: Node): [Node, Node] {
  const [a, b] = node.inputs as [Node, Node];
  const { transposeA, transposeB } = node.attrs;
  const da = transposeA
    ? g.matmul(b, dy, { transposeA: transposeB, transposeB: true })
    : g.matmul(dy, b, { transposeB: !transposeB });
  const db = transposeB
    ? g.matmul(dy, a, { transposeA: true, transposeB: transposeA })
    : g.matmul(a, dy, { transposeA: !transposeA });
  return [unbroadcast(da, a.shape), unbroadcast(db, b.shape)];
}

function sliceGrad(node: Node<"slice">, dy: Node): [Node] {
  const sides = knownShape(node.inputs[0]!);
  const { starts, ends, steps } = node.attrs;
  const before = sides.map(() => 0);
  const after = sides.map(() => 0);
  let grad = dy;
  sides.forEach((side, axis) => {
    const step = steps[axis]!;
    const { first, count } = sliceRange(side, starts[axis]!, ends[axis]!, step);
    if (step === 1) {
      before[axis] = first;
      after[axis] = side - first - count;
    } else {
      const indices = g.range("int64", count, first, step);
      grad = g.makeNode("gatherGrad", [grad, indices], { axis, length: side });
    }
  });
  return [before.every((n) => n === 0) && after.every((n) => n === 0) ? grad : g.pad(grad, before, after)];
}

function concatGrad(node: Node<"concat">, dy: Node): Node[] {
  const { axis } = node.attrs;
  let from = 0;
  return node.inputs.map((part) => {
    const to = from + knownShape(part)[axis]!;
    const bound = (value: number) => [...positionsBefore(axis), value];
    const piece = g.slice(dy, bound(from), [...positionsBefore(axis, Number.MAX_SAFE_INTEGER), to]);
    from = to;
    return piece;
  });
}

const positionsBefore = (axis: number, value = 0) => new Array<number>(axis).fill(value);

const imageSize = (x: Node): Pair => [knownShape(x)[1]!, knownShape(x)[2]!];
const kernelSize = (kernel: Node): Pair => [knownShape(kernel)[0]!, knownShape(kernel)[1]!];

const SQRT_PI = Math.sqrt(Math.PI);

/** One rule per op. */
export const gradientRules: GradRules = {
  input: stop,
  parameter: stop,
  constant: stop,
  randomUniform: stop,
  neg: (_, dy) => [g.neg(dy)],
  abs: ({ inputs: [x] }, dy) => [g.mul(dy, g.sign(x!))],
  sign: stop,
  exp: (node, dy) => [g.mul(dy, node)],
  log: ({ inputs: [x] }, dy) => [g.div(dy, x!)],
  sqrt: (node, dy) => [g.div(dy, g.mul(node, 2))],
  sin: ({ inputs: [x] }, dy) => [g.mul(dy, g.cos(x!))],
  cos: ({ inputs: [x] }, dy) => [g.neg(g.mul(dy, g.sin(x!)))],
  tanh: (node, dy) => [g.mul(dy, g.sub(1, g.square(node)))],
  sigmoid: (node, dy) => [g.mul(dy, g.mul(node, g.sub(1, node)))],
  softplus: ({ inputs: [x] }, dy) => [g.mul(dy, g.sigmoid(x!))],
  erf: ({ inputs: [x] }, dy) => [g.mul(dy, g.mul(g.makeNode("exp", [g.neg(g.square(x!))], {}), 2 / SQRT_PI))],
  relu: (node, dy) => [g.makeNode("reluGrad", [dy, node], {})],
  floor: stop,
  ceil: stop,
  round: stop,
  not: stop,
  cast: ({ inputs: [x] }, dy) => [isFloat(x!.dtype) ? g.cast(dy, x!.dtype) : undefined],
  add: ({ inputs: [a, b] }, dy) => [unbroadcast(dy, a!.shape), unbroadcast(dy, b!.shape)],
  sub: ({ inputs: [a, b] }, dy) => [unbroadcast(dy, a!.shape), unbroadcast(g.neg(dy), b!.shape)],
  mul: ({ inputs: [a, b] }, dy) => [
    unbroadcast(g.mul(dy, b!), a!.shape),
    unbroadcast(g.mul(dy, a!), b!.shape),
  ],
  div: (node, dy) => {
    const [a, b] = node.inputs as [Node, Node];
    return [unbroadcast(g.div(dy, b), a.shape), unbroadcast(g.neg(g.mul(dy, g.div(node, b))), b.shape)];
  },
  pow: (node, dy) => {
    const [a, b] = node.inputs as [Node, Node];
    const byBase = g.mul(dy, g.mul(b, g.pow(a, g.sub(b, 1))));
    return [unbroadcast(byBase, a.shape), unbroadcast(g.mul(dy, g.mul(node, g.log(a))), b.shape)];
  },
  max: (node, dy) => pickGrad(node, dy, g.lessEqual(node.inputs[1]!, node.inputs[0]!)),
  min: (node, dy) => pickGrad(node, dy, g.lessEqual(node.inputs[0]!, node.inputs[1]!)),
  ...forOps(COMPARISON_OPS, stop),
  ...forOps(LOGICAL_OPS, stop),
  select: ({ inputs: [condition, a, b] }, dy) => {
    const none = g.scalar(0, dy.dtype);
    return [
      undefined,
      unbroadcast(g.select(condition!, dy, none), a!.shape),
      unbroadcast(g.select(condition!, none, dy), b!.shape),
    ];
  },
  affine: ({ inputs: [x, scale] }, dy) => [
    g.mul(dy, scale!),
    g.reduceSum(g.mul(dy, x!), { axes: positions(x!) }),
    g.reduceSum(dy, { axes: positions(x!) }),
  ],
  channelVariance: ({ inputs: [x, mean] }, dy) => {
    const scale = g.mul(dy, 2 / countOver(x!, positions(x!)));
    // The derivative by the mean is zero, because deviations from the mean sum to zero.
    return [g.affine(x!, scale, g.neg(g.mul(scale, mean!)))];
  },
  prelu: ({ inputs: [x, slope] }, dy) => [
    g.makeNode("preluGrad", [dy, x!, slope!], {}),
    g.reduceSum(g.mul(dy, g.min(x!, 0)), { axes: positions(x!) }),
  ],
  reluGrad: ({ inputs: [, y] }, dg) => [g.makeNode("reluGrad", [dg, y!], {})],
  preluGrad: unavailable,
  reduceSum: ({ inputs: [x], attrs }, dy) => [spread(dy, x!, attrs.axes, attrs.keepDims)],
  reduceMean: ({ inputs: [x], attrs }, dy) => [
    spread(g.mul(dy, 1 / countOver(x!, attrs.axes)), x!, attrs.axes, attrs.keepDims),
  ],
  reduceMax: extremeGrad,
  reduceMin: extremeGrad,
  reduceProd: unavailable,
  argMax: stop,
  side: stop,
  softmax: (node, dy) => {
    const weighted = g.mul(dy, node);
    return [g.sub(weighted, g.mul(node, g.reduceSum(weighted, { axes: [node.attrs.axis], keepDims: true })))];
  },
  matmul: matmulGrad,
  conv2d: ({ inputs: [x, kernel], attrs }, dy) => [
    g.makeNode("conv2dInputGrad", [dy, kernel!], { ...attrs, inputSize: imageSize(x!) }),
    g.makeNode("conv2dKernelGrad", [x!, dy], { ...attrs, kernelSize: kernelSize(kernel!) }),
  ],
  // Both derivatives of a convolution are linear in each input, so theirs are convolutions again.
  conv2dInputGrad: ({ inputs: [dy, kernel], attrs }, dg) => [
    g.conv2d(dg, kernel!, attrs),
    g.makeNode("conv2dKernelGrad", [dg, dy!], { ...attrs, kernelSize: kernelSize(kernel!) }),
  ],
  conv2dKernelGrad: ({ inputs: [x, dy], attrs }, dg) => [
    g.makeNode("conv2dInputGrad", [dy!, dg], { ...attrs, inputSize: imageSize(x!) }),
    g.conv2d(x!, dg, attrs),
  ],
  maxPool: (node, dy) => [g.makeNode("maxPoolGrad", [dy, node.inputs[0]!, node], node.attrs)],
  maxPoolGrad: unavailable,
  avgPool: ({ inputs: [x], attrs }, dy) => [
    g.makeNode("avgPoolGrad", [dy], { ...attrs, inputSize: imageSize(x!) }),
  ],
  avgPoolGrad: ({ attrs }, dg) => [g.avgPool(dg, attrs)],
  reshape: ({ inputs: [x] }, dy) => [reshapeLike(dy, x!.shape)],
  transpose: ({ attrs }, dy) => [
    g.transpose(
      dy,
      attrs.perm.map((_, axis) => attrs.perm.indexOf(axis)),
    ),
  ],
  broadcastTo: ({ inputs: [x] }, dy) => [unbroadcast(dy, x!.shape)],
  concat: concatGrad,
  slice: sliceGrad,
  pad: ({ inputs: [x], attrs }, dy) => [
    g.slice(
      dy,
      attrs.before,
      knownShape(x!).map((side, axis) => attrs.before[axis]! + side),
    ),
  ],
  gather: ({ inputs: [x, indices], attrs }, dy) => [
    g.makeNode("gatherGrad", [dy, indices!], { axis: attrs.axis, length: knownShape(x!)[attrs.axis]! }),
    undefined,
  ],
  gatherGrad: ({ inputs: [, indices], attrs }, dg) => [g.gather(dg, indices!, attrs.axis), undefined],
  lookup: stop,
  loop: unavailable,
};

function inputGradients<K extends OpName>(node: Node<K>, dy: Node): readonly (Node | undefined)[] {
  return gradientRules[node.op](node, dy);
}

/** The nodes whose value depends on one of the sources. */
function dependents(order: readonly Node[], sources: readonly Node[]): Set<Node> {
  const found = new Set<Node>(sources);
  for (const node of order) if (node.inputs.some((input) => found.has(input))) found.add(node);
  return found;
}

/**
 * The derivatives of a scalar `loss` by `sources`, in their order and shapes.
 * @throws FaceError `SHAPE_MISMATCH` when the loss is not a scalar or does not depend on a source, and
 *   `MODEL_UNSUPPORTED` when an op on the way has no derivative.
 */
export function gradient(loss: Node, sources: readonly Node[]): Node[] {
  if (loss.shape.length > 0) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `gradient: the loss must be a scalar, got shape ${shapeText(loss.shape)}`,
      { hint: "reduce it to its mean or sum first" },
    );
  }
  const order = topological([loss]);
  const relevant = dependents(order, sources);
  const derivatives = new Map<Node, Node>([[loss, g.scalar(1, loss.dtype)]]);
  for (const node of order.toReversed()) {
    const dy = derivatives.get(node);
    if (dy === undefined || !relevant.has(node) || node.inputs.every((input) => !relevant.has(input)))
      continue;
    const passed = inputGradients(node, dy);
    node.inputs.forEach((input, i) => {
      const part = passed[i];
      if (part === undefined || !relevant.has(input)) return;
      const total = derivatives.get(input);
      derivatives.set(input, total === undefined ? part : g.add(total, part));
    });
  }
  return sources.map((source) => {
    const derivative = derivatives.get(source);
    if (derivative !== undefined) return derivative;
    throw new FaceError(
      "SHAPE_MISMATCH",
      `gradient: the loss does not depend on ${source.label ?? source.op}`,
      { hint: "pass the node that the loss was built from, not another node with that name" },
    );
  });
}
