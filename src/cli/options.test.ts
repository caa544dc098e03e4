/** @file Settings: which source wins, and what is said of a value that makes no sense. */
import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { temporaryFolder } from "../../test/support/photos.ts";
import { writeFileAtomic } from "../base/files.ts";
import { adoptDotEnv, COMPOSE_NAMES, needCheck, OTHER_NAMES, readDotEnv } from "./environment.ts";
import { addOptions, flagOf, givenOptions, resolveOptions, variableOf } from "./options.ts";

const schema = z.strictObject({
  batchSize: z.number().int().positive().default(16).describe("pairs per step"),
  learningRate: z.number().positive().optional(),
  augment: z.boolean().default(true),
  imageShape: z.array(z.number().int()).length(2).default([112, 112]).describe("height and width"),
  loss: z.enum(["bce", "contrastive"]).default("bce"),
});

/** The texts of a folder's files. */
const readTexts = async (folder: string) =>
  Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), "utf8")));

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
    [{ imageShape: "112,96,3" }, { imageShape: [112, 96] }],
    [{ imageShape: "(112, 96, 3)" }, { imageShape: [112, 96] }],
    [{ imageShape: "[112;96]" }, { imageShape: [112, 96] }],
    [{ imageShape: '"112 × 96"' }, { imageShape: [112, 96] }],
    [{ augment: " 'True' " }, { augment: true }],
    [{ augment: "OFF" }, { augment: false }],
    [{ batchSize: '"1_000"' }, { batchSize: 1000 }],
    [{ batchSize: "8 # pairs" }, { batchSize: 8 }],
    [{ loss: "Contrastive" }, { loss: "contrastive" }],
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
    [{ learningRate: "0,001" }, '--learning-rate: got "0,001", expected a number'],
    [{ batchSize: "1,000" }, '--batch-size: got "1,000", expected a whole number'],
    [{ imageShape: "3,112,112" }, "expected at most 2 values: height and width"],
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
      "unknown setting FACEID_LOS in the environment, did you mean FACEID_LOSS?",
    );
    const others = { HOME: "/", FACEID_DEBUG: "1", LOSS: "x" };
    expect(resolveOptions(schema, { ...nowhere, environment: others }).loss).toBe("bce");
  });

  it.each([
    ["FACEID_BATCH_SIZE", "BATCH_SIZE"],
    ["FACE_ID_BATCH_SIZE", "BATCH_SIZE"],
    ["faceid_loss", "FACEID_LOSS"],
    ["FACEID_LEARNINGRATE", "FACEID_LEARNING_RATE"],
  ])("refuse %s, a known name under a wrong prefix", (name, right) => {
    for (const [source, place] of [
      ["environment", "the environment"],
      ["dotEnv", ".env"],
    ] as const) {
      expect(() => resolveOptions(schema, { ...nowhere, [source]: { [name]: "2" } })).toThrow(
        expect.objectContaining({
          message: `unknown setting ${name} in ${place}, did you mean ${right}?`,
          hint: "check the spelling, or remove it; faceid train --help lists all settings",
        }),
      );
    }
  });

  it.each([
    ["FACEID_MODEL_DIR", "FACEID_MODELS_DIR"],
    ["FACEID_GALERY", "FACEID_GALLERY"],
    ["FACEID_API_KEYS", "FACEID_API_KEY"],
    ["FACEID_PUBLISHED", "FACEID_PUBLISH"],
  ])("refuse %s, which is near a variable that is no setting", (name, right) => {
    const dotEnv = { [name]: "x" };
    expect(needCheck({}, dotEnv)).toBe(true);
    expect(() => resolveOptions(schema, { ...nowhere, dotEnv })).toThrow(
      `unknown setting ${name} in .env, did you mean ${right}?`,
    );
  });

  it("accept what only the Compose files read, and need no list of settings for what is no setting", async () => {
    const files = await readTexts("deploy/compose");
    const read = new Set(
      files.flatMap((text) => [...text.matchAll(/\$\{(FACEID_\w+)/g)].map(([, name]) => name!)),
    );
    expect(read).toEqual(COMPOSE_NAMES);
    const dotEnv = Object.fromEntries([...COMPOSE_NAMES, ...OTHER_NAMES].map((name) => [name, "x"]));
    expect(resolveOptions(schema, { ...nowhere, dotEnv }).loss).toBe("bce");
    expect(needCheck({ HOME: "/" }, dotEnv)).toBe(false);
  });

  it("warn of a name that looks like a setting and is read by nobody", () => {
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const dotEnv = { EPOCH: "5", loss: "bce", SECRET_KEY: "x", COMPOSE_PROFILES: "faceid" };
    const everyKey = [...Object.keys(schema.shape), "epochs"];
    resolveOptions(schema, { ...nowhere, dotEnv, environment: { LEARNING_RATE: "1", LOSS: "x" }, everyKey });
    expect(write.mock.calls.map(([text]) => text)).toEqual([
      "warning: LEARNING_RATE in the environment is not read; did you mean FACEID_LEARNING_RATE?\n",
      "warning: EPOCH in .env is not read; did you mean EPOCHS?\n",
      "warning: loss in .env is not read; did you mean FACEID_LOSS?\n",
    ]);
    write.mockRestore();
  });

  it("leave alone what Kubernetes and Docker inject for a service of our name", () => {
    const injected = {
      FACEID_PORT: "tcp://10.0.0.1:8500",
      FACEID_PORT_8501_TCP: "tcp://10.0.0.1:8501",
      FACEID_PORT_8501_TCP_ADDR: "10.0.0.1",
      FACEID_PORT_8501_TCP_PORT: "8501",
      FACEID_PORT_53_UDP_PROTO: "udp",
      FACEID_SERVICE_HOST: "10.0.0.1",
      FACEID_SERVICE_PORT: "8500",
      FACEID_SERVICE_PORT_HTTP: "8501",
      FACEID_WEB_PORT: "udp://10.0.0.2:80",
      FACEID_WEB_SERVICE_HOST: "10.0.0.2",
      FACEID_NAME: "/client/faceid",
      FACEID_ENV_PATH: "/usr/bin",
    };
    expect(resolveOptions(schema, { ...nowhere, environment: injected }).batchSize).toBe(16);
    expect(() => resolveOptions(schema, { ...nowhere, environment: { FACEID_PORT: "8501" } })).toThrow(
      "unknown setting FACEID_PORT in the environment",
    );
  });

  it("write out the home folder and the variable that a path begins with", () => {
    const paths = z.strictObject({ datasetPath: z.string().optional() });
    const read = (datasetPath: string) =>
      resolveOptions(paths, { ...nowhere, flags: { datasetPath } }).datasetPath;
    expect(read("~/faces")).toBe(join(homedir(), "faces"));
    expect(read('"$HOME/my faces"')).toBe(join(process.env.HOME ?? homedir(), "my faces"));
    expect(read("%USERPROFILE%/faces")).toBe(`${process.env.USERPROFILE ?? homedir()}/faces`);
    expect(read("file:///data/my%20faces")).toBe("/data/my faces");
    expect(read("/data/~ann/a#b")).toBe("/data/~ann/a#b");
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

  const TEXT = "DATASET_PATH=/photos/ann\nEPOCHS=3\n";
  it.each([
    ["a byte-order mark", Buffer.from(`\uFEFF${TEXT}`)],
    ["UTF-16 LE", Buffer.from(`\uFEFF${TEXT}`, "utf16le")],
    ["UTF-16 LE without a mark", Buffer.from(TEXT, "utf16le")],
    ["UTF-16 BE", Buffer.from(`\uFEFF${TEXT}`, "utf16le").swap16()],
    ["Windows' line ends", Buffer.from(TEXT.replaceAll("\n", "\r\n"))],
    ["old Macintosh line ends", Buffer.from(TEXT.replaceAll("\n", "\r"))],
    ["export", Buffer.from(`export ${TEXT.replace("\n", "\nexport ")}`)],
    ["spaces and comments", Buffer.from("DATASET_PATH = '/photos/ann' # mine\n\nEPOCHS= 3 # few \n")],
  ])("read a .env with %s", async (_, bytes) => {
    const path = `${await temporaryFolder()}/.env`;
    await writeFileAtomic(path, bytes);
    expect(readDotEnv(path)).toEqual({ DATASET_PATH: "/photos/ann", EPOCHS: "3" });
  });

  it("read other programs' lines of .env as far as they go, and refuse ours that make no sense", async () => {
    const path = `${await temporaryFolder()}/.env`;
    const read = async (text: string) => {
      await writeFileAtomic(path, text);
      return readDotEnv(path);
    };
    const others = 'KEY="one\ntwo" # three\nnot a line\nA=1\nA=2\nEPOCHS=3\nEPOCHS="3"\nB="open\nC=C:\\new';
    expect(await read(others)).toEqual({ KEY: "one\ntwo", A: "2", EPOCHS: "3", B: '"open', C: "C:\\new" });
    await expect(read("A=1\nEPOCHS: 5\n")).rejects.toThrow('.env:2: got "EPOCHS: 5"');
    await expect(read("EPOCHS=5\n\nEPOCHS=10\n")).rejects.toThrow(
      'sets EPOCHS twice: to "5" in line 1 and to "10" in line 3',
    );
  });

  it("hand over to the environment what .env says of variables that no command takes, and no other", () => {
    const environment: NodeJS.ProcessEnv = {
      FACEID_MODELS_DIR: "'mine'",
      FACEID_OFFLINE: "",
      FACEID_DEBUG: "off",
    };
    const dotEnv = {
      FACEID_MODELS_DIR: "theirs",
      FACEID_OFFLINE: "1",
      FACEID_CACHE_DIR: "~/cache",
      BATCH_SIZE: "4",
    };
    adoptDotEnv(environment, dotEnv);
    expect(environment).toEqual({
      FACEID_MODELS_DIR: "mine",
      FACEID_OFFLINE: "1",
      FACEID_CACHE_DIR: join(homedir(), "cache"),
    });
  });
});
