/** @file Whole runs: they resume to the bit, end in good order, and keep what they promise on disk. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder, tinyConfig } from "../../test/support/tiny-run.ts";
import { silentLog } from "../base/log.ts";
import type { TensorMap } from "../base/tensor.ts";
import { readCheckpoint, writeCheckpoint } from "../train/checkpoint.ts";
import { weightDecayOf } from "../train/config.ts";
import type { TrainListener } from "../train/listeners.ts";
import { LAST_CHECKPOINT } from "../train/listeners.ts";
import { resume, train } from "./train.ts";

const lastOf = (folder: string) => readCheckpoint(join(folder, LAST_CHECKPOINT));

function expectSameBits(a: TensorMap, b: TensorMap): void {
  expect([...a.keys()].sort()).toEqual([...b.keys()].sort());
  for (const [name, { data }] of a) expect(data, name).toEqual(b.get(name)!.data);
}

/** Aborts after so many steps. */
function stopAfter(steps: number): { listener: TrainListener; signal: AbortSignal } {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    listener: {
      onStep({ step }) {
        if (step === steps) controller.abort();
      },
    },
  };
}

describe("train", () => {
  it.each([
    ["pairs", {}],
    [
      "people",
      {
        sampling: "people",
        photosPerPerson: 2,
        loss: "cosface",
        optimizer: "adamw",
        dropout: 0.2,
        clipNorm: 1,
        averageDecay: 0.9,
      },
    ],
  ] as const)(
    "ends with the same bits whether or not it was stopped, between epochs or within one: %s",
    {
      timeout: 300_000,
    },
    async (_, settings) => {
      const config = tinyConfig({
        epochs: 3,
        schedule: "cosine",
        warmupSteps: 2,
        weightDecay: 0.01,
        replicas: 2,
        ...settings,
      });
      const straight = temporaryFolder("straight");
      await train({ config, folder: straight });
      const whole = await lastOf(straight);
      expect(whole.progress).toMatchObject({ epoch: 3, step: 6 });
      for (const steps of [2, 3]) {
        const folder = temporaryFolder(`stopped-${steps}`);
        const { listener, signal } = stopAfter(steps);
        const { end } = await train({ config, folder, listeners: [listener], signal });
        expect(end.reason).toBe("interrupted");
        expect((await lastOf(folder)).progress.step).toBe(steps);
        await resume(folder, {});
        const resumed = await lastOf(folder);
        expectSameBits(resumed.state, whole.state);
        expect(resumed.progress.history.map(({ loss }) => loss)).toEqual(
          whole.progress.history.map(({ loss }) => loss),
        );
      }
    },
  );

  it("writes its configuration and one line of JSON for each step and epoch", async () => {
    const folder = temporaryFolder("log");
    await train({ config: tinyConfig({ replicas: 1 }), folder });
    const about = JSON.parse(readFileSync(join(folder, "run.json"), "utf8"));
    expect(about).toMatchObject({ seed: 1, config: { model: "compact", replicas: 1 }, people: { train: 6 } });
    const lines = readFileSync(join(folder, "log.jsonl"), "utf8").trimEnd().split("\n");
    const kinds = lines.map((line) => JSON.parse(line).kind);
    expect(kinds).toEqual(["start", "step", "step", "epoch", "step", "step", "epoch", "end"]);
  });

  it("takes Keras' weight decay with adamw where none is set, and writes down what it took", async () => {
    const folder = temporaryFolder("decay");
    await train({ config: tinyConfig({ replicas: 1, epochs: 1, optimizer: "adamw" }), folder });
    const about = JSON.parse(readFileSync(join(folder, "run.json"), "utf8"));
    expect(about.config).toMatchObject({ optimizer: "adamw", weightDecay: 0.004 });
    const { state } = await lastOf(folder);
    const slots = [...state.keys()].filter((name) => name.startsWith("adamw/"));
    expect(slots).toContain("adamw/m/classifier/kernel");
    expect([...state.keys()].filter((name) => name.startsWith("adam/"))).toEqual([]);
    expect(
      [undefined, 0, 0.3].map((weightDecay) => weightDecayOf({ optimizer: "adamw", weightDecay })),
    ).toEqual([0.004, 0, 0.3]);
    expect(weightDecayOf({ optimizer: "adam", weightDecay: undefined })).toBe(0);
  });

  it("resumes a run whose settings have their former names", async () => {
    const folder = temporaryFolder("former");
    await train({ config: tinyConfig({ epochs: 1, replicas: 1, minImagesPerId: 1 }), folder });
    const last = await lastOf(folder);
    const { validationFraction, testFraction, minImagesPerId, maxImagesPerId, ...kept } = last.config;
    const former = {
      ...kept,
      validationShare: validationFraction,
      testShare: testFraction,
      fewestPhotos: minImagesPerId,
      mostPhotos: maxImagesPerId,
      views: kept.crops,
      texture: kept.gaborCrops,
      metric: kept.projectionDim,
      mining: "all",
    };
    const { crops: _crops, gaborCrops: _gaborCrops, projectionDim: _projectionDim, ...config } = former;
    await writeCheckpoint(join(folder, LAST_CHECKPOINT), { ...last, config: config as never });
    expect((await lastOf(folder)).config).toEqual(last.config);
    expect((await resume(folder, { epochs: 2 })).end.reason).toBe("finished");
    const mined = { ...last, config: { ...config, mining: "hard" } as never };
    await writeCheckpoint(join(folder, LAST_CHECKPOINT), mined);
    await expect(resume(folder, { epochs: 3 })).rejects.toThrow(/pair mining for bce was removed/);
  });

  it("accepts former names of settings, and suggests the name for a misspelt one", async () => {
    const folder = temporaryFolder("names");
    const run = (changes: object) => train({ config: { ...tinyConfig(), ...changes } as never, folder });
    await expect(run({ mining: "semihard" })).rejects.toThrow(
      /mining: got "semihard"; pair mining .* removed/,
    );
    await expect(run({ metric: 8 })).rejects.toThrow(/projectionDim is set twice/);
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => warnings.push(message) };
    const { projectionDim: _, ...former } = { ...tinyConfig({ epochs: 1, datasetSize: 4 }), metric: 0 };
    const { config } = await train({ config: former, folder: temporaryFolder("former-name"), log });
    expect(config.projectionDim).toBe(0);
    expect(warnings).toEqual(["the setting metric is now projectionDim"]);
    await expect(run({ learningrate: 1 })).rejects.toThrow(
      "unknown setting learningrate, did you mean learningRate?",
    );
  });

  it("keeps the last good checkpoint when the loss is no number any more", async () => {
    const folder = temporaryFolder("diverged");
    await train({ config: tinyConfig({ epochs: 1, replicas: 1 }), folder });
    const good = await lastOf(folder);
    await writeCheckpoint(join(folder, LAST_CHECKPOINT), {
      ...good,
      config: { ...good.config, learningRate: 1e30 },
    });
    const { end } = await resume(folder, { epochs: 5 });
    expect(end.reason).toBe("diverged");
    expect(end.detail).toMatch(/the loss of step \d+ is (NaN|Infinity)/);
    expectSameBits((await lastOf(folder)).state, good.state);
  });

  it("stops early when the validation loss no longer falls", async () => {
    const folder = temporaryFolder("early");
    // With a rate this small the first epoch's validation loss can hardly be beaten for long.
    const { end } = await train({
      config: tinyConfig({ learningRate: 1e-12, epochs: 20, patience: 1, replicas: 1 }),
      folder,
    });
    expect(end.reason).toBe("stopped early");
    expect(end.progress.epoch).toBeLessThan(20);
  });

  it("refuses people without possible pairs before it starts", async () => {
    const config = tinyConfig({ imagesPerId: 1 });
    await expect(train({ config, folder: temporaryFolder("single") })).rejects.toMatchObject({
      code: "DATASET_INVALID",
    });
  });

  it("refuses an epoch that does not fill a batch, and a batch that replicas cannot share", async () => {
    const folder = temporaryFolder("shape");
    await expect(train({ config: tinyConfig({ datasetSize: 3 }), folder })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
    await expect(train({ config: tinyConfig({ replicas: 3 }), folder })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });
});
