/** @file A small network for quick experiments: four strided convolutions and a learned average of what they see. */
import { mul, sub } from "../graph/build.ts";
import type { Node, Pair } from "../graph/ops.ts";
import { heNormal } from "../nn/initializers.ts";
import { batchNormalization, conv2D, depthwiseConv2D, flatten, prelu } from "../nn/layers.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";

const EMBEDDING_SIZE = 128;
/** Channels after each convolution, which halves both sides of the image. */
const CHANNELS = [32, 64, 128, 256];

export const compactNetwork: EmbeddingNetwork = {
  name: "compact",
  summary:
    "four strided convolutions, embedding of 128; a tenth of the work of faceid, for quick experiments",
  embeddingSize: EMBEDDING_SIZE,
  build(net, image) {
    let x: Node = net.record("rescaling", "Rescaling", [image], sub(mul(image, 2), 1));
    CHANNELS.forEach((filters, i) => {
      const name = `conv${i + 1}`;
      x = conv2D(net, name, x, {
        filters,
        kernelSize: [3, 3],
        strides: [2, 2],
        useBias: false,
        initializer: heNormal,
      });
      x = prelu(net, `${name}_prelu`, batchNormalization(net, `${name}_bn`, x));
    });
    const field: Pair = [Number(x.shape[1]), Number(x.shape[2])];
    const options = { kernelSize: field, padding: "valid" as const, useBias: false, initializer: heNormal };
    x = batchNormalization(net, "global_depthwise_bn", depthwiseConv2D(net, "global_depthwise", x, options));
    const projection = {
      filters: EMBEDDING_SIZE,
      kernelSize: [1, 1] as Pair,
      useBias: false,
      initializer: heNormal,
    };
    x = batchNormalization(net, "embedding_bn", conv2D(net, "embedding_conv", x, projection));
    return flatten(net, "flatten", x);
  },
};
