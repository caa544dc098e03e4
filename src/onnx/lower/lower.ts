/** @file Turns a graph into an ONNX model: one lowering rule per op, and the model's inputs and outputs. */
import type { DType, TensorMap } from "../../base/tensor.ts";
import { check } from "../../graph/check.ts";
import { freeze } from "../../graph/freeze.ts";
import type { Node, OpName, SymbolicShape } from "../../graph/ops.ts";
import { ELEMENTWISE_OPS, forNamedOps, isOp, REDUCE_OPS, topological } from "../../graph/ops.ts";
import { simplify } from "../../graph/simplify.ts";
import * as elements from "./elementwise.ts";
import { elementwise, reduce } from "./elementwise.ts";
import * as images from "./images.ts";
import { lowerConv2dKernelGrad } from "./kernel-grad.ts";
import { lowerLookup } from "./lookup.ts";
import { lowerLoop } from "./loops.ts";
import { Lowering, OIHW, type Perm, PLAIN, permuted } from "./lowering.ts";
import * as moves from "./moves.ts";

export type LowerRules = { readonly [K in OpName]: (node: Node<K>, lowering: Lowering) => void };

/** One rule per op. */
const lowerRules: LowerRules = {
  input: (node, lowering) =>
    lowering.define(node, lowering.model.input(lowering.inputName(node), node.dtype, node.shape)),
  parameter: (node, lowering) => lowering.leaf(node),
  constant: (node, lowering) => lowering.leaf(node),
  randomUniform: (node, lowering) =>
    lowering.define(node, lowering.model.input(randomName(node.attrs.stream), node.dtype, node.shape)),
  ...forNamedOps(ELEMENTWISE_OPS, elementwise),
  cast: elements.lowerCast,
  mul: elements.lowerMul,
  lessEqual: elementwise("LessOrEqual"),
  select: elementwise("Where"),
  affine: elements.lowerAffine,
  channelVariance: elements.lowerChannelVariance,
  prelu: elements.lowerPrelu,
  reluGrad: elements.lowerReluGrad,
  preluGrad: elements.lowerPreluGrad,
  ...forNamedOps(REDUCE_OPS, reduce),
  argMax: elements.lowerArgMax,
  softmax: elements.lowerSoftmax,
  side: elements.lowerSide,
  matmul: moves.lowerMatmul,
  conv2d: images.lowerConv2d,
  conv2dInputGrad: images.lowerConv2dInputGrad,
  conv2dKernelGrad: lowerConv2dKernelGrad,
  maxPool: images.lowerPool("MaxPool"),
  maxPoolGrad: images.lowerMaxPoolGrad,
  avgPool: images.lowerPool("AveragePool"),
  avgPoolGrad: images.lowerAvgPoolGrad,
  reshape: moves.lowerReshape,
  transpose: moves.lowerTranspose,
  broadcastTo: moves.lowerBroadcastTo,
  concat: moves.lowerConcat,
  slice: moves.lowerSlice,
  pad: moves.lowerPad,
  gather: moves.lowerGather,
  gatherGrad: moves.lowerGatherGrad,
  lookup: lowerLookup,
  loop: lowerLoop(applyRules),
};

const randomName = (stream: string) => `random/${stream}`;
const parameterName = (name: string) => `parameter/${name}`;
const updateName = (name: string) => `update/${name}`;

/** An input or output of the model. */
export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: SymbolicShape;
}

/** A parameter that a run reads, updates, or both. */
export interface ParameterPort {
  readonly name: string;
  readonly shape: readonly number[];
  /** Physical order of axes on both sides; undefined where it is the logical one. */
  readonly perm: Perm | undefined;
  /** The input that takes its value, if the run reads it. */
  readonly input: string | undefined;
  /** The output with the new value, if the run writes it. */
  readonly output: string | undefined;
}

/** An ONNX model with its inputs, outputs and parameters. */
export interface LoweredModel {
  readonly bytes: Uint8Array;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly parameters: readonly ParameterPort[];
  /** Inputs to be filled with uniform numbers from the stream of that name. */
  readonly random: readonly {
    readonly input: string;
    readonly stream: string;
    readonly shape: readonly number[];
  }[];
}

/** What to compute. */
export interface Program {
  readonly outputs: Readonly<Record<string, Node>>;
  /** New values of parameters, by name; a parameter that the program only writes need not occur in it. */
  readonly updates?: ReadonlyMap<string, Node>;
}

export interface LowerOptions {
  /** Parameters to store in the model as constants. */
  readonly frozen?: TensorMap;
  /** Allow ONNX Runtime's own operators; false for models that other runtimes must run. Default true. */
  readonly runtimeOps?: boolean;
  /**
   * Use the runtime's blocked operators for convolutions and pools whose kernels are parameters; for stored kernels the
   * runtime does so by itself. Only where `hasBlockedOps` is true. Default false.
   */
  readonly blockedOps?: boolean;
  /** Order the operators so that a run holds little memory, as graphs with derivatives need. Default false. */
  readonly savesMemory?: boolean;
  readonly name?: string;
  /** Other names of inputs in the model, by their own. Default: none. */
  readonly inputNames?: ReadonlyMap<string, string>;
}

/** Lowers what has no value yet. A function declaration, as loops lower graphs of their own. */
function applyRules(order: readonly Node[], lowering: Lowering): void {
  for (const node of order) if (!lowering.isDone(node)) applyRule(node, lowering);
}

function applyRule<K extends OpName>(node: Node<K>, lowering: Lowering): void {
  lowerRules[node.op](node, lowering);
}

/** Kernels are kept in the runtime's order of axes, so that a training step does not transpose them. */
export const parameterOrder = (shape: readonly number[]): Perm | undefined =>
  shape.length === 4 ? OIHW : undefined;

/** Stores frozen values in a program's graph, simplifies and checks it. */
function prepared({ outputs, updates = new Map() }: Program, frozen: TensorMap): Required<Program> {
  const names = Object.keys(outputs);
  const nodes = simplify(freeze([...Object.values(outputs), ...updates.values()], frozen));
  check(nodes);
  return {
    outputs: Object.fromEntries(names.map((name, i) => [name, nodes[i]!])),
    updates: new Map([...updates.keys()].map((name, i) => [name, nodes[names.length + i]!])),
  };
}

/**
 * Lowers a program to ONNX, simplified.
 * @throws FaceError `SHAPE_MISMATCH` when a parameter's frozen value has another shape than the graph says.
 */
export function lower(
  program: Program,
  {
    frozen = new Map(),
    runtimeOps = true,
    blockedOps = false,
    savesMemory = false,
    name = "faceid",
    inputNames = new Map(),
  }: LowerOptions = {},
): LoweredModel {
  const { outputs: results, updates } = prepared(program, frozen);
  const order = topological([...Object.values(results), ...updates.values()]);
  const lowering = new Lowering(order, [...Object.values(results), ...updates.values()], {
    runtimeOps,
    blockedOps,
    savesMemory,
    inputNames,
  });
  applyRules(order, lowering);

  const outputs = Object.entries(results).map(([output, node]): Port => {
    lowering.model.output(output, lowering.value(node), node.dtype, node.shape);
    return { name: output, dtype: node.dtype, shape: node.shape };
  });
  const read = new Map(
    order.filter((node) => isOp(node, "parameter")).map(({ attrs }) => [attrs.name, attrs.shape]),
  );
  const parameters = [...new Set([...read.keys(), ...updates.keys()])].map((parameter) =>
    parameterPort(parameter, read.get(parameter), updates.get(parameter), lowering),
  );
  const inputs = order
    .filter((node) => isOp(node, "input"))
    .map((node): Port => ({ ...node.attrs, name: lowering.inputName(node) }));
  const random = order
    .filter((node) => isOp(node, "randomUniform"))
    .map(({ attrs }) => ({ input: randomName(attrs.stream), stream: attrs.stream, shape: attrs.shape }));
  return { bytes: lowering.model.bytes(name, { savesMemory }), inputs, outputs, parameters, random };
}

function parameterPort(
  name: string,
  read: readonly number[] | undefined,
  update: Node | undefined,
  lowering: Lowering,
): ParameterPort {
  const shape = read ?? update!.shape.map(Number);
  const perm = parameterOrder(shape);
  const input = read === undefined ? undefined : parameterName(name);
  if (update === undefined) return { name, shape, perm, input, output: undefined };
  const physical = perm === undefined ? shape : permuted(perm, shape);
  lowering.model.output(updateName(name), lowering.value(update, perm ?? PLAIN), update.dtype, physical);
  return { name, shape, perm, input, output: updateName(name) };
}
