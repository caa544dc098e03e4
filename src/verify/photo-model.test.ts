/** @file What a model for whole photographs says of similarities and embeddings that a program passes. */
import { describe, expect, it } from "vitest";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { cosineSimilarity } from "../faces/cosine.ts";
import { PhotoModel } from "./photo-model.ts";

const rate = { value: 0.001, interval: [0.0005, 0.002] as [number, number] };
const CALIBRATION: CalibrationRecord = {
  threshold: 0.4,
  measuredFar: rate,
  measuredTar: rate,
  operatingPoints: [{ far: 0.001, threshold: 0.4, measuredFar: rate, measuredTar: rate }],
  data: { dataset: "drawn", people: "all", positives: 1000, negatives: 10_000 },
};

/** Two colours, since one alone is no picture of anything. */
const CROP = { data: Uint8Array.of(0, 0, 0, 255, 255, 255), width: 2, height: 1 };

function modelOf(measure: "cosine" | "probability", name = "drawn"): PhotoModel {
  const unused = () => {
    throw new Error("nothing is read");
  };
  const comparer = {
    name,
    measure,
    calibration: CALIBRATION,
    digest: `digest of ${name}`,
    measuring: {
      kind: "embeddings" as const,
      embeddingSize: 2,
      embed: async () => Float32Array.of(0.6, 0.8),
      similarity: async (a: Float32Array, b: Float32Array) => cosineSimilarity(a, b),
    },
    crop: unused,
    readCrop: async () => ({ crop: CROP, doubt: undefined }),
    [Symbol.asyncDispose]: async () => {},
  };
  return new PhotoModel(comparer, undefined, false);
}

describe("a number that is no similarity", () => {
  it.each([
    ["cosine", Number.NaN, /got NaN, expected a cosine, from -1 to 1$/],
    ["cosine", 1.5, /got 1\.5/],
    ["cosine", -1.5, /got -1\.5/],
    ["cosine", "0.4", /got "0\.4"/],
    ["cosine", undefined, /got undefined/],
    ["probability", -0.2, /got -0\.2, expected a probability, from 0 to 1$/],
    ["probability", 7, /got 7/],
  ] as const)("as a %s, %s, gets no decision", (measure, value, message) => {
    expect(() => modelOf(measure).decide(value as number)).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", message: expect.stringMatching(message) }),
    );
  });

  it.each([
    ["cosine", -1, false],
    ["cosine", 1 + 1e-7, true],
    ["probability", 0, false],
    ["probability", 1, true],
  ] as const)("is not, as a %s, %d", (measure, value, same) => {
    expect(modelOf(measure).decide(value).same).toBe(same);
  });
});

describe("the cosine of two embeddings", () => {
  const model = modelOf("cosine");
  const vector = (...values: number[]) => Float32Array.from(values);

  it("does not depend on their lengths", async () => {
    expect(await model.similarity(vector(1, 0), vector(0.6, 0.8))).toBeCloseTo(0.6, 6);
    expect(await model.similarity(vector(10, 0), vector(0.06, 0.08))).toBeCloseTo(0.6, 6);
    expect(await model.similarity([3, 0] as never, vector(0.6, 0.8))).toBeCloseTo(0.6, 6);
  });

  it.each<[string, unknown, object]>([
    [
      "zeros alone",
      vector(0, 0),
      {
        code: "SHAPE_MISMATCH",
        message: "an embedding of zeros alone has no similarity to another",
      },
    ],
    ["nothing", undefined, { code: "CONFIG_INVALID", message: /got undefined, expected a Float32Array/ }],
    ["a path", "a.jpg", { code: "CONFIG_INVALID", message: /got "a\.jpg", expected a Float32Array/ }],
    ["another size", vector(1, 0, 0), { code: "SHAPE_MISMATCH", message: /has 2 numbers, got 3/ }],
    ["no numbers", vector(1, Number.NaN), { code: "SHAPE_MISMATCH", message: /got NaN at \[1\]/ }],
  ])("is refused for %s", async (_, wrong, error) => {
    const { code, message } = error as { code: string; message: string | RegExp };
    const expected = { code, message: expect.stringMatching(message) };
    await expect(model.similarity(vector(1, 0), wrong as never)).rejects.toMatchObject(expected);
    await expect(model.similarity(wrong as never, vector(1, 0))).rejects.toMatchObject(expected);
  });
});

describe("an embedding that another model made in this process", () => {
  it("is not compared by this one, and this one's are", async () => {
    const [usual, fast] = [modelOf("cosine", "pack"), modelOf("cosine", "pack-fast")];
    const own = await usual.embed(CROP.data);
    const read = await fast.read(CROP.data);
    for (const foreign of [(await fast.embed(CROP.data)).embedding, read.embedding!]) {
      const refused = {
        code: "CONFIG_INVALID",
        message: "similarity: pack-fast made an embedding, expected one of pack",
      };
      await expect(usual.similarity(own.embedding, foreign)).rejects.toMatchObject(refused);
      await expect(usual.similarity(foreign, own.embedding)).rejects.toMatchObject(refused);
    }
    expect(await usual.similarity(own.embedding, (await usual.embed(CROP.data)).embedding)).toBeCloseTo(1, 6);
    expect(await usual.similarity(own.embedding, Float32Array.of(0.8, 0.6))).toBeCloseTo(0.96, 6);
  });
});
