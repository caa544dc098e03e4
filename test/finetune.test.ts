/** @file The recipe finetune with the real pack: it is stopped, continues, is kept where it helps, and falls back where it does not. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel, models } from "../src/index.ts";
import { type TrainOutcome, trainAndExport } from "../src/jobs/train.ts";
import { readCheckpoint } from "../src/train/checkpoint.ts";
import { type TrainSettings, trainConfig } from "../src/train/config.ts";
import { recipeSettings } from "../src/train/recipes.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const SHARED = join(import.meta.dirname, "../../shared");
const PACK_FILES = join(SHARED, "models/opencv");
const isThere = existsSync(PACK_FILES);
const note = isThere ? "" : ` (not tested: there is no ${PACK_FILES})`;

/** Drawn people, on whom the pack's network was not trained: most of what it learns of them helps. */
const DRAWN: TrainSettings = {
  ...recipeSettings("finetune", undefined),
  dataset: "synthetic",
  faces: "none",
  idTo: 59,
  imagesPerId: 3,
  difficulty: 2,
  epochs: 1,
  batchSize: 16,
  datasetSize: 128,
  warmupSteps: 0,
  learningRate: 0.01,
  validationPairs: 20,
};

describe.skipIf(!isThere)(`faceid train --recipe finetune${note}`, () => {
  const work = temporaryFolder("finetune");
  const before = process.env.FACEID_MODELS_DIR;
  const finetune = (name: string, changes: TrainSettings, more: object = {}): Promise<TrainOutcome> =>
    trainAndExport({
      config: trainConfig({ ...DRAWN, ...changes }),
      folder: join(work, name),
      target: { savedModelPath: join(work, `${name}-model`), modelName: "mine", modelVersion: 1 },
      ...more,
    });

  beforeAll(async () => {
    process.env.FACEID_MODELS_DIR = join(work, "packs");
    await models.add("opencv-sface", { from: PACK_FILES });
  });
  afterAll(() => {
    if (before === undefined) delete process.env.FACEID_MODELS_DIR;
    else process.env.FACEID_MODELS_DIR = before;
  });

  it("is stopped, continues, and keeps a network that tells people held out apart better", async () => {
    const stop = new AbortController();
    const listeners = [{ onStep: () => stop.abort() }];
    await expect(finetune("kept", {}, { listeners, signal: stop.signal })).rejects.toMatchObject({
      code: "INTERRUPTED",
      hint: expect.stringContaining("--resume"),
    });
    const { tuning, choice, measured, exported } = await finetune("kept", {}, { resume: true });
    expect(tuning).toMatchObject({ isKept: true, people: 7 });
    expect(tuning!.tuned.loss).toBeLessThan(tuning!.plain.loss);
    expect(choice).toBeUndefined();
    expect(measured.report.pairs).toBeGreaterThan(0);
    const { config, progress } = await readCheckpoint(join(work, "kept/best.safetensors"));
    expect([config.finetune, config.head, progress.step]).toEqual([true, "cosine", 8]);
    await using model = await loadModel(exported!);
    expect(model.embeddingSize).toBe(128);
  }, 600_000);

  it("falls back to the network as it was after a training that did not help", async () => {
    const { tuning, choice, exported } = await finetune("same", { learningRate: 1e-9, datasetSize: 16 });
    expect(tuning).toMatchObject({ isKept: false });
    expect(choice).toBeDefined();
    const { config } = await readCheckpoint(join(work, "same/best.safetensors"));
    expect([config.finetune, config.frozen]).toEqual([false, true]);
    expect(exported).toBeDefined();
  }, 600_000);

  it("says which settings do not go with it", () => {
    const config = (changes: TrainSettings) => () => trainConfig({ ...DRAWN, ...changes });
    expect(config({ frozen: true })).toThrow("`frozen` keeps the network as it is");
    expect(config({ sampling: "pairs" })).toThrow("`sampling` pairs");
    expect(config({ projectionDim: 64 })).toThrow("a projection is not trained further");
  });
});
