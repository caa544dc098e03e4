/** @file The Siamese network: two towers that share their weights, the distance of their embeddings, a probability. */
import {
  abs,
  add,
  concat,
  expandDims,
  input,
  l2Normalize,
  labelled,
  reshape,
  sigmoid,
  slice,
  sub,
} from "../graph/build.ts";
import type { Dim, Node } from "../graph/ops.ts";
import { normal } from "../nn/initializers.ts";
import { dense, dropout } from "../nn/layers.ts";
import { NetworkBuilder } from "../nn/network-builder.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";

/** Units of the dense layer between distance and decision. */
export const DISTANCE_UNITS = 128;

/** Deviation of the classifier's first weights: small, so that training begins at a probability of one half. */
const UNDECIDED = 0.01;

/** Names of the weights after the distance. */
export const HEAD_WEIGHTS = /^(dense_distance|classifier)\//;

/** Height and width of the images in pixels, how the tower looks at them, and what becomes of its embedding. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
  /** Share of each side, around the middle; all of it when left out. */
  readonly crop?: number;
  /** Such shares for several towers, trained one after the other, whose embeddings inference joins; instead of `crop`. */
  readonly views?: readonly number[];
  /** Whether inference embeds the mirrored image too and takes the mean of both directions. */
  readonly mirror?: boolean;
  /** Length of the embedding after the map that was fitted to the trained one (see `fitMetric`); none when left out. */
  readonly metric?: number;
}

/** Numbers in an embedding when the network is used. */
export const embeddingSizeOf = (
  network: EmbeddingNetwork,
  { views = [], metric = 0 }: Pick<ImageSize, "views" | "metric">,
): number => (metric > 0 ? metric : network.embeddingSize * Math.max(1, views.length));

/** The layers of a look at an image that stand around the network. */
export const LOOK = { crop: "crop", mirrored: "mirrored", direction: "direction" } as const;

/** First and last position of the middle `share` of a side. */
function middle(side: number, share: number): [number, number] {
  const kept = Math.round(side * share);
  const start = Math.floor((side - kept) / 2);
  return [start, start + kept];
}

/** What the tower sees of an image: clients send whole photographs and need not know. */
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

/** Whether the network is used as it is trained: one look at the image, the embedding as the tower gives it. */
export const isPlain = ({ views = [], mirror = false, metric = 0 }: ImageSize): boolean =>
  views.length === 0 && !mirror && metric === 0;

/**
 * The embedding of an image. Several views, the mirror image and the fitted map come in when the network is used, not
 * while a tower learns.
 */
export function tower(net: NetworkBuilder, network: EmbeddingNetwork, image: Node, size: ImageSize): Node {
  const { views = [], metric = 0 } = size;
  if (net.mode === "training" || isPlain(size)) return network.build(net, seen(net, image, size));
  const directions = views.map((crop, i) =>
    net.within(viewName(i), () => direction(net, network, image, { ...size, crop })),
  );
  const joined =
    views.length === 0
      ? direction(net, network, image, size)
      : net.record("views", "Concatenate", directions, l2Normalize(concat(directions, 1)));
  if (metric === 0) return joined;
  const mapped = dense(net, METRIC, joined, { units: metric });
  return net.record("embedding", "UnitNormalization", [mapped], l2Normalize(mapped));
}

/** What stands before the names of a view's weights. */
export const viewName = (index: number): string => `view${index + 1}`;

/** The layer that holds the fitted map. */
export const METRIC = "metric";

/** Lets training do without some of the embedding's values at each step. */
const thinned = (net: NetworkBuilder, embedding: Node, rate: number): Node =>
  rate === 0 ? embedding : dropout(net, "embedding_dropout", embedding, rate);

/** A pair of images on its way to a probability; every node with what it holds. */
export interface SiameseNetwork {
  readonly net: NetworkBuilder;
  /** `[batch, height, width, 3]`, RGB in [0, 1]. */
  readonly anchorImage: Node;
  readonly verificationImage: Node;
  /** `[batch, embeddingSize]` */
  readonly anchorEmbedding: Node;
  readonly verificationEmbedding: Node;
  /** `[batch, 1]`: the sigmoid's argument. */
  readonly logits: Node;
  /** `[batch, 1]`: the probability that both images show one person. */
  readonly classifier: Node;
}

/** From two embeddings `[batch, size]` to logits `[batch, 1]`. */
export function head(net: NetworkBuilder, a: Node, b: Node): Node {
  return decision(net, net.record("distance", "Lambda", [a, b], labelled(abs(sub(a, b)), "distance")));
}

/** Logits `[batch², 1]` of each image with each: those of the first image come first. */
export function everyPair(net: NetworkBuilder, embeddings: Node): Node {
  const [batch, size] = embeddings.shape.map(Number) as [number, number];
  const distances = abs(sub(expandDims(embeddings, 1), expandDims(embeddings, 0)));
  return decision(net, reshape(labelled(distances, "distance"), [batch * batch, size]));
}

function decision(net: NetworkBuilder, distance: Node): Node {
  const hidden = dense(net, "dense_distance", distance, { units: DISTANCE_UNITS, activation: "relu" });
  return dense(net, "classifier", hidden, { units: 1, initializer: normal(UNDECIDED) });
}

/** An image input of the network. */
export function imageInput(name: string, batch: Dim, { height, width }: ImageSize): Node {
  return input(name, [batch, height, width, 3]);
}

/** How a Siamese network is written down. */
export interface SiameseOptions {
  readonly mode: "training" | "inference";
  readonly batch: Dim;
  /** Names of the two image inputs. */
  readonly inputs?: readonly [anchor: string, verification: string];
  /** Share of each embedding's values that training leaves out. */
  readonly dropout?: number;
}

/** Writes down the whole network for one batch size, or for any (`"batch"`). */
export function siamese(
  network: EmbeddingNetwork,
  image: ImageSize,
  {
    mode,
    batch,
    inputs: [anchor, verification] = ["anchor_img", "verification_img"],
    dropout: rate = 0,
  }: SiameseOptions,
): SiameseNetwork {
  const net = new NetworkBuilder(mode);
  const anchorImage = imageInput(anchor, batch, image);
  const verificationImage = imageInput(verification, batch, image);
  const embedding = (pixels: Node) => thinned(net, tower(net, network, pixels, image), rate);
  const anchorEmbedding = embedding(anchorImage);
  const verificationEmbedding = embedding(verificationImage);
  const logits = head(net, anchorEmbedding, verificationEmbedding);
  const classifier = sigmoid(logits);
  return { net, anchorImage, verificationImage, anchorEmbedding, verificationEmbedding, logits, classifier };
}

/** A batch of images, each embedded once and compared with all. */
export interface GroupNetwork {
  readonly net: NetworkBuilder;
  /** `[batch, height, width, 3]`, RGB in [0, 1]. */
  readonly images: Node;
  /** `[batch, embeddingSize]` */
  readonly embeddings: Node;
  /** `[batch², 1]`: the sigmoid's argument for each image with each. */
  readonly logits: Node;
}

/** Writes down the network for training on batches of images. */
export function grouped(
  network: EmbeddingNetwork,
  image: ImageSize,
  { batch, dropout: rate = 0 }: { batch: number; dropout?: number },
): GroupNetwork {
  const net = new NetworkBuilder("training");
  const images = imageInput("input_image", batch, image);
  const embeddings = thinned(net, tower(net, network, images, image), rate);
  return { net, images, embeddings, logits: everyPair(net, embeddings) };
}

/** The embedding alone: one image in, one vector out. */
export function embedder(
  network: EmbeddingNetwork,
  image: ImageSize,
  batch: Dim,
): { image: Node; embedding: Node } {
  const net = new NetworkBuilder("inference");
  const node = imageInput("input_image", batch, image);
  return { image: node, embedding: tower(net, network, node, image) };
}

/** The head alone: two embeddings in, a probability out. */
export function comparer(
  network: EmbeddingNetwork,
  image: ImageSize,
  batch: Dim,
): { anchor: Node; verification: Node; classifier: Node } {
  const net = new NetworkBuilder("inference");
  const size = embeddingSizeOf(network, image);
  const anchor = input("anchor_embedding", [batch, size]);
  const verification = input("verification_embedding", [batch, size]);
  return { anchor, verification, classifier: sigmoid(head(net, anchor, verification)) };
}
