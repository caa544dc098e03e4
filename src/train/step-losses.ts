/** @file The losses that a run can choose, and the derivatives that each of them gives to backbone and head. */
import * as g from "../graph/build.ts";
import { gradient } from "../graph/gradient.ts";
import type { Node } from "../graph/ops.ts";
import { HEAD_WEIGHTS } from "../model/siamese.ts";
import type { PairMining } from "../nn/batch-pairs.ts";
import {
  adaFaceLoss,
  arcFaceLoss,
  cosFaceLoss,
  embeddingNorms,
  type MarginOptions,
  type NormStatistics,
} from "../nn/identity-losses.ts";
import { constantOf, normal } from "../nn/initializers.ts";
import type { NetworkBuilder, Weight } from "../nn/network-builder.ts";
import { tripletLoss } from "../nn/triplet-loss.ts";

/** Losses of pairs; `bce` is the Siamese network's own. */
const PAIR_LOSSES = ["bce", "contrastive"] as const;
/** Losses between the images of a batch, whoever they show. */
const TRIPLET_LOSSES = ["triplet-semihard", "triplet-hard"] as const;
/** Losses that have a direction for each person. */
const IDENTITY_LOSSES = ["cosface", "arcface", "adaface"] as const;

/**
 * What is made small: the pair's cross-entropy; or what embeddings are to each other, or to the people they show, with
 * the head trained on top of them.
 */
export const LOSSES = [...PAIR_LOSSES, ...TRIPLET_LOSSES, ...IDENTITY_LOSSES] as const;
export type LossName = (typeof LOSSES)[number];

/** A loss with what it has to be told. */
export type LossSettings =
  | { readonly name: "contrastive" }
  | {
      readonly name: "bce";
      /** Which pairs of two people count in a batch by people; all when left out. */
      readonly mining?: PairMining;
    }
  | {
      readonly name: (typeof TRIPLET_LOSSES)[number];
      /** By which the squared distance to others shall exceed the one within a person. */
      readonly margin: number;
    }
  | ({
      readonly name: (typeof IDENTITY_LOSSES)[number];
      /** People that are told apart. */
      readonly classes: number;
    } & MarginOptions);

const isOneOf = <T extends string>(names: readonly T[], name: string): name is T =>
  (names as readonly string[]).includes(name);

/** Whether a loss has to be told who is on each image. */
export const needsLabels = (name: LossName): boolean => !isOneOf(PAIR_LOSSES, name);

/** The settings of a loss; of the options it takes those that it has a use for. */
export function lossSettings(
  name: LossName,
  { mining, ...options }: MarginOptions & { readonly classes: number; readonly mining: PairMining },
): LossSettings {
  if (name === "bce") return { name, mining };
  if (name === "contrastive") return { name };
  if (isOneOf(TRIPLET_LOSSES, name)) return { name, margin: options.margin };
  return { name, ...options };
}

/** Distance that the contrastive loss asks for between different people, of the 2 that are possible. */
const CONTRASTIVE_MARGIN = 1;

/** One direction for each person that the backbone is trained on; left behind when training ends. */
const DIRECTIONS = "people/directions";
const DIRECTION_DEVIATION = 0.01;

/** AdaFace's running statistics: names, first values, and the share that each batch contributes (its paper's α). */
const NORM_MEAN = "people/norm_mean";
const NORM_DEVIATION = "people/norm_deviation";
const NORM_START = { mean: 20, deviation: 100 };
const NORM_SHARE = 0.01;

export interface Losses {
  readonly reported: Node;
  /** The derivative of the loss by each trainable weight. */
  readonly derivatives: ReadonlyMap<string, Node>;
}

/** What a loss is taken of, whatever the batch is made of. */
export interface LossInputs {
  readonly net: NetworkBuilder;
  readonly loss: LossSettings;
  /** `[images, size]` */
  readonly embeddings: Node;
  /** `[images]`: who is on each; used by losses that need labels only. */
  readonly labels: Node;
  /** Of the head. */
  readonly pairLoss: Node;
  /** Of the embeddings, for the contrastive loss. */
  contrastive(margin: number): Node;
}

function derivativesOf(loss: Node, weights: readonly Weight[], net: NetworkBuilder): Map<string, Node> {
  const nodes = weights.map(({ name }) => net.nodeOf(name));
  const gradients = gradient(loss, nodes);
  return new Map(weights.map(({ name }, i) => [name, gradients[i]!]));
}

const trainableOf = (net: NetworkBuilder) => net.weights.filter((weight) => weight.trainable);

/** Reads the lengths' running statistics and moves them towards the batch's. */
function normStatistics(net: NetworkBuilder, embeddings: Node): NormStatistics {
  const statistic = (name: string, start: number) =>
    net.weight(name, [], { initializer: constantOf(start), trainable: false, fans: { in: 1, out: 1 } });
  const mean = statistic(NORM_MEAN, NORM_START.mean);
  const deviation = statistic(NORM_DEVIATION, NORM_START.deviation);
  const norms = embeddingNorms(embeddings);
  const batchMean = g.reduceMean(norms);
  const batchDeviation = g.sqrt(g.reduceMean(g.square(g.sub(norms, batchMean))));
  const moved = (value: Node, batch: Node) => g.add(g.mul(value, 1 - NORM_SHARE), g.mul(batch, NORM_SHARE));
  const next = { mean: moved(mean, batchMean), deviation: moved(deviation, batchDeviation) };
  net.update(NORM_MEAN, next.mean);
  net.update(NORM_DEVIATION, next.deviation);
  return next;
}

/** How far embeddings are from where they belong: pair by pair, or by whom they show. */
function embeddingLoss({ net, loss, embeddings, labels, contrastive }: LossInputs): Node {
  switch (loss.name) {
    case "bce":
    case "contrastive":
      return contrastive(CONTRASTIVE_MARGIN);
    case "triplet-semihard":
      return tripletLoss(embeddings, labels, "semihard", loss.margin);
    case "triplet-hard":
      return tripletLoss(embeddings, labels, "hard", loss.margin);
  }
  const directions = net.weight(DIRECTIONS, [Number(embeddings.shape[1]), loss.classes], {
    initializer: normal(DIRECTION_DEVIATION),
    decays: true,
  });
  switch (loss.name) {
    case "cosface":
      return cosFaceLoss(embeddings, directions, labels, loss);
    case "arcface":
      return arcFaceLoss(embeddings, directions, labels, loss);
    case "adaface":
      return adaFaceLoss(embeddings, directions, labels, { ...loss, ...normStatistics(net, embeddings) });
  }
}

/**
 * The loss and its derivatives. With the pair's cross-entropy the whole network learns from it; otherwise the backbone
 * learns from the embeddings' loss alone, and the head learns to read the distances without moving the backbone.
 */
export function lossesOf(inputs: LossInputs): Losses {
  const { net, pairLoss, loss } = inputs;
  if (loss.name === "bce") {
    return { reported: pairLoss, derivatives: derivativesOf(pairLoss, trainableOf(net), net) };
  }
  const backboneLoss = embeddingLoss(inputs);
  const part = (inHead: boolean) => trainableOf(net).filter(({ name }) => HEAD_WEIGHTS.test(name) === inHead);
  return {
    reported: backboneLoss,
    derivatives: new Map([
      ...derivativesOf(backboneLoss, part(false), net),
      ...derivativesOf(pairLoss, part(true), net),
    ]),
  };
}
