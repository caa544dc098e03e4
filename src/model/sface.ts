/** @file SFace's network (Zhong et al., 2021) as OpenCV's model zoo has it: depthwise separable convolutions with PReLU. */
import { mul, sub } from "../graph/build.ts";
import type { Node, Pads } from "../graph/ops.ts";
import { batchNormalization, dense, flatten, prelu } from "../nn/layers.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";
import { convNorm, depthwiseNorm, type EmbeddingNetwork } from "./embedding-network.ts";

const EMBEDDING_SIZE = 128;

/** Output channels and stride of each separable convolution, from the second layer on. */
const SEPARABLE: readonly (readonly [channels: number, stride: number])[] = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  ...Array.from({ length: 5 }, () => [512, 1] as const),
  [1024, 2],
  [1024, 1],
];

/** Where the stride is 2, its margins are equal on all sides, unlike TensorFlow's. */
const EVEN: Pads = [
  [1, 1],
  [1, 1],
];

/** (255 x − 127.5) / 128 */
const SCALE = 255 / 128;
const SHIFT = 127.5 / 128;

/** Added to the variance in the last two normalisations. */
const LAST_EPSILON = 2e-5;

function separable(net: NetworkBuilder, name: string, x: Node, filters: number, stride: number): Node {
  const options = {
    kernelSize: [3, 3],
    strides: [stride, stride],
    padding: stride === 1 ? "same" : EVEN,
  } as const;
  const spread = prelu(net, `${name}_dw_prelu`, depthwiseNorm(net, `${name}_dw`, x, options));
  return prelu(net, `${name}_prelu`, convNorm(net, name, spread, { filters, side: 1 }));
}

export const sface: EmbeddingNetwork = {
  name: "sface",
  summary: "SFace, the network of the pack opencv-sface, from its weights (9.7 M parameters)",
  embeddingSize: EMBEDDING_SIZE,
  pretrained: "opencv-sface",
  build(net, image) {
    let x = net.record("rescaling", "Rescaling", [image], sub(mul(image, SCALE), SHIFT));
    x = prelu(net, "conv_1_prelu", convNorm(net, "conv_1", x, { filters: 32, side: 3 }));
    for (const [i, [channels, stride]] of SEPARABLE.entries()) {
      x = separable(net, `conv_${i + 2}`, x, channels, stride);
    }
    x = flatten(net, "flatten", batchNormalization(net, "bn1", x, { epsilon: LAST_EPSILON }));
    x = dense(net, "pre_fc1", x, { units: EMBEDDING_SIZE });
    return batchNormalization(net, "fc1", x, { epsilon: LAST_EPSILON });
  },
};
