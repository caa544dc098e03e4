/** @file The losses that a run can choose, and the gradients of backbone and head under each. */
import * as g from "../graph/build.ts";
import { gradient } from "../graph/gradient.ts";
import type { Node } from "../graph/ops.ts";
import { HEAD_WEIGHTS } from "../model/siamese.ts";
import { distillationLoss } from "../nn/distillation-loss.ts";
import type { MarginOptions, NormStatistics } from "../nn/identity-losses.ts";
import { adaFaceLoss, arcFaceLoss, cosFaceLoss, embeddingNorms } from "../nn/identity-losses.ts";
import { constantOf, normal } from "../nn/initializers.ts";
import type { NetworkBuilder, Weight } from "../nn/network-builder.ts";
import { tripletLoss } from "../nn/triplet-loss.ts";

/** Losses of pairs; `bce` is the Siamese network's own, on the head's output. */
const PAIR_LOSSES = ["bce", "contrastive"] as const;
/** Losses of triplets found within a batch. */
const TRIPLET_LOSSES = ["triplet-semihard", "triplet-hard"] as const;
/** Softmax losses over all people, with one weight vector each. */
const IDENTITY_LOSSES = ["cosface", "arcface", "adaface"] as const;

/** Training losses. Under all but `bce` the backbone learns from its embeddings and the head on top of them. */
export const LOSSES = [...PAIR_LOSSES, ...TRIPLET_LOSSES, ...IDENTITY_LOSSES] as const;
export type LossName = (typeof LOSSES)[number];

/** A loss with its parameters. */
export type LossSettings =
  | { readonly name: (typeof PAIR_LOSSES)[number] }
  | {
      readonly name: (typeof TRIPLET_LOSSES)[number];
      /** By which the squared distance to a negative should exceed the one to a positive. */
      readonly margin: number;
    }
  | ({
      readonly name: (typeof IDENTITY_LOSSES)[number];
      /** Number of people. */
      readonly classes: number;
      /** People that each step knows: those of the batch and others, drawn at random. Default: all. */
      readonly samples?: number | undefined;
    } & MarginOptions);

const isOneOf = <T extends string>(names: readonly T[], name: string): name is T =>
  (names as readonly string[]).includes(name);

/** Whether a loss needs the identity on each image. */
export const needsLabels = (name: LossName): boolean => !isOneOf(PAIR_LOSSES, name);

/** Whether a loss is a softmax over all people. */
export const isSoftmax = (name: LossName): boolean => isOneOf(IDENTITY_LOSSES, name);

/** Numbers of people of a loss that knows some of them in each step; undefined for other losses. */
export function sampledClasses(
  loss: LossSettings,
): { readonly classes: number; readonly samples: number } | undefined {
  if (!("samples" in loss) || loss.samples === undefined) return undefined;
  return { classes: loss.classes, samples: loss.samples };
}

/** The settings of a loss, with those of the options that it uses. */
export function lossSettings(
  name: LossName,
  options: MarginOptions & { readonly classes: number; readonly samples?: number | undefined },
): LossSettings {
  if (isOneOf(PAIR_LOSSES, name)) return { name };
  if (isOneOf(TRIPLET_LOSSES, name)) return { name, margin: options.margin };
  return { name, ...options };
}

/** Margin of the contrastive loss; the largest possible distance is 2. */
const CONTRASTIVE_MARGIN = 1;

/** The weight vectors of the people trained on; inference does not use them. */
export const DIRECTIONS = "people/directions";
const DIRECTION_DEVIATION = 0.01;
/** The directions of the people of one step, one in each row, so that those of others need not be moved. */
export const DIRECTION_ROWS = "people/direction_rows";

/** AdaFace's running statistics of embedding norms: names, initial values, and the weight of each batch (the paper's α). */
const NORM_MEAN = "people/norm_mean";
const NORM_DEVIATION = "people/norm_deviation";
const NORM_START = { mean: 20, deviation: 100 };
const NORM_RATE = 0.01;

export interface Losses {
  readonly reported: Node;
  /** By the name of each trainable weight. */
  readonly gradients: ReadonlyMap<string, Node>;
}

/** Inputs of a loss, for either sampling. */
export interface LossInputs {
  readonly net: NetworkBuilder;
  readonly loss: LossSettings;
  /** `[images, size]` */
  readonly embeddings: Node;
  /** `[images]`: identities, for the losses that need labels. */
  readonly labels: Node;
  /** Cross-entropy of the head. */
  readonly pairLoss: Node;
  contrastive(margin: number): Node;
  /** `[images, size]`: the embeddings to learn, of length 1. */
  readonly teacher?: Node | undefined;
}

/** The loss of a student, and that of the people on its images if it learns both. */
function studentLoss(inputs: LossInputs, teacher: Node): Node {
  const taught = distillationLoss(inputs.embeddings, teacher);
  return inputs.loss.name === "bce" ? taught : g.add(taught, embeddingLoss(inputs));
}

function gradientsOf(loss: Node, weights: readonly Weight[], net: NetworkBuilder): Map<string, Node> {
  const nodes = weights.map(({ name }) => net.nodeOf(name));
  const gradients = gradient(loss, nodes);
  return new Map(weights.map(({ name }, i) => [name, gradients[i]!]));
}

const trainableOf = (net: NetworkBuilder) => net.weights.filter((weight) => weight.trainable);

/** The running statistics of embedding norms after this batch. */
function normStatistics(net: NetworkBuilder, embeddings: Node): NormStatistics {
  const statistic = (name: string, start: number) =>
    net.weight(name, [], { initializer: constantOf(start), trainable: false, fans: { in: 1, out: 1 } });
  const mean = statistic(NORM_MEAN, NORM_START.mean);
  const deviation = statistic(NORM_DEVIATION, NORM_START.deviation);
  const norms = embeddingNorms(embeddings);
  const batchMean = g.reduceMean(norms);
  const batchDeviation = g.sqrt(g.reduceMean(g.square(g.sub(norms, batchMean))));
  const moved = (value: Node, batch: Node) => g.add(g.mul(value, 1 - NORM_RATE), g.mul(batch, NORM_RATE));
  const next = { mean: moved(mean, batchMean), deviation: moved(deviation, batchDeviation) };
  net.update(NORM_MEAN, next.mean);
  net.update(NORM_DEVIATION, next.deviation);
  return next;
}

/** Directions `[size, classes]` of the people that the step knows. */
function directionsOf(net: NetworkBuilder, loss: LossSettings & { classes: number }, size: number): Node {
  const options = { initializer: normal(DIRECTION_DEVIATION), decays: true };
  const sampled = sampledClasses(loss);
  if (sampled === undefined) return net.weight(DIRECTIONS, [size, loss.classes], options);
  return g.transpose(net.weight(DIRECTION_ROWS, [sampled.samples, size], options), [1, 0]);
}

/** The loss of the embeddings. */
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
  const directions = directionsOf(net, loss, Number(embeddings.shape[1]));
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
 * The loss and its gradients. Under `bce` without a teacher the whole network learns from the pairs' cross-entropy; otherwise
 * the backbone learns from the embeddings' loss, and the cross-entropy trains the head alone.
 */
export function lossesOf(inputs: LossInputs): Losses {
  const { net, pairLoss, loss, teacher } = inputs;
  if (loss.name === "bce" && teacher === undefined) {
    return { reported: pairLoss, gradients: gradientsOf(pairLoss, trainableOf(net), net) };
  }
  const backboneLoss = teacher === undefined ? embeddingLoss(inputs) : studentLoss(inputs, teacher);
  const part = (inHead: boolean) => trainableOf(net).filter(({ name }) => HEAD_WEIGHTS.test(name) === inHead);
  return {
    reported: backboneLoss,
    gradients: new Map([
      ...gradientsOf(backboneLoss, part(false), net),
      ...gradientsOf(pairLoss, part(true), net),
    ]),
  };
}
