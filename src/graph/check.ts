/** @file What a legal graph is: run in tests between passes, and once before a graph is lowered. */
import { FaceError } from "../base/errors.ts";
import { type DType, isFloat, shapeText, sizeOf } from "../base/tensor.ts";
import {
  type ConvAttrs,
  isOp,
  type Node,
  type OpAttrs,
  type OpName,
  type Padding,
  type Pair,
  type PoolAttrs,
  type ReduceAttrs,
  type SymbolicShape,
  topological,
} from "./ops.ts";
import { typeOf } from "./shapes.ts";

/** What the first input of an op may hold. */
type Kind = "any" | "bool" | "float" | "number";

interface OpLaw<K extends OpName> {
  /** How many inputs; `some` for one or more. */
  readonly inputs: number | "some";
  /** Element type of the value that is computed with. */
  readonly of: Kind;
  /** What is wrong with the attributes, if anything. */
  fault?(attrs: OpAttrs[K], inputs: readonly Node[]): string | undefined;
}

type OpLaws = { readonly [K in OpName]: OpLaw<K> };

const isCount = (value: number) => Number.isInteger(value) && value >= 0;
const isPositive = (value: number) => Number.isInteger(value) && value > 0;

function sidesFault(shape: SymbolicShape): string | undefined {
  const legal = shape.every((side) => (typeof side === "string" ? side !== "" : isCount(side)));
  return legal ? undefined : `${shapeText(shape)} is not a shape`;
}

function namedFault({ name, shape }: { name: string; shape: SymbolicShape }): string | undefined {
  return name === "" ? "a leaf needs a name" : sidesFault(shape);
}

/** Margins must be smaller than `limit`: a pool's window must never lie on them alone. */
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

const unaryFloat = { inputs: 1, of: "float" } as const;
const unaryNumber = { inputs: 1, of: "number" } as const;
const binaryNumber = { inputs: 2, of: "number" } as const;
const binaryBool = { inputs: 2, of: "bool" } as const;
const overAxes = { inputs: 1, of: "number", fault: axesFault } as const;

/** One law per op; what concerns shapes is the shape rules' business. */
const laws: OpLaws = {
  input: { inputs: 0, of: "any", fault: namedFault },
  parameter: { inputs: 0, of: "any", fault: namedFault },
  constant: { inputs: 0, of: "any", fault: constantFault },
  randomUniform: { inputs: 0, of: "any", fault: ({ stream, shape }) => namedFault({ name: stream, shape }) },
  neg: unaryNumber,
  abs: unaryNumber,
  sign: unaryNumber,
  exp: unaryFloat,
  log: unaryFloat,
  sqrt: unaryFloat,
  sin: unaryFloat,
  cos: unaryFloat,
  tanh: unaryFloat,
  sigmoid: unaryFloat,
  softplus: unaryFloat,
  erf: unaryFloat,
  relu: unaryNumber,
  floor: unaryFloat,
  ceil: unaryFloat,
  round: unaryFloat,
  not: { inputs: 1, of: "bool" },
  cast: { inputs: 1, of: "any" },
  add: binaryNumber,
  sub: binaryNumber,
  mul: binaryNumber,
  div: binaryNumber,
  pow: binaryNumber,
  max: binaryNumber,
  min: binaryNumber,
  equal: { inputs: 2, of: "any" },
  less: binaryNumber,
  lessEqual: binaryNumber,
  and: binaryBool,
  or: binaryBool,
  select: { inputs: 3, of: "bool" },
  affine: { inputs: 3, of: "float" },
  channelVariance: { inputs: 2, of: "float" },
  prelu: { inputs: 2, of: "float" },
  reluGrad: { inputs: 2, of: "float" },
  preluGrad: { inputs: 3, of: "float" },
  reduceSum: overAxes,
  reduceMean: overAxes,
  reduceMax: overAxes,
  reduceMin: overAxes,
  reduceProd: overAxes,
  argMax: unaryNumber,
  softmax: unaryFloat,
  side: { inputs: 1, of: "any" },
  matmul: binaryNumber,
  conv2d: { inputs: 2, of: "float", fault: convFault },
  conv2dInputGrad: { inputs: 2, of: "float", fault: convFault },
  conv2dKernelGrad: { inputs: 2, of: "float", fault: convFault },
  maxPool: { inputs: 1, of: "float", fault: poolFault },
  maxPoolGrad: { inputs: 3, of: "float", fault: poolFault },
  avgPool: { inputs: 1, of: "float", fault: poolFault },
  avgPoolGrad: { inputs: 1, of: "float", fault: poolFault },
  reshape: { inputs: 1, of: "any" },
  transpose: { inputs: 1, of: "any" },
  broadcastTo: { inputs: 1, of: "any", fault: ({ shape }) => sidesFault(shape) },
  concat: { inputs: "some", of: "any" },
  slice: { inputs: 1, of: "any" },
  pad: { inputs: 1, of: "any", fault: marginsFault },
  gather: { inputs: 2, of: "any" },
  gatherGrad: { inputs: 2, of: "float" },
};

function isKind(dtype: DType, kind: Kind): boolean {
  if (kind === "any") return true;
  if (kind === "bool") return dtype === "bool";
  return kind === "float" ? isFloat(dtype) : dtype !== "bool" && dtype !== "string";
}

/** What is wrong with one node, if anything. */
function nodeFault<K extends OpName>({ op, inputs, attrs, shape, dtype }: Node<K>): string | undefined {
  const law: OpLaw<K> | undefined = laws[op];
  if (law === undefined) return "there is no such op";
  if (law.inputs === "some" ? inputs.length === 0 : inputs.length !== law.inputs) {
    return `it takes ${law.inputs} inputs, has ${inputs.length}`;
  }
  const first = inputs[0];
  if (first !== undefined && !isKind(first.dtype, law.of)) {
    return `it takes ${law.of} elements, has ${first.dtype}`;
  }
  const fault = law.fault?.(attrs, inputs);
  if (fault !== undefined) return fault;
  const wanted = typeOf(op, inputs, attrs);
  const fits = wanted.dtype === dtype && shapeText(wanted.shape) === shapeText(shape);
  if (fits) return undefined;
  return `it declares ${dtype}${shapeText(shape)} but gives ${wanted.dtype}${shapeText(wanted.shape)}`;
}

/** What a leaf is known by, and everything that two leaves of that name must agree on. */
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
 * Makes sure that a graph is legal: ops have the right inputs and sane attributes, every declared shape and type is what
 * the shape rules give, and leaves of one name are declared alike. Cycles cannot be built.
 * @throws FaceError `INTERNAL` naming the first node at fault, or `SHAPE_MISMATCH` from its shape rule.
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
