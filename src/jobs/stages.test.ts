/** @file Runs in two stages: backbones one after the other, then the metric and the head; resumed, measured, exported. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder, tinyConfig } from "../../test/support/tiny-run.ts";
import { Random } from "../base/random.ts";
import { readCheckpoint } from "../train/checkpoint.ts";
import { networkVerifier } from "../train/inference.ts";
import type { TrainListener } from "../train/listeners.ts";
import { BEST_CHECKPOINT } from "../train/listeners.ts";
import { savedModelVerifier } from "../verify/saved-model-verifier.ts";
import { exportModel } from "./export.ts";
import { resume, train } from "./train.ts";

const config = tinyConfig({
  sampling: "people",
  photosPerPerson: 2,
  loss: "cosface",
  averageDecay: 0.9,
  epochs: 1,
  replicas: 1,
  crops: [0.6, 1],
  gaborCrops: [0.8, 0.6],
  mirror: true,
  projectionDim: 8,
});

const bestOf = (folder: string) => readCheckpoint(join(folder, BEST_CHECKPOINT));

/** Aborts after so many steps over all backbones. */
function stopAfter(steps: number): { listener: TrainListener; signal: AbortSignal } {
  const controller = new AbortController();
  let done = 0;
  return {
    signal: controller.signal,
    listener: {
      onStep() {
        if (++done === steps) controller.abort();
      },
    },
  };
}

describe("a run in two stages", () => {
  it("goes on in the second backbone to the same bits, and answers alike from checkpoint and export", {
    timeout: 600_000,
  }, async () => {
    const whole = temporaryFolder("stages");
    const { end } = await train({ config, folder: whole });
    expect(end.reason).toBe("finished");
    const best = await bestOf(whole);

    const stopped = temporaryFolder("stages-stopped");
    const { listener, signal } = stopAfter(3);
    const first = await train({ config, folder: stopped, listeners: [listener], signal });
    expect(first.end.reason).toBe("interrupted");
    expect(existsSync(join(stopped, BEST_CHECKPOINT))).toBe(false);
    await resume(stopped, {});
    const resumed = await bestOf(stopped);
    expect([...resumed.state.keys()]).toEqual([...best.state.keys()]);
    for (const [name, { data }] of best.state) expect(resumed.state.get(name)!.data, name).toEqual(data);

    const folder = await exportModel({
      checkpoint: join(whole, BEST_CHECKPOINT),
      savedModelPath: temporaryFolder("stages-model"),
      modelName: "faceid",
      modelVersion: 1,
    });
    await using before = await networkVerifier(best.config, best.state);
    await using after = await savedModelVerifier(folder, 1);
    const random = new Random(2);
    // Noise and a wave: two images that no view takes for one.
    const pixels = 96 * 96 * 3;
    const images = Float32Array.from({ length: 2 * pixels }, (_, i) =>
      i < pixels ? random.uniform() : 0.5 + 0.5 * Math.sin(i / 30),
    );
    const embedded = await before.embed(images.slice(), 2);
    expect(embedded).toHaveLength(2 * config.projectionDim);
    expect(Math.hypot(...embedded.subarray(0, 8))).toBeCloseTo(1, 5);
    const exported = await after.embed(images.slice(), 2);
    expect(exported).toBeAllClose(embedded, { absolute: 1e-5, relative: 1e-4 });
    const [a, b] = [embedded.slice(0, 8), embedded.slice(8)];
    const probability = await before.compare(a.slice(), b.slice(), 1);
    expect(await after.compare(a, b, 1)).toBeAllClose(probability, { absolute: 1e-5, relative: 1e-4 });
    expect(probability[0]).toBeGreaterThan(0);
    expect(probability[0]).toBeLessThan(1);
  });

  it("sees the same person in an image and its mirror image", { timeout: 600_000 }, async () => {
    const folder = temporaryFolder("stages-mirror");
    await train({ config: { ...config, crops: [], gaborCrops: [0.8] }, folder });
    const best = await bestOf(folder);
    await using verifier = await networkVerifier(best.config, best.state);
    const random = new Random(4);
    const image = Float32Array.from({ length: 96 * 96 * 3 }, () => random.uniform());
    const mirrored = image.map((_, at) => {
      const [row, column] = [Math.floor(at / (96 * 3)), Math.floor(at / 3) % 96];
      return image[(row * 96 + 95 - column) * 3 + (at % 3)]!;
    });
    const embedded = await verifier.embed(image, 1);
    expect(await verifier.embed(mirrored, 1)).toBeAllClose(embedded, { absolute: 1e-4, relative: 1e-3 });
  });

  it("refuses an ensemble without a projection", async () => {
    const folder = temporaryFolder("stages-refused");
    await expect(train({ config: { ...config, projectionDim: 0 }, folder })).rejects.toThrow(
      /needs a projection/,
    );
  });
});
