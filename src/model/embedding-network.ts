/** @file The interface of an embedding network, and the blocks that networks share. */
import { mul, sub } from "../graph/build.ts";
import type { Node, Padding, Pair } from "../graph/ops.ts";
import { heNormal } from "../nn/initializers.ts";
import { batchNormalization, conv2D, depthwiseConv2D } from "../nn/layers.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";

/** One architecture of the shared backbone. */
export interface EmbeddingNetwork {
  /** As `--model`. */
  readonly name: string;
  /** One sentence for help texts. */
  readonly summary: string;
  readonly embeddingSize: number;
  /** The model pack that holds its trained weights, for images of 112×112; absent for a network that starts at random. */
  readonly pretrained?: string;
  /**
   * Builds the network, including any scaling of pixels.
   * @param image `[batch, height, width, 3]`, RGB in [0, 1].
   * @returns `[batch, embeddingSize]`
   */
  build(net: NetworkBuilder, image: Node): Node;
}

/** Pixels scaled to [−1, 1]. */
export const rescaled = (net: NetworkBuilder, image: Node): Node =>
  net.record("rescaling", "Rescaling", [image], sub(mul(image, 2), 1));

interface BlockOptions {
  readonly filters: number;
  readonly side: number;
  readonly stride?: number;
  /** Name of the normalisation. Default: the convolution's with `_bn`. */
  readonly norm?: string;
}

/** Convolution without bias, then batch normalisation. */
export function convNorm(
  net: NetworkBuilder,
  name: string,
  x: Node,
  { filters, side, stride = 1, norm = `${name}_bn` }: BlockOptions,
): Node {
  const options = { filters, kernelSize: [side, side], strides: [stride, stride] } as const;
  return batchNormalization(
    net,
    norm,
    conv2D(net, name, x, { ...options, useBias: false, initializer: heNormal }),
  );
}

/** Depthwise convolution without bias, then batch normalisation. */
export function depthwiseNorm(
  net: NetworkBuilder,
  name: string,
  x: Node,
  options: { readonly kernelSize: Pair; readonly strides?: Pair; readonly padding?: Padding },
): Node {
  const convolved = depthwiseConv2D(net, name, x, { ...options, useBias: false, initializer: heNormal });
  return batchNormalization(net, `${name}_bn`, convolved);
}

/** A learned weighted average per channel over all positions (Chen et al., 2018, "global depthwise convolution"). */
export function globalDepthwise(net: NetworkBuilder, x: Node): Node {
  const kernelSize: Pair = [Number(x.shape[1]), Number(x.shape[2])];
  return depthwiseNorm(net, "global_depthwise", x, { kernelSize, padding: "valid" });
}
