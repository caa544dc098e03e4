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

function modelOf(measure: "cosine" | "probability"): PhotoModel {
  const unused = () => {
    throw new Error("nothing is read");
  };
  const comparer = {
    name: "drawn",
    measure,
    calibration: CALIBRATION,
    digest: "d".repeat(64),
    measuring: {
      kind: "embeddings" as const,
      embeddingSize: 2,
      embed: unused,
      similarity: async (a: Float32Array, b: Float32Array) => cosineSimilarity(a, b),
    },
    crop: unused,
    readCrop: unused,
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
