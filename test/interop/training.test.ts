/** @file Steps of training beside Keras': same weights and batches in, same losses and weights out. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { floats, type TensorMap } from "../../src/base/tensor.ts";
import { networkNamed } from "../../src/model/networks.ts";
import { siamese } from "../../src/model/siamese.ts";
import { initialWeights } from "../../src/nn/network-builder.ts";
import { TrainingEngine } from "../../src/train/engine.ts";
import type { OptimizerSettings } from "../../src/train/optimizer-settings.ts";
import { openPython, readFloats, temporaryFolder, writeFloats } from "./python-environment.ts";

const python = await openPython();
const SIDE = 112;
const BATCH = 8;
const STEPS = 5;

interface Job {
  readonly network: string;
  readonly learningRate: number;
  readonly optimizer: OptimizerSettings;
  readonly weightDecay: number;
}

const JOBS: readonly Job[] = [
  {
    network: "faceid",
    learningRate: 1e-3,
    optimizer: { name: "sgd", momentum: 0.9, nesterov: true },
    weightDecay: 1e-2,
  },
];

/** Smooth random images, pairs of which differ more or less: something that can be learned. */
function batches(): { left: Float32Array; right: Float32Array; same: Float32Array }[] {
  const random = new Random(8);
  const image = (tone: number) =>
    Float32Array.from({ length: SIDE * SIDE * 3 }, (_, i) =>
      Math.min(1, Math.max(0, tone + 0.2 * Math.sin(i / 50) + 0.1 * random.normal())),
    );
  return Array.from({ length: STEPS }, () => {
    const same = Float32Array.from({ length: BATCH }, () => random.integer(2));
    const [left, right] = [
      new Float32Array(BATCH * SIDE * SIDE * 3),
      new Float32Array(BATCH * SIDE * SIDE * 3),
    ];
    same.forEach((label, i) => {
      const tone = random.between(0.3, 0.7);
      left.set(image(tone), i * SIDE * SIDE * 3);
      right.set(image(label === 1 ? tone : random.between(0.3, 0.7)), i * SIDE * SIDE * 3);
    });
    return { left, right, same };
  });
}

const fileOf = (name: string) => name.replaceAll("/", ".");

async function ours(job: Job, state: TensorMap, data: ReturnType<typeof batches>) {
  await using engine = await TrainingEngine.open({
    ...job,
    image: { height: SIDE, width: SIDE },
    batchSize: BATCH,
    loss: { name: "bce" },
    replicas: 1,
    threads: 2,
  });
  await engine.load(state);
  const losses: number[] = [];
  let afterFirst: TensorMap = new Map();
  for (const [i, { left, right, same }] of data.entries()) {
    const batch = { count: BATCH, inputs: { anchor_img: left, verification_img: right, same } };
    const { loss } = await engine.step(batch, { learningRate: job.learningRate, step: i + 1, seed: 1 });
    losses.push(loss);
    if (i === 0) afterFirst = await engine.state();
  }
  return { losses, afterFirst };
}

describe.skipIf("unavailable" in python)("Keras", () => {
  it.each(JOBS)("trains $network with $optimizer.name as we do", async (job) => {
    if ("unavailable" in python) return;
    const work = temporaryFolder("training");
    const { net } = siamese(
      networkNamed(job.network),
      { height: SIDE, width: SIDE },
      { mode: "training", batch: BATCH },
    );
    const state = initialWeights(net.weights, new Random(6));
    for (const [name, value] of state) writeFloats(join(work, `${fileOf(name)}.bin`), floats(value));
    const data = batches();
    data.forEach(({ left, right, same }, step) => {
      writeFloats(join(work, `left${step}.bin`), left);
      writeFloats(join(work, `right${step}.bin`), right);
      writeFloats(join(work, `same${step}.bin`), same);
    });
    const optimizer = { ...job.optimizer, weightDecay: job.weightDecay };
    writeFileSync(
      join(work, "job.json"),
      JSON.stringify({
        ...job,
        optimizer,
        side: SIDE,
        batch: BATCH,
        steps: STEPS,
        weights: [...state.keys()],
      }),
    );
    const theirs = (await python.run("train_keras.py", work)) as { losses: number[] };
    const { losses, afterFirst } = await ours(job, state, data);
    for (const name of state.keys()) {
      const expected = readFloats(join(work, `${fileOf(name)}.after.bin`));
      expect(floats(afterFirst.get(name)!), name).toBeAllClose(expected, { absolute: 1e-5, relative: 0 });
    }
    expect(losses).toBeAllClose(theirs.losses, { absolute: 0, relative: 1e-3 });
  });
});
