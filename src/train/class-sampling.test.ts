/** @file Class sampling: all people sampled is the full softmax, few sampled touch their rows alone, resuming draws the same. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { float32, type Tensor, type TensorMap } from "../base/tensor.ts";
import { initialWeights } from "../nn/network-builder.ts";
import { drawClasses, wholeWeights } from "./class-sampling.ts";
import { stepSettingsOf, trainConfig } from "./config.ts";
import { TrainingEngine } from "./engine.ts";
import type { StepBatch } from "./replica.ts";
import { STEP_INPUTS, type StepSettings, trainingGraphs } from "./step.ts";

const image = { height: 96, width: 96 };
const CLASSES = 12;
const BATCH = 16;
const SEED = 3;
const ROWS = "people/direction_rows";

function settings(samples: number | undefined, changes: Partial<StepSettings> = {}): StepSettings {
  return {
    model: { network: "compact", input: image },
    sampling: "people",
    loss: { name: "cosface", classes: CLASSES, samples, margin: 0.3, scale: 16, smoothing: 0.1 },
    optimizer: { name: "adam" },
    weightDecay: 0.01,
    ...changes,
  };
}

/** Different images in half a batch; with two alone, batch normalisation makes signs of everything, which rounding can turn. */
const HALF = BATCH / 2;

/** Images of two people, the same in both halves, so that replicas see the same batch statistics. */
function batchOf(first: number, second: number): StepBatch {
  const random = new Random(5);
  const size = HALF * image.height * image.width * 3;
  const pixels = Float32Array.from({ length: size }, () => random.uniform());
  const images = new Float32Array(2 * size);
  images.set(pixels);
  images.set(pixels, size);
  const label = Float32Array.from({ length: BATCH }, (_, i) => (i % 2 === 0 ? first : second));
  return { count: BATCH, inputs: { [STEP_INPUTS.images]: images, [STEP_INPUTS.label]: label } };
}

const transposed = ({ shape, data }: Tensor): Tensor<"float32"> => {
  const [rows, columns] = shape as [number, number];
  const values = data as Float32Array;
  return float32(
    [columns, rows],
    Float32Array.from(
      { length: values.length },
      (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!,
    ),
  );
};

const renamed = (name: string, from: string, to: string) => name.replace(from, to);

/** A state of sampled rows as the full softmax keeps it. */
const full = (state: TensorMap): TensorMap =>
  new Map(
    [...state].map(([name, value]) =>
      name.endsWith(ROWS) ? [renamed(name, ROWS, "people/directions"), transposed(value)] : [name, value],
    ),
  );

const initial = (step: StepSettings) =>
  initialWeights(wholeWeights(step, trainingGraphs(step, 1).weights), new Random(1));

interface Course {
  readonly from?: TensorMap;
  readonly steps: readonly number[];
  readonly replicas?: number;
}

async function stateAfter(step: StepSettings, { from, steps, replicas = 1 }: Course): Promise<TensorMap> {
  await using engine = await TrainingEngine.open({ step, batchSize: BATCH, replicas, threads: 1 });
  await engine.load(from ?? initial(step));
  for (const number of steps) {
    const batch = batchOf(number % CLASSES, (number + 5) % CLASSES);
    await engine.step(batch, { learningRate: 0.01, step: number, seed: SEED });
  }
  return await engine.state();
}

function expectAlike(state: TensorMap, expected: TensorMap): void {
  expect(new Set(state.keys())).toEqual(new Set(expected.keys()));
  for (const [name, { data }] of expected) {
    expect(state.get(name)!.data as Float32Array, name).toBeAllClose(data as Float32Array, {
      absolute: 1e-5,
      relative: 1e-4,
    });
  }
}

/** A state without the Siamese head. */
const withoutHead = (state: TensorMap): TensorMap =>
  new Map([...state].filter(([name]) => !/(^|\/)(classifier|dense_distance)\//.test(name)));

/** People whose row of a value differs between two states. */
function changedRows(name: string, before: TensorMap | undefined, after: TensorMap): number[] {
  const [now, size] = [after.get(name)!.data as Float32Array, after.get(name)!.shape[1]!];
  const then = (before?.get(name)?.data as Float32Array | undefined) ?? new Float32Array(now.length);
  const changed = [...now].flatMap((value, i) => (value === then[i] ? [] : [Math.floor(i / size)]));
  return [...new Set(changed)];
}

describe("class sampling", () => {
  const sgd = { name: "sgd", momentum: 0.9, nesterov: true } as const;

  it("with everybody sampled makes the steps of the full softmax", async () => {
    const step = settings(CLASSES, { optimizer: sgd, clipNorm: 1 });
    const from = initial(step);
    const sampled = await stateAfter(step, { steps: [1, 2] });
    const whole = await stateAfter(settings(undefined, { optimizer: sgd, clipNorm: 1 }), {
      from: full(from),
      steps: [1, 2],
    });
    expectAlike(full(sampled), whole);
  });

  it("moves the sampled people alone, with their slots", async () => {
    const step = settings(5);
    const before = initial(step);
    const after = await stateAfter(step, { from: before, steps: [1] });
    const random = new Random(SEED).fork("classes", 1);
    const drawn = [...drawClasses(new Set([1, 6]), { classes: CLASSES, samples: 5 }, random)];
    expect(drawn).toHaveLength(5);
    expect(drawn).toEqual(expect.arrayContaining([1, 6]));
    expect(after.get(ROWS)!.shape[0]).toBe(CLASSES);
    expect(changedRows(ROWS, before, after)).toEqual(drawn);
    expect(changedRows(`adam/m/${ROWS}`, undefined, after)).toEqual(drawn);
    expect(changedRows(`adam/v/${ROWS}`, undefined, after)).toEqual(drawn);
  });

  it("makes the same steps with two replicas as with one", async () => {
    const step = settings(5, { averageDecay: 0.9, optimizer: sgd });
    const one = await stateAfter(step, { steps: [1, 2] });
    const two = await stateAfter(step, { steps: [1, 2], replicas: 2 });
    expect([...one.keys()]).not.toContain(`average/${ROWS}`);
    // The head learns from pairs within each replica's part of the batch, with and without sampling.
    expectAlike(withoutHead(two), withoutHead(one));
  });

  it("goes on from a state to the same bits", async () => {
    const step = settings(5);
    const through = await stateAfter(step, { steps: [1, 2, 3] });
    const half = await stateAfter(step, { steps: [1] });
    expect(await stateAfter(step, { from: half, steps: [2, 3] })).toEqual(through);
  });

  it("refuses rows of another number of people", async () => {
    const step = settings(5);
    const state = new Map(initial(step)).set(ROWS, float32([2, 1], [0, 0]));
    await expect(stateAfter(step, { from: state, steps: [] })).rejects.toThrow(
      /keeps people\/direction_rows as .*12.*, got .*2/,
    );
  });

  it("draws other people evenly and never twice", () => {
    const counts = new Array<number>(CLASSES).fill(0);
    for (let step = 0; step < 2000; step++) {
      const drawn = drawClasses(new Set([0]), { classes: CLASSES, samples: 4 }, new Random(1).fork(step));
      expect(new Set(drawn).size).toBe(4);
      for (const person of drawn) counts[person]!++;
    }
    expect(counts[0]).toBe(2000);
    // 2000 draws of 3 among 11: 545 each, with a standard deviation of 20.
    for (const count of counts.slice(1)) expect(Math.abs(count - 545)).toBeLessThan(100);
  });

  it("samples only where that changes the loss and the batch has room", () => {
    const people = { loss: "cosface", sampling: "people", batchSize: 8 } as const;
    const lossFor = (classSamples: number) =>
      stepSettingsOf(trainConfig({ ...people, classSamples }), 20).loss;
    expect(lossFor(8)).toMatchObject({ classes: 20, samples: 8 });
    expect(lossFor(20)).toMatchObject({ classes: 20, samples: undefined });
    expect(lossFor(0)).toMatchObject({ classes: 20, samples: undefined });
    expect(() => trainConfig({ ...people, classSamples: 7 })).toThrow("7 sampled people are too few");
    expect(() => trainConfig({ ...people, sampling: "pairs", classSamples: 15 })).toThrow("has 16 images");
    expect(() => trainConfig({ classSamples: 100 })).toThrow("the loss bce compares with no people");
  });
});
