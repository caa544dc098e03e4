/** @file Our graph in TensorFlow's words: one rule per op. */
import { FaceError } from "../base/errors.ts";
import { tensor } from "../base/tensor.ts";
import { isOp, type Node, type OpName, topological } from "../graph/ops.ts";
import { attr, type GraphWriter } from "./graph-writer.ts";
import { conv2d, conv2dInputGrad, pool } from "./images-to-tensorflow.ts";
import { packed, type Rule, sideOf, trainingOnly, typed, values, type Writing } from "./writing.ts";

export type TensorflowRules = { readonly [K in OpName]: Rule<K> };

/** An operator with the same inputs and the one attribute T. */
const same =
  (op: string): Rule<OpName> =>
  (node, writing) =>
    writing.graph.node(op, values(node, writing), typed(node.inputs[0]!), node.label);

const logical =
  (op: string): Rule<OpName> =>
  (node, writing) =>
    writing.graph.node(op, values(node, writing), {}, node.label);

/** Adding one number per channel to a product is what TensorFlow calls a bias. */
const add: Rule<"add"> = (node, writing) => {
  const [x, bias] = node.inputs as [Node, Node];
  const biased = (isOp(x, "conv2d") || isOp(x, "matmul")) && bias.shape.length === 1 && x.shape.length > 1;
  return writing.graph.node(biased ? "BiasAdd" : "AddV2", values(node, writing), typed(node), node.label);
};

const reduce =
  (op: string): Rule<"reduceSum" | "reduceMean" | "reduceMax" | "reduceMin" | "reduceProd"> =>
  (node, { graph, value }) => {
    const { axes, keepDims } = node.attrs;
    const attributes = { ...typed(node), Tidx: attr.type("int32"), keep_dims: attr.bool(keepDims) };
    return graph.node(op, [value(node.inputs[0]!), graph.ints(axes)], attributes, node.label);
  };

const affine: Rule<"affine"> = (node, writing) => {
  const [x, scale, shift] = values(node, writing) as [string, string, string];
  const scaled = writing.graph.node("Mul", [x, scale], typed(node), node.label);
  return writing.graph.node("AddV2", [scaled, shift], typed(node), node.label);
};

/** As Keras writes it: `relu(x) + (−slope) · relu(−x)`. */
const prelu: Rule<"prelu"> = (node, writing) => {
  const [x, slope] = values(node, writing) as [string, string];
  const put = (op: string, inputs: string[]) => writing.graph.node(op, inputs, typed(node), node.label);
  const below = put("Mul", [put("Neg", [slope]), put("Relu", [put("Neg", [x])])]);
  return put("AddV2", [put("Relu", [x]), below]);
};

const softmax: Rule<"softmax"> = (node, writing) => {
  const { graph, value } = writing;
  const x = value(node.inputs[0]!);
  const { axis } = node.attrs;
  if (axis === node.shape.length - 1) return graph.node("Softmax", [x], typed(node), node.label);
  const reduced = { ...typed(node), Tidx: attr.type("int32"), keep_dims: attr.bool(true) };
  const over = (op: string, input: string) =>
    graph.node(op, [input, graph.ints([axis])], reduced, node.label);
  const powers = graph.node(
    "Exp",
    [graph.node("Sub", [x, over("Max", x)], typed(node), node.label)],
    typed(node),
    node.label,
  );
  return graph.node("RealDiv", [powers, over("Sum", powers)], typed(node), node.label);
};

const matmul: Rule<"matmul"> = (node, writing) => {
  const { transposeA, transposeB } = node.attrs;
  const flat = node.inputs.every((input) => input.shape.length === 2);
  const attributes = flat
    ? { transpose_a: attr.bool(transposeA), transpose_b: attr.bool(transposeB) }
    : { adj_x: attr.bool(transposeA), adj_y: attr.bool(transposeB) };
  const op = flat ? "MatMul" : "BatchMatMulV2";
  return writing.graph.node(op, values(node, writing), { ...typed(node), ...attributes }, node.label);
};

const reshape: Rule<"reshape"> = (node, writing) => {
  const { graph, value } = writing;
  const x = node.inputs[0]!;
  const wanted = node.attrs.shape.map((side, axis) => {
    const known = node.shape[axis]!;
    return typeof known === "number" ? known : side === 0 ? x.shape[axis]! : side;
  });
  const unknown = wanted.filter((side) => typeof side !== "number" || side === -1).length;
  const target =
    unknown <= 1
      ? graph.ints(wanted.map((side) => (typeof side === "number" ? side : -1)))
      : packed(
          writing,
          wanted.map((side, axis) => (typeof side === "number" ? graph.int(side) : sideOf(writing, x, axis))),
        );
  return graph.node(
    "Reshape",
    [value(x), target],
    { ...typed(node), Tshape: attr.type("int32") },
    node.label,
  );
};

const slice: Rule<"slice"> = (node, { graph, value }) => {
  const { starts, ends, steps } = node.attrs;
  const LIMIT = 2 ** 31 - 1;
  const clamp = (bound: number) => Math.max(-LIMIT, Math.min(LIMIT, bound));
  // A bound past either end means "all the way", which TensorFlow says by a bit per axis.
  const mask = (beyond: (axis: number) => boolean) =>
    attr.int(starts.reduce((bits, _, axis) => bits | (beyond(axis) ? 1 << axis : 0), 0));
  const attributes = {
    ...typed(node),
    Index: attr.type("int32"),
    end_mask: mask((axis) =>
      steps[axis]! > 0 ? ends[axis]! >= LIMIT : ends[axis]! < -Number(node.inputs[0]!.shape[axis]),
    ),
  };
  const bounds = [starts, ends, steps].map((list) => graph.ints(list.map(clamp)));
  return graph.node("StridedSlice", [value(node.inputs[0]!), ...bounds], attributes, node.label);
};

const pad: Rule<"pad"> = (node, { graph, value }) => {
  const { before, after, value: fill } = node.attrs;
  const margins = Int32Array.from(before.flatMap((margin, axis) => [margin, after[axis]!]));
  const paddings = graph.constant(tensor("int32", [before.length, 2], margins), "paddings");
  const attributes = { ...typed(node), Tpaddings: attr.type("int32") };
  return graph.node("PadV2", [value(node.inputs[0]!), paddings, graph.float(fill)], attributes, node.label);
};

/** Sides that only a run will tell are those of the value itself. */
const broadcastTo: Rule<"broadcastTo"> = (node, writing) => {
  const { graph, value } = writing;
  const x = node.inputs[0]!;
  const ahead = node.shape.length - x.shape.length;
  const isKnown = node.shape.every((side) => typeof side === "number");
  const target = isKnown
    ? graph.ints(node.shape as number[])
    : packed(
        writing,
        node.shape.map((side, axis) =>
          typeof side === "number" ? graph.int(side) : sideOf(writing, x, axis - ahead),
        ),
      );
  const attributes = { ...typed(node), Tidx: attr.type("int32") };
  return graph.node("BroadcastTo", [value(x), target], attributes, node.label);
};

/** One rule per op. */
const rules: TensorflowRules = {
  input: (node, { graph }) =>
    graph.named(node.attrs.name, "Placeholder", [], {
      dtype: attr.type(node.dtype),
      shape: attr.shape(node.shape),
    }),
  parameter: (node) => {
    throw new FaceError("INTERNAL", `internal: ${node.attrs.name} has no value to be exported with`);
  },
  constant: (node, { graph }) => graph.constant(node.attrs.value, node.label),
  randomUniform: trainingOnly,
  neg: same("Neg"),
  abs: same("Abs"),
  sign: same("Sign"),
  exp: same("Exp"),
  log: same("Log"),
  sqrt: same("Sqrt"),
  sin: same("Sin"),
  cos: same("Cos"),
  tanh: same("Tanh"),
  sigmoid: same("Sigmoid"),
  softplus: same("Softplus"),
  erf: same("Erf"),
  relu: same("Relu"),
  floor: same("Floor"),
  ceil: same("Ceil"),
  round: same("Round"),
  not: logical("LogicalNot"),
  cast: (node, { graph, value }) => {
    const attributes = { SrcT: attr.type(node.inputs[0]!.dtype), DstT: attr.type(node.attrs.to) };
    return graph.node("Cast", [value(node.inputs[0]!)], attributes, node.label);
  },
  add,
  sub: same("Sub"),
  mul: same("Mul"),
  div: same("RealDiv"),
  pow: same("Pow"),
  max: same("Maximum"),
  min: same("Minimum"),
  equal: same("Equal"),
  less: same("Less"),
  lessEqual: same("LessEqual"),
  and: logical("LogicalAnd"),
  or: logical("LogicalOr"),
  select: (node, writing) => writing.graph.node("SelectV2", values(node, writing), typed(node), node.label),
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
  argMax: (node, { graph, value }) => {
    const x = node.inputs[0]!;
    const attributes = { ...typed(x), Tidx: attr.type("int32"), output_type: attr.type("int64") };
    return graph.node("ArgMax", [value(x), graph.int(node.attrs.axis)], attributes, node.label);
  },
  softmax,
  side: (node, { graph, value }) => {
    const x = node.inputs[0]!;
    const shape = graph.node("Shape", [value(x)], { ...typed(x), out_type: attr.type("int64") }, node.label);
    const { axis } = node.attrs;
    const inputs = [shape, graph.ints([axis]), graph.ints([axis + 1]), graph.ints([1])];
    const attributes = { T: attr.type("int64"), Index: attr.type("int32"), shrink_axis_mask: attr.int(1) };
    return graph.node("StridedSlice", inputs, attributes, node.label);
  },
  matmul,
  conv2d,
  conv2dInputGrad,
  conv2dKernelGrad: trainingOnly,
  maxPool: pool("MaxPool"),
  maxPoolGrad: trainingOnly,
  avgPool: pool("AvgPool"),
  avgPoolGrad: trainingOnly,
  reshape,
  transpose: (node, { graph, value }) => {
    const attributes = { ...typed(node), Tperm: attr.type("int32") };
    return graph.node(
      "Transpose",
      [value(node.inputs[0]!), graph.ints(node.attrs.perm)],
      attributes,
      node.label,
    );
  },
  broadcastTo,
  concat: (node, writing) => {
    const attributes = { ...typed(node), N: attr.int(node.inputs.length), Tidx: attr.type("int32") };
    const inputs = [...values(node, writing), writing.graph.int(node.attrs.axis)];
    return writing.graph.node("ConcatV2", inputs, attributes, node.label);
  },
  slice,
  pad,
  gather: (node, { graph, value }) => {
    const [x, indices] = node.inputs as [Node, Node];
    const attributes = {
      Tparams: attr.type(x.dtype),
      Tindices: attr.type(indices.dtype),
      Taxis: attr.type("int32"),
    };
    return graph.node(
      "GatherV2",
      [value(x), value(indices), graph.int(node.attrs.axis)],
      attributes,
      node.label,
    );
  },
  gatherGrad: trainingOnly,
};

function applyRule<K extends OpName>(node: Node<K>, writing: Writing): string {
  return rules[node.op](node, writing);
}

/**
 * Adds everything that the outputs need to a TensorFlow graph.
 * @param given names of values that are in the graph already.
 * @returns the name of each node's value, `:0` left off.
 * @throws FaceError `MODEL_UNSUPPORTED` for ops that only training makes.
 */
export function writeGraph(
  outputs: readonly Node[],
  graph: GraphWriter,
  given: ReadonlyMap<Node, string> = new Map(),
): Map<Node, string> {
  const names = new Map<Node, string>(given);
  const writing: Writing = { graph, value: (node) => names.get(node)! };
  for (const node of topological(outputs)) {
    if (!names.has(node)) names.set(node, applyRule(node, writing));
  }
  return names;
}
