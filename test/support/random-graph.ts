/** @file Random graphs that are full of what simplification looks for. */
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import { sizeOf } from "../../src/base/tensor.ts";
import * as g from "../../src/graph/build.ts";
import { fromNumbers } from "../../src/graph/numbers.ts";
import type { Node } from "../../src/graph/ops.ts";

/** The one input of all random graphs: images, in double precision so that rounding does not blur comparisons. */
export const IMAGES = [2, 3, 4, 2];

const sidesOf = (node: Node) => node.shape.map(Number);

/** A constant with elements between -1 and 1. */
function noise(random: Random, shape: readonly number[]): Node {
  const values = Array.from({ length: sizeOf(shape) }, () => random.between(-1, 1));
  return g.constant(fromNumbers("float64", shape, values));
}

/** A constant per channel, as networks write it: with or without leading axes of side 1. */
function channelNoise(random: Random, x: Node): Node {
  const channels = sidesOf(x).at(-1) ?? 1;
  const leading = x.shape.length > 1 && random.chance(0.3) ? new Array(x.shape.length - 1).fill(1) : [];
  return noise(random, [...leading, channels]);
}

const plainNumber = (random: Random) => random.pick([0, 1, 2, -1, 0.5]);

type Step = (random: Random, x: Node, other: Node) => Node;

/** Steps that any tensor can take. */
const anyStep: readonly Step[] = [
  (_, x) => g.neg(x),
  (_, x) => g.abs(x),
  (_, x) => g.relu(x),
  (_, x) => g.tanh(x),
  (random, x) => g.add(x, plainNumber(random)),
  (random, x) => g.add(plainNumber(random), x),
  (random, x) => g.sub(x, plainNumber(random)),
  (random, x) => g.mul(x, plainNumber(random)),
  (random, x) => g.div(x, random.pick([1, 2, -0.5])),
  (random, x) => g.pow(x, random.pick([1, 2])),
  (random, x) => g.max(x, plainNumber(random)),
  (_, x) => g.cast(g.cast(x, "float32"), "float64"),
  (_, x) => g.cast(g.cast(g.lessEqual(x, 0), "int32"), "float64"),
  (random, x, other) => same(x, other, random.pick([g.add, g.sub, g.mul, g.max])),
  (random, x, other) => same(x, other, (a, b) => g.select(g.less(a, b), random.chance(0.5) ? a : b, b)),
  (random, x, other) => {
    const condition = g.constant(fromNumbers("bool", [], [random.integer(2)]));
    return same(x, other, (a, b) => g.select(condition, a, b));
  },
  (random, x) => g.broadcastTo(x, [random.pick([1, 2]), ...sidesOf(x)]),
  (_, x) => g.broadcastTo(x, sidesOf(x)),
  (random, x) => g.transpose(x, random.shuffle(sidesOf(x).map((_, axis) => axis))),
  (_, x) => g.reshape(x, [-1]),
  (_, x) => g.reshape(x, [1, ...sidesOf(x)]),
  (_, x) => g.reshape(g.reshape(x, [-1]), sidesOf(x)),
  (random, x) =>
    g.pad(
      x,
      sidesOf(x).map(() => random.integer(2)),
      sidesOf(x).map(() => 0),
      random.integer(2),
    ),
  (random, x) =>
    g.slice(
      x,
      sidesOf(x).map((side) => random.integer(Math.min(side, 2))),
      [],
    ),
  (random, x) =>
    g.reduceSum(x, {
      axes: sidesOf(x).flatMap((_, axis) => (random.chance(0.3) ? [axis] : [])),
      keepDims: random.chance(0.5),
    }),
];

/** Steps for tensors with channels. */
const channelStep: readonly Step[] = [
  (random, x) => g.add(x, channelNoise(random, x)),
  (random, x) => g.sub(x, channelNoise(random, x)),
  (random, x) => g.mul(channelNoise(random, x), x),
  (random, x) => g.affine(x, noise(random, sidesOf(x).slice(-1)), noise(random, sidesOf(x).slice(-1))),
  (random, x, other) => {
    const scale = noise(random, sidesOf(x).slice(-1));
    const shift = g.slice(g.reshape(other, [-1]), [0], [1]);
    return g.add(g.affine(x, scale, scale), random.chance(0.5) ? shift : g.reshape(shift, []));
  },
];

/** Steps for matrices, or batches of them. */
const matrixStep: readonly Step[] = [
  (random, x) => g.matmul(x, noise(random, [sidesOf(x).at(-1)!, 2])),
  (random, x) => g.matmul(x, noise(random, [2, sidesOf(x).at(-1)!]), { transposeB: true }),
  (_, x) => {
    const axes = sidesOf(x).map((_, axis) => axis);
    return g.matmul(x, g.transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]));
  },
];

/** Steps for images. */
const imageStep: readonly Step[] = [
  (random, x) => g.conv2d(x, noise(random, [1, 2, sidesOf(x)[3]!, 2])),
  (random, x) => {
    const padded = g.pad(x, [0, random.integer(2), random.integer(2), 0], [0, 1, 0, 0]);
    return g.conv2d(padded, noise(random, [2, 2, sidesOf(x)[3]!, 2]), { padding: "valid" });
  },
  (_, x) => g.maxPool(x, { size: [2, 2], padding: "same" }),
];

/** Two nodes of one shape combined; others are left alone. */
function same(x: Node, other: Node, combine: (a: Node, b: Node) => Node): Node {
  return sidesOf(x).join() === sidesOf(other).join() ? combine(x, other) : x;
}

const MOST_ELEMENTS = 600;

function stepsFor(x: Node): readonly Step[] {
  const rank = x.shape.length;
  const hasChannels = rank >= 1 && sidesOf(x).every((side) => side > 0);
  return [
    ...anyStep,
    ...(hasChannels ? channelStep : []),
    ...(hasChannels && rank >= 2 ? matrixStep : []),
    ...(hasChannels && rank === 4 && sidesOf(x)[1]! >= 2 && sidesOf(x)[2]! >= 2 ? imageStep : []),
  ];
}

/** A node made from `images` in random steps, each from any node made before. */
export function randomGraph(images: Node, seed: number, steps: number): Node {
  const random = new Random(seed);
  const nodes = [images];
  for (let step = 0; step < steps; step++) {
    // Mostly the newest, so that graphs grow deep rather than wide.
    const x = random.chance(0.7) ? nodes.at(-1)! : random.pick(nodes);
    const next = random.pick(stepsFor(x))(random, x, random.pick(nodes));
    const size = sizeOf(sidesOf(next));
    if (size > 0 && size <= MOST_ELEMENTS && next.shape.length <= 5) nodes.push(next);
  }
  return nodes.at(-1)!;
}

/** How to make a random graph; it is the seed that fast-check varies. */
export const randomGraphs = fc.record({
  seed: fc.integer(),
  steps: fc.integer({ min: 1, max: 14 }),
});
