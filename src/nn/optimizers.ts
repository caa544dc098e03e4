/** @file Optimisers as graph nodes: from a weight, its gradient and its slots to their next values. */
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";

/** Inputs of an optimiser step. */
export interface StepInputs {
  /** Scalar. */
  readonly learningRate: Node;
  /** Scalar: number of this step, counted from 1. */
  readonly step: Node;
}

/** Next values of one weight and its slots. */
export interface WeightUpdate {
  readonly weight: Node;
  readonly slots: Readonly<Record<string, Node>>;
}

export interface Optimizer {
  readonly name: string;
  /** Names of the running values kept for each weight; they start at zero. */
  readonly slots: readonly string[];
  update(
    weight: Node,
    gradient: Node,
    slots: Readonly<Record<string, Node>>,
    inputs: StepInputs,
  ): WeightUpdate;
}

/** The decays of Adam's moments and its epsilon: Keras' defaults. */
const [BETA_1, BETA_2, EPSILON] = [0.9, 0.999, 1e-7];

/**
 * Adam (Kingma and Ba, 2015) in Keras' arithmetic: the bias correction scales the step size, and epsilon is added to the
 * uncorrected root ("epsilon hat" in the paper's §2).
 */
export function adam(): Optimizer {
  return {
    name: "adam",
    slots: ["m", "v"],
    update(weight, gradient, slots, { learningRate, step }) {
      const m = g.add(slots.m!, g.mul(g.sub(gradient, slots.m!), 1 - BETA_1));
      const v = g.add(slots.v!, g.mul(g.sub(g.square(gradient), slots.v!), 1 - BETA_2));
      const correction = g.div(
        g.sqrt(g.sub(1, g.pow(g.scalar(BETA_2), step))),
        g.sub(1, g.pow(g.scalar(BETA_1), step)),
      );
      const size = g.mul(learningRate, correction);
      return { weight: g.sub(weight, g.div(g.mul(m, size), g.add(g.sqrt(v), EPSILON))), slots: { m, v } };
    },
  };
}

/**
 * Decoupled weight decay (Loshchilov and Hutter, 2019): the weight shrinks by the learning rate times `amount` before its
 * update, as in Keras. The paper's λ is `amount` times the greatest learning rate.
 */
export function decayed(weight: Node, learningRate: Node, amount: number): Node {
  return g.sub(weight, g.mul(weight, g.mul(learningRate, amount)));
}

/** AdamW's default weight decay, as in Keras. */
export const ADAMW_DECAY = 0.004;

/** AdamW (Loshchilov and Hutter, 2019): Adam on weights after `decayed`. */
export function adamw(): Optimizer {
  return { ...adam(), name: "adamw" };
}

export interface SgdOptions {
  readonly momentum?: number;
  readonly nesterov?: boolean;
}

/** Stochastic gradient descent with momentum, in Keras' arithmetic: the velocity includes the learning rate. */
export function sgd({ momentum = 0, nesterov = false }: SgdOptions = {}): Optimizer {
  return {
    name: "sgd",
    slots: momentum === 0 ? [] : ["velocity"],
    update(weight, gradient, slots, { learningRate }) {
      const step = g.mul(gradient, learningRate);
      if (momentum === 0) return { weight: g.sub(weight, step), slots: {} };
      const velocity = g.sub(g.mul(slots.velocity!, momentum), step);
      const move = nesterov ? g.sub(g.mul(velocity, momentum), step) : velocity;
      return { weight: g.add(weight, move), slots: { velocity } };
    },
  };
}

/** Names of the optimisers that a run can choose. */
export const OPTIMIZERS = ["adam", "adamw", "sgd"] as const;

/** An optimiser as plain data. */
export type OptimizerSettings = { readonly name: "adam" | "adamw" } | ({ readonly name: "sgd" } & SgdOptions);

export function optimizerOf(settings: OptimizerSettings): Optimizer {
  if (settings.name === "sgd") return sgd(settings);
  return settings.name === "adam" ? adam() : adamw();
}
