/** @file Writes ops that move elements without computing with them as TensorFlow operators. */
import { FaceError } from "../../base/errors.ts";
import { tensor } from "../../base/tensor.ts";
import type { Node } from "../../graph/ops.ts";
import { type EmitRule, type EmitRules, INDEX, trainingOnly } from "./emit-context.ts";
import { attr } from "./graph-writer.ts";

const INT32 = attr.type("int32");

const reshape: EmitRule<"reshape"> = (node, context) => {
  const { graph } = context;
  const x = node.inputs[0]!;
  const wanted = node.attrs.shape.map((side, axis) => {
    const known = node.shape[axis]!;
    return typeof known === "number" ? known : side === 0 ? x.shape[axis]! : side;
  });
  const unknown = wanted.filter((side) => typeof side !== "number" || side === -1).length;
  const sides = () =>
    wanted.map((side, axis) =>
      typeof side === "number" ? graph.int(side) : context.sideOf(x, axis, "int32", x.label),
    );
  const target =
    unknown <= 1
      ? graph.ints(wanted.map((side) => (typeof side === "number" ? side : -1)))
      : context.packed(sides());
  return context.operator(node, "Reshape", [context.value(x), target], { Tshape: INT32 });
};

/** The largest number that a bound of int32 can be. */
const LIMIT = 2 ** 31 - 1;

const slice: EmitRule<"slice"> = (node, context) => {
  const { starts, ends, steps } = node.attrs;
  const clamp = (bound: number) => Math.max(-LIMIT, Math.min(LIMIT, bound));
  // A bound past either end means "all the way", which TensorFlow says by a bit per axis.
  const isBeyond = (axis: number) =>
    steps[axis]! > 0 ? ends[axis]! >= LIMIT : ends[axis]! < -Number(node.inputs[0]!.shape[axis]);
  const mask = starts.reduce((bits, _, axis) => bits | (isBeyond(axis) ? 1 << axis : 0), 0);
  const bounds = [starts, ends, steps].map((list) => context.graph.ints(list.map(clamp)));
  const attributes = { ...INDEX, end_mask: attr.int(mask) };
  return context.operator(node, "StridedSlice", [...context.inputs(node), ...bounds], attributes);
};

const pad: EmitRule<"pad"> = (node, context) => {
  const { graph } = context;
  const { before, after, value: fill } = node.attrs;
  const margins = Int32Array.from(before.flatMap((margin, axis) => [margin, after[axis]!]));
  const paddings = graph.constant(tensor("int32", [before.length, 2], margins), "paddings");
  const inputs = [...context.inputs(node), paddings, graph.float(fill)];
  return context.operator(node, "PadV2", inputs, { Tpaddings: INT32 });
};

const gather: EmitRule<"gather"> = (node, context) => {
  const [x, indices] = node.inputs as [Node, Node];
  const inputs = [...context.inputs(node), context.graph.int(node.attrs.axis)];
  const attributes = { Tparams: attr.type(x.dtype), Tindices: attr.type(indices.dtype), Taxis: INT32 };
  return context.graph.node("GatherV2", inputs, attributes, node.label);
};

/** Unknown sides of the target are those of the value itself. */
const broadcastTo: EmitRule<"broadcastTo"> = (node, context) => {
  const { graph } = context;
  const x = node.inputs[0]!;
  const ahead = node.shape.length - x.shape.length;
  const isKnown = node.shape.every((side) => typeof side === "number");
  const sides = () =>
    node.shape.map((side, axis) =>
      typeof side === "number" ? graph.int(side) : context.sideOf(x, axis - ahead, "int32", x.label),
    );
  const target = isKnown ? graph.ints(node.shape as number[]) : context.packed(sides());
  return context.operator(node, "BroadcastTo", [context.value(x), target], { Tidx: INT32 });
};

/** Keys are compared one by one, as a table would need an initialiser beside the graph. */
const lookup: EmitRule<"lookup"> = (node, context) => {
  const { graph } = context;
  const { keys, values, fallback } = node.attrs;
  const x = node.inputs[0]!;
  const [key, T] = [attr.type(x.dtype), attr.type(node.dtype)];
  const last = graph.int(-1);
  const stored = (value: typeof keys) => graph.constant(value, node.label ?? "table");
  const apart = graph.node("ExpandDims", [context.value(x), last], { T: key, Tdim: INT32 });
  const hits = graph.node("Equal", [apart, stored(keys)], { T: key });
  const isFound = graph.node("Any", [hits, last], { Tidx: INT32, keep_dims: attr.bool(false) });
  const counts = graph.node("Cast", [hits], { SrcT: attr.type("bool"), DstT: INT32 });
  const place = graph.node("ArgMax", [counts, last], {
    T: INT32,
    Tidx: INT32,
    output_type: attr.type("int64"),
  });
  const types = { Tparams: T, Tindices: attr.type("int64"), Taxis: INT32 };
  const found = graph.node("GatherV2", [stored(values), place, graph.int(0)], types);
  return context.operator(node, "SelectV2", [isFound, found, stored(fallback)]);
};

export const movingRules = {
  side: (node, context) => context.sideOf(node.inputs[0]!, node.attrs.axis, "int64", node.label),
  reshape,
  transpose: (node, context) => {
    const inputs = [...context.inputs(node), context.graph.ints(node.attrs.perm)];
    return context.operator(node, "Transpose", inputs, { Tperm: INT32 });
  },
  broadcastTo,
  concat: (node, context) => {
    const inputs = [...context.inputs(node), context.graph.int(node.attrs.axis)];
    return context.operator(node, "ConcatV2", inputs, { N: attr.int(node.inputs.length), Tidx: INT32 });
  },
  slice,
  pad,
  gather,
  gatherGrad: trainingOnly,
  loop: () => {
    throw new FaceError("MODEL_UNSUPPORTED", "a loop cannot be written to a SavedModel", {
      hint: "serve the model that it was read from, or export it as ONNX",
    });
  },
  lookup,
} satisfies Partial<EmitRules>;
