/** @file One training step of the detector as a graph: forward pass, loss, gradients and updates. */
import * as g from "../../src/graph/build.ts";
import { gradient } from "../../src/graph/gradient.ts";
import type { Node } from "../../src/graph/ops.ts";
import { NetworkBuilder, type Weight } from "../../src/nn/network-builder.ts";
import { adamw } from "../../src/nn/optimizers.ts";
import type { Program } from "../../src/onnx/lower/lower.ts";
import { slotName, updateOf } from "../../src/train/step.ts";
import { CELL_NUMBERS, detectorGrids, planesInput, yunetOutputs } from "./network.ts";
import { cellCount, PLACE_NUMBERS } from "./targets.ts";

/** Inputs of a step besides the pictures. */
export const INPUTS = {
  score: "score",
  scoreWeight: "score_weight",
  place: "place",
  placeWeight: "place_weight",
  positives: "positives",
  learningRate: "learning_rate",
  step: "step",
} as const;

/** Errors of places, in parts of the face's size, count beside those of scores by this factor. */
const PLACE_FACTOR = 3;
/** An error of a place below this part of the face's size counts by its square, a larger one by its size. */
const SMALL_ERROR = 0.01;
/** As `weightDecay` of src/train/step.ts. */
const WEIGHT_DECAY = 0.05;

/** Positions of the box's logarithms among the numbers of a place; their errors need no size. */
const isLogarithm = (index: number) => index === 2 || index === 3;

/** Charbonnier's smooth absolute value. */
const smoothAbs = (x: Node) => g.sub(g.sqrt(g.add(g.square(x), SMALL_ERROR ** 2)), SMALL_ERROR);

/** Sum of cross-entropies and of errors of places, for each cell that should find a face. */
function lossOf(cells: Node, side: number, batch: number): { score: Node; place: Node } {
  const count = cellCount(side);
  const perCell = (name: string) => g.input(name, [batch, count]);
  const positives = g.input(INPUTS.positives, []);
  const [wanted, weight] = [perCell(INPUTS.score), perCell(INPUTS.scoreWeight)];
  const score = g.reshape(g.cut(cells, 2, 0, 1), [batch, count]);
  const entropy = g.sub(g.softplus(score), g.mul(score, wanted));

  const place = g.cut(cells, 2, 1, CELL_NUMBERS);
  const error = g.sub(place, g.input(INPUTS.place, [batch, count, PLACE_NUMBERS]));
  const toSize = g.reshape(perCell(INPUTS.placeWeight), [batch, count, 1]);
  const hasFace = g.reshape(wanted, [batch, count, 1]);
  const part = (from: number, to: number) =>
    g.reduceSum(smoothAbs(g.mul(g.cut(error, 2, from, to), isLogarithm(from) ? hasFace : toSize)));
  const places = g.add(g.add(part(0, 2), part(2, 4)), part(4, PLACE_NUMBERS));
  return {
    score: g.div(g.reduceSum(g.mul(entropy, weight)), positives),
    place: g.div(places, positives),
  };
}

export interface DetectorStep {
  readonly program: Program;
  readonly weights: readonly Weight[];
  readonly slots: readonly string[];
}

/** The step for a batch of square pictures. Its outputs are `score_loss` and `place_loss`. */
export function detectorStep(batch: number, side: number): DetectorStep {
  const net = new NetworkBuilder("training");
  const grids = detectorGrids(net, planesInput([batch, 3, side, side]));
  const flat = [...grids.values()].map((grid) => g.reshape(grid, [batch, -1, CELL_NUMBERS]));
  const losses = lossOf(g.concat(flat, 1), side, batch);
  const total = g.add(losses.score, g.mul(losses.place, PLACE_FACTOR));
  const optimizer = adamw();
  const trainable = net.weights.filter((weight) => weight.trainable);
  const gradients = gradient(
    total,
    trainable.map(({ name }) => net.nodeOf(name)),
  );
  const inputs = { learningRate: g.input(INPUTS.learningRate, []), step: g.input(INPUTS.step, []) };
  const updates = trainable.flatMap((weight, i) =>
    updateOf(weight, net.nodeOf(weight.name), gradients[i]!, {
      optimizer,
      weightDecay: WEIGHT_DECAY,
      inputs,
    }),
  );
  return {
    program: {
      outputs: { score_loss: losses.score, place_loss: losses.place },
      updates: new Map([...updates, ...net.updates]),
    },
    weights: net.weights,
    slots: trainable.flatMap(({ name }) =>
      optimizer.slots.map((slot) => slotName(optimizer.name, slot, name)),
    ),
  };
}

/** The network at inference with YuNet's outputs, for one picture. */
export function detectorProgram(height: number, width: number): Program {
  const net = new NetworkBuilder("inference");
  return { outputs: yunetOutputs(detectorGrids(net, planesInput([1, 3, height, width]))) };
}
