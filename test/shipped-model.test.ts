/** @file The model that is shipped answers about real photographs of people it was not trained on; skipped without LFW. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { calibrationSchema } from "../src/artifact/calibration.ts";
import { DESCRIPTION_FILE } from "../src/artifact/files.ts";
import { SHIPPED_VERSION } from "../src/artifact/shipped.ts";
import { openDataset } from "../src/data/dataset.ts";
import { Loader } from "../src/data/loader.ts";
import { chosenFolds, readPairs } from "../src/data/pairs-file.ts";
import { findPairs } from "../src/data/protocol.ts";
import { scorePairs } from "../src/evaluate/score-pairs.ts";
import { imageSettings } from "../src/image/settings.ts";
import { savedModelVerifier } from "../src/verify/saved-model-verifier.ts";

const LFW = "../shared/datasets/lfw";

const description = JSON.parse(readFileSync(join(SHIPPED_VERSION, DESCRIPTION_FILE), "utf8")) as {
  calibration: unknown;
  training: { config: { excludePairs: string; excludeFolds: number[] } };
};

describe("the shipped model", () => {
  it("carries thresholds measured on people held out", () => {
    const calibration = calibrationSchema.parse(description.calibration);
    expect(calibration.data.people).toMatch(/validation people/);
    expect(calibration.operatingPoints.map(({ far }) => far)).toEqual([0.1, 0.01]);
  });

  it.skipIf(!existsSync(LFW))("tells strangers on real photographs apart", { timeout: 120_000 }, async () => {
    const { excludePairs, excludeFolds } = description.training.config;
    const dataset = await openDataset({ dataset: "lfw", path: LFW });
    const file = chosenFolds(await readPairs(join(LFW, excludePairs)), excludeFolds);
    const fold = findPairs(file, dataset.identities).folds[0]!;
    // Every tenth pair: thirty of one person, thirty of two.
    const pairs = fold.filter((_, i) => i % 10 === 0);
    await using verifier = await savedModelVerifier(SHIPPED_VERSION, 1);
    await using loader = new Loader({ settings: imageSettings(112), cacheFolder: false });
    const { scores } = await scorePairs(verifier, loader, pairs);
    const { threshold } = calibrationSchema.parse(description.calibration);
    const right = pairs.filter(({ same }, i) => scores[i]! >= threshold === same).length;
    expect(pairs).toHaveLength(60);
    // Nine of ten are expected; a model that guesses gets fewer than 45 right in all but one of ten thousand cases.
    expect(right).toBeGreaterThanOrEqual(45);
  });
});
