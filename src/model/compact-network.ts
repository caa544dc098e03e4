/** @file A small network for quick experiments: four strided convolutions and a global depthwise convolution. */
import type { Node } from "../graph/ops.ts";
import { flatten, prelu } from "../nn/layers.ts";
import { convNorm, type EmbeddingNetwork, globalDepthwise, rescaled } from "./embedding-network.ts";

const EMBEDDING_SIZE = 128;
/** Channels after each convolution, which halves both sides of the image. */
const CHANNELS = [32, 64, 128, 256];

export const compactNetwork: EmbeddingNetwork = {
  name: "compact",
  summary:
    "four strided convolutions, embedding of 128; a tenth of the work of faceid, for quick experiments",
  embeddingSize: EMBEDDING_SIZE,
  build(net, image) {
    let x: Node = rescaled(net, image);
    CHANNELS.forEach((filters, i) => {
      const name = `conv${i + 1}`;
      x = prelu(net, `${name}_prelu`, convNorm(net, name, x, { filters, side: 3, stride: 2 }));
    });
    const embedding = { filters: EMBEDDING_SIZE, side: 1, norm: "embedding_bn" };
    return flatten(net, "flatten", convNorm(net, "embedding_conv", globalDepthwise(net, x), embedding));
  },
};
