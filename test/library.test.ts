/** @file The public list of the library: its names, its types, and that what it offers works together. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { decisionFor } from "../src/artifact/calibration.ts";
import { writeSynthetic } from "../src/data/drawn.ts";
import { imageSettings } from "../src/image/settings.ts";
import type {
  Answer,
  CalibrationRecord,
  Dataset,
  FaceModel,
  Measurement,
  Photo,
  RunningServer,
  Tensor,
  TensorMap,
  TrainResult,
  TrainSettings,
  Verification,
} from "../src/index.ts";
import * as faceid from "../src/index.ts";
import { temporaryFolder, tinyConfig } from "./support/tiny-run.ts";

describe("the public list", () => {
  it("holds just these values", () => {
    expect(Object.keys(faceid).toSorted()).toMatchInlineSnapshot(`
      [
        "ERRORS",
        "FaceError",
        "FaceModel",
        "Gallery",
        "GalleryClient",
        "NETWORKS",
        "PhotoError",
        "PhotoModel",
        "ServiceError",
        "app",
        "clusterFolder",
        "createGallery",
        "cropFaces",
        "describe",
        "embedFolder",
        "enrolFolder",
        "enrolPhotos",
        "evaluate",
        "evaluateFolds",
        "evaluateIdentification",
        "exportModel",
        "float32",
        "identify",
        "identifyPhotos",
        "inspectModels",
        "loadFaceModel",
        "loadModel",
        "loadSignatures",
        "models",
        "networkNamed",
        "openDataset",
        "openGallery",
        "plotSvg",
        "readCheckpoint",
        "request",
        "resume",
        "searchThreshold",
        "serve",
        "splitIdentities",
        "summaryText",
        "tensor",
        "tensorBoard",
        "train",
        "trainConfigSchema",
        "writeReport",
      ]
    `);
  });

  it("is typed as it is documented", () => {
    expectTypeOf(faceid.train).returns.resolves.toEqualTypeOf<TrainResult>();
    expectTypeOf<{ datasetPath: string }>().toExtend<TrainSettings>();
    expectTypeOf<{ epochs: string }>().not.toExtend<TrainSettings>();
    expectTypeOf(faceid.openDataset).returns.resolves.toEqualTypeOf<Dataset>();
    expectTypeOf(faceid.evaluate).returns.resolves.toEqualTypeOf<Measurement>();
    expectTypeOf(faceid.evaluate).parameter(0).toBeString();
    expectTypeOf(faceid.loadModel).returns.resolves.toEqualTypeOf<FaceModel>();
    expectTypeOf<FaceModel["embed"]>().parameter(0).toEqualTypeOf<readonly Photo[]>();
    expectTypeOf<FaceModel["embed"]>().returns.resolves.toEqualTypeOf<Float32Array[]>();
    expectTypeOf<FaceModel["verify"]>().returns.resolves.toEqualTypeOf<Verification>();
    expectTypeOf<FaceModel["calibration"]>().toEqualTypeOf<CalibrationRecord | undefined>();
    expectTypeOf(faceid.models.add).parameter(0).toBeString();
    expectTypeOf(faceid.models.list).returns.resolves.toEqualTypeOf<faceid.PackStatus[]>();
    expectTypeOf(faceid.loadFaceModel).returns.resolves.toEqualTypeOf<faceid.PhotoModel>();
    expectTypeOf<faceid.PhotoModel["verify"]>().returns.resolves.toEqualTypeOf<faceid.PhotoVerification>();
    expectTypeOf<faceid.PhotoModel["faces"]>().returns.resolves.toEqualTypeOf<faceid.PhotoFace[]>();
    expectTypeOf<faceid.PhotoModel["embed"]>().returns.resolves.toEqualTypeOf<faceid.PhotoEmbedding>();
    expectTypeOf(faceid.serve).returns.resolves.toEqualTypeOf<RunningServer>();
    expectTypeOf(faceid.request).returns.resolves.toEqualTypeOf<Answer>();
    expectTypeOf<{ url: string }>().toExtend<faceid.RequestTarget>();
    expectTypeOf<{ address: string; model: string }>().toExtend<faceid.RequestTarget>();
    expectTypeOf<{ model: string }>().not.toExtend<faceid.RequestTarget>();
    expectTypeOf(faceid.float32).returns.toEqualTypeOf<Tensor<"float32">>();
    expectTypeOf<faceid.SignatureModel["run"]>().returns.resolves.toEqualTypeOf<TensorMap>();
    expectTypeOf<faceid.FaceError["code"]>().toEqualTypeOf<faceid.ErrorCode>();
  });
});

describe("a model that was trained", () => {
  const work = temporaryFolder("library");
  const [run, models, photos] = ["run", "models", "photos"].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ];
  const photo = (person: number, number: number) => join(photos, String(person), `${number}.png`);
  let measured: Measurement;

  beforeAll(async () => {
    await writeSynthetic({
      output: photos,
      identities: 2,
      imagesPerIdentity: 3,
      settings: imageSettings(96),
    });
    await faceid.train({ config: tinyConfig({ epochs: 1 }), folder: run });
    measured = await faceid.evaluate(run, { pairs: 20 });
    await faceid.exportModel({
      checkpoint: join(run, "best.safetensors"),
      measured,
      savedModelPath: models,
      modelName: "tiny",
      modelVersion: 1,
    });
  });

  it("answers alike as a run and as an exported model", async () => {
    const [fromRun, exported] = [await faceid.loadModel(run), await faceid.loadModel(models)];
    const pair = [photo(0, 0), photo(1, 0)] as const;
    const [a, b] = [await fromRun.verify(...pair), await exported.verify(...pair)];
    expect(b.probability).toBeCloseTo(a.probability, 5);
    expect(a).toEqual({ probability: a.probability });
    const { threshold, usedFar } = decisionFor(measured.calibration)!;
    expect(b).toMatchObject({ same: b.probability >= threshold, threshold });
    expect(b.far).toBe(usedFar);
    expect(b).not.toHaveProperty("warnings");
    expect(exported.path).toBe(join(models, "1"));
    expect([exported.image.height, exported.image.width, exported.embeddingSize]).toEqual([96, 96, 128]);
    await Promise.all([fromRun.close(), exported.close()]);
  });

  it("embeds paths and contents alike, in order, and compares what it embedded", async () => {
    const model = await faceid.loadModel(models);
    const paths = Array.from({ length: 35 }, (_, i) => photo(i % 2, i % 3));
    const embeddings = await model.embed(paths);
    expect(embeddings).toHaveLength(35);
    const [again] = await model.embed([readFileSync(paths[20]!)]);
    expect(embeddings[20]).toBeAllClose(again!, { absolute: 1e-5, relative: 1e-5 });
    expect(embeddings[20]).toBeAllClose(embeddings[26]!, { absolute: 1e-5, relative: 1e-5 });
    expect(await model.embed([])).toEqual([]);
    const [one, two] = embeddings as [Float32Array, Float32Array];
    const both = await model.compareAll([
      [one, two],
      [one, one],
    ]);
    expect(both[0]).toBeCloseTo(await model.compare(one, two), 6);
    expect(await model.compareAll([])).toEqual(new Float32Array());
    await model.close();
  });

  it("refuses what it cannot do, by code", async () => {
    const model = await faceid.loadModel(models);
    const failure = (work: Promise<unknown>) => expect(work).rejects;
    await failure(model.embed([join(work, "nobody.jpg")])).toMatchObject({ code: "IMAGE_UNREADABLE" });
    await failure(model.compare(new Float32Array(128), new Float32Array(5))).toMatchObject({
      code: "SHAPE_MISMATCH",
      message: "an embedding of this model has 128 numbers, got 5",
    });
    await failure(model.verify(photo(0, 0), photo(0, 1), { far: 1e-6 })).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("not calibrated for a false accept rate of 0.000001"),
    });
    await failure(faceid.loadModel(work)).toMatchObject({ code: "MODEL_NOT_FOUND" });
    await failure(faceid.loadModel(join(work, "none.safetensors"))).toMatchObject({
      code: "CHECKPOINT_INVALID",
    });
    await failure(faceid.train({ config: { epochs: 0 }, folder: join(work, "no") })).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/^epochs: /),
    });
    await model.close();
  });

  it.each(["", "-run"])(
    "answers the call under way when it is closed, and names a later one%s",
    async (from) => {
      const model = await faceid.loadModel(from === "" ? models : run);
      const [embedding] = await model.embed([photo(0, 0)]);
      const underWay = model.verify(photo(0, 0), photo(1, 0));
      await Promise.all([model.close(), model.close()]);
      expect((await underWay).probability).toBeGreaterThanOrEqual(0);
      const closed = { code: "CONFIG_INVALID", message: `the model ${model.path} is closed` };
      for (const late of [
        () => model.verify(photo(0, 0), photo(1, 0)),
        () => model.embed([photo(0, 0)]),
        () => model.compare(embedding!, embedding!),
        () => model.compareAll([[embedding!, embedding!]]),
      ]) {
        await expect(late()).rejects.toMatchObject(closed);
      }
    },
  );

  it("refuses what is no embedding, by its value", async () => {
    await using model = await faceid.loadModel(models);
    const [one] = (await model.embed([photo(0, 0)])) as [Float32Array];
    const wrong = (message: string) => ({ code: "CONFIG_INVALID", message });
    await expect(model.compare(one, undefined as never)).rejects.toMatchObject(
      wrong("an embedding: got undefined, expected a Float32Array"),
    );
    await expect(model.compare(photo(0, 0) as never, one)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("expected a Float32Array"),
    });
    await expect(model.compareAll([one, one] as never)).rejects.toMatchObject(
      wrong("compareAll, the pairs: 0: got Float32Array of 512 bytes, expected a list of two embeddings"),
    );
    expect(await model.compare([...one] as never, one)).toBe(await model.compare(one, one));
  });

  it("runs by its signatures", async () => {
    const model = await faceid.loadSignatures(join(models, "1"));
    const zeros = faceid.float32([1, 96, 96, 3], new Float32Array(96 * 96 * 3));
    const outputs = await model.run("embed", new Map([["input_image", zeros]]));
    expect(outputs.get("embedding")?.shape).toEqual([1, 128]);
    await expect(model.run("embed", new Map())).rejects.toMatchObject({
      code: "SHAPE_MISMATCH",
      message: "the input input_image of embed is missing",
    });
    await expect(model.run("classify", new Map())).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
    await expect(model.run("embed", { input_image: zeros } as never)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("expected a Map of tensors by name"),
    });
    const underWay = model.run("embed", new Map([["input_image", zeros]]));
    await model.close();
    expect((await underWay).get("embedding")?.shape).toEqual([1, 128]);
    await expect(model.run("embed", new Map([["input_image", zeros]]))).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/^the model .* is closed$/),
    });
  });

  it("is served with one interface where the other is off", async () => {
    const server = await faceid.serve({ modelPath: models, restPort: 0, grpcPort: false });
    expect(server.grpcPort).toBeUndefined();
    const answer = await faceid.request({ url: `http://localhost:${server.restPort}` }, [
      photo(0, 0),
      photo(1, 0),
    ]);
    const model = await faceid.loadModel(models);
    const { probability } = await model.verify(photo(0, 0), photo(1, 0));
    expect(answer.probability).toBeCloseTo(probability, 4);
    await Promise.all([model.close(), server.close()]);
  });
});
