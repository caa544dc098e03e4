/** @file The Siamese network: two backbones with shared weights, the distance of their embeddings, a probability. */
import { COMPARE, EMBED, PAIR } from "../artifact/signatures.ts";
import {
  abs,
  expandDims,
  input,
  l2Normalize,
  labelled,
  mul,
  reduceSum,
  reshape,
  sigmoid,
  sub,
} from "../graph/build.ts";
import type { Dim, Node } from "../graph/ops.ts";
import { constantOf, normal } from "../nn/initializers.ts";
import { dense, dropout } from "../nn/layers.ts";
import { NetworkBuilder } from "../nn/network-builder.ts";
import { backbone } from "./backbone.ts";
import { embeddingSizeOf, type HeadKind, type ImageSize, type ModelConfig } from "./model-config.ts";

/** Units of the dense layer between distance and decision. */
export const DISTANCE_UNITS = 128;

/** Deviation of the classifier's first weights: small, so that training begins at a probability of one half. */
const UNDECIDED = 0.01;

/** The layer of the cosine's head: the squared distance, which is 2 − 2 · cosine for embeddings of length 1. */
const SQUARE = "squared_distance";

/** Names of the head's weights. */
export const HEAD_WEIGHTS = /^(dense_distance|classifier)\//;

/** Dropout on the embedding in training. */
const thinned = (net: NetworkBuilder, embedding: Node, rate: number): Node =>
  rate === 0 ? embedding : dropout(net, "embedding_dropout", embedding, rate);

/** The network on a pair of images. */
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
export function head(net: NetworkBuilder, a: Node, b: Node, kind: HeadKind = "dense"): Node {
  return decision(net, net.record("distance", "Lambda", [a, b], labelled(abs(sub(a, b)), "distance")), kind);
}

/** Logits `[batch², 1]` of each image with each: those of the first image come first. */
export function everyPair(net: NetworkBuilder, embeddings: Node, kind: HeadKind = "dense"): Node {
  const [batch, size] = embeddings.shape.map(Number) as [number, number];
  const distances = abs(sub(expandDims(embeddings, 1), expandDims(embeddings, 0)));
  return decision(net, reshape(labelled(distances, "distance"), [batch * batch, size]), kind);
}

function decision(net: NetworkBuilder, distance: Node, kind: HeadKind): Node {
  if (kind === "cosine") {
    const square = labelled(reduceSum(mul(distance, distance), { axes: [1], keepDims: true }), SQUARE);
    const recorded = net.record(SQUARE, "Lambda", [distance], square);
    return dense(net, PAIR.classifier, recorded, { units: 1, initializer: constantOf(-1) });
  }
  const hidden = dense(net, "dense_distance", distance, { units: DISTANCE_UNITS, activation: "relu" });
  return dense(net, PAIR.classifier, hidden, { units: 1, initializer: normal(UNDECIDED) });
}

/** An image input of the network. */
export function imageInput(name: string, batch: Dim, { height, width }: ImageSize): Node {
  return input(name, [batch, height, width, 3]);
}

/** How to build a Siamese network. */
export interface SiameseOptions {
  readonly mode: "training" | "inference";
  readonly batch: Dim;
  /** Names of the two image inputs. */
  readonly inputs?: readonly [anchor: string, verification: string];
  /** Dropout rate of the embeddings in training. */
  readonly dropout?: number;
}

/** Builds the whole network for one batch size, or for any (`"batch"`). */
export function siamese(
  config: ModelConfig,
  {
    mode,
    batch,
    inputs: [anchor, verification] = [PAIR.anchor, PAIR.verification],
    dropout: rate = 0,
  }: SiameseOptions,
): SiameseNetwork {
  const net = new NetworkBuilder(mode);
  const anchorImage = imageInput(anchor, batch, config.input);
  const verificationImage = imageInput(verification, batch, config.input);
  const embedding = (pixels: Node) => thinned(net, backbone(net, pixels, config), rate);
  const anchorEmbedding = embedding(anchorImage);
  const verificationEmbedding = embedding(verificationImage);
  const logits = head(net, anchorEmbedding, verificationEmbedding, config.head);
  const classifier = sigmoid(logits);
  return { net, anchorImage, verificationImage, anchorEmbedding, verificationEmbedding, logits, classifier };
}

/** The network on a batch of images, each embedded once and compared with all. */
export interface GroupNetwork {
  readonly net: NetworkBuilder;
  /** `[batch, height, width, 3]`, RGB in [0, 1]. */
  readonly images: Node;
  /** `[batch, embeddingSize]` */
  readonly embeddings: Node;
  /** `[batch², 1]`: the sigmoid's argument for each image with each. */
  readonly logits: Node;
}

/** How to build a network for batches of images. */
export interface GroupOptions {
  readonly batch: number;
  readonly dropout?: number;
  /** Whether the network is trained further: running statistics stay, and the head sees embeddings of length 1. Default false. */
  readonly isTuned?: boolean;
}

/** Builds the network for training on batches of images. */
export function grouped(
  config: ModelConfig,
  { batch, dropout: rate = 0, isTuned = false }: GroupOptions,
): GroupNetwork {
  const net = new NetworkBuilder("training", { keepsStatistics: isTuned });
  const images = imageInput(EMBED.image, batch, config.input);
  const raw = thinned(net, backbone(net, images, config), rate);
  const embeddings = isTuned ? l2Normalize(raw) : raw;
  return { net, images, embeddings, logits: everyPair(net, embeddings, config.head) };
}

/** The embedding alone: one image in, one vector out. */
export function embedder(config: ModelConfig, batch: Dim): { image: Node; embedding: Node } {
  const net = new NetworkBuilder("inference");
  const image = imageInput(EMBED.image, batch, config.input);
  return { image, embedding: backbone(net, image, config) };
}

/** The head alone: two embeddings in, a probability out. */
export function comparer(
  config: ModelConfig,
  batch: Dim,
): { anchor: Node; verification: Node; classifier: Node } {
  const net = new NetworkBuilder("inference");
  const size = embeddingSizeOf(config);
  const anchor = input(COMPARE.anchor, [batch, size]);
  const verification = input(COMPARE.verification, [batch, size]);
  return { anchor, verification, classifier: sigmoid(head(net, anchor, verification, config.head)) };
}
