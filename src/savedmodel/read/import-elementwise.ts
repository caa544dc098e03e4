/** @file Imports TensorFlow's element-by-element operators. */
import { float32, int64, isFloat } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { COMPARISON_OPS, capitalized, FLOAT_OPS, isOp, type Node, NUMBER_OPS } from "../../graph/ops.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";

const unary =
  (build: (x: Node) => Node): Importer =>
  (call) =>
    build(call.input(0));

const binary =
  (build: (a: Node, b: Node) => Node): Importer =>
  (call) =>
    build(call.input(0), call.input(1));

const alias = unary((x) => x);
const reciprocal = (x: Node) => g.div(g.cast(g.constant(float32([], [1])), x.dtype), x);

/** The quotient rounded towards zero. */
function truncated(a: Node, b: Node): Node {
  if (!isFloat(a.dtype)) return g.div(a, b);
  const quotient = g.div(a, b);
  return g.mul(g.sign(quotient), g.floor(g.abs(quotient)));
}

/** The quotient rounded down. */
function floorDiv(a: Node, b: Node): Node {
  if (isFloat(a.dtype)) return g.floor(g.div(a, b));
  const quotient = g.div(a, b);
  const rest = g.sub(a, g.mul(quotient, b));
  const isRounded = g.and(g.differ(rest, g.scalar(0, a.dtype)), g.differ(g.less(rest, 0), g.less(b, 0)));
  return g.sub(quotient, g.cast(isRounded, a.dtype));
}

const remainder = (quotient: (a: Node, b: Node) => Node) => (a: Node, b: Node) =>
  g.sub(a, g.mul(quotient(a, b), b));

/** 0 where the second operand is 0, even if the first is NaN. */
const unlessZero = (build: (a: Node, b: Node) => Node) => (a: Node, b: Node) =>
  g.select(g.equal(b, g.scalar(0, b.dtype)), g.scalar(0, a.dtype), build(a, b));

/** The condition of the old Select may be a vector, one element for each slice. */
function select(call: OpCall): Node {
  const [condition, a, b] = [call.input(0), call.input(1), call.input(2)];
  const isPerSlice = condition.shape.length === 1 && a.shape.length > 1;
  if (!isPerSlice) return g.select(condition, a, b);
  const perSlice = a.shape.slice(1).reduce((node) => g.expandDims(node, -1), condition);
  return g.select(perSlice, a, b);
}

/** A comparison of strings: the engine has none, but it finds a string in a table of one. */
function equalStrings(call: OpCall): Node {
  const [a, b] = [call.input(0), call.input(1)];
  const [constant, x] = isOp(a, "constant") ? [a, b] : [b, a];
  if (
    !isOp(constant, "constant") ||
    constant.attrs.value.data.length !== 1 ||
    constant.shape.length > x.shape.length
  )
    throw call.unsupported("a comparison of strings of which none is constant");
  const keys = { ...constant.attrs.value, shape: [1] };
  return g.cast(g.lookup(x, { keys, values: int64([1], [1]), fallback: int64([], [0]) }), "bool");
}

const equal: Importer = (call) =>
  call.input(0).dtype === "string" ? equalStrings(call) : g.equal(call.input(0), call.input(1));

const SAME_BINARY = ["sub", "mul", "pow", ...COMPARISON_OPS] as const;

export const elementwiseImporters: Importers = {
  Identity: alias,
  StopGradient: alias,
  PreventGradient: alias,
  Snapshot: alias,
  EnsureShape: alias,
  CheckNumerics: alias,
  PlaceholderWithDefault: alias,
  ReadVariableOp: alias,
  IdentityN: (call) => call.inputs,

  // The operators that have the names of our ops.
  ...Object.fromEntries(
    [...NUMBER_OPS, ...FLOAT_OPS].map((op) => [capitalized(op), unary((x) => g.makeNode(op, [x], {}))]),
  ),
  ...Object.fromEntries(
    SAME_BINARY.map((op) => [capitalized(op), binary((a, b) => g.makeNode(op, [a, b], {}))]),
  ),

  Equal: equal,
  Expm1: unary((x) => g.sub(g.exp(x), 1)),
  Log1p: unary((x) => g.log(g.add(x, 1))),
  Rsqrt: unary((x) => reciprocal(g.sqrt(x))),
  Reciprocal: unary(reciprocal),
  Inv: unary(reciprocal),
  Square: unary(g.square),
  Tan: unary((x) => g.div(g.sin(x), g.cos(x))),
  Softsign: unary((x) => g.div(x, g.add(1, g.abs(x)))),
  Erfc: unary((x) => g.sub(1, g.erf(x))),
  Rint: unary(g.round),
  IsNan: unary((x) => g.differ(x, x)),
  LogicalNot: unary(g.not),
  Cast: (call) => g.cast(call.input(0), call.type("DstT")),

  Relu6: unary((x) => g.clipped(x, 0, 6)),
  LeakyRelu: (call) => g.leakyRelu(call.input(0), call.float("alpha", 0.2)),
  Elu: unary(g.elu),
  Selu: unary(g.selu),

  Add: binary(g.add),
  AddV2: binary(g.add),
  AddN: (call) => call.inputs.slice(1).reduce((sum, part) => g.add(sum, part), call.input(0)),
  MulNoNan: binary(unlessZero(g.mul)),
  RealDiv: binary(g.div),
  Div: binary(g.div),
  DivNoNan: binary(unlessZero(g.div)),
  FloorDiv: binary(floorDiv),
  FloorMod: binary(remainder(floorDiv)),
  TruncateDiv: binary(truncated),
  Mod: binary(remainder(truncated)),
  TruncateMod: binary(remainder(truncated)),
  Maximum: binary(g.max),
  Minimum: binary(g.min),
  SquaredDifference: binary((a, b) => g.square(g.sub(a, b))),
  NotEqual: (call) =>
    call.input(0).dtype === "string" ? g.not(equalStrings(call)) : g.differ(call.input(0), call.input(1)),
  Greater: binary((a, b) => g.less(b, a)),
  GreaterEqual: binary((a, b) => g.lessEqual(b, a)),
  LogicalAnd: binary(g.and),
  LogicalOr: binary(g.or),
  Select: select,
  SelectV2: (call) => g.select(call.input(0), call.input(1), call.input(2)),
  ClipByValue: (call) => g.min(g.max(call.input(0), call.input(1)), call.input(2)),
};
