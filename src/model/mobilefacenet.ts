/** @file MobileFaceNet (Chen et al., 2018, table 1): inverted bottlenecks with PReLU and a global depthwise convolution. */
import { mul, sub } from "../graph/build.ts";
import type { Node, Pair } from "../graph/ops.ts";
import { heNormal } from "../nn/initializers.ts";
import { addLayers, batchNormalization, conv2D, depthwiseConv2D, flatten, prelu } from "../nn/layers.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";

const EMBEDDING_SIZE = 128;

/** Columns of the paper's table: expansion, output channels, repetitions, stride of the first. */
const BOTTLENECKS: readonly { expand: number; channels: number; repeat: number; stride: number }[] = [
  { expand: 2, channels: 64, repeat: 5, stride: 2 },
  { expand: 4, channels: 128, repeat: 1, stride: 2 },
  { expand: 2, channels: 128, repeat: 6, stride: 1 },
  { expand: 4, channels: 128, repeat: 1, stride: 2 },
  { expand: 2, channels: 128, repeat: 2, stride: 1 },
];

interface Block {
  readonly filters: number;
  readonly side: number;
  readonly stride?: number;
  readonly activation: boolean;
}

const pair = (value: number): Pair => [value, value];

/** Convolution, batch normalisation and, unless linear, PReLU. */
function convBlock(
  net: NetworkBuilder,
  name: string,
  x: Node,
  { filters, side, stride = 1, activation }: Block,
): Node {
  const options = {
    filters,
    kernelSize: pair(side),
    strides: pair(stride),
    useBias: false,
    initializer: heNormal,
  };
  const normalized = batchNormalization(net, `${name}_bn`, conv2D(net, name, x, options));
  return activation ? prelu(net, `${name}_prelu`, normalized) : normalized;
}

function depthwiseBlock(net: NetworkBuilder, name: string, x: Node, stride: number): Node {
  const options = { kernelSize: pair(3), strides: pair(stride), useBias: false, initializer: heNormal };
  const normalized = batchNormalization(net, `${name}_bn`, depthwiseConv2D(net, name, x, options));
  return prelu(net, `${name}_prelu`, normalized);
}

/** Expand, filter each channel, project; the input is added where the shape stays. */
function bottleneck(
  net: NetworkBuilder,
  name: string,
  x: Node,
  expand: number,
  channels: number,
  stride: number,
): Node {
  const channelsIn = Number(x.shape[3]);
  let y = convBlock(net, `${name}_expand`, x, { filters: channelsIn * expand, side: 1, activation: true });
  y = depthwiseBlock(net, `${name}_depthwise`, y, stride);
  y = convBlock(net, `${name}_project`, y, { filters: channels, side: 1, activation: false });
  return stride === 1 && channelsIn === channels ? addLayers(net, `${name}_add`, x, y) : y;
}

/** The linear global depthwise convolution: one learned weight per place and channel instead of an average. */
function globalDepthwise(net: NetworkBuilder, name: string, x: Node): Node {
  const size: Pair = [Number(x.shape[1]), Number(x.shape[2])];
  const options = { kernelSize: size, padding: "valid" as const, useBias: false, initializer: heNormal };
  return batchNormalization(net, `${name}_bn`, depthwiseConv2D(net, name, x, options));
}

export const mobilefacenet: EmbeddingNetwork = {
  name: "mobilefacenet",
  summary: "MobileFaceNet with an embedding of 128 (1.0 M parameters, 221 M multiply-adds)",
  embeddingSize: EMBEDDING_SIZE,
  build(net, image) {
    // Pixels in [−1, 1], as the paper trains on.
    let x = net.record("rescaling", "Rescaling", [image], sub(mul(image, 2), 1));
    x = convBlock(net, "conv1", x, { filters: 64, side: 3, stride: 2, activation: true });
    x = depthwiseBlock(net, "conv2_depthwise", x, 1);
    let number = 0;
    for (const { expand, channels, repeat, stride } of BOTTLENECKS) {
      for (let i = 0; i < repeat; i++) {
        number++;
        x = bottleneck(net, `block${number}`, x, expand, channels, i === 0 ? stride : 1);
      }
    }
    x = convBlock(net, "conv_last", x, { filters: 512, side: 1, activation: true });
    x = globalDepthwise(net, "global_depthwise", x);
    x = convBlock(net, "embedding_conv", x, { filters: EMBEDDING_SIZE, side: 1, activation: false });
    return flatten(net, "flatten", x);
  },
};
