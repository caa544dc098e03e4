/** @file The training step as graphs: forward, loss, derivatives, and what the optimiser and the statistics make of them. */
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import type { EmbeddingNetwork } from "../model/embedding-network.ts";
import { embedder, head, type ImageSize, siamese } from "../model/siamese.ts";
import { binaryAccuracy } from "../nn/losses.ts";
import { NetworkBuilder, type Weight } from "../nn/network-builder.ts";
import type { Optimizer, StepInputs } from "../nn/optimizers.ts";
import type { Program } from "../onnx/lower.ts";
import { type LossSettings, lossesOf } from "./step-losses.ts";

export interface StepOptions {
  readonly network: EmbeddingNetwork;
  readonly image: ImageSize;
  /** Pairs in one run of the graph. */
  readonly batch: number;
  readonly loss: LossSettings;
  readonly optimizer: Optimizer;
  /** Share of each kernel that is taken off at learning rate 1 (Loshchilov and Hutter, 2019). */
  readonly weightDecay: number;
}

/** Names of the step's inputs. */
export const STEP_INPUTS = {
  anchor: "anchor_img",
  verification: "verification_img",
  same: "same",
  anchorLabel: "anchor_label",
  verificationLabel: "verification_label",
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
  readonly update: Program;
  readonly weights: readonly Weight[];
  /** Everything that lives from step to step: weights, statistics and the optimiser's slots. */
  readonly state: readonly string[];
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
  const decay = g.mul(inputs.learningRate, weightDecay);
  const decayed = weightDecay > 0 && weight.decays ? g.sub(value, g.mul(value, decay)) : value;
  const next = optimizer.update(decayed, derivative, slots, inputs);
  const kept = Object.entries(next.slots).map(([slot, node]): [string, Node] => [
    slotName(optimizer.name, slot, weight.name),
    node,
  ]);
  return [[weight.name, next.weight], ...kept];
}

/** Writes down the training step of a Siamese network. */
export function trainingGraphs(options: StepOptions): TrainingGraphs {
  const { network, image, batch, loss, optimizer } = options;
  const model = siamese(network, image, { mode: "training", batch });
  const { net } = model;
  const same = g.input(STEP_INPUTS.same, [batch]);
  const labels = [STEP_INPUTS.anchorLabel, STEP_INPUTS.verificationLabel].map((name) =>
    g.input(name, [batch]),
  );
  const { reported, derivatives } = lossesOf(model, { loss, batch, same, labels });
  const trainable = net.weights.filter((weight) => weight.trainable);
  const outputs = { loss: reported, accuracy: binaryAccuracy(model.logits, same) };

  const inputs = { learningRate: g.input(STEP_INPUTS.learningRate, []), step: g.input(STEP_INPUTS.step, []) };
  const updates = (derivativeOf: (weight: Weight) => Node) =>
    trainable.flatMap((weight) =>
      updateOf(weight, net.nodeOf(weight.name), derivativeOf(weight), inputs, options),
    );
  const direct = updates(({ name }) => derivatives.get(name)!);
  const deferred = updates(({ name, shape }) => g.parameter(gradientName(name), shape));
  const handedOver = trainable.map(({ name }): [string, Node] => [
    gradientName(name),
    derivatives.get(name)!,
  ]);
  const slots = trainable.flatMap(({ name }) =>
    optimizer.slots.map((slot) => slotName(optimizer.name, slot, name)),
  );
  return {
    whole: { outputs, updates: new Map([...direct, ...net.updates]) },
    derivatives: { outputs, updates: new Map([...handedOver, ...net.updates]) },
    update: { outputs: {}, updates: new Map(deferred) },
    weights: net.weights,
    state: [...net.weights.map(({ name }) => name), ...slots],
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
  const [anchor, verification] = ["anchor_embedding", "verification_embedding"].map((name) =>
    g.input(name, ["batch", network.embeddingSize]),
  ) as [Node, Node];
  const classifier = g.sigmoid(head(top, anchor, verification));
  return {
    embed: { outputs: { embedding } },
    compare: { outputs: { classifier } },
  };
}
