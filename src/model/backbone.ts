/** @file From an image to its embedding: crop, backbone, and at inference mirror image, ensemble and projection. */
import { add, concat, l2Normalize, slice } from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import { dense } from "../nn/layers.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";
import { GABOR_SIZE, gaborFeatures } from "./gabor.ts";
import { isPlain, type ModelConfig } from "./model-config.ts";
import { networkNamed } from "./networks.ts";

/** Names of the layers around a backbone. */
export const AROUND = { crop: "crop", mirrored: "mirrored", direction: "direction" } as const;

// Names of weights and layers in checkpoints; earlier versions wrote them, so they stay.
/** Prefix of the weights of an ensemble's backbone. */
export const memberName = (index: number): string => `view${index + 1}`;
/** Prefix of the weights of a crop's Gabor features. */
export const gaborName = (index: number): string => `texture${index + 1}`;
/** The layer of the PLDA projection. */
export const PROJECTION = "metric";

const WHOLE = Number.MAX_SAFE_INTEGER;

/** First and last position of the central `fraction` of a side. */
function middle(side: number, fraction: number): [number, number] {
  const start = Math.round((side * (1 - fraction)) / 2);
  return [start, side - start];
}

function cropped(
  net: NetworkBuilder,
  image: Node,
  { input: { height, width }, crop = 1 }: ModelConfig,
): Node {
  if (crop === 1) return image;
  const [top, bottom] = middle(height, crop);
  const [left, right] = middle(width, crop);
  return net.record(AROUND.crop, "CenterCrop", [image], slice(image, [0, top, left], [WHOLE, bottom, right]));
}

/** Columns from right to left. */
function mirrored(net: NetworkBuilder, image: Node): Node {
  const last = Number(image.shape[2]) - 1;
  const turned = slice(image, [0, 0, last], [WHOLE, WHOLE, -WHOLE], [1, 1, -1]);
  return net.record(AROUND.mirrored, "Mirror", [image], turned);
}

const normalized = (net: NetworkBuilder, inputs: readonly Node[], sum: Node): Node =>
  net.record(AROUND.direction, "UnitNormalization", inputs, l2Normalize(sum));

/** A backbone's embedding scaled to length 1, or the mean direction of those of the image and its mirror image. */
function memberEmbedding(net: NetworkBuilder, image: Node, config: ModelConfig): Node {
  const { build } = networkNamed(config.network);
  const crop = cropped(net, image, config);
  const embedding = build(net, crop);
  const sides = config.mirror ? [embedding, build(net, mirrored(net, crop))] : [embedding];
  return normalized(
    net,
    sides,
    sides.map((side) => l2Normalize(side)).reduce((a, b) => add(a, b)),
  );
}

/** Gabor features `[batch, size]` of the crop, summed with those of its mirror image where the network uses it. */
export function croppedGabor(net: NetworkBuilder, image: Node, config: ModelConfig): Node {
  const crop = cropped(net, image, config);
  if (!config.mirror) return gaborFeatures(net, crop);
  const [features, others] = [crop, mirrored(net, crop)].map((pass) => gaborFeatures(net, pass)) as [
    Node,
    Node,
  ];
  return net.record("sum", "Add", [features, others], add(features, others));
}

/** Gabor features, projected and scaled to length 1. */
function gaborEmbedding(net: NetworkBuilder, image: Node, config: ModelConfig): Node {
  const projected = dense(net, "projection", croppedGabor(net, image, config), { units: GABOR_SIZE });
  return normalized(net, [projected], projected);
}

/** The embeddings of all members of the ensemble, each of length 1. */
function memberEmbeddings(net: NetworkBuilder, image: Node, config: ModelConfig): Node[] {
  const { crops = [], gaborCrops = [] } = config;
  const learned =
    crops.length === 0
      ? [memberEmbedding(net, image, config)]
      : crops.map((crop, i) =>
          net.within(memberName(i), () => memberEmbedding(net, image, { ...config, crop })),
        );
  const gabor = gaborCrops.map((crop, i) =>
    net.within(gaborName(i), () => gaborEmbedding(net, image, { ...config, crop })),
  );
  return [...learned, ...gabor];
}

/** The embedding of an image. In training it is one backbone's; ensemble, mirror image and projection come at inference. */
export function backbone(net: NetworkBuilder, image: Node, config: ModelConfig): Node {
  if (net.mode === "training" || isPlain(config)) {
    return networkNamed(config.network).build(net, cropped(net, image, config));
  }
  const members = memberEmbeddings(net, image, config);
  const joined =
    members.length === 1
      ? members[0]!
      : net.record("views", "Concatenate", members, l2Normalize(concat(members, 1)));
  const { projectionDim = 0 } = config;
  if (projectionDim === 0) return joined;
  const projected = dense(net, PROJECTION, joined, { units: projectionDim });
  return net.record("embedding", "UnitNormalization", [projected], l2Normalize(projected));
}
