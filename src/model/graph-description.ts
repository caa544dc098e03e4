/** @file Describes any graph for summaries and drawings, such as that of a network from elsewhere: each operation is a layer. */
import { isFloat, sizeOf } from "../base/tensor.ts";
import { ELEMENTWISE_OPS, isOp, type Node, type OpName, topological } from "../graph/ops.ts";
import type { LayerDescription, ModelDescription } from "./description.ts";

/** Keras' names of what an operation is. */
const KINDS: Partial<Record<OpName, string>> = {
  input: "InputLayer",
  conv2d: "Conv2D",
  matmul: "Dense",
  maxPool: "MaxPooling2D",
  avgPool: "AveragePooling2D",
  concat: "Concatenate",
  transpose: "Permute",
  pad: "ZeroPadding2D",
  mul: "Multiply",
  sub: "Subtract",
  relu: "ReLU",
  prelu: "PReLU",
};

/** Constants with fewer numbers are factors and shapes, no weights. */
const SMALLEST_WEIGHT = 4;

const ELEMENTWISE: ReadonlySet<string> = new Set([...ELEMENTWISE_OPS, "affine", "prelu", "select", "cast"]);

function kindOf(node: Node): string {
  if (isOp(node, "conv2d") && node.attrs.groups > 1 && node.attrs.groups === node.inputs[0]!.shape.at(-1))
    return "DepthwiseConv2D";
  return KINDS[node.op] ?? node.op.charAt(0).toUpperCase() + node.op.slice(1);
}

const isLeaf = (node: Node) => isOp(node, "constant") || isOp(node, "parameter");

/** The nodes whose value does not depend on an input. */
function fixedNodes(nodes: readonly Node[]): ReadonlySet<Node> {
  const fixed = new Set<Node>();
  for (const node of nodes) {
    const isFixed = isLeaf(node) || (node.inputs.length > 0 && node.inputs.every((each) => fixed.has(each)));
    if (isFixed) fixed.add(node);
  }
  return fixed;
}

/** Numbers in the weights that feed a node, each weight counted where it is used first. */
function weightsOf(node: Node, fixed: ReadonlySet<Node>, counted: Set<Node>): number {
  const leaves = topological(node.inputs.filter((each) => fixed.has(each))).filter(isLeaf);
  let sum = 0;
  for (const leaf of leaves) {
    const size = isFloat(leaf.dtype) ? sizeOf(leaf.shape.map(Number)) : 0;
    if (size < SMALLEST_WEIGHT || counted.has(leaf)) continue;
    counted.add(leaf);
    sum += size;
  }
  return sum;
}

/** The position of the last node that takes each node. */
function lastUses(nodes: readonly Node[], outputs: readonly Node[]): Map<Node, number> {
  const last = new Map<Node, number>();
  for (const [at, node] of nodes.entries()) for (const each of node.inputs) last.set(each, at);
  for (const output of outputs) last.set(output, nodes.length);
  return last;
}

/**
 * Parts that follow each other, each node's part by number: a part begins where nothing but the node before it is needed
 * later. What only works element by element belongs to the part before it.
 */
function partsOf(nodes: readonly Node[], outputs: readonly Node[]): number[] {
  const last = lastUses(nodes, outputs);
  let part = 0;
  let open = 0;
  return nodes.map((node, at) => {
    // `open`: up to where a value from before the previous node is needed.
    const isCut = at > 0 && open < at;
    if (isCut && !ELEMENTWISE.has(node.op)) part++;
    const before = nodes[at - 1];
    if (before !== undefined) open = Math.max(open, last.get(before) ?? 0);
    return part;
  });
}

const sidesOf = ({ shape }: Node) => shape.map((side) => (typeof side === "number" ? side : null));

/**
 * The layers of a graph, in an order in which each comes after its inputs.
 * @returns names begin with the same word for layers of one part; parts follow each other.
 */
export function graphLayers(outputs: readonly Node[]): LayerDescription[] {
  const all = topological(outputs);
  const fixed = fixedNodes(all);
  const nodes = [...all.filter((node) => isOp(node, "input")), ...all.filter((node) => !isOp(node, "input"))];
  const used = nodes.filter((node) => !fixed.has(node));
  const parts = partsOf(used, outputs);
  const names = new Map<Node, string>();
  const counted = new Set<Node>();
  const numbers = new Map<string, number>();
  return used.map((node, at) => {
    const kind = kindOf(node);
    const number = (numbers.get(kind) ?? 0) + 1;
    numbers.set(kind, number);
    const own = isOp(node, "input") ? node.attrs.name : `${kind.toLowerCase()}${number}`;
    names.set(node, isOp(node, "input") ? own : `part${parts[at]}_${own}`);
    return {
      name: names.get(node)!,
      kind,
      outputShape: sidesOf(node),
      parameters: weightsOf(node, fixed, counted),
      trainableParameters: 0,
      inputs: node.inputs.flatMap((each) => names.get(each) ?? []),
    };
  });
}

/** Describes a graph: weights are constants, so none is trainable. */
export function describeGraph(name: string, outputs: readonly Node[]): ModelDescription {
  const layers = graphLayers(outputs);
  const total = layers.reduce((sum, { parameters }) => sum + parameters, 0);
  return { name, layers, total, trainable: 0, nonTrainable: total };
}
