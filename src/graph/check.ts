/** @file Checks that a graph is legal: tests run it between passes, and each graph is checked once before it is lowered. */
import { FaceError } from "../base/errors.ts";
import { type DType, isFloat, shapeText, sizeOf } from "../base/tensor.ts";
import {
  ARITHMETIC_OPS,
  COMPARISON_OPS,
  type ConvAttrs,
  FLOAT_OPS,
  forOps,
  isOp,
  LOGICAL_OPS,
  type Node,
  NUMBER_OPS,
  type OpAttrs,
  type OpName,
  type Padding,
  type Pair,
  type PoolAttrs,
  REDUCE_OPS,
  type ReduceAttrs,
  type SymbolicShape,
  topological,
} from "./ops.ts";
import { typeOf } from "./shapes.ts";

/** Element types that an op's first input may have. */
type Kind = "any" | "bool" | "float" | "number";

interface OpSpec<K extends OpName> {
  /** How many inputs; `some` for one or more. */
  readonly inputs: number | "some";
  /** Element type of the first input. */
  readonly of: Kind;
  /** What is wrong with the attributes, if anything. */
  fault?(attrs: OpAttrs[K]): string | undefined;
}

type OpSpecs = { readonly [K in OpName]: OpSpec<K> };

const isCount = (value: number) => Number.isInteger(value) && value >= 0;
const isPositive = (value: number) => Number.isInteger(value) && value > 0;

function sidesFault(shape: SymbolicShape): string | undefined {
  const legal = shape.every((side) => (typeof side === "string" ? side !== "" : isCount(side)));
  return legal ? undefined : `${shapeText(shape)} is not a shape`;
}

function namedFault({ name, shape }: { name: string; shape: SymbolicShape }): string | undefined {
  return name === "" ? "a leaf needs a name" : sidesFault(shape);
}

/** Margins must be smaller than `limit`, so that no pool's window covers only margins. */
function paddingFault(padding: Padding, limit?: Pair): string | undefined {
  if (typeof padding === "string") return undefined;
  if (!padding.flat().every(isCount)) return "margins must be 0 or more";
  const fits = padding.every((margins, axis) =>
    margins.every((n) => limit === undefined || n < limit[axis]!),
  );
  return fits ? undefined : "margins must be smaller than the window";
}

function poolFault({ size, strides, padding }: PoolAttrs): string | undefined {
  if (![...size, ...strides].every(isPositive)) return "window and strides must be positive";
  return paddingFault(padding, size);
}

function convFault({ strides, dilations, groups, padding }: ConvAttrs): string | undefined {
  if (![...strides, ...dilations, groups].every(isPositive)) {
    return "strides, dilations and groups must be positive";
  }
  return paddingFault(padding);
}

function axesFault({ axes }: ReduceAttrs): string | undefined {
  const ascending = axes.every((axis, i) => i === 0 || axis > axes[i - 1]!);
  return ascending ? undefined : "axes must be ascending, each once";
}

function marginsFault({ before, after }: OpAttrs["pad"]): string | undefined {
  return [...before, ...after].every(isCount) ? undefined : "margins must be 0 or more";
}

function constantFault({ value }: OpAttrs["constant"]): string | undefined {
  return value.data.length === sizeOf(value.shape)
    ? sidesFault(value.shape)
    : "elements do not fill the shape";
}

const spec = <I extends number | "some", T extends Kind>(inputs: I, of: T) => ({ inputs, of });
const convSpec = { inputs: 2, of: "float", fault: convFault } as const;
const poolSpec = { of: "float", fault: poolFault } as const;

/** One entry per op; shapes are checked by the shape rules. */
const opSpecs: OpSpecs = {
  input: { inputs: 0, of: "any", fault: namedFault },
  parameter: { inputs: 0, of: "any", fault: namedFault },
  constant: { inputs: 0, of: "any", fault: constantFault },
  randomUniform: { inputs: 0, of: "any", fault: ({ stream, shape }) => namedFault({ name: stream, shape }) },
  ...forOps(NUMBER_OPS, spec(1, "number")),
  ...forOps(FLOAT_OPS, spec(1, "float")),
  not: spec(1, "bool"),
  cast: spec(1, "any"),
  ...forOps(ARITHMETIC_OPS, spec(2, "number")),
  ...forOps(COMPARISON_OPS, spec(2, "number")),
  equal: spec(2, "any"),
  ...forOps(LOGICAL_OPS, spec(2, "bool")),
  select: spec(3, "bool"),
  affine: spec(3, "float"),
  channelVariance: spec(2, "float"),
  prelu: spec(2, "float"),
  reluGrad: spec(2, "float"),
  preluGrad: spec(3, "float"),
  ...forOps(REDUCE_OPS, { inputs: 1, of: "number", fault: axesFault }),
  argMax: spec(1, "number"),
  softmax: spec(1, "float"),
  side: spec(1, "any"),
  matmul: spec(2, "number"),
  conv2d: convSpec,
  conv2dInputGrad: convSpec,
  conv2dKernelGrad: convSpec,
  maxPool: { inputs: 1, ...poolSpec },
  maxPoolGrad: { inputs: 3, ...poolSpec },
  avgPool: { inputs: 1, ...poolSpec },
  avgPoolGrad: { inputs: 1, ...poolSpec },
  reshape: spec(1, "any"),
  transpose: spec(1, "any"),
  broadcastTo: { inputs: 1, of: "any", fault: ({ shape }) => sidesFault(shape) },
  concat: spec("some", "any"),
  slice: spec(1, "any"),
  pad: { inputs: 1, of: "any", fault: marginsFault },
  gather: spec(2, "any"),
  gatherGrad: spec(2, "float"),
};

function isKind(dtype: DType, kind: Kind): boolean {
  if (kind === "any") return true;
  if (kind === "bool") return dtype === "bool";
  return kind === "float" ? isFloat(dtype) : dtype !== "bool" && dtype !== "string";
}

/** What is wrong with one node, if anything. */
function nodeFault<K extends OpName>({ op, inputs, attrs, shape, dtype }: Node<K>): string | undefined {
  const known: OpSpec<K> | undefined = opSpecs[op];
  if (known === undefined) return "there is no such op";
  if (known.inputs === "some" ? inputs.length === 0 : inputs.length !== known.inputs) {
    return `it takes ${known.inputs} inputs, has ${inputs.length}`;
  }
  const first = inputs[0];
  if (first !== undefined && !isKind(first.dtype, known.of)) {
    return `it takes ${known.of} elements, has ${first.dtype}`;
  }
  const fault = known.fault?.(attrs);
  if (fault !== undefined) return fault;
  const wanted = typeOf(op, inputs, attrs);
  const fits = wanted.dtype === dtype && shapeText(wanted.shape) === shapeText(shape);
  if (fits) return undefined;
  return `it declares ${dtype}${shapeText(shape)} but gives ${wanted.dtype}${shapeText(wanted.shape)}`;
}

/** The name of a leaf, and the declaration that all leaves of that name must share. */
function declaration(node: Node): { name: string; text: string } | undefined {
  const type = `${node.dtype}${shapeText(node.shape)}`;
  if (isOp(node, "randomUniform")) return { name: `stream ${node.attrs.stream}`, text: type };
  // Inputs and parameters share one space of names, as all of them are fed to the engine by name.
  if (isOp(node, "input") || isOp(node, "parameter")) {
    return { name: node.attrs.name, text: `${node.op} of ${type}` };
  }
  return undefined;
}

function illegal(node: Node, fault: string): FaceError {
  const label = node.label === undefined ? "" : ` (${node.label})`;
  return new FaceError("INTERNAL", `internal: illegal ${node.op}${label}: ${fault}`);
}

/**
 * Checks that a graph is legal: inputs and attributes fit the ops, every declared shape and type is what the shape rules
 * give, and leaves of one name have one declaration. Cycles cannot be built.
 * @throws FaceError `INTERNAL` naming the first illegal node, or `SHAPE_MISMATCH` from its shape rule.
 */
export function check(outputs: readonly Node[]): void {
  const declared = new Map<string, string>();
  for (const node of topological(outputs)) {
    const fault = nodeFault(node);
    if (fault !== undefined) throw illegal(node, fault);
    const leaf = declaration(node);
    const known = leaf && declared.get(leaf.name);
    if (leaf && known !== undefined && known !== leaf.text) {
      throw illegal(node, `${leaf.name} is declared as ${known} and as ${leaf.text}`);
    }
    if (leaf) declared.set(leaf.name, leaf.text);
  }
}
