/** @file The interface of an embedding network: an image in, a vector that stands for the person out. */
import type { Node } from "../graph/ops.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";

/** One architecture of the shared backbone. */
export interface EmbeddingNetwork {
  /** What `--model` calls it. */
  readonly name: string;
  /** One sentence for help texts. */
  readonly summary: string;
  /** Length of the embedding. */
  readonly embeddingSize: number;
  /**
   * Writes the network down. Whatever scaling of pixels it wants happens in here.
   * @param image `[batch, height, width, 3]`, RGB in [0, 1].
   * @returns `[batch, embeddingSize]`
   */
  build(net: NetworkBuilder, image: Node): Node;
}
