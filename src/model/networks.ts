/** @file The embedding networks, by name. */
import { FaceError } from "../base/errors.ts";
import type { Node } from "../graph/ops.ts";
import { flatten, prelu } from "../nn/layers.ts";
import { convNorm, type EmbeddingNetwork, globalDepthwise, rescaled } from "./embedding-network.ts";
import { faceidNetwork } from "./faceid-network.ts";
import { mobilefacenet } from "./mobilefacenet.ts";
import { closeup, resnet } from "./resnet.ts";

const EMBEDDING_SIZE = 128;
/** Channels after each convolution, which halves both sides of the image. */
const CHANNELS = [32, 64, 128, 256];

/** A small network for quick experiments: four strided convolutions and a global depthwise convolution. */
const compactNetwork: EmbeddingNetwork = {
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

export const NETWORKS: readonly EmbeddingNetwork[] = [
  faceidNetwork,
  mobilefacenet,
  resnet,
  closeup,
  compactNetwork,
];

/** @throws FaceError `CONFIG_INVALID` with the known names. */
export function networkNamed(name: string): EmbeddingNetwork {
  const found = NETWORKS.find((network) => network.name === name);
  if (found !== undefined) return found;
  const names = NETWORKS.map((network) => network.name).join(", ");
  throw new FaceError("CONFIG_INVALID", `there is no model called ${name}`, {
    hint: `choose one of: ${names}`,
  });
}
