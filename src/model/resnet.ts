/** @file A residual network for faces: sixteen 3×3 convolutions in eight blocks, a learned average, a short embedding. */
import { mul, sub } from "../graph/build.ts";
import type { Node, Pair } from "../graph/ops.ts";
import { heNormal } from "../nn/initializers.ts";
import { addLayers, batchNormalization, conv2D, depthwiseConv2D, flatten, prelu } from "../nn/layers.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";

const EMBEDDING_SIZE = 256;
/** Channels of the stages; each halves both sides of the image, the first one by the convolution before it. */
const STAGES = [32, 64, 128, 256];

const pair = (side: number): Pair => [side, side];

function convolution(net: NetworkBuilder, name: string, x: Node, filters: number, side: number, stride = 1) {
  const options = { filters, kernelSize: pair(side), strides: pair(stride), useBias: false };
  return batchNormalization(net, `${name}_bn`, conv2D(net, name, x, { ...options, initializer: heNormal }));
}

/** Two convolutions around which the input goes as it is, or through a 1×1 convolution where its shape changes. */
function block(net: NetworkBuilder, name: string, x: Node, filters: number, stride: number): Node {
  const inner = prelu(net, `${name}_prelu1`, convolution(net, `${name}_conv1`, x, filters, 3, stride));
  const outer = convolution(net, `${name}_conv2`, inner, filters, 3);
  const isSame = stride === 1 && x.shape[3] === filters;
  const shortcut = isSame ? x : convolution(net, `${name}_shortcut`, x, filters, 1, stride);
  return prelu(net, `${name}_prelu2`, addLayers(net, `${name}_add`, shortcut, outer));
}

/** @param blocks of each stage. */
function build(net: NetworkBuilder, image: Node, blocks: readonly number[]): Node {
  let x = net.record("rescaling", "Rescaling", [image], sub(mul(image, 2), 1));
  x = prelu(net, "conv1_prelu", convolution(net, "conv1", x, STAGES[0]!, 3, 2));
  STAGES.forEach((filters, stage) => {
    for (let i = 0; i < blocks[stage]!; i++) {
      x = block(net, `block${stage + 1}${"ab"[i]}`, x, filters, stage > 0 && i === 0 ? 2 : 1);
    }
  });
  const field: Pair = [Number(x.shape[1]), Number(x.shape[2])];
  const options = { kernelSize: field, padding: "valid" as const, useBias: false, initializer: heNormal };
  x = batchNormalization(net, "global_depthwise_bn", depthwiseConv2D(net, "global_depthwise", x, options));
  return flatten(net, "flatten", convolution(net, "embedding_conv", x, EMBEDDING_SIZE, 1));
}

export const resnet: EmbeddingNetwork = {
  name: "resnet",
  summary:
    "eight residual blocks of two 3×3 convolutions, embedding of 256 (He et al., 2016, at half the width)",
  embeddingSize: EMBEDDING_SIZE,
  build: (net, image) => build(net, image, [2, 2, 2, 2]),
};

/** For some thousands of photographs of closely cut faces. */
export const closeup: EmbeddingNetwork = {
  name: "closeup",
  summary:
    "six residual blocks of two 3×3 convolutions, embedding of 256: resnet with fewer blocks at its ends",
  embeddingSize: EMBEDDING_SIZE,
  build: (net, image) => build(net, image, [1, 2, 2, 1]),
};
