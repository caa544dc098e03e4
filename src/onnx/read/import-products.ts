/** @file ONNX's matrix products and its operators over whole axes. */
import * as g from "../../graph/build.ts";
import type { Node } from "../../graph/ops.ts";
import { alongAxes, channelsLast, isTurned, placeLast } from "./channels-last.ts";
import type { Importer, Importers, OnnxCall } from "./onnx-call.ts";

/** A vector counts as a row on the left and as a column on the right. */
const matmul: Importer = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const [isRow, isColumn] = [a.shape.length === 1, b.shape.length === 1];
  const product = g.matmul(isRow ? g.expandDims(a, 0) : a, isColumn ? g.expandDims(b, 1) : b);
  const rank = product.shape.length;
  const gone = new Set([...(isRow ? [rank - 2] : []), ...(isColumn ? [rank - 1] : [])]);
  if (gone.size === 0) return product;
  return call.reshapeTo(
    product,
    product.shape.filter((_, axis) => !gone.has(axis)),
  );
};

/** `alpha · A · B + beta · C` */
const gemm: Importer = (call) => {
  const [a, b, c] = [call.input(0), call.input(1), call.inputs[2]];
  if (a.shape.length !== 2 || b.shape.length !== 2) throw call.invalid("a product of two matrices is wanted");
  const product = g.matmul(a, b, {
    transposeA: call.flag("transA", false),
    transposeB: call.flag("transB", false),
  });
  const scaled = (x: Node, factor: number) => (factor === 1 ? x : g.mul(x, factor));
  const result = scaled(product, call.float("alpha", 1));
  return c === undefined ? result : g.add(result, scaled(c, call.float("beta", 1)));
};

type Reduction = typeof g.reduceSum;

/** The operator set in which a reduction's axes became an input. */
const AXES_INPUT = { sum: 13, other: 18 };

/** Reduces where the image's places are all gone, or nothing moves, in the order of axes at hand. */
function reduced(x: Node, axes: readonly number[], keepDims: boolean, work: Reduction): Node {
  if (keepDims) return alongAxes(x, (y, place) => work(y, { axes: axes.map(place), keepDims }));
  // The remaining axes keep their order.
  const isOverImage = isTurned(x) && axes.includes(2) && axes.includes(3);
  return isOverImage
    ? work(channelsLast(x), { axes: axes.map(placeLast), keepDims })
    : work(x, { axes, keepDims });
}

const reduce =
  (work: Reduction, axesInput = AXES_INPUT.other): Importer =>
  (call) => {
    const x = call.input(0);
    const listed = call.listFrom(axesInput, "axes", 1) ?? [];
    if (listed.length === 0 && call.flag("noop_with_empty_axes", false)) {
      return work(x, { axes: [], keepDims: true });
    }
    const axes = listed.length > 0 ? call.placesOf(listed, x) : x.shape.map((_, axis) => axis);
    return reduced(x, axes, call.flag("keepdims", true), work);
  };

const l1: Reduction = (x, options) => g.reduceSum(g.abs(x), options);
const l2: Reduction = (x, options) => g.sqrt(g.reduceSum(g.square(x), options));
const sumSquare: Reduction = (x, options) => g.reduceSum(g.square(x), options);

/** Vectors along an axis divided by their length; what has none stays zero. */
const lpNormalization: Importer = (call) => {
  const p = call.int("p", 2);
  if (p !== 1 && p !== 2) throw call.invalid(`the norm ${p} is neither 1 nor 2`);
  const x = call.input(0);
  const along = call.placeOf(call.int("axis", -1), x);
  return alongAxes(x, (y, place) => {
    const norm = (p === 1 ? l1 : l2)(y, { axes: [place(along)], keepDims: true });
    return g.div(y, g.select(g.equal(norm, 0), g.scalar(1, y.dtype), norm));
  });
};

/** Before operator set 13 a softmax goes over the axis and all after it together. */
const softmaxOver =
  (build: (x: Node, axis: number) => Node): Importer =>
  (call) => {
    const x = call.input(0);
    const axis = call.placeOf(call.int("axis", call.opset < 13 ? 1 : -1), x);
    if (call.opset >= 13 || axis === x.shape.length - 1) return build(x, axis);
    const flat = call.reshapeTo(x, [...x.shape.slice(0, axis), undefined]);
    return call.reshapeTo(build(flat, axis), x.shape);
  };

const argExtreme =
  (prepare: (x: Node) => Node): Importer =>
  (call: OnnxCall) => {
    if (call.flag("select_last_index", false)) throw call.unsupported("the last of equal elements");
    const x = call.input(0);
    const axis = call.placeOf(call.int("axis", 0), x);
    const found = g.argMax(prepare(x), axis);
    if (!call.flag("keepdims", true)) return found;
    return call.reshapeTo(
      found,
      x.shape.map((side, i) => (i === axis ? 1 : side)),
    );
  };

export const productImporters: Importers = {
  MatMul: matmul,
  Gemm: gemm,
  ReduceSum: reduce(g.reduceSum, AXES_INPUT.sum),
  ReduceMean: reduce(g.reduceMean),
  ReduceMax: reduce(g.reduceMax),
  ReduceMin: reduce(g.reduceMin),
  ReduceProd: reduce(g.reduceProd),
  ReduceL1: reduce(l1),
  ReduceL2: reduce(l2),
  ReduceSumSquare: reduce(sumSquare),
  LpNormalization: lpNormalization,
  Softmax: softmaxOver(g.softmax),
  LogSoftmax: softmaxOver(g.logSoftmax),
  ArgMax: argExtreme((x) => x),
  ArgMin: argExtreme(g.neg),
};
