/** @file MobileFaceNet (Chen et al., 2018, table 1): inverted bottlenecks with PReLU and a global depthwise convolution. */
import type { Node } from "../graph/ops.ts";
import { addLayers, flatten, prelu } from "../nn/layers.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";
import { convNorm, depthwiseNorm, globalDepthwise, rescaled } from "./embedding-network.ts";

const EMBEDDING_SIZE = 128;

/** Columns of the paper's table: expansion, output channels, repetitions, stride of the first. */
const BOTTLENECKS: readonly { expand: number; channels: number; repeat: number; stride: number }[] = [
  { expand: 2, channels: 64, repeat: 5, stride: 2 },
  { expand: 4, channels: 128, repeat: 1, stride: 2 },
  { expand: 2, channels: 128, repeat: 6, stride: 1 },
  { expand: 4, channels: 128, repeat: 1, stride: 2 },
  { expand: 2, channels: 128, repeat: 2, stride: 1 },
];

/** Convolution, batch normalisation and PReLU. */
function convBlock(net: NetworkBuilder, name: string, x: Node, filters: number, side = 1, stride = 1): Node {
  return prelu(net, `${name}_prelu`, convNorm(net, name, x, { filters, side, stride }));
}

function depthwiseBlock(net: NetworkBuilder, name: string, x: Node, stride: number): Node {
  const options = { kernelSize: [3, 3], strides: [stride, stride] } as const;
  return prelu(net, `${name}_prelu`, depthwiseNorm(net, name, x, options));
}

/** Expansion, depthwise convolution, linear projection; with a shortcut where the shape stays. */
function bottleneck(
  net: NetworkBuilder,
  name: string,
  x: Node,
  { expand, channels, stride }: { expand: number; channels: number; stride: number },
): Node {
  const channelsIn = Number(x.shape[3]);
  let y = convBlock(net, `${name}_expand`, x, channelsIn * expand);
  y = depthwiseBlock(net, `${name}_depthwise`, y, stride);
  y = convNorm(net, `${name}_project`, y, { filters: channels, side: 1 });
  return stride === 1 && channelsIn === channels ? addLayers(net, `${name}_add`, x, y) : y;
}

export const mobilefacenet: EmbeddingNetwork = {
  name: "mobilefacenet",
  summary: "MobileFaceNet with an embedding of 128 (1.0 M parameters, 221 M multiply-adds)",
  embeddingSize: EMBEDDING_SIZE,
  build(net, image) {
    let x = convBlock(net, "conv1", rescaled(net, image), 64, 3, 2);
    x = depthwiseBlock(net, "conv2_depthwise", x, 1);
    let number = 0;
    for (const { expand, channels, repeat, stride } of BOTTLENECKS) {
      for (let i = 0; i < repeat; i++) {
        number++;
        x = bottleneck(net, `block${number}`, x, { expand, channels, stride: i === 0 ? stride : 1 });
      }
    }
    x = globalDepthwise(net, convBlock(net, "conv_last", x, 512));
    return flatten(net, "flatten", convNorm(net, "embedding_conv", x, { filters: EMBEDDING_SIZE, side: 1 }));
  },
};
