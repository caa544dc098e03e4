/** @file Fits the Siamese head to fixed embeddings, in seconds for millions of pairs. */
import { Random } from "../base/random.ts";
import { float32, floats, type Tensor, type TensorMap } from "../base/tensor.ts";
import { selectRows } from "../evaluate/score-pairs.ts";
import * as g from "../graph/build.ts";
import { gradient } from "../graph/gradient.ts";
import type { Node } from "../graph/ops.ts";
import { DISTANCE_UNITS, everyPair, head } from "../model/siamese.ts";
import { fitLogistic, type LogisticFit } from "../nn/logistic-fit.ts";
import { NetworkBuilder } from "../nn/network-builder.ts";
import { adam } from "../nn/optimizers.ts";
import { batchPairs, pairsCrossentropy } from "../nn/pair-losses.ts";
import type { LabelledEmbeddings } from "../nn/plda.ts";
import { lower, type Program } from "../onnx/lower/lower.ts";
import { Session } from "../onnx/runtime/session.ts";
import { updateOf } from "./step.ts";

/** People in a batch, with two images each: about 8,000 pairs. */
const PEOPLE = 64;
const STEPS = 400;
const LEARNING_RATE = 3e-4;
/** Decoupled; regularises the head where the training people give no information. */
const WEIGHT_DECAY = 0.01;

/** Start of the second linear piece of the square, as a multiple of a coordinate's mean distance. */
const KNOT = 1.5;

function meanDistances({ values, size, labels }: LabelledEmbeddings): Float64Array {
  const sums = new Float64Array(size);
  const count = labels.length;
  for (let a = 0; a < count; a++) {
    const b = (a + 1 + (count >> 1)) % count;
    for (let i = 0; i < size; i++)
      sums[i]! += Math.abs(values[a * size + i]! - values[b * size + i]!) / count;
  }
  return sums;
}

/**
 * A head that approximates the squared distance, which orders embeddings of length 1 as their cosine does: one unit sums
 * the distances of all coordinates, and each other unit makes that of one coordinate a piecewise linear square. Coordinates
 * beyond the number of units stay linear; PLDA sorts its coordinates by importance.
 */
export function squaredDistanceHead(embeddings: LabelledEmbeddings): TensorMap {
  const { size } = embeddings;
  const kernel = new Float32Array(size * DISTANCE_UNITS);
  const bias = new Float32Array(DISTANCE_UNITS);
  const decision = new Float32Array(DISTANCE_UNITS).fill(-1);
  const knots = meanDistances(embeddings).map((mean) => mean * KNOT);
  for (let i = 0; i < size; i++) {
    // The chord of the square from 0 to the knot, then that from the knot to twice the knot.
    kernel[i * DISTANCE_UNITS] = knots[i]!;
    const unit = i + 1;
    if (unit >= DISTANCE_UNITS) continue;
    kernel[i * DISTANCE_UNITS + unit] = 2 * knots[i]!;
    bias[unit] = -2 * knots[i]! ** 2;
  }
  return new Map<string, Tensor>([
    ["dense_distance/kernel", float32([size, DISTANCE_UNITS], kernel)],
    ["dense_distance/bias", float32([DISTANCE_UNITS], bias)],
    ["classifier/kernel", float32([DISTANCE_UNITS, 1], decision)],
    ["classifier/bias", float32([1], [0])],
  ]);
}

/** Pairs of embeddings of held-out people. */
export interface EmbeddedPairs {
  /** `[pairs, size]` each. */
  readonly left: Float32Array;
  readonly right: Float32Array;
  readonly same: readonly boolean[];
}

/** The head's logit for each pair. */
export async function logitsOf(
  weights: TensorMap,
  { left, right, same }: EmbeddedPairs,
): Promise<Float32Array> {
  const count = same.length;
  const size = left.length / count;
  const net = new NetworkBuilder("inference");
  const [a, b] = ["left", "right"].map((name) => g.input(name, [count, size])) as [Node, Node];
  await using session = await Session.open(lower({ outputs: { logits: head(net, a, b) } }));
  session.store.load(weights);
  const inputs = new Map([
    ["left", float32([count, size], left)],
    ["right", float32([count, size], right)],
  ]);
  return floats((await session.run(inputs)).get("logits")!);
}

/** The head with its logits scaled and shifted. */
function rescaled(weights: TensorMap, { slope, offset }: LogisticFit): TensorMap {
  const scaled = (name: string, shift: number): [string, Tensor] => {
    const value = weights.get(name)!;
    return [
      name,
      float32(
        value.shape,
        floats(value).map((each) => each * slope + shift),
      ),
    ];
  };
  return new Map([...weights, scaled("classifier/kernel", 0), scaled("classifier/bias", offset)]);
}

/** The head calibrated on pairs, and its loss on them. */
async function calibrated(
  weights: TensorMap,
  pairs: EmbeddedPairs,
): Promise<{ weights: TensorMap; loss: number }> {
  const fit = fitLogistic(await logitsOf(weights, pairs), pairs.same);
  return { weights: rescaled(weights, fit), loss: fit.loss };
}

/** A training step on all pairs of a batch of embeddings. */
function stepProgram(size: number, images: number): { program: Program; weights: readonly string[] } {
  const net = new NetworkBuilder("training");
  const logits = everyPair(net, g.input("embeddings", [images, size]));
  const loss = pairsCrossentropy(logits, batchPairs(g.input("labels", [images])));
  const rule = {
    optimizer: adam(),
    weightDecay: WEIGHT_DECAY,
    inputs: { learningRate: g.scalar(LEARNING_RATE), step: g.input("step", []) },
  };
  const nodes = net.weights.map(({ name }) => net.nodeOf(name));
  const gradients = gradient(loss, nodes);
  const updates = net.weights.flatMap((weight, i) => updateOf(weight, nodes[i]!, gradients[i]!, rule));
  return {
    program: { outputs: { loss }, updates: new Map(updates) },
    weights: net.weights.map(({ name }) => name),
  };
}

/** Two embeddings of each of several people, drawn at random. */
function drawBatch(
  { values, size }: LabelledEmbeddings,
  people: readonly (readonly number[])[],
  random: Random,
): TensorMap {
  const chosen = random.shuffle(people).slice(0, PEOPLE);
  const rows = chosen.flatMap((own) => random.shuffle(own).slice(0, 2));
  const embeddings = selectRows(values, size, rows);
  const labels = chosen.flatMap((_, person) => [person, person]);
  return new Map([
    ["embeddings", float32([rows.length, size], embeddings)],
    ["labels", float32([rows.length], labels)],
  ]);
}

async function trained(
  start: TensorMap,
  embeddings: LabelledEmbeddings,
  { seed, steps }: Required<HeadOptions>,
): Promise<TensorMap> {
  const rows = new Map<number, number[]>();
  embeddings.labels.forEach((label, row) => {
    rows.set(label, [...(rows.get(label) ?? []), row]);
  });
  const people = [...rows.values()].filter((own) => own.length >= 2);
  const { program, weights } = stepProgram(embeddings.size, 2 * Math.min(PEOPLE, people.length));
  await using session = await Session.open(lower(program));
  session.store.load(start);
  const random = new Random(seed).fork("head");
  for (let step = 1; step <= steps; step++) {
    const batch = drawBatch(embeddings, people, random.fork(step));
    await session.run(new Map([...batch, ["step", float32([], [step])]]));
  }
  return session.store.read(weights);
}

export interface HeadOptions {
  readonly seed: number;
  /** Training steps. */
  readonly steps?: number;
}

export interface FittedHead {
  readonly weights: TensorMap;
  /** Cross-entropy on the held-out pairs, of the squared-distance head and of the trained head. */
  readonly losses: { readonly begun: number; readonly learned: number };
}

/**
 * Fits the head: starts with the squared distance, trains on pairs of the training people, calibrates on held-out people,
 * and keeps the squared-distance head if that has the lower loss on them.
 */
export async function fitHead(
  embeddings: LabelledEmbeddings,
  heldOut: EmbeddedPairs,
  { seed, steps = STEPS }: HeadOptions,
): Promise<FittedHead> {
  const begun = await calibrated(squaredDistanceHead(embeddings), heldOut);
  const learned = await calibrated(await trained(begun.weights, embeddings, { seed, steps }), heldOut);
  return {
    weights: learned.loss < begun.loss ? learned.weights : begun.weights,
    losses: { begun: begun.loss, learned: learned.loss },
  };
}
