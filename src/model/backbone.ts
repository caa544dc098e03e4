/** @file What a backbone makes of an image: what it looks at, the embeddings of its views, what becomes of them. */
import { add, concat, l2Normalize, slice } from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import { dense } from "../nn/layers.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";
import { TEXTURE_SIZE, textureName, textureOf } from "./texture.ts";

/** Height and width of the images in pixels, how the backbone looks at them, and what becomes of its embedding. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
  /** Share of each side, around the middle; all of it when left out. */
  readonly crop?: number;
  /** Such shares for several backbones, trained one after the other, whose embeddings inference joins; instead of `crop`. */
  readonly views?: readonly number[];
  /** Whether inference embeds the mirrored image too and takes the mean of both directions. */
  readonly mirror?: boolean;
  /** Share of each side that each view of texture sees, which is joined to the others; none when left out. */
  readonly texture?: readonly number[];
  /** Length of the embedding after the map that was fitted to the trained one (see `fitMetric`); none when left out. */
  readonly metric?: number;
}

/** Numbers in an embedding when the network is used. */
export const embeddingSizeOf = (
  network: EmbeddingNetwork,
  { views = [], texture = [], metric = 0 }: Pick<ImageSize, "views" | "texture" | "metric">,
): number =>
  metric > 0 ? metric : network.embeddingSize * Math.max(1, views.length) + TEXTURE_SIZE * texture.length;

/** The layers of a look at an image that stand around the network. */
export const LOOK = { crop: "crop", mirrored: "mirrored", direction: "direction" } as const;

/** First and last position of the middle `share` of a side, with as much left out before it as behind it. */
function middle(side: number, share: number): [number, number] {
  const start = Math.round((side * (1 - share)) / 2);
  return [start, side - start];
}

/** What the backbone sees of an image: clients send whole photographs and need not know. */
function seen(net: NetworkBuilder, image: Node, { height, width, crop = 1 }: ImageSize): Node {
  if (crop === 1) return image;
  const [top, bottom] = middle(height, crop);
  const [left, right] = middle(width, crop);
  const cut = slice(image, [0, top, left], [Number.MAX_SAFE_INTEGER, bottom, right]);
  return net.record(LOOK.crop, "CenterCrop", [image], cut);
}

const WHOLE = Number.MAX_SAFE_INTEGER;

/** Columns from right to left. */
function mirrored(net: NetworkBuilder, image: Node): Node {
  const last = Number(image.shape[2]) - 1;
  const turned = slice(image, [0, 0, last], [WHOLE, WHOLE, -WHOLE], [1, 1, -1]);
  return net.record(LOOK.mirrored, "Mirror", [image], turned);
}

/** The direction of an embedding in use: of the image, or between those of the image and its mirror image. */
function direction(net: NetworkBuilder, network: EmbeddingNetwork, image: Node, size: ImageSize): Node {
  const view = seen(net, image, size);
  const embedding = network.build(net, view);
  const sides = size.mirror ? [embedding, network.build(net, mirrored(net, view))] : [embedding];
  const sum = sides.map((side) => l2Normalize(side)).reduce((a, b) => add(a, b));
  return net.record(LOOK.direction, "UnitNormalization", sides, l2Normalize(sum));
}

/** What the wavelets say of the crop of an image and, where that is asked for, of its mirror image: `[batch, numbers]`. */
export function textureSeen(net: NetworkBuilder, image: Node, size: ImageSize): Node {
  const view = seen(net, image, size);
  const sides = size.mirror ? [view, mirrored(net, view)] : [view];
  const told = sides.map((side) => textureOf(net, side));
  return size.mirror ? net.record("sum", "Add", told, add(told[0]!, told[1]!)) : told[0]!;
}

/** The direction of the texture's projection. */
function textureDirection(net: NetworkBuilder, image: Node, size: ImageSize): Node {
  const projected = dense(net, "projection", textureSeen(net, image, size), { units: TEXTURE_SIZE });
  return net.record(LOOK.direction, "UnitNormalization", [projected], l2Normalize(projected));
}

/** The embeddings of all views, each of length 1. */
function directionsOf(
  net: NetworkBuilder,
  network: EmbeddingNetwork,
  image: Node,
  { views = [], texture = [], ...size }: ImageSize,
): Node[] {
  const learned =
    views.length === 0
      ? [direction(net, network, image, size)]
      : views.map((crop, i) =>
          net.within(viewName(i), () => direction(net, network, image, { ...size, crop })),
        );
  const textures = texture.map((crop, i) =>
    net.within(textureName(i), () => textureDirection(net, image, { ...size, crop })),
  );
  return [...learned, ...textures];
}

/** Whether the network is used as it is trained: one look at the image, the embedding as the backbone gives it. */
export const isPlain = ({ views = [], mirror = false, texture = [], metric = 0 }: ImageSize): boolean =>
  views.length + texture.length === 0 && !mirror && metric === 0;

/**
 * The embedding of an image. Several views, texture, the mirror image and the fitted map come in when the network is
 * used, not while a backbone learns.
 */
export function backbone(net: NetworkBuilder, network: EmbeddingNetwork, image: Node, size: ImageSize): Node {
  const { metric = 0 } = size;
  if (net.mode === "training" || isPlain(size)) return network.build(net, seen(net, image, size));
  const directions = directionsOf(net, network, image, size);
  const joined =
    directions.length === 1
      ? directions[0]!
      : net.record("views", "Concatenate", directions, l2Normalize(concat(directions, 1)));
  if (metric === 0) return joined;
  const mapped = dense(net, METRIC, joined, { units: metric });
  return net.record("embedding", "UnitNormalization", [mapped], l2Normalize(mapped));
}

/** What stands before the names of a view's weights. */
export const viewName = (index: number): string => `view${index + 1}`;

/** The layer that holds the fitted map. */
export const METRIC = "metric";
