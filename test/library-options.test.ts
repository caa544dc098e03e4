/** @file What a program passes is refused by name and value, by every function of the library that takes options. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as faceid from "../src/index.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const unknown: object = { nonsense: 7 };
const AS_TOLD = /nonsense \(got 7\)/;

describe("an unknown option", () => {
  it.each<[string, () => unknown]>([
    ["train", () => faceid.train({ folder: "x", config: {}, ...unknown })],
    ["train's settings", () => faceid.train({ folder: "x", config: { epohcs: 3 } as never })],
    ["resume", () => faceid.resume("x", unknown)],
    [
      "exportModel",
      () =>
        faceid.exportModel({
          checkpoint: "x",
          savedModelPath: "x",
          modelName: "x",
          modelVersion: 1,
          ...unknown,
        }),
    ],
    ["evaluate", () => faceid.evaluate("x", unknown)],
    ["evaluateFolds", () => faceid.evaluateFolds("x", "y", unknown)],
    ["writeReport", () => faceid.writeReport({ model: "x", output: "y", ...unknown })],
    ["loadFaceModel", () => faceid.loadFaceModel(undefined, unknown)],
    ["cropFaces", () => faceid.cropFaces("x", { output: "y", ...unknown })],
    ["embedFolder", () => faceid.embedFolder("x", { output: "y.npy", ...unknown })],
    ["openDataset", () => faceid.openDataset({ path: "x", ...unknown })],
    ["splitIdentities", () => faceid.splitIdentities([], { seed: 1, ...unknown })],
    ["models.add", () => faceid.models.add("opencv-sface", unknown)],
    ["serve", () => faceid.serve({ modelPath: "x", ...unknown })],
    ["request", () => faceid.request({ url: "x", ...unknown }, ["a", "b"])],
    ["Gallery.open", () => faceid.Gallery.open("x", unknown)],
    ["openGallery", () => faceid.openGallery({ gallery: "x", ...unknown })],
    ["createGallery", () => faceid.createGallery({ gallery: "x", ...unknown })],
    ["enrolFolder", () => faceid.enrolFolder({} as never, "x", unknown)],
    ["enrolPhotos", () => faceid.enrolPhotos({} as never, "x", ["y"], unknown)],
    ["identify", () => faceid.identify({} as never, {} as never, "x", unknown)],
    ["identifyPhotos", () => faceid.identifyPhotos({} as never, {} as never, ["x"], unknown)],
    ["loadSignatures", () => faceid.loadSignatures("x", unknown)],
    [
      "describe",
      () => faceid.describe({ network: "faceid", input: { height: 112, width: 112 }, ...unknown }),
    ],
  ])("of %s is named with its value", async (name, call) => {
    const error = await Promise.resolve()
      .then(call)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(faceid.FaceError);
    expect(error).toMatchObject({ code: "CONFIG_INVALID" });
    expect((error as Error).message).toMatch(
      name === "train's settings" ? /epohcs, did you mean epochs/ : AS_TOLD,
    );
  });
});

describe("a wrong value", () => {
  const nothing = undefined as never;
  it.each<[string, () => unknown, RegExp]>([
    ["loadModel", () => faceid.loadModel(nothing), /the path: got undefined, expected a string/],
    [
      "loadModel of nothing",
      () => faceid.loadModel(""),
      /the path: got "", expected a text that is not empty/,
    ],
    ["loadFaceModel", () => faceid.loadFaceModel(5 as never), /the model: got 5/],
    [
      "loadFaceModel of null",
      () => faceid.loadFaceModel(null as never),
      /^loadFaceModel, the model: got null, expected the name of a model pack or the path of an exported model; left out, it is opencv-sface$/,
    ],
    [
      "threads",
      () => faceid.loadFaceModel("x", { threads: Number.NaN }),
      /threads: got NaN, expected a finite number$/,
    ],
    ["detect", () => faceid.loadFaceModel(undefined, { detect: "no" as never }), /detect: got "no"/],
    ["size", () => faceid.cropFaces("x", { output: "y", size: 0 }), /size: got 0/],
    [
      "framing",
      () => faceid.cropFaces("x", { output: "y", framing: "tight" as never }),
      /aligned, lfw, centred/,
    ],
    [
      "shard",
      () => faceid.embedFolder("x", { output: "y.npy", shard: { index: 2, count: 2 } }),
      /below the count/,
    ],
    ["inspectModels", () => faceid.inspectModels(nothing), /the path: got undefined/],
    ["readCheckpoint", () => faceid.readCheckpoint(nothing), /the path: got undefined/],
    ["tensorBoard", () => faceid.tensorBoard(nothing), /the folder: got undefined/],
    ["pairs", () => faceid.evaluate("x", { pairs: 0.5 }), /pairs: got 0.5, expected a whole number/],
    ["data", () => faceid.evaluate("x", { data: { idTo: "9" as never } }), /data\.idTo: got "9"/],
    ["restPort", () => faceid.serve({ modelPath: "x", restPort: 70_000 }), /70000/],
    [
      "imageUrls",
      () => faceid.serve({ modelPath: "x", imageUrls: "https://x.org" as never }),
      /imageUrls: got "https/,
    ],
    [
      "signal",
      () => faceid.train({ folder: "x", config: {}, signal: true as never }),
      /signal: got true, expected an AbortSignal/,
    ],
    ["log", () => faceid.resume("x", { log: (() => 0) as never }), /log: got a function/],
    ["config", () => faceid.train({ folder: "x" } as never), /config: got undefined, expected an object/],
    [
      "identify's model",
      () => faceid.identify({ model: 1, gallery: 2 } as never, "a.jpg" as never, nothing),
      /^identify, the model: got {"model":1,"gallery":2}, expected the model of openGallery/,
    ],
    [
      "identifyPhotos' model",
      () => faceid.identifyPhotos("x" as never, {} as never, ["a.jpg"]),
      /^identifyPhotos, the model: got "x"/,
    ],
    [
      "enrolPhotos' gallery",
      () => faceid.enrolPhotos("./people" as never, "Ann", ["a.jpg"]),
      /^enrolPhotos, the gallery: got "\.\/people", expected what openGallery or createGallery gave$/,
    ],
    [
      "enrolFolder's gallery",
      () => faceid.enrolFolder("./people" as never, "test"),
      /^enrolFolder, the gallery: got "\.\/people", expected what openGallery or createGallery gave$/,
    ],
    ["everything", () => faceid.train(nothing), /train: got undefined, expected an object/],
  ])("of %s is named", async (_, call, message) => {
    const error = await Promise.resolve()
      .then(call)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringMatching(message) });
  });
});

it.each<[text: string, far: unknown]>([
  ["NaN", Number.NaN],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
  ["7n", 7n],
  ["null", null],
  ["Symbol(far)", Symbol("far")],
  ['[NaN,undefined,"0.1"]', [Number.NaN, undefined, "0.1"]],
  ['{"far":Infinity,"more":undefined}', { far: Number.POSITIVE_INFINITY, more: undefined }],
  ["a Promise", Promise.resolve(0.001)],
  ["a Map", new Map()],
  ["an Error", new Error("no rate")],
  ["an invalid Date", new Date(Number.NaN)],
  ['"2020-01-01T00:00:00.000Z"', new Date("2020-01-01")],
  ['"file:///a.jpg"', new URL("file:///a.jpg")],
])("a wrong value is shown as %s", async (text, far) => {
  const asked = faceid.request({ url: "x", verify: { far: far as never } }, ["a", "b"]);
  await expect(asked).rejects.toMatchObject({
    message: `request: verify.far: got ${text}, expected a number between 0 and 1, such as 0.001`,
  });
});

it("shows a value that holds itself, and the beginning of a long one", async () => {
  const around: Record<string, unknown> = { a: 1 };
  around.self = around;
  for (const [value, text] of [
    [around, '{"a":1,"self":…}'],
    [Array.from({ length: 1e6 }, () => 12), `[${"12,".repeat(19)}12…`],
  ] as const) {
    const opened = faceid.loadFaceModel(value as never);
    await expect(opened).rejects.toMatchObject({ message: expect.stringContaining(`got ${text}, expected`) });
  }
});

const NONSENSE = [Number.NaN, -3, 0.5, Number.POSITIVE_INFINITY, "7", 1e300] as const;

describe("a number that is none of an option's", () => {
  const none = {} as never;
  const at = (name: string, value: unknown): object => ({ [name]: value });
  const calibration = {
    threshold: 0,
    operatingPoints: [],
  } as never;
  it.each<[string, (value: never) => unknown]>([
    ["cropFaces' size", (size) => faceid.cropFaces("x", { output: "y", size })],
    [
      "embedFolder's shard",
      (count) => faceid.embedFolder("x", { output: "y.npy", shard: { index: 0, count } }),
    ],
    ["loadFaceModel's threads", (threads) => faceid.loadFaceModel("x", { threads })],
    ["loadSignatures' sessions", (sessions) => faceid.loadSignatures("x", { sessions })],
    ["resume's epochs", (epochs) => faceid.resume("x", { epochs })],
    ["evaluate's pairs", (pairs) => faceid.evaluate("x", { pairs })],
    ["evaluateFolds' folds", (fold) => faceid.evaluateFolds("x", "y", { folds: [fold, 2] })],
    ["evaluateIdentification's splits", (splits) => faceid.evaluateIdentification("x", { splits })],
    [
      "exportModel's version",
      (modelVersion) =>
        faceid.exportModel({ checkpoint: "x", savedModelPath: "x", modelName: "x", modelVersion }),
    ],
    ["openDataset's idTo", (idTo) => faceid.openDataset({ path: "x", idTo })],
    ["openDataset's images", (imagesPerId) => faceid.openDataset({ path: "x", imagesPerId })],
    [
      "openDataset's drawn people",
      (identities) => faceid.openDataset({ dataset: "synthetic", synthetic: { identities } }),
    ],
    [
      "splitIdentities' fraction",
      (validation) => {
        // A half may be one.
        if (validation === 0.5) throw new faceid.FaceError("CONFIG_INVALID", "0.5");
        return faceid.splitIdentities([], { seed: 1, validation });
      },
    ],
    ["request's timeoutMs", (timeoutMs) => faceid.request({ url: "x", timeoutMs }, ["a", "b"])],
    ["app's port", (port) => faceid.app({ port })],
    ["describe's height", (height) => faceid.describe({ network: "faceid", input: { height, width: 112 } })],
    ["identify's candidates", (candidates) => faceid.identify(none, none, "x", { candidates })],
    [
      "GalleryClient's timeoutMs",
      (timeoutMs) => new faceid.GalleryClient({ url: "http://x", gallery: "x", timeoutMs }),
    ],
    [
      "searchThreshold's comparisons",
      (comparisons) => faceid.searchThreshold(calibration, 0.01, comparisons),
    ],
    ...["restPort", "grpcPort", "adminPort", "maxLoadRetries", "loadThreads", "warmup", "rateLimit"].map(
      (name): [string, (value: never) => unknown] => [
        `serve's ${name}`,
        (value) => faceid.serve({ modelPath: "x", ...at(name, value) }),
      ],
    ),
    [
      "serve's batches",
      (maxBatchSize) => faceid.serve({ modelPath: "x", batching: at("maxBatchSize", maxBatchSize) as never }),
    ],
  ])("%s is refused", async (_, call) => {
    for (const value of NONSENSE) {
      const error = await Promise.resolve(value as never)
        .then(call)
        .catch((thrown: unknown) => thrown);
      expect(error, String(value)).toMatchObject({ code: "CONFIG_INVALID" });
      expect((error as Error).message).toContain(String(value));
    }
  });

  it.each([
    [
      "cropFaces' size 7",
      () => faceid.cropFaces("x", { output: "y", size: 7 }),
      /size: got 7, expected at least 16/,
    ],
    [
      "a crop of 5000",
      () => faceid.cropFaces("x", { output: "y", size: 5000 }),
      /size: got 5000, expected at most 1024/,
    ],
    ["a port of 70,000", () => faceid.app({ port: 70_000 }), /port: got 70000, expected at most 65535/],
    [
      "a wait of 100 days",
      () => faceid.request({ url: "x", timeoutMs: 8.64e9 }, ["a", "b"]),
      /timeoutMs: got 8640000000/,
    ],
    [
      "a million threads",
      () => faceid.loadFaceModel("x", { threads: 1e6 }),
      /threads: got 1000000, expected at most 1024/,
    ],
    ["a side of -1", async () => faceid.float32([-1, -1], [5]), /a side of a tensor: got -1/],
    ["a side of 1.5", async () => faceid.float32([1.5, 2], [1, 2, 3]), /a side of a tensor: got 1.5/],
  ] as const)("%s is refused with the range", async (_, call, message) => {
    await expect(call()).rejects.toThrow(message);
  });
});

describe("what is wrong with a value", () => {
  const work = temporaryFolder("library-options");
  const photos = join(work, "photos");
  const taken = join(work, "taken.npy");
  mkdirSync(photos);
  writeFileSync(taken, "");
  writeFileSync(join(photos, "a.jpg"), "");
  const config = (settings: object) => ({ folder: join(work, "run"), config: settings });
  it.each<[string, () => unknown, RegExp]>([
    ["embedFolder's file", () => faceid.embedFolder(photos, { output: "a.txt" }), /^`output`: got a\.txt/],
    [
      "embedFolder's taken file",
      () => faceid.embedFolder(photos, { output: taken }),
      /choose another `output`/,
    ],
    [
      "cropFaces' folder",
      () => faceid.cropFaces(photos, { output: join(photos, "b") }),
      /choose an `output`/,
    ],
    ["clusterFolder's folder", () => faceid.clusterFolder(photos, { output: taken }), /another `output`/],
    ["openDataset without a path", () => faceid.openDataset({}), /set `path`/],
    ["train without a dataset", () => faceid.train(config({})), /set `datasetPath` \(DATASET_PATH\)/],
    [
      "train's crops",
      () => faceid.train(config({ imageShape: [64, 64], crop: 0.4 })),
      /raise `crop`, `crops` or `imageShape`/,
    ],
    ["train's class samples", () => faceid.train(config({ classSamples: 5 })), /leave out `classSamples`/],
    ["serve without a model", () => faceid.serve({}), /pass `modelPath`, .* or `pack`/],
    ["serve's page", () => faceid.serve({ pack: "x", report: "x" }), /add `page`, or leave `report` out/],
    ["serve's port", () => faceid.serve({ modelPath: "x", grpcPort: 70_000 }), /^serve: grpcPort: got 70000/],
    ["app's port", () => faceid.app({ gallery: work, port: 65_536 }), /port/],
    ["the folds", () => faceid.evaluateFolds("x", "y", { folds: [1] }), /such as `folds` 1,2/],
  ])("of %s is said in the words of a program", async (_, call, words) => {
    const error = await Promise.resolve()
      .then(call)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(faceid.FaceError);
    const { message, hint } = error as faceid.FaceError;
    const text = `${message}\n${hint}`;
    expect(text).toMatch(words);
    // Whole commands may be named.
    expect(text.replaceAll(/faceid [^;\n]*/g, "")).not.toMatch(/--[a-z]/);
  });
});

it.each(["opencv-sface", "opencv-sface-int8-fast"])(
  "loadModel names the function that loads the pack %s",
  async (name) => {
    await expect(faceid.loadModel(name)).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
      hint: `${name} is a model pack, for whole photographs: loadFaceModel("${name}")`,
    });
  },
);
