/** @file ONNX's operators that go element by element, in our graph's words. */
import { isFloat } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { isOp, type Node } from "../../graph/ops.ts";
import { broadcasting, channelsLast, channelsSecond, operandLast } from "./channels-last.ts";
import type { Importer, Importers, OnnxCall } from "./onnx-call.ts";

/** An operator of one input. */
const unary =
  (build: (x: Node, call: OnnxCall) => Node): Importer =>
  (call) =>
    broadcasting([call.input(0)], ([x]) => build(x!, call));

/** An operator of two inputs that broadcast. */
const binary =
  (build: (a: Node, b: Node) => Node): Importer =>
  (call) =>
    broadcasting([call.input(0), call.input(1)], ([a, b]) => build(a!, b!));

/** An operator of any number of inputs, taken two by two. */
const variadic =
  (build: (a: Node, b: Node) => Node): Importer =>
  (call) =>
    broadcasting(call.every(), (all) => all.slice(1).reduce(build, all[0]!));

const hardSigmoid = (x: Node, alpha: number, beta: number) => g.clipped(g.add(g.mul(x, alpha), beta), 0, 1);

/** Hendrycks and Gimpel, 2016: exact, or by the hyperbolic tangent. */
function gelu(x: Node, call: OnnxCall): Node {
  const approximate = call.text("approximate", "none");
  if (approximate !== "none" && approximate !== "tanh") throw call.invalid(`approximation ${approximate}`);
  const cube = g.mul(g.mul(x, x), x);
  const share =
    approximate === "none"
      ? g.erf(g.mul(x, Math.SQRT1_2))
      : g.tanh(g.mul(g.add(x, g.mul(cube, 0.044715)), Math.sqrt(2 / Math.PI)));
  return g.mul(g.mul(x, 0.5), g.add(share, 1));
}

const givenFloat = (call: OnnxCall, name: string) => (call.has(name) ? call.float(name) : undefined);

/** One slope for all or for each channel becomes our op; any other broadcasts. */
const prelu: Importer = (call) => {
  const [x, slope] = [call.input(0), call.input(1)];
  const isImage = x.shape.length === 4;
  const image = isImage ? channelsLast(x) : x;
  const slopes = isImage ? operandLast(slope) : slope;
  const channels = image.shape.at(-1);
  if (slopes === undefined || slopes.shape.length > 1 || typeof channels !== "number")
    return broadcasting([x, slope], ([a, b]) => g.leakyRelu(a!, b!));
  const each = slopes.shape[0] === channels ? slopes : g.broadcastTo(slopes, [channels]);
  return isImage ? channelsSecond(g.prelu(image, each)) : g.prelu(image, each);
};

/** A bound is an attribute before operator set 11, and then an input that may be left out. */
function bound(call: OnnxCall, name: "min" | "max", i: number): Node | number | undefined {
  if (call.opset < 11) return givenFloat(call, name);
  const given = call.inputs[i];
  if (given === undefined) return undefined;
  return isOp(given, "constant") ? call.constant(i) : g.reshape(given, []);
}

const clip: Importer = (call) => {
  const [low, high] = [bound(call, "min", 1), bound(call, "max", 2)];
  return broadcasting([call.input(0)], ([x]) => {
    const raised = low === undefined ? x! : g.max(x!, low);
    return high === undefined ? raised : g.min(raised, high);
  });
};

/** The exponent may be of another type than the base. */
const power = (base: Node, exponent: Node) => g.pow(base, g.cast(exponent, base.dtype));

const mean: Importer = (call) =>
  broadcasting(call.every(), (all) =>
    g.div(
      all.slice(1).reduce((sum, x) => g.add(sum, x), all[0]!),
      all.length,
    ),
  );

/** What is left of a division; with `fmod` it has the dividend's sign. */
const modulo: Importer = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const isTruncated = call.flag("fmod", false);
  if (isFloat(a.dtype) && !isTruncated) throw call.invalid("the remainder of floats needs fmod");
  if (!isTruncated) throw call.unsupported("the remainder of whole numbers");
  return broadcasting([a, b], ([x, y]) => {
    const quotient = g.div(x!, y!);
    return g.sub(x!, g.mul(g.mul(g.sign(quotient), g.floor(g.abs(quotient))), y!));
  });
};

/** Dropout keeps everything once training is over; before operator set 12 it always counts as over. */
const dropout: Importer = (call) => {
  const training = call.inputs[2];
  if (training !== undefined && call.constant(2) !== 0) throw call.unsupported("dropout in training mode");
  return call.input(0);
};

export const elementwiseImporters: Importers = {
  Identity: (call) => call.input(0),
  Dropout: dropout,

  Abs: unary(g.abs),
  Neg: unary(g.neg),
  Sign: unary(g.sign),
  Exp: unary(g.exp),
  Log: unary(g.log),
  Sqrt: unary(g.sqrt),
  Reciprocal: unary((x) => g.div(1, x)),
  Sin: unary(g.sin),
  Cos: unary(g.cos),
  Tanh: unary(g.tanh),
  Erf: unary(g.erf),
  Floor: unary(g.floor),
  Ceil: unary(g.ceil),
  Round: unary(g.round),
  Not: unary(g.not),
  IsNaN: unary((x) => g.differ(x, x)),
  Cast: unary((x, call) => g.cast(x, call.type("to"))),

  Relu: unary(g.relu),
  LeakyRelu: unary((x, call) => g.leakyRelu(x, call.float("alpha", 0.01))),
  PRelu: prelu,
  Elu: unary((x, call) => g.elu(x, call.float("alpha", 1))),
  Celu: unary((x, call) => g.elu(x, call.float("alpha", 1), call.float("alpha", 1))),
  Selu: unary((x, call) => g.selu(x, givenFloat(call, "alpha"), givenFloat(call, "gamma"))),
  Sigmoid: unary(g.sigmoid),
  HardSigmoid: unary((x, call) => hardSigmoid(x, call.float("alpha", 0.2), call.float("beta", 0.5))),
  HardSwish: unary((x) => g.mul(x, hardSigmoid(x, 1 / 6, 0.5))),
  Mish: unary((x) => g.mul(x, g.tanh(g.softplus(x)))),
  Gelu: unary(gelu),
  Softplus: unary(g.softplus),
  Softsign: unary((x) => g.div(x, g.add(1, g.abs(x)))),
  Clip: clip,

  Add: binary(g.add),
  Sub: binary(g.sub),
  Mul: binary(g.mul),
  Div: binary(g.div),
  Mod: modulo,
  Pow: binary(power),
  Max: variadic(g.max),
  Min: variadic(g.min),
  Sum: variadic(g.add),
  Mean: mean,
  Equal: binary(g.equal),
  Less: binary(g.less),
  LessOrEqual: binary(g.lessEqual),
  Greater: binary((a, b) => g.less(b, a)),
  GreaterOrEqual: binary((a, b) => g.lessEqual(b, a)),
  And: binary(g.and),
  Or: binary(g.or),
  Xor: binary((a, b) => g.and(g.or(a, b), g.not(g.and(a, b)))),
  Where: (call) =>
    broadcasting([call.input(0), call.input(1), call.input(2)], ([condition, a, b]) =>
      g.select(condition!, a!, b!),
    ),
};
