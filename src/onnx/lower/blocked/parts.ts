/** @file A first layer of few channels whose relu only feeds a pool, computed in parts: one for each position in a window. */
import { isOp, type Node, type Pads, type Pair } from "../../../graph/ops.ts";
import { resolvePads } from "../../../graph/windows.ts";
import { ONNX_TYPE } from "../../dtypes.ts";
import { BLOCKS, type Lowering, NCHW, OIHW } from "../lowering.ts";
import { BLOCKED, MICROSOFT } from "../model-builder.ts";
import type { Fused, Sides } from "./lower-blocked.ts";
import { blockedKernel, fusedRelu, imageOf, isThin, padList, placesOf, sidesOf } from "./lower-blocked.ts";

/*
 * A convolution with the pool's strides computes one position of all windows. The pool is the maximum of these parts; its
 * derivative needs no upsampling, and each part is small enough for the processor's cache.
 */

interface Parted {
  readonly sum: Node;
  readonly relu: Node;
  readonly pool: Node<"maxPool">;
  readonly margins: readonly Pads[];
}

const isUnit = ([a, b]: Pair) => a === 1 && b === 1;

/** Margins for which a convolution with the pool's strides computes one position of each window. */
function marginsAt(place: Pair, pads: Pads, kernel: Pair, strides: Pair): Pads {
  return ([0, 1] as const).map((axis): Pair => {
    const before = pads[axis][0] - place[axis];
    return [before, kernel[axis] - strides[axis] - before];
  }) as unknown as Pads;
}

/** Whether only the derivative by this convolution's kernel uses the derivative of the pool. */
function onlyForKernel(grad: Node | undefined, conv: Node<"conv2d">, lowering: Lowering): boolean {
  if (grad === undefined || !isOp(grad, "maxPoolGrad")) return false;
  const next = lowering.onlyConsumer(grad);
  return (
    next !== undefined &&
    isOp(next, "conv2dKernelGrad") &&
    next.inputs[0] === conv.inputs[0] &&
    next.inputs[1] === grad
  );
}

/** The ops to compute in parts, if a convolution and the ops after it have the form that this file handles. */
function partedFrom(conv: Node<"conv2d">, sum: Node, sides: Sides, lowering: Lowering): Parted | undefined {
  const { strides, dilations, padding, groups } = conv.attrs;
  const relu = fusedRelu(sum, lowering);
  const image = imageOf(conv);
  const isPlain = isUnit(strides) && isUnit(dilations) && groups === 1 && isThin(sides, lowering);
  if (relu === undefined || !isPlain || lowering.isOutput(relu)) return undefined;
  const users = lowering.consumers(relu);
  const pool = users.find((user) => isOp(user, "maxPool"));
  const grad = users.find((user) => isOp(user, "maxPoolGrad"));
  if (users.length !== 2 || pool === undefined || !isOp(pool, "maxPool")) return undefined;
  if (!onlyForKernel(grad, conv, lowering) || typeof conv.shape[0] !== "number") return undefined;
  const { size, strides: steps } = pool.attrs;
  const tiles = size.every((side, axis) => side === steps[axis] && image[axis]! % side === 0);
  const pads = resolvePads(padding, imageOf(conv.inputs[0]!), sides.kernel, strides, dilations);
  const margins = placesOf(size).map((place) => marginsAt(place, pads, sides.kernel, steps));
  const fits = margins.flat(2).every((margin) => margin >= 0);
  return tiles && fits ? { sum, relu, pool, margins } : undefined;
}

/** Neighbours in pairs; with an odd count the last has no partner. */
const inPairs = (values: readonly string[]): [string, string | undefined][] =>
  values.flatMap((value, i) => (i % 2 === 0 ? [[value, values[i + 1]]] : []));

/** The parts, the maximum of each pair of them, and so on to the maximum of all: one list for each round. */
function tournament(pool: Node, parts: readonly string[], lowering: Lowering): string[][] {
  const rounds = [[...parts]];
  for (let last = rounds[0]!; last.length > 1; last = rounds.at(-1)!) {
    rounds.push(inPairs(last).map(([a, b]) => (b === undefined ? a : lowering.emit(pool, "Max", [a, b]))));
  }
  return rounds;
}

/** Lowers a convolution, its bias, its relu and the pool after it in parts, if they have that form. */
export function lowerConvInParts(
  node: Node<"conv2d">,
  fused: Fused | undefined,
  lowering: Lowering,
): boolean {
  const [x, kernel] = node.inputs as [Node, Node];
  const sides = sidesOf(kernel);
  const parted = partedFrom(node, fused?.sum ?? node, sides, lowering);
  if (parted === undefined) return false;
  const { sum, relu, pool, margins } = parted;
  const inputs = [
    lowering.value(x, NCHW),
    blockedKernel(node, lowering.value(kernel, OIHW), sides, lowering),
  ];
  if (fused !== undefined) inputs.push(lowering.leaf(fused.bias));
  const shared = {
    kernel_shape: sides.kernel,
    strides: pool.attrs.strides,
    dilations: [1, 1],
    group: 1,
    activation: "Relu",
  };
  const parts = margins.map((pads) =>
    lowering.emit(sum, "Conv", inputs, { ...shared, pads: padList(pads) }, BLOCKED),
  );
  if (sum !== node) lowering.absorb(sum);
  lowering.absorb(node);
  const rounds = tournament(pool, parts, lowering);
  lowering.defineParts(relu, rounds);
  lowering.define(pool, rounds.at(-1)![0]!, BLOCKS);
  return true;
}

/**
 * Lowers the derivative of a pool whose input is held in parts: backwards through the rounds it goes to the greater of two,
 * and to the first where they are equal, as in TensorFlow.
 */
export function lowerPoolGradInParts(node: Node<"maxPoolGrad">, lowering: Lowering): boolean {
  const [dy, x] = node.inputs as [Node, Node, Node];
  const rounds = lowering.parts(x);
  if (rounds === undefined) return false;
  const split = (whole: string, [a, b]: [string, string | undefined]): string[] => {
    if (b === undefined) return [whole];
    const ahead = lowering.early(node, lowering.emit(node, "GreaterOrEqual", [a, b]));
    const mask = lowering.emit(node, "Cast", [ahead], { to: ONNX_TYPE.float32 });
    const first = lowering.emit(node, "Mul", [whole, mask]);
    return [first, lowering.emit(node, "Sub", [whole, first])];
  };
  let shares = [lowering.value(dy, BLOCKS)];
  for (const round of rounds.slice(0, -1).toReversed())
    shares = inPairs(round).flatMap((pair, i) => split(shares[i]!, pair));
  lowering.defineParts(node, [shares]);
  return true;
}

/** The pixels under a kernel position at one position of all windows, as an image with a pixel for each window. */
function pixelsAt(node: Node<"conv2dKernelGrad">, windows: Pair, steps: Pair, lowering: Lowering) {
  const { model } = lowering;
  const x = node.inputs[0]!;
  const { strides, dilations, padding, kernelSize } = node.attrs;
  const pads = resolvePads(padding, imageOf(x), kernelSize, strides, dilations);
  const [top, left, bottom, right] = padList(pads) as [number, number, number, number];
  const margins = model.ints([0, 0, top, left, 0, 0, bottom, right]);
  const padded = lowering.emit(node, "Pad", [lowering.value(x, NCHW), margins]);
  const end = model.ints([imageOf(x)[1] + left + right]);
  // Columns are split once, so that the many slices below move whole rows.
  const columns = Array.from({ length: steps[1] }, (_, first) =>
    lowering.emit(node, "Slice", [padded, model.ints([first]), end, model.ints([3]), model.ints([steps[1]])]),
  );
  const known = new Map<string, string>();
  return ([row, column]: Pair): string => {
    const key = `${row} ${column}`;
    const first = Math.floor(column / steps[1]);
    const value =
      known.get(key) ??
      lowering.emit(node, "Slice", [
        columns[column % steps[1]]!,
        model.ints([row, first]),
        model.ints([row + (windows[0] - 1) * steps[0] + 1, first + windows[1]]),
        model.ints([2, 3]),
        model.ints([steps[0], 1]),
      ]);
    known.set(key, value);
    return value;
  };
}

/** Lowers the derivative by a kernel from a derivative held in parts: one product per part, for all kernel positions. */
export function lowerKernelGradInParts(node: Node<"conv2dKernelGrad">, lowering: Lowering): boolean {
  const [x, dy] = node.inputs as [Node, Node];
  const parts = lowering.parts(dy)?.[0];
  if (parts === undefined || !isOp(dy, "maxPoolGrad")) return false;
  const { model } = lowering;
  const [batch, height, width, outputs] = dy.shape.map(Number) as [number, number, number, number];
  const steps = dy.attrs.strides;
  const windows: Pair = [height / steps[0], width / steps[1]];
  const area = windows[0] * windows[1];
  const { kernelSize } = node.attrs;
  const channels = Number(x.shape[3]);
  const pixels = pixelsAt(node, windows, steps, lowering);
  const products = placesOf(steps).map((place, i) => {
    const met = placesOf(kernelSize).map(([row, column]) => pixels([place[0] + row, place[1] + column]));
    const columns = met.map((image) => lowering.reshaped(node, image, [batch, channels, 1, area]));
    const stacked = lowering.emit(node, "Concat", columns, { axis: 2 });
    const flat = lowering.reshaped(node, stacked, [batch, channels * met.length, area]);
    const part = lowering.emit(node, "ReorderOutput", [parts[i]!], { channels: outputs }, BLOCKED);
    const flatPart = lowering.reshaped(node, part, [batch, outputs, area]);
    return lowering.emit(node, "FusedMatMul", [flatPart, flat], { transB: 1 }, MICROSOFT);
  });
  const sum = lowering.emit(node, "Sum", products);
  const summed = lowering.emit(node, "ReduceSum", [sum, model.ints([0])], { keepdims: 0 });
  lowering.define(node, lowering.reshaped(node, summed, [outputs, channels, ...kernelSize]), OIHW);
  return true;
}
