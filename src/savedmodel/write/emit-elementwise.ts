/** @file Writes ops that go element by element, over whole axes, or multiply matrices as TensorFlow operators. */

import type { Node, OpName, ReduceOp } from "../../graph/ops.ts";
import { ELEMENTWISE_OPS, forNamedOps, isOp } from "../../graph/ops.ts";
import { type EmitRule, type EmitRules, trainingOnly } from "./emit-context.ts";
import { takesBiasAdd } from "./emit-images.ts";
import { attr } from "./graph-writer.ts";

const OVER_AXES = { Tidx: attr.type("int32") };

/** An operator with the same inputs, whose attribute T is the type of the first. */
const same =
  (op: string): EmitRule<OpName> =>
  (node, context) =>
    context.operator(node, op, context.inputs(node), { T: attr.type(node.inputs[0]!.dtype) });

const logical =
  (op: string): EmitRule<OpName> =>
  (node, context) =>
    context.graph.node(op, context.inputs(node), {}, node.label);

/** TensorFlow calls it a bias when one number per channel is added to a product. */
const add: EmitRule<"add"> = (node, context) => {
  const [x, bias] = node.inputs as [Node, Node];
  const isProduct = isOp(x, "conv2d") ? takesBiasAdd(x) : isOp(x, "matmul");
  const biased = isProduct && bias.shape.length === 1 && x.shape.length > 1;
  return context.operator(node, biased ? "BiasAdd" : "AddV2", context.inputs(node));
};

const reduce =
  (op: string): EmitRule<ReduceOp> =>
  (node, context) => {
    const { axes, keepDims } = node.attrs;
    const inputs = [...context.inputs(node), context.graph.ints(axes)];
    return context.operator(node, op, inputs, { ...OVER_AXES, keep_dims: attr.bool(keepDims) });
  };

const affine: EmitRule<"affine"> = (node, context) => {
  const [x, scale, shift] = context.inputs(node) as [string, string, string];
  return context.operator(node, "AddV2", [context.operator(node, "Mul", [x, scale]), shift]);
};

/** As Keras writes it: `relu(x) + (−slope) · relu(−x)`. */
const prelu: EmitRule<"prelu"> = (node, context) => {
  const [x, slope] = context.inputs(node) as [string, string];
  const put = (op: string, ...inputs: string[]) => context.operator(node, op, inputs);
  const below = put("Mul", put("Neg", slope), put("Relu", put("Neg", x)));
  return put("AddV2", put("Relu", x), below);
};

const softmax: EmitRule<"softmax"> = (node, context) => {
  const x = context.value(node.inputs[0]!);
  const { axis } = node.attrs;
  if (axis === node.shape.length - 1) return context.operator(node, "Softmax", [x]);
  const over = (op: string, input: string) =>
    context.operator(node, op, [input, context.graph.ints([axis])], {
      ...OVER_AXES,
      keep_dims: attr.bool(true),
    });
  const powers = context.operator(node, "Exp", [context.operator(node, "Sub", [x, over("Max", x)])]);
  return context.operator(node, "RealDiv", [powers, over("Sum", powers)]);
};

const argMax: EmitRule<"argMax"> = (node, context) => {
  const x = node.inputs[0]!;
  const attributes = { T: attr.type(x.dtype), ...OVER_AXES, output_type: attr.type("int64") };
  return context.operator(node, "ArgMax", [context.value(x), context.graph.int(node.attrs.axis)], attributes);
};

const matmul: EmitRule<"matmul"> = (node, context) => {
  const [a, b] = [attr.bool(node.attrs.transposeA), attr.bool(node.attrs.transposeB)];
  const isFlat = node.inputs.every((input) => input.shape.length === 2);
  return isFlat
    ? context.operator(node, "MatMul", context.inputs(node), { transpose_a: a, transpose_b: b })
    : context.operator(node, "BatchMatMulV2", context.inputs(node), { adj_x: a, adj_y: b });
};

export const elementwiseRules = {
  ...forNamedOps(ELEMENTWISE_OPS, same),
  not: logical("LogicalNot"),
  cast: (node, context) => {
    const attributes = { SrcT: attr.type(node.inputs[0]!.dtype), DstT: attr.type(node.attrs.to) };
    return context.graph.node("Cast", context.inputs(node), attributes, node.label);
  },
  add,
  div: same("RealDiv"),
  max: same("Maximum"),
  min: same("Minimum"),
  and: logical("LogicalAnd"),
  or: logical("LogicalOr"),
  select: (node, context) => context.operator(node, "SelectV2", context.inputs(node)),
  affine,
  channelVariance: trainingOnly,
  prelu,
  reluGrad: trainingOnly,
  preluGrad: trainingOnly,
  reduceSum: reduce("Sum"),
  reduceMean: reduce("Mean"),
  reduceMax: reduce("Max"),
  reduceMin: reduce("Min"),
  reduceProd: reduce("Prod"),
  argMax,
  softmax,
  matmul,
} satisfies Partial<EmitRules>;
