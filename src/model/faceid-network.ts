/** @file The original network: thirteen convolutions, seven of them 1×1, and a dense embedding of 1024. */
import type { Node } from "../graph/ops.ts";
import { looksLinear } from "../nn/initializers.ts";
import { batchNormalization, conv2D, dense, flatten, maxPooling2D } from "../nn/layers.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";

const EMBEDDING_SIZE = 1024;

export const faceidNetwork: EmbeddingNetwork = {
  name: "faceid",
  summary:
    "the original: 13 convolutions and a dense embedding of 1024 (1.6 M parameters, 492 M multiply-adds)",
  embeddingSize: EMBEDDING_SIZE,
  build(net, image) {
    // Input of `fresh` layers is signed; that of the others is two mirrored halves of the layer before.
    const conv = (name: string, x: Node, filters: number, side: number, fresh = false) =>
      conv2D(net, name, x, {
        filters,
        kernelSize: [side, side],
        activation: "relu",
        initializer: looksLinear(!fresh),
      });
    const pool = (number: number, x: Node) => maxPooling2D(net, `maxpooling${number}`, x, [2, 2]);
    const norm = (number: number, x: Node) => batchNormalization(net, `batchnorm${number}`, x);

    let x = conv("conv1", image, 64, 5, true);
    x = norm(1, pool(1, x));
    x = conv("conv2a", x, 64, 1, true);
    x = conv("conv2b", x, 96, 3);
    x = norm(2, pool(2, x));
    x = conv("conv3a", x, 96, 1, true);
    x = conv("conv3b", x, 128, 3);
    x = pool(3, x);
    x = conv("conv4a", x, 128, 1);
    x = conv("conv4b", x, 256, 3);
    x = conv("conv5a", x, 256, 1);
    x = conv("conv5b", x, 128, 3);
    x = conv("conv6a", x, 128, 1);
    x = conv("conv6b", x, 64, 3);
    x = pool(6, x);
    x = conv("conv7a", x, 64, 1);
    x = conv("conv7b", x, 64, 3);
    x = pool(7, x);
    const channels = Number(x.shape[3]);
    return dense(net, "dense", flatten(net, "flatten", x), {
      units: EMBEDDING_SIZE,
      activation: "relu",
      initializer: looksLinear(true, channels),
    });
  },
};
