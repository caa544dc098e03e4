/**
 * @file A face detector of YuNet's shape (Wu, Peng and Yu, 2023): depthwise separable convolutions, one grid of cells for
 * each of three strides, and for each cell a score, a box and five points. Its outputs have YuNet's names and encoding.
 */

import { STRIDES, YUNET_INPUT } from "../../src/faces/yunet.ts";
import * as g from "../../src/graph/build.ts";
import type { Node, SymbolicShape } from "../../src/graph/ops.ts";
import { constantOf, heNormal, normal } from "../../src/nn/initializers.ts";
import { batchNormalization, conv2D, depthwiseConv2D } from "../../src/nn/layers.ts";
import type { NetworkBuilder } from "../../src/nn/network-builder.ts";

/** Numbers of a cell: its score before the sigmoid, four of the box, ten of the points. */
export const CELL_NUMBERS = 15;
/** The score with which training begins, before the sigmoid: faces are rare. */
const FIRST_SCORE = -4;
/** Margins that do not depend on the picture's size, so that one graph serves all sizes. */
const MARGINS = [
  [1, 1],
  [1, 1],
] as const;

const activated = (net: NetworkBuilder, name: string, x: Node) =>
  g.relu(batchNormalization(net, `${name}_bn`, x));

/** A depthwise convolution of 3×3, one of 1×1, normalisation and ReLU; around it a shortcut where the shape stays. */
function unit(net: NetworkBuilder, name: string, x: Node, filters: number, stride = 1): Node {
  const field = depthwiseConv2D(net, `${name}_depthwise`, x, {
    kernelSize: [3, 3],
    strides: [stride, stride],
    padding: MARGINS,
    useBias: false,
    initializer: heNormal,
  });
  const mixed = conv2D(net, `${name}_mix`, field, {
    filters,
    kernelSize: [1, 1],
    useBias: false,
    initializer: heNormal,
  });
  const y = activated(net, name, mixed);
  return stride === 1 && x.shape.at(-1) === filters ? g.add(x, y) : y;
}

/** The numbers of each cell of one grid, `[batch, rows, columns, 15]`. */
function head(net: NetworkBuilder, stride: number, x: Node): Node {
  const name = `head_${stride}`;
  const seen = unit(net, name, x, Number(x.shape.at(-1)));
  const part = (kind: string, filters: number) =>
    conv2D(net, `${name}_${kind}`, seen, { filters, kernelSize: [1, 1], initializer: normal(0.01) });
  const offset = net.weight(`${name}_score/offset`, [1], {
    initializer: constantOf(FIRST_SCORE),
    fans: { in: 1, out: 1 },
  });
  return g.concat([g.add(part("score", 1), offset), part("place", CELL_NUMBERS - 1)], 3);
}

/** Channels at strides 2, 4, 8, 16 and 32, and units at each of the last three. */
const CHANNELS = [16, 32, 64, 96, 128] as const;
const UNITS = 3;

/**
 * The grids of a picture by their strides, each `[batch, rows, columns, 15]`.
 * @param planes `[batch, 3, height, width]`, BGR from 0 to 255 as YuNet takes it; sides are multiples of 32.
 */
export function detectorGrids(net: NetworkBuilder, planes: Node): Map<number, Node> {
  const [stem, quarter, ...rest] = CHANNELS;
  const image = g.sub(g.div(g.transpose(planes, [0, 2, 3, 1]), 127.5), 1);
  let x = conv2D(net, "stem", image, {
    filters: stem,
    kernelSize: [3, 3],
    strides: [2, 2],
    padding: MARGINS,
    useBias: false,
    initializer: heNormal,
  });
  x = activated(net, "stem", x);
  x = unit(net, "quarter1", x, quarter, 2);
  x = unit(net, "quarter2", x, quarter);
  const grids = new Map<number, Node>();
  for (const [level, channels] of rest.entries()) {
    const stride = STRIDES[level]!;
    for (let i = 1; i <= UNITS; i++) x = unit(net, `grid${stride}_${i}`, x, channels, i === 1 ? 2 : 1);
    grids.set(stride, head(net, stride, x));
  }
  return grids;
}

/** The input of a network. */
export const planesInput = (shape: SymbolicShape): Node => g.input(YUNET_INPUT, shape);

/** YuNet's outputs, `[batch, cells, numbers]` each, from the grids: both confidences are the score. */
export function yunetOutputs(grids: ReadonlyMap<number, Node>): Record<string, Node> {
  const outputs: Record<string, Node> = {};
  for (const [stride, grid] of grids) {
    const part = (from: number, to: number) => g.reshape(g.cut(grid, 3, from, to), [0, -1, to - from]);
    const score = g.sigmoid(part(0, 1));
    outputs[`cls_${stride}`] = score;
    outputs[`obj_${stride}`] = score;
    outputs[`bbox_${stride}`] = part(1, 5);
    outputs[`kps_${stride}`] = part(5, CELL_NUMBERS);
  }
  return outputs;
}
