/** @file The recipe adapt on people of LFW with the real pack: the plain cosine of two people, its thresholds, and new ones. */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { loadFaceModel, models } from "../src/index.ts";
import { calibrateModel } from "../src/jobs/calibrate.ts";
import { cleanDataset } from "../src/jobs/clean.ts";
import { type TrainOutcome, trainAndExport } from "../src/jobs/train.ts";
import { trainConfig } from "../src/train/config.ts";
import { recipeSettings } from "../src/train/recipes.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const SHARED = join(import.meta.dirname, "../../shared");
const PACK_FILES = join(SHARED, "models/opencv");
const LFW = join(SHARED, "datasets/lfw");
const isThere = existsSync(PACK_FILES) && existsSync(LFW);
const note = isThere ? "" : ` (not tested: there is no ${SHARED} with models/opencv and datasets/lfw)`;

const [ONE, TWO] = ["Adam_Sandler", "Aaron_Peirsol"] as const;
const photo = (name: string, number: number) => join(LFW, name, `${name}_000${number}.jpg`);

describe.skipIf(!isThere)(`faceid train --recipe adapt${note}`, () => {
  const work = temporaryFolder("adapt");
  const people = join(work, "people");
  const before = process.env.FACEID_MODELS_DIR;
  let outcome: TrainOutcome;

  const adapt = (folder: string, resume = false) =>
    trainAndExport({
      config: trainConfig({ ...recipeSettings("adapt", undefined), datasetPath: people }),
      folder: join(work, folder),
      resume,
      target: { savedModelPath: join(work, "model"), modelName: "mine", modelVersion: resume ? 2 : 1 },
    });

  beforeAll(async () => {
    process.env.FACEID_MODELS_DIR = join(work, "packs");
    process.env.FACEID_CACHE_DIR = join(work, "cache");
    await models.add("opencv-sface", { from: PACK_FILES });
    for (const name of [ONE, TWO]) {
      mkdirSync(join(people, name), { recursive: true });
      for (const number of [1, 2]) cpSync(photo(name, number), join(people, name, `${number}.jpg`));
    }
    outcome = await adapt("run");
  }, 300_000);
  afterAll(() => {
    delete process.env.FACEID_CACHE_DIR;
    if (before === undefined) delete process.env.FACEID_MODELS_DIR;
    else process.env.FACEID_MODELS_DIR = before;
  });

  it("keeps the cosine of two people and measures on both", () => {
    expect(outcome.choice).toMatchObject({ folds: 0, chosen: { head: "cosine" } });
    expect(outcome.measured.report).toMatchObject({ pairs: 4, positives: 2, negatives: 2 });
  });

  it("gives the probability that belongs to the pack's cosine, and the pack's decisions at its thresholds", async () => {
    await using pack = await loadFaceModel("opencv-sface");
    await using own = await loadFaceModel(join(work, "model/1"));
    for (const pair of [
      [photo(ONE, 1), photo(ONE, 2)],
      [photo(ONE, 1), photo(TWO, 1)],
    ] as const) {
      const [cosine, probability] = [await pack.verify(...pair), await own.verify(...pair)];
      const expected = 1 / (1 + Math.exp(11.37 - 34.11 * cosine.similarity));
      expect(probability.similarity).toBeCloseTo(expected, 3);
      expect(probability.same).toBe(cosine.same);
      expect(probability.falseAcceptRate).toEqual(cosine.falseAcceptRate);
    }
  });

  it("continues with the embeddings that a stopped run has, to the same model", async () => {
    const again = await adapt("run", true);
    expect(again.measured.report).toEqual(outcome.measured.report);
  });

  it("writes thresholds of one's own into the next version and says how many people a rate lacks", async () => {
    const result = await calibrateModel(join(work, "model"), {
      data: { datasetPath: people },
      log: silentLog,
    });
    expect(result).toMatchObject({ people: 2, photographs: 4, output: join(work, "model/3") });
    expect(result.wanted.map(({ supported, more }) => supported || more > 0)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    await using model = await loadFaceModel(result.output);
    expect(model.calibration).toEqual(result.calibration);
  });

  it("writes thresholds of one's own for the pack, which takes no others", async () => {
    const output = join(work, "mine.json");
    const { calibration } = await calibrateModel("opencv-sface", { data: { datasetPath: people }, output });
    await using pack = await loadFaceModel("opencv-sface", { calibration: output });
    expect(pack.calibration).toEqual(calibration);
    await expect(
      loadFaceModel("opencv-sface", { precision: "int8", calibration: output }),
    ).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    writeFileSync(join(work, "other.json"), "{}");
    await expect(
      loadFaceModel("opencv-sface", { calibration: join(work, "other.json") }),
    ).rejects.toMatchObject({ code: "FILE_INVALID" });
  });

  it("leaves out photographs that a look through the folder finds", async () => {
    cpSync(photo(TWO, 1), join(people, ONE, "copy.jpg"));
    const output = join(work, "suspects.csv");
    const clip = join(people, ONE, "clip.mp4");
    writeFileSync(clip, "x");
    const warned: string[] = [];
    const log = { ...silentLog, warn: (message: string) => warned.push(message) };
    const { suspects } = await cleanDataset(people, { output, log });
    rmSync(clip);
    expect(warned).toEqual([`left out: 1 video, which is not read; save frames as JPEG (${clip})`]);
    expect(suspects.map(({ path, finding }) => [path, finding])).toEqual([
      [`${ONE}/copy.jpg`, "wrong label"],
    ]);
    const { photographs } = await calibrateModel("opencv-sface", {
      data: { datasetPath: people, exclude: output },
      output: join(work, "clean.json"),
    });
    expect(photographs).toBe(4);
  });
});
