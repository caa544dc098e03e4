/** @file The training step as graphs: forward, loss, derivatives, and what the optimiser and the statistics make of them. */
import { COMPARE, EMBED, PAIR } from "../artifact/signatures.ts";
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import { embeddingSizeOf, type ImageSize } from "../model/backbone.ts";
import type { EmbeddingNetwork } from "../model/embedding-network.ts";
import { embedder, grouped, head, siamese } from "../model/siamese.ts";
import {
  batchPairs,
  minedPairs,
  pairsAccuracy,
  pairsContrastive,
  pairsCrossentropy,
} from "../nn/batch-pairs.ts";
import { binaryAccuracy, binaryCrossentropy, contrastiveLoss } from "../nn/losses.ts";
import { NetworkBuilder, type Weight } from "../nn/network-builder.ts";
import { decayed, type Optimizer, type StepInputs } from "../nn/optimizers.ts";
import type { Program } from "../onnx/lower/lower.ts";
import { type Losses, type LossSettings, lossesOf } from "./step-losses.ts";

export interface StepOptions {
  readonly network: EmbeddingNetwork;
  readonly image: ImageSize;
  /** Pairs when left out. */
  readonly sampling?: Sampling;
  /** Pairs or images in one run of the graph. */
  readonly batch: number;
  readonly loss: LossSettings;
  readonly optimizer: Optimizer;
  /** Share of each kernel that is taken off at learning rate 1 (Loshchilov and Hutter, 2019). */
  readonly weightDecay: number;
  /** Probability with which a value of the embedding is left out of a step. */
  readonly dropout?: number;
  /** Greatest length of all derivatives together; 0 for any. */
  readonly clipNorm?: number;
}

/**
 * What a batch is made of: pairs; or some photographs of each of several people, every one embedded once and compared
 * with all others.
 */
export const SAMPLINGS = ["pairs", "people"] as const;
export type Sampling = (typeof SAMPLINGS)[number];

/** Names of the step's inputs. */
export const STEP_INPUTS = {
  anchor: PAIR.anchor,
  verification: PAIR.verification,
  same: "same",
  anchorLabel: "anchor_label",
  verificationLabel: "verification_label",
  images: EMBED.image,
  label: "label",
  learningRate: "learning_rate",
  step: "step",
} as const;

/** Where a replica leaves a weight's derivative for the update. */
export const gradientName = (weight: string): string => `gradient/${weight}`;
/** Where the optimiser keeps a running value of a weight. */
export const slotName = (optimizer: string, slot: string, weight: string): string =>
  `${optimizer}/${slot}/${weight}`;

export interface TrainingGraphs {
  /** The whole step in one graph. */
  readonly whole: Program;
  /** The step in two, for replicas that average their derivatives in between. */
  readonly derivatives: Program;
  /** The second half, for some of the trainable weights. */
  update(owned: ReadonlySet<string>): Program;
  readonly weights: readonly Weight[];
  /** What the optimiser keeps for some of the trainable weights. */
  slots(owned: ReadonlySet<string>): readonly string[];
  /** What replicas have to average: derivatives and batch statistics. */
  readonly averaged: readonly string[];
}

/** The next values of one weight and its slots, by name. */
function updateOf(
  weight: Weight,
  value: Node,
  derivative: Node,
  inputs: StepInputs,
  options: StepOptions,
): [string, Node][] {
  const { optimizer, weightDecay } = options;
  const slots = Object.fromEntries(
    optimizer.slots.map((slot) => [
      slot,
      g.parameter(slotName(optimizer.name, slot, weight.name), weight.shape),
    ]),
  );
  const shrunk = weightDecay > 0 && weight.decays ? decayed(value, inputs.learningRate, weightDecay) : value;
  const next = optimizer.update(shrunk, derivative, slots, inputs);
  const kept = Object.entries(next.slots).map(([slot, node]): [string, Node] => [
    slotName(optimizer.name, slot, weight.name),
    node,
  ]);
  return [[weight.name, next.weight], ...kept];
}

/** A batch on its way to a loss. */
interface Batch {
  readonly net: NetworkBuilder;
  readonly losses: Losses;
  readonly accuracy: Node;
}

function pairsBatch({ network, image, batch, loss, dropout = 0 }: StepOptions): Batch {
  const model = siamese(network, image, { mode: "training", batch, dropout });
  const { net, anchorEmbedding, verificationEmbedding, logits } = model;
  const same = g.input(STEP_INPUTS.same, [batch]);
  const labels = [STEP_INPUTS.anchorLabel, STEP_INPUTS.verificationLabel].map((name) =>
    g.input(name, [batch]),
  );
  const losses = lossesOf({
    net,
    loss,
    embeddings: g.concat([anchorEmbedding, verificationEmbedding], 0),
    labels: g.concat(labels, 0),
    pairLoss: binaryCrossentropy(logits, same),
    contrastive: (margin) => contrastiveLoss(anchorEmbedding, verificationEmbedding, same, margin),
  });
  return { net, losses, accuracy: binaryAccuracy(logits, same) };
}

function peopleBatch({ network, image, batch, loss, dropout = 0 }: StepOptions): Batch {
  const { net, embeddings, logits } = grouped(network, image, { batch, dropout });
  const labels = g.input(STEP_INPUTS.label, [batch]);
  const pairs = batchPairs(labels);
  const { mining = "all" } = loss.name === "bce" ? loss : {};
  const losses = lossesOf({
    net,
    loss,
    embeddings,
    labels,
    pairLoss: pairsCrossentropy(logits, minedPairs(pairs, logits, mining)),
    contrastive: (margin) => pairsContrastive(embeddings, pairs, margin),
  });
  return { net, losses, accuracy: pairsAccuracy(logits, pairs) };
}

/** Derivatives together no longer than `limit` (Pascanu, Mikolov and Bengio, 2013); 0 leaves them as they are. */
function clipped(derivatives: ReadonlyMap<string, Node>, limit: number): ReadonlyMap<string, Node> {
  if (limit === 0) return derivatives;
  const squares = [...derivatives.values()].map((derivative) => g.reduceSum(g.square(derivative)));
  const length = g.sqrt(squares.reduce((sum, square) => g.add(sum, square)));
  const factor = g.div(limit, g.max(length, limit));
  return new Map([...derivatives].map(([name, derivative]) => [name, g.mul(derivative, factor)]));
}

/** Writes down the training step of a Siamese network. */
export function trainingGraphs(options: StepOptions): TrainingGraphs {
  const { sampling, optimizer, clipNorm = 0 } = options;
  const { net, losses, accuracy } = sampling === "people" ? peopleBatch(options) : pairsBatch(options);
  const { reported, derivatives } = losses;
  const trainable = net.weights.filter((weight) => weight.trainable);
  const outputs = { loss: reported, accuracy };

  const inputs = { learningRate: g.input(STEP_INPUTS.learningRate, []), step: g.input(STEP_INPUTS.step, []) };
  const updates = (given: ReadonlyMap<string, Node>, weights = trainable) => {
    const used = clipped(given, clipNorm);
    return weights.flatMap((weight) =>
      updateOf(weight, net.nodeOf(weight.name), used.get(weight.name)!, inputs, options),
    );
  };
  const direct = updates(derivatives);
  const averages = new Map(
    trainable.map(({ name, shape }) => [name, g.parameter(gradientName(name), shape)]),
  );
  const those = (owned: ReadonlySet<string>) => trainable.filter(({ name }) => owned.has(name));
  const handedOver = trainable.map(({ name }): [string, Node] => [
    gradientName(name),
    derivatives.get(name)!,
  ]);
  return {
    whole: { outputs, updates: new Map([...direct, ...net.updates]) },
    derivatives: { outputs, updates: new Map([...handedOver, ...net.updates]) },
    update: (owned) => ({ outputs: {}, updates: new Map(updates(averages, those(owned))) }),
    weights: net.weights,
    slots: (owned) =>
      those(owned).flatMap(({ name }) => optimizer.slots.map((slot) => slotName(optimizer.name, slot, name))),
    averaged: [...handedOver.map(([name]) => name), ...net.updates.keys()],
  };
}

/** The forward pass of either half of the network, for validation while training: any batch size. */
export function inferenceGraphs(
  network: EmbeddingNetwork,
  image: ImageSize,
): { embed: Program; compare: Program } {
  const { embedding } = embedder(network, image, "batch");
  const top = new NetworkBuilder("inference");
  const [anchor, verification] = [COMPARE.anchor, COMPARE.verification].map((name) =>
    g.input(name, ["batch", embeddingSizeOf(network, image)]),
  ) as [Node, Node];
  const classifier = g.sigmoid(head(top, anchor, verification));
  return {
    embed: { outputs: { embedding } },
    compare: { outputs: { classifier } },
  };
}
