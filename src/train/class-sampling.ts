/** @file Class sampling for softmax losses over very many people (Partial FC: An et al., 2021). */
// A step knows the directions of the people in its batch and of others drawn at random. All directions, with their optimiser
// slots, lie in the engine once.

import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { shapeText, type TensorMap } from "../base/tensor.ts";
import type { Weight } from "../nn/network-builder.ts";
import type { ParameterStore } from "../onnx/runtime/parameter-store.ts";
import type { StepBatch, StepPosition } from "./replica.ts";
import { STEP_INPUTS, type StepSettings, trainingGraphs } from "./step.ts";
import { DIRECTION_ROWS, sampledClasses } from "./step-losses.ts";

/** Rows of the sampled people, in memory that the replicas share; plain data for worker threads. */
export interface SharedRows {
  /** Names of the directions and of their slots, in the order of `values`. */
  readonly names: readonly string[];
  /** Elements of each. */
  readonly length: number;
  readonly values: SharedArrayBuffer;
}

/** Inputs that hold people's numbers. */
const LABELS = [STEP_INPUTS.label, STEP_INPUTS.anchorLabel, STEP_INPUTS.verificationLabel] as const;

const viewOf = ({ values, length }: SharedRows, index: number): Float32Array =>
  new Float32Array(values, index * length * Float32Array.BYTES_PER_ELEMENT, length);

/** Puts the sampled rows into a replica's store: the directions, and the slots where it keeps them. */
export function takeRows(rows: SharedRows, store: ParameterStore, withSlots: boolean): void {
  for (const [index, name] of rows.names.entries())
    if (index === 0 || withSlots) store.elements(name).set(viewOf(rows, index));
}

/** Hands back the rows after a step, from the replica that keeps the slots. */
export function giveRows(rows: SharedRows, store: ParameterStore): void {
  for (const [index, name] of rows.names.entries()) viewOf(rows, index).set(store.elements(name));
}

/** The weights as a checkpoint keeps them: with the directions of all people. */
export function wholeWeights({ loss }: Pick<StepSettings, "loss">, weights: readonly Weight[]): Weight[] {
  const sampled = sampledClasses(loss);
  return weights.map((weight) =>
    weight.name === DIRECTION_ROWS && sampled !== undefined
      ? { ...weight, shape: [sampled.classes, weight.shape[1]!] }
      : weight,
  );
}

/**
 * The people of a step in ascending order: all of the batch, and others drawn evenly.
 * @param present numbers of the people in the batch.
 * @throws FaceError `INTERNAL` when more are present than may be sampled.
 */
export function drawClasses(
  present: ReadonlySet<number>,
  { classes, samples }: { readonly classes: number; readonly samples: number },
  random: Random,
): Int32Array {
  const others = samples - present.size;
  if (others < 0)
    throw new FaceError(
      "INTERNAL",
      `internal: a batch of ${countText(present.size)} people, ${countText(samples)} sampled`,
    );
  const absent = new Int32Array(classes - present.size);
  let count = 0;
  for (let person = 0; person < classes; person++) if (!present.has(person)) absent[count++] = person;
  // The first steps of a shuffle (Fisher and Yates).
  for (let i = 0; i < others; i++) {
    const other = i + random.integer(absent.length - i);
    [absent[i], absent[other]] = [absent[other]!, absent[i]!];
  }
  return Int32Array.from([...present, ...absent.subarray(0, others)]).sort();
}

/** The directions of all people and their optimiser slots, of which each step changes some rows. */
export class ClassRows {
  /** What the replicas read and write. */
  readonly shared: SharedRows;
  readonly #classes: number;
  readonly #samples: number;
  readonly #size: number;
  readonly #whole: readonly Float32Array[];
  #drawn: Int32Array = new Int32Array();

  private constructor(sampled: { classes: number; samples: number }, size: number, names: readonly string[]) {
    this.#classes = sampled.classes;
    this.#samples = sampled.samples;
    this.#size = size;
    this.#whole = names.map(() => new Float32Array(sampled.classes * size));
    const length = sampled.samples * size;
    const bytes = names.length * length * Float32Array.BYTES_PER_ELEMENT;
    this.shared = { names, length, values: new SharedArrayBuffer(bytes) };
  }

  /** The rows of a step's loss; undefined where it knows all people at once, or none. */
  static of(step: StepSettings): ClassRows | undefined {
    const sampled = sampledClasses(step.loss);
    if (sampled === undefined) return undefined;
    const graphs = trainingGraphs(step, 1);
    const size = graphs.weights.find(({ name }) => name === DIRECTION_ROWS)!.shape[1]!;
    return new ClassRows(sampled, size, [DIRECTION_ROWS, ...graphs.slots(new Set([DIRECTION_ROWS]))]);
  }

  /** Draws a step's people and shares their rows; returns the batch with their positions among those as labels. */
  choose(batch: StepBatch, { seed, step }: Pick<StepPosition, "seed" | "step">): StepBatch {
    const labelled = LABELS.flatMap((name) => {
      const labels = batch.inputs[name];
      return labels === undefined ? [] : [[name, labels] as const];
    });
    const present = new Set(labelled.flatMap(([, labels]) => [...labels]));
    const random = new Random(seed).fork("classes", step);
    this.#drawn = drawClasses(present, { classes: this.#classes, samples: this.#samples }, random);
    this.#eachRow((whole, shared, from, to) => shared.set(whole.subarray(from, from + this.#size), to));
    const positions = new Map(Array.from(this.#drawn, (person, position) => [person, position]));
    const relabelled = labelled.map(([name, labels]) => [name, labels.map((label) => positions.get(label)!)]);
    return { count: batch.count, inputs: { ...batch.inputs, ...Object.fromEntries(relabelled) } };
  }

  /** Keeps the rows that the step has changed. */
  keep(): void {
    this.#eachRow((whole, shared, from, to) => whole.set(shared.subarray(to, to + this.#size), from));
  }

  #eachRow(move: (whole: Float32Array, shared: Float32Array, from: number, to: number) => void): void {
    for (const [index, whole] of this.#whole.entries()) {
      const shared = viewOf(this.shared, index);
      for (const [position, person] of this.#drawn.entries())
        move(whole, shared, person * this.#size, position * this.#size);
    }
  }

  /**
   * Takes its own values out of a state and returns the others.
   * @throws FaceError `CHECKPOINT_MISMATCH` when one has another shape.
   */
  load(state: TensorMap): TensorMap {
    const rest = new Map(state);
    for (const [index, name] of this.shared.names.entries()) {
      const value = state.get(name);
      rest.delete(name);
      if (value === undefined) continue;
      const shape = [this.#classes, this.#size];
      if (shapeText(value.shape) !== shapeText(shape)) {
        throw new FaceError(
          "CHECKPOINT_MISMATCH",
          `the run keeps ${name} as ${shapeText(shape)}, got ${shapeText(value.shape)}`,
        );
      }
      this.#whole[index]!.set(value.data as Float32Array);
    }
    return rest;
  }

  /** Copies of all rows. */
  state(): TensorMap {
    const shape = [this.#classes, this.#size];
    return new Map(
      this.shared.names.map((name, index) => [
        name,
        { dtype: "float32", shape, data: this.#whole[index]!.slice() },
      ]),
    );
  }
}
