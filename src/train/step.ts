/** @file The training step as graphs: forward pass, loss, gradients, updates of weights, optimiser slots and statistics. */
import { EMBED, PAIR } from "../artifact/signatures.ts";
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import type { ModelConfig } from "../model/model-config.ts";
import { comparer, embedder, grouped, siamese } from "../model/siamese.ts";
import type { NetworkBuilder, Weight } from "../nn/network-builder.ts";
import type { Optimizer, OptimizerSettings, StepInputs } from "../nn/optimizers.ts";
import { decayed, optimizerOf } from "../nn/optimizers.ts";
import {
  batchPairs,
  binaryAccuracy,
  binaryCrossentropy,
  contrastiveLoss,
  pairsAccuracy,
  pairsContrastive,
  pairsCrossentropy,
} from "../nn/pair-losses.ts";
import type { Program } from "../onnx/lower/lower.ts";
import { type Losses, type LossSettings, lossesOf } from "./step-losses.ts";

/** What a training step computes, as plain data. */
export interface StepSettings {
  readonly model: ModelConfig;
  /** Default `pairs`. */
  readonly sampling?: Sampling;
  readonly loss: LossSettings;
  readonly optimizer: OptimizerSettings;
  /** Decoupled weight decay of kernels (Loshchilov and Hutter, 2019). */
  readonly weightDecay: number;
  /** Dropout rate of the embedding. Default 0. */
  readonly dropout?: number;
  /** Global gradient-norm limit; 0, the default, disables clipping. */
  readonly clipNorm?: number;
  /** Decay of the weights' moving average; 0, the default, keeps none. */
  readonly averageDecay?: number;
  /** Whether a pretrained network is trained further (`sampling` people); see `GroupOptions`. */
  readonly isTuned?: boolean;
  /** Whether the backbone learns a teacher's embeddings, of the same size as its own (`sampling` people). */
  readonly teacher?: boolean;
}

/** Content of a batch: pairs; or several images of each of several people, each embedded once and compared with all others. */
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
  teacher: "teacher",
  learningRate: "learning_rate",
  step: "step",
} as const;

/** The parameter that holds a weight's gradient between the two halves of a step. */
export const gradientName = (weight: string): string => `gradient/${weight}`;
/** The parameter of an optimiser slot. */
export const slotName = (optimizer: string, slot: string, weight: string): string =>
  `${optimizer}/${slot}/${weight}`;

export interface TrainingGraphs {
  /** The whole step in one graph. */
  readonly whole: Program;
  /** First half of the step, for replicas that average their gradients before the second. */
  readonly gradients: Program;
  /** Second half of the step, for some of the trainable weights. */
  update(owned: ReadonlySet<string>): Program;
  readonly weights: readonly Weight[];
  /** Names of the optimiser slots of some of the trainable weights. */
  slots(owned: ReadonlySet<string>): readonly string[];
  /** Names of what replicas average: gradients and batch statistics. */
  readonly averaged: readonly string[];
}

/** How weights change in a step. */
interface UpdateRule {
  readonly optimizer: Optimizer;
  readonly weightDecay: number;
  readonly inputs: StepInputs;
}

/** The next values of one weight and its slots, by name. */
export function updateOf(
  weight: Weight,
  value: Node,
  gradient: Node,
  { optimizer, weightDecay, inputs }: UpdateRule,
): [string, Node][] {
  const nameOf = (slot: string) => slotName(optimizer.name, slot, weight.name);
  const slots = Object.fromEntries(
    optimizer.slots.map((slot) => [slot, g.parameter(nameOf(slot), weight.shape)]),
  );
  const shrunk = weightDecay > 0 && weight.decays ? decayed(value, inputs.learningRate, weightDecay) : value;
  const next = optimizer.update(shrunk, gradient, slots, inputs);
  const kept = Object.entries(next.slots).map(([slot, node]): [string, Node] => [nameOf(slot), node]);
  return [[weight.name, next.weight], ...kept];
}

/** The forward pass of a batch up to its loss. */
interface Batch {
  readonly net: NetworkBuilder;
  readonly losses: Losses;
  readonly accuracy: Node;
}

function pairsBatch({ model, loss, dropout = 0 }: StepSettings, batch: number): Batch {
  const network = siamese(model, { mode: "training", batch, dropout });
  const { net, anchorEmbedding, verificationEmbedding, logits } = network;
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

function peopleBatch(
  { model, loss, dropout = 0, teacher = false, isTuned = false }: StepSettings,
  batch: number,
): Batch {
  const { net, embeddings, logits } = grouped(model, { batch, dropout, isTuned });
  const labels = g.input(STEP_INPUTS.label, [batch]);
  const pairs = batchPairs(labels);
  const losses = lossesOf({
    net,
    loss,
    embeddings,
    labels,
    pairLoss: pairsCrossentropy(logits, pairs),
    contrastive: (margin) => pairsContrastive(embeddings, pairs, margin),
    ...(teacher && { teacher: g.input(STEP_INPUTS.teacher, embeddings.shape.map(Number)) }),
  });
  return { net, losses, accuracy: pairsAccuracy(logits, pairs) };
}

/** Gradients scaled to a global norm of at most `limit` (Pascanu, Mikolov and Bengio, 2013); unchanged for 0. */
function clipped(gradients: ReadonlyMap<string, Node>, limit: number): ReadonlyMap<string, Node> {
  if (limit === 0) return gradients;
  const squares = [...gradients.values()].map((gradient) => g.reduceSum(g.square(gradient)));
  const norm = g.sqrt(squares.reduce((sum, square) => g.add(sum, square)));
  const factor = g.div(limit, g.max(norm, limit));
  return new Map([...gradients].map(([name, gradient]) => [name, g.mul(gradient, factor)]));
}

/**
 * Builds the training step of a Siamese network.
 * @param batch pairs or images in one run of the graph.
 */
export function trainingGraphs(settings: StepSettings, batch: number): TrainingGraphs {
  const { sampling, weightDecay, clipNorm = 0 } = settings;
  const optimizer = optimizerOf(settings.optimizer);
  const { net, losses, accuracy } = (sampling === "people" ? peopleBatch : pairsBatch)(settings, batch);
  const { reported, gradients } = losses;
  const trainable = net.weights.filter((weight) => weight.trainable);
  const outputs = { loss: reported, accuracy };

  const inputs = { learningRate: g.input(STEP_INPUTS.learningRate, []), step: g.input(STEP_INPUTS.step, []) };
  const updates = (given: ReadonlyMap<string, Node>, weights = trainable) => {
    const used = clipped(given, clipNorm);
    return weights.flatMap((weight) =>
      updateOf(weight, net.nodeOf(weight.name), used.get(weight.name)!, { optimizer, weightDecay, inputs }),
    );
  };
  const direct = updates(gradients);
  const averages = new Map(
    trainable.map(({ name, shape }) => [name, g.parameter(gradientName(name), shape)]),
  );
  const those = (owned: ReadonlySet<string>) => trainable.filter(({ name }) => owned.has(name));
  const handedOver = trainable.map(({ name }): [string, Node] => [gradientName(name), gradients.get(name)!]);
  return {
    whole: { outputs, updates: new Map([...direct, ...net.updates]) },
    gradients: { outputs, updates: new Map([...handedOver, ...net.updates]) },
    update: (owned) => ({ outputs: {}, updates: new Map(updates(averages, those(owned))) }),
    weights: net.weights,
    slots: (owned) =>
      those(owned).flatMap(({ name }) => optimizer.slots.map((slot) => slotName(optimizer.name, slot, name))),
    averaged: [...handedOver.map(([name]) => name), ...net.updates.keys()],
  };
}

/** The forward passes of backbone and head at inference, for any batch size. */
export function inferenceGraphs(model: ModelConfig): { embed: Program; compare: Program } {
  const { embedding } = embedder(model, "batch");
  const { classifier } = comparer(model, "batch");
  return { embed: { outputs: { embedding } }, compare: { outputs: { classifier } } };
}
