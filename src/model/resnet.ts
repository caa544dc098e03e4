/** @file Residual networks for faces (He et al., 2016): blocks of two 3×3 convolutions, a learned average, a short embedding. */
import type { Node } from "../graph/ops.ts";
import { addLayers, flatten, prelu } from "../nn/layers.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";
import { convNorm, type EmbeddingNetwork, globalDepthwise, rescaled } from "./embedding-network.ts";

const EMBEDDING_SIZE = 256;
/** Channels of the stages; each halves both sides of the image, the first one by the convolution before it. */
const STAGES = [32, 64, 128, 256];

/** Size of `slim`'s embedding: that of the teacher in the model pack. */
const SLIM_EMBEDDING_SIZE = 128;
/** Channels of `slim`: two convolutions that halve the sides, then the stages. */
const SLIM_STEM = [24, 48];
const SLIM_STAGES = [48, 96, 160];
/** Channels of `slim` before the learned average. */
const SLIM_LAST = 512;

/** Two convolutions with a shortcut, which is a 1×1 convolution where the shape changes. */
function block(net: NetworkBuilder, name: string, x: Node, filters: number, stride: number): Node {
  const inner = convNorm(net, `${name}_conv1`, x, { filters, side: 3, stride });
  const outer = convNorm(net, `${name}_conv2`, prelu(net, `${name}_prelu1`, inner), { filters, side: 3 });
  const isSame = stride === 1 && x.shape[3] === filters;
  const shortcut = isSame ? x : convNorm(net, `${name}_shortcut`, x, { filters, side: 1, stride });
  return prelu(net, `${name}_prelu2`, addLayers(net, `${name}_add`, shortcut, outer));
}

/** @param blocks number of blocks of each stage. */
function build(net: NetworkBuilder, image: Node, blocks: readonly number[]): Node {
  let x = convNorm(net, "conv1", rescaled(net, image), { filters: STAGES[0]!, side: 3, stride: 2 });
  x = prelu(net, "conv1_prelu", x);
  STAGES.forEach((filters, stage) => {
    for (let i = 0; i < blocks[stage]!; i++) {
      x = block(net, `block${stage + 1}${"ab"[i]}`, x, filters, stage > 0 && i === 0 ? 2 : 1);
    }
  });
  x = convNorm(net, "embedding_conv", globalDepthwise(net, x), { filters: EMBEDDING_SIZE, side: 1 });
  return flatten(net, "flatten", x);
}

export const resnet: EmbeddingNetwork = {
  name: "resnet",
  summary:
    "eight residual blocks of two 3×3 convolutions, embedding of 256 (He et al., 2016, at half the width)",
  embeddingSize: EMBEDDING_SIZE,
  build: (net, image) => build(net, image, [2, 2, 2, 2]),
};

/** For thousands of images with closely cropped faces. */
export const closeup: EmbeddingNetwork = {
  name: "closeup",
  summary:
    "six residual blocks of two 3×3 convolutions, embedding of 256: resnet with fewer blocks at its ends",
  embeddingSize: EMBEDDING_SIZE,
  build: (net, image) => build(net, image, [1, 2, 2, 1]),
};

/**
 * Few operations at large sides, where a training step only moves data: it takes a third of the time of mobilefacenet's.
 */
export const slim: EmbeddingNetwork = {
  name: "slim",
  summary:
    "four residual blocks from a quarter of the side on, embedding of 128: quick to train as a student",
  embeddingSize: SLIM_EMBEDDING_SIZE,
  build(net, image) {
    const convPrelu = (name: string, x: Node, filters: number, side: number, stride: number) =>
      prelu(net, `${name}_prelu`, convNorm(net, name, x, { filters, side, stride }));
    let x = rescaled(net, image);
    SLIM_STEM.forEach((filters, i) => {
      x = convPrelu(`conv${i + 1}`, x, filters, 3, 2);
    });
    const [first, second, third] = SLIM_STAGES as [number, number, number];
    x = block(net, "block1a", x, first, 1);
    x = block(net, "block2a", x, second, 2);
    x = block(net, "block2b", x, second, 1);
    x = block(net, "block3a", x, third, 2);
    x = globalDepthwise(net, convPrelu("conv_last", x, SLIM_LAST, 1, 1));
    x = convNorm(net, "embedding_conv", x, { filters: SLIM_EMBEDDING_SIZE, side: 1 });
    return flatten(net, "flatten", x);
  },
};
