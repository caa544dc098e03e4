/** @file Settings: which source wins, and what is said of a value that makes no sense. */
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { temporaryFolder } from "../../test/support/photos.ts";
import { writeFileAtomic } from "../base/files.ts";
import {
  addOptions,
  adoptDotEnv,
  flagOf,
  givenOptions,
  readDotEnv,
  resolveOptions,
  variableOf,
} from "./options.ts";

const schema = z.strictObject({
  batchSize: z.number().int().positive().default(16).describe("pairs per step"),
  learningRate: z.number().positive().optional(),
  augment: z.boolean().default(true),
  imageShape: z.array(z.number().int()).length(2).default([112, 112]).describe("height and width"),
  loss: z.enum(["bce", "contrastive"]).default("bce"),
});

const nowhere = { flags: {}, environment: {}, dotEnv: {} };

describe("settings", () => {
  it("come from flags, then the environment, then .env, then the defaults", () => {
    const dotEnv = { BATCH_SIZE: "2", FACEID_LOSS: "contrastive", FACEID_LEARNING_RATE: "0.5" };
    const environment = { BATCH_SIZE: "4", FACEID_LEARNING_RATE: "0.25" };
    const settings = resolveOptions(schema, { flags: { batchSize: "8" }, environment, dotEnv });
    expect(settings).toEqual({
      batchSize: 8,
      learningRate: 0.25,
      loss: "contrastive",
      augment: true,
      imageShape: [112, 112],
    });
  });

  it("take a preset for a default, and anything that somebody says for the preset", () => {
    const preset = { batchSize: 64, loss: "contrastive" };
    const settings = resolveOptions(schema, { ...nowhere, preset, dotEnv: { BATCH_SIZE: "2" } });
    expect(settings).toMatchObject({ batchSize: 2, loss: "contrastive", augment: true });
  });

  it("count an empty variable as not set, as Compose writes one", () => {
    expect(resolveOptions(schema, { ...nowhere, environment: { BATCH_SIZE: "" } }).batchSize).toBe(16);
  });

  it("tell what was given from what is a default", () => {
    expect(givenOptions(schema, { ...nowhere, flags: { augment: true, batchSize: "16" } })).toEqual({
      augment: true,
      batchSize: 16,
    });
  });

  it.each([
    [{ augment: "no" }, { augment: false }],
    [{ augment: true }, { augment: true }],
    [{ imageShape: "96x128" }, { imageShape: [96, 128] }],
    [{ imageShape: "96, 128" }, { imageShape: [96, 128] }],
  ])("read %j", (flags, wanted) => {
    expect(resolveOptions(schema, { ...nowhere, flags })).toMatchObject(wanted);
  });

  it.each([
    [{ batchSize: "abc" }, '--batch-size: got "abc", expected a whole number'],
    [{ batchSize: "1.5" }, '--batch-size: got "1.5", expected a whole number'],
    [{ batchSize: "0" }, '--batch-size: got "0", expected more than 0'],
    [{ learningRate: "fast" }, '--learning-rate: got "fast", expected a number'],
    [{ imageShape: "96" }, '--image-shape: got "96", expected at least 2 values: height and width'],
    [{ imageShape: "axb" }, '--image-shape: got "axb", expected a whole number'],
    [{ loss: "mse" }, '--loss: got "mse", expected one of bce, contrastive'],
    [{ augment: "perhaps" }, '--augment: got "perhaps", expected a boolean'],
  ])("refuse %j with what came and what was wanted", (flags, message) => {
    expect(() => resolveOptions(schema, { ...nowhere, flags })).toThrow(message);
  });

  it("name the source of a bad value", () => {
    const bad = { BATCH_SIZE: "many" };
    expect(() => resolveOptions(schema, { ...nowhere, environment: bad })).toThrow(
      'BATCH_SIZE in the environment: got "many"',
    );
    expect(() => resolveOptions(schema, { ...nowhere, dotEnv: bad })).toThrow(
      'BATCH_SIZE in .env: got "many"',
    );
  });

  it("refuse a misspelt variable of ours, and leave those of others alone", () => {
    expect(() => resolveOptions(schema, { ...nowhere, environment: { FACEID_LOS: "bce" } })).toThrow(
      "unknown setting FACEID_LOS, did you mean FACEID_LOSS?",
    );
    const others = { HOME: "/", FACEID_DEBUG: "1", LOSS: "x" };
    expect(resolveOptions(schema, { ...nowhere, environment: others }).loss).toBe("bce");
  });

  it("are accepted under their former names, but not under both", () => {
    const renamed = z.strictObject({
      projectionDim: z.number().int().default(0),
      loss: z.string().default("bce"),
    });
    const read = (flags: object, environment = {}) =>
      resolveOptions(renamed, { ...nowhere, flags: { ...flags }, environment }).projectionDim;
    expect(read({ metric: "8" })).toBe(8);
    expect(read({}, { FACEID_METRIC: "9" })).toBe(9);
    expect(read({ projectionDim: "7" }, { FACEID_METRIC: "9" })).toBe(7);
    expect(() => read({ metric: "8", projectionDim: "8" })).toThrow(
      "--projection-dim and --metric are the same",
    );
    const help = addOptions(new Command("x"), renamed);
    expect(help.helpInformation()).not.toContain("--metric");
    expect(help.parse(["--metric", "8"], { from: "user" }).opts()).toEqual({ metric: "8" });
  });

  it("that were removed are accepted where they change nothing", () => {
    expect(resolveOptions(schema, { ...nowhere, flags: { mining: "all" } }).loss).toBe("bce");
    expect(() => resolveOptions(schema, { ...nowhere, environment: { FACEID_MINING: "hard" } })).toThrow(
      "pair mining for bce was removed",
    );
  });

  it("are named alike as flag and variable", () => {
    expect([flagOf("imagesPerId"), variableOf("imagesPerId"), variableOf("warmupSteps")]).toEqual([
      "--images-per-id",
      "IMAGES_PER_ID",
      "FACEID_WARMUP_STEPS",
    ]);
  });

  it("stand in the help with variable, choices and default", () => {
    const help = addOptions(new Command("x"), schema).configureOutput({ getOutHelpWidth: () => 200 });
    expect(help.helpInformation()).toContain(
      "--batch-size <value>     pairs per step (BATCH_SIZE; default 16)",
    );
    expect(help.helpInformation()).toContain("(FACEID_LOSS; bce, contrastive; default bce)");
  });

  it("read .env with comments and quotes, and do without the file", async () => {
    const path = `${await temporaryFolder()}/.env`;
    expect(readDotEnv(path)).toEqual({});
    await writeFileAtomic(path, '# how large\nBATCH_SIZE=4\nDATASET_PATH="my faces"\n');
    expect(readDotEnv(path)).toEqual({ BATCH_SIZE: "4", DATASET_PATH: "my faces" });
    expect(readDotEnv(await temporaryFolder())).toEqual({});
  });

  it("hand over to the environment what .env says of variables that no command takes, and no other", () => {
    const environment: NodeJS.ProcessEnv = { FACEID_MODELS_DIR: "mine", FACEID_OFFLINE: "" };
    const dotEnv = {
      FACEID_MODELS_DIR: "theirs",
      FACEID_OFFLINE: "1",
      FACEID_CACHE_DIR: "cache",
      BATCH_SIZE: "4",
    };
    adoptDotEnv(environment, dotEnv);
    expect(environment).toEqual({
      FACEID_MODELS_DIR: "mine",
      FACEID_OFFLINE: "1",
      FACEID_CACHE_DIR: "cache",
    });
  });
});
