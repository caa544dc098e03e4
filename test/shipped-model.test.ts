/** @file The model that is shipped answers about real photographs of people it was not trained on; skipped without LFW. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { readDescription } from "../src/artifact/description.ts";
import { SHIPPED_VERSION } from "../src/artifact/shipped.ts";
import { silentLog } from "../src/base/log.ts";
import { findPairs } from "../src/data/protocol.ts";
import { scorePairs } from "../src/evaluate/score-pairs.ts";
import { models } from "../src/faces/models.ts";
import { openLoader } from "../src/jobs/evaluate.ts";
import { trainConfig } from "../src/train/config.ts";
import { excludedPairs, openImages } from "../src/train/people.ts";
import { savedModelVerifier } from "../src/verify/saved-model-verifier.ts";
import { temporaryFolder } from "./support/photos.ts";

const LFW = "../shared/datasets/lfw";
const PACK = "../shared/models/opencv";

const { calibration, training } = (await readDescription(SHIPPED_VERSION))!;
const config = { ...trainConfig(training.config), datasetPath: LFW };
const takesPack = config.faces !== "none";
const isThere = existsSync(LFW) && (!takesPack || existsSync(PACK));

describe("the shipped model", () => {
  beforeAll(async () => {
    if (!isThere || !takesPack) return;
    vi.stubEnv("FACEID_MODELS_DIR", join(await temporaryFolder(), "packs"));
    await models.add("opencv-sface", { from: PACK });
    return () => vi.unstubAllEnvs();
  });

  it("carries thresholds measured on people held out", () => {
    expect(calibration!.data.people).toMatch(/validation people/);
    expect(calibration!.operatingPoints.map(({ far }) => far)).toEqual([0.1, 0.01]);
  });

  it.skipIf(!isThere)("tells strangers on real photographs apart", { timeout: 120_000 }, async () => {
    const dataset = await openImages(config, silentLog);
    const file = await excludedPairs(config);
    const fold = findPairs(file!, dataset.identities).folds[0]!;
    // Every tenth pair: thirty of one person, thirty of two.
    const pairs = fold.filter((_, i) => i % 10 === 0);
    await using verifier = await savedModelVerifier(SHIPPED_VERSION, 1);
    await using loader = openLoader({ config });
    const { scores } = await scorePairs(verifier, loader, pairs);
    const right = pairs.filter(({ same }, i) => scores[i]! >= calibration!.threshold === same).length;
    expect(pairs).toHaveLength(60);
    // Nine of ten are expected; a model that guesses gets fewer than 45 right in all but one of ten thousand cases.
    expect(right).toBeGreaterThanOrEqual(45);
  });
});
