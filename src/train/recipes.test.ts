/** @file Recipes: every setting is one that there is, within its range, and fits the others. */
import { describe, expect, it } from "vitest";
import { networkNamed } from "../model/networks.ts";
import { trainConfigSchema } from "./config.ts";
import { RECIPE_NAMES, recipeSettings } from "./recipes.ts";

describe("recipes", () => {
  it.each(RECIPE_NAMES)("%s is a configuration with a network that there is", (name) => {
    for (const dataset of [undefined, "lfw", "digiface", "folder"]) {
      const config = trainConfigSchema.parse(recipeSettings(name, dataset));
      expect(networkNamed(config.model).name).toBe(config.model);
      expect(config.datasetSize).toBeGreaterThanOrEqual(config.batchSize);
      // Only the projection joins an ensemble.
      expect(config.crops.length === 0 || config.projectionDim > 0).toBe(true);
    }
  });

  it("take the paper's augmentation for DigiFace-1M", () => {
    expect(recipeSettings("digiface", "digiface").augment).toBe("digiface");
    expect(recipeSettings("best", "lfw").augment).toBe("strong");
  });

  it("crop more tightly where faces are aligned, unless the images are crops already", () => {
    expect(recipeSettings("best", "lfw")).toMatchObject({ faces: "align", crops: [1, 0.75] });
    const unaligned = { faces: "none", imageShape: [112, 112], crops: [0.55, 0.7, 0.42] };
    expect(recipeSettings("best", "lfw", "none")).toMatchObject(unaligned);
    expect(recipeSettings("best", "synthetic")).toMatchObject(unaligned);
    expect(recipeSettings("best", "lfw", "none")).toMatchObject({ excludePairs: "pairs.txt" });
  });

  it("show the original network an aligned face as large as the face in LFW's photographs", () => {
    const aligned = { faces: "align", imageShape: [64, 64], excludeFolds: [7, 8] };
    expect(recipeSettings("original", "lfw")).toMatchObject(aligned);
    expect(recipeSettings("original", "lfw")).not.toHaveProperty("crop");
    const unaligned = { faces: "none", imageShape: [112, 112], crop: 0.6 };
    expect(recipeSettings("original", "lfw", "none")).toMatchObject({ ...unaligned, excludeFolds: [7, 8] });
    expect(recipeSettings("original", "synthetic")).toMatchObject(unaligned);
  });

  it("keep the last folds out of LFW, and of nothing else", () => {
    for (const name of ["best", "original", "student"] as const) {
      expect(recipeSettings(name, "lfw")).toMatchObject({ excludePairs: "pairs.txt", excludeFolds: [7, 8] });
    }
    expect(recipeSettings("best", "folder")).not.toHaveProperty("excludePairs");
  });
});
