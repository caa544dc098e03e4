/** @file ONNX's whole numbers with a scale: multiplied out where they are stored, computed with where they are not. */
import { type DType, sizeOf, type Tensor } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { numbersOf, tensorOf } from "../../graph/numbers.ts";
import { isOp, type Node } from "../../graph/ops.ts";
import type { Importer, Importers, OnnxCall } from "./onnx-call.ts";

/** Which scale belongs to which element. */
type Grain = { readonly kind: "all" } | { readonly kind: "axis" | "blocks"; readonly axis: number };

/** The granularity of the scales: one for the whole tensor, one for each entry of an axis, or one for each block. */
function grainOf(call: OnnxCall, x: Node, scale: Node): Grain {
  const block = call.int("block_size", 0);
  if (block === 0 && scale.shape.every((side) => side === 1) && scale.shape.length <= 1)
    return { kind: "all" };
  const axis = call.placeOf(call.int("axis", 1), x);
  const [side, scales] = [x.shape[axis], scale.shape];
  if (block === 0) {
    if (scales.length === 1 && scales[0] === side) return { kind: "axis", axis };
    throw call.invalid(
      `scales of shape [${scales.join(", ")}] do not fit axis ${axis} of [${x.shape.join(", ")}]`,
    );
  }
  const wanted = x.shape.map((each, i) => (i === axis ? Math.ceil(Number(each) / block) : each));
  if (block > 0 && wanted.join() === scales.join()) return { kind: "blocks", axis };
  throw call.invalid(
    `scales of shape [${scales.join(", ")}] do not fit blocks of ${block} along axis ${axis} of [${x.shape.join(", ")}]`,
  );
}

/** How the elements of a tensor lie around the axis along which scales change: runs that have one scale, or one for each place. */
interface Lay {
  readonly outer: number;
  readonly side: number;
  /** Places of the axis that have the same scales. */
  readonly block: number;
  readonly inner: number;
  /** How far the scale moves with each step outside, with each block, and with each step inside. */
  readonly steps: readonly [outer: number, block: number, inner: 0 | 1];
}

function layOf(call: OnnxCall, shape: readonly number[], grain: Grain): Lay {
  if (grain.kind === "all") return { outer: 1, side: 1, block: 1, inner: sizeOf(shape), steps: [0, 0, 0] };
  const { axis } = grain;
  const [side, inner] = [shape[axis]!, sizeOf(shape.slice(axis + 1))];
  const outer = sizeOf(shape.slice(0, axis));
  if (grain.kind === "axis") return { outer, side, block: 1, inner, steps: [0, 1, 0] };
  const block = call.int("block_size");
  return { outer, side, block, inner, steps: [Math.ceil(side / block) * inner, inner, 1] };
}

/** `(q − zero) · scale` of a stored tensor. */
function multipliedOut(
  call: OnnxCall,
  q: Tensor,
  scale: Tensor,
  zero: Tensor | undefined,
  grain: Grain,
): Tensor {
  const { outer, side, block, inner, steps } = layOf(call, q.shape, grain);
  const [whole, scales] = [numbersOf(q), numbersOf(scale)];
  const zeros = zero === undefined ? new Float64Array(scales.length) : numbersOf(zero);
  // Places with one scale each are one run where nothing lies inside of the axis.
  const step = inner === 1 ? 0 : steps[2];
  return tensorOf(scale.dtype, q.shape, (out) => {
    let at = 0;
    const run = (length: number, first: number) => {
      for (let j = 0; j < length; j++, at++) {
        const s = first + j * step;
        out[at] = (whole[at]! - zeros[s]!) * scales[s]!;
      }
    };
    for (let i = 0; i < outer; i++)
      for (let place = 0; place < side; place += block) {
        const first = i * steps[0] + (place / block) * steps[1];
        const places = Math.min(block, side - place);
        if (step === 0) run(places * inner, first);
        else for (let k = 0; k < places; k++) run(inner, first);
      }
  });
}

/** Scales or zeros so that they broadcast against x. */
function spread(call: OnnxCall, x: Node, vector: Node, grain: Grain): Node {
  if (grain.kind === "all") return g.reshape(vector, []);
  if (grain.kind === "blocks") throw call.unsupported("a scale for each block of computed values");
  return g.reshape(
    vector,
    x.shape.map((_, i) => (i === grain.axis ? -1 : 1)),
  );
}

/** The zeros of a node that has some, which must be as many as its scales. */
function zerosOf(call: OnnxCall, scale: Node): Node | undefined {
  const zero = call.inputs[2];
  if (
    zero !== undefined &&
    zero.shape.join() !== scale.shape.join() &&
    !(sizeIsOne(zero) && sizeIsOne(scale))
  )
    throw call.invalid("there must be as many zero points as scales");
  return zero;
}

const sizeIsOne = ({ shape }: Node) => shape.every((side) => side === 1);
const storedValue = (node: Node) => (isOp(node, "constant") ? node.attrs.value : undefined);

const dequantizeLinear: Importer = (call) => {
  const [x, scale] = [call.input(0), call.input(1)];
  const zero = zerosOf(call, scale);
  const grain = grainOf(call, x, scale);
  const [q, s, z] = [storedValue(x), storedValue(scale), zero === undefined ? undefined : storedValue(zero)];
  if (q !== undefined && s !== undefined && (zero === undefined || z !== undefined))
    return g.labelled(g.constant(multipliedOut(call, q, s, z, grain)), x.label ?? call.node.output[0] ?? "");
  const whole = g.cast(x, scale.dtype);
  const centred =
    zero === undefined ? whole : g.sub(whole, spread(call, x, g.cast(zero, scale.dtype), grain));
  return g.mul(centred, spread(call, x, scale, grain));
};

const RANGES: { readonly [D in DType]?: readonly [number, number] } = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

const quantizeLinear: Importer = (call) => {
  const [x, scale] = [call.input(0), call.input(1)];
  const zero = zerosOf(call, scale);
  const grain = grainOf(call, x, scale);
  const dtype = zero?.dtype ?? (call.int("output_dtype", 0) === 0 ? "uint8" : call.type("output_dtype"));
  const range = RANGES[dtype];
  if (range === undefined) throw call.unsupported(`rounding to ${dtype}`);
  const real = x.dtype === scale.dtype ? x : g.cast(x, scale.dtype);
  const rounded = g.round(g.div(real, spread(call, x, scale, grain)));
  const placed =
    zero === undefined ? rounded : g.add(rounded, spread(call, x, g.cast(zero, scale.dtype), grain));
  return g.cast(g.min(g.max(placed, range[0]), range[1]), dtype);
};

export const quantizedImporters: Importers = {
  DequantizeLinear: dequantizeLinear,
  QuantizeLinear: quantizeLinear,
};
