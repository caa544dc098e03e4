/** @file Quality numbers: pose of heads whose turn is known, sharpness of blurred faces, limits and errors. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import type { Pixels } from "../image/settings.ts";
import { templateOf } from "./alignment.ts";
import { chooseFace } from "./choose.ts";
import type { Box, Detection, FaceQuality, Landmarks, Point } from "./face.ts";
import { Pyramid, type Sampled, sample } from "./pyramid.ts";
import { poseOf, QUALITY_SIDE, qualityOf } from "./quality.ts";
import { DEFAULT_QUALITY_LIMITS, qualityWarnings, requireQuality } from "./quality-limits.ts";

const EYES = 35.2;
const DEPTHS = [0, 0, 0.45 * EYES, 0.05 * EYES, 0.05 * EYES];
const radians = (degrees: number) => (degrees * Math.PI) / 180;

/** The template's head turned and seen from afar: first bent down, then turned to the right, then turned in the image. */
function headAt(yaw: number, pitch: number, roll: number): Landmarks {
  const [y, p, r] = [radians(yaw), radians(pitch), radians(roll)];
  const points = templateOf(112).map(([px, py], i): Point => {
    const [u, v, w] = [px - 56, py - 72, DEPTHS[i]!];
    const [v2, w2] = [v * Math.cos(p) + w * Math.sin(p), w * Math.cos(p) - v * Math.sin(p)];
    const u2 = u * Math.cos(y) + w2 * Math.sin(y);
    return [200 + 2 * (u2 * Math.cos(r) - v2 * Math.sin(r)), 300 + 2 * (u2 * Math.sin(r) + v2 * Math.cos(r))];
  });
  return points as unknown as Landmarks;
}

describe("poseOf", () => {
  it.each([
    [0, 0, 0],
    [20, 0, 0],
    [-35, 0, 0],
    [0, 15, 0],
    [0, -20, 0],
    [0, 0, 30],
    [0, 0, -90],
    [0, 0, 170],
    [15, 0, 60],
  ])("finds yaw %d, pitch %d, roll %d", (yaw, pitch, roll) => {
    const pose = poseOf(headAt(yaw, pitch, roll));
    // A turned head's five points are no exact similarity of the template, which tilts them by a few degrees.
    expect(Math.abs(pose.yaw - yaw)).toBeLessThan(3);
    // The detector's points of a level head are lower than the template's, as if it were bent down by 10 degrees.
    expect(Math.abs(pose.pitch + 10 - pitch)).toBeLessThan(3);
    expect(Math.abs(pose.roll - roll)).toBeLessThan(4);
  });
});

/** A crop whose columns are a wave of the wavelength. */
function wave(wavelength: number, amplitude = 60, base = 128): Pixels & { inside: number } {
  const data = new Uint8Array(112 * 112 * 3);
  for (let i = 0; i < 112 * 112; i++) {
    data.fill(base + amplitude * Math.sin((2 * Math.PI * (i % 112)) / wavelength), i * 3, i * 3 + 3);
  }
  return { data, width: 112, height: 112, inside: 0.9 };
}

const face = (box: Box = [0, 0, 10, 10]): Detection => ({ box, landmarks: headAt(0, 0, 0), score: 0.9 });

describe("qualityOf", () => {
  const sharp = (crop: Sampled) => qualityOf(face(), crop).sharpness;

  it("measures detail beside that at a quarter of the size, so that neither light nor contrast changes it", () => {
    // Of a wave the Laplacian is 2 − 2·cos(2π / wavelength) times the wave, of which the filter leaves (1 + cos(2π / wavelength)) / 2;
    // halving leaves cos(π / wavelength) of it.
    const detail = (length: number) => 1 - Math.cos((2 * Math.PI) / length) ** 2;
    const halving = (length: number) => Math.cos(Math.PI / length);
    const expected = (length: number) =>
      detail(length) / (detail(length / 4) * halving(length) * halving(length / 2));
    expect(sharp(wave(16))).toBeCloseTo(expected(16), 2);
    expect(sharp(wave(32))).toBeCloseTo(expected(32), 2);
    expect(sharp(wave(16, 20, 60))).toBeCloseTo(sharp(wave(16)), 1);
    expect(sharp(wave(16, 0))).toBe(0);
  });

  it("falls where a picture was shrunk and enlarged again", () => {
    const random = new Random(1);
    const noise = (side: number): Pixels => {
      const grey = Uint8Array.from({ length: side * side }, () => random.between(0, 256));
      return {
        data: Uint8Array.from({ length: side * side * 3 }, (_, i) => grey[Math.floor(i / 3)]!),
        width: side,
        height: side,
      };
    };
    const asTaken = sharp({ ...noise(QUALITY_SIDE), inside: 1 });
    const enlarging = { a: 1 / 4, b: 0, x0: 0, y0: 0 };
    const enlarged = sharp(sample(new Pyramid(noise(28)), enlarging, QUALITY_SIDE, QUALITY_SIDE));
    // Each pixel became four by four: the detail of the finest two octaves is gone.
    expect(enlarged).toBeLessThan(asTaken / 4);
  });

  it("does not take the noise of a blurred face for detail", () => {
    const random = new Random(1);
    const noisy = (wavelength: number) => {
      const crop = wave(wavelength, 30);
      return { ...crop, data: crop.data.map((value) => value + Math.round(random.between(-1.5, 1.5))) };
    };
    expect(sharp(noisy(16))).toBeCloseTo(sharp(wave(16, 30)), 1);
    // Without the filter the noise alone would be 0.5.
    expect(sharp(noisy(40))).toBeLessThan(DEFAULT_QUALITY_LIMITS.minSharpness);
  });

  it("measures light, contrast, size and what is inside", () => {
    const quality = qualityOf(face(), wave(8, 60, 100));
    expect(quality.brightness).toBeCloseTo(100 / 255, 2);
    expect(quality.contrast).toBeCloseTo(60 / Math.SQRT2 / 255, 2);
    expect(quality.eyeDistance).toBeCloseTo(2 * 35.238, 2);
    expect(quality.inside).toBe(0.9);
    expect(quality.score).toBe(0.9);
  });
});

const GOOD: FaceQuality = {
  score: 0.9,
  eyeDistance: 60,
  yaw: 5,
  pitch: -5,
  roll: 90,
  sharpness: 0.5,
  brightness: 0.5,
  contrast: 0.2,
  inside: 1,
};

describe("quality limits", () => {
  it("say nothing about a good face, and name each number beyond its limit", () => {
    expect(qualityWarnings(GOOD)).toEqual([]);
    const warnings = qualityWarnings({ ...GOOD, yaw: -80, eyeDistance: 4.25, brightness: 0.99 });
    expect(warnings.map(({ limit }) => limit).sort()).toEqual(["maxBrightness", "maxYaw", "minEyeDistance"]);
    expect(warnings.find(({ limit }) => limit === "minEyeDistance")!.message).toMatch(
      /4\.25 px .* at least \d+/,
    );
  });

  it("count a number that is none as beyond the limit", () => {
    expect(qualityWarnings({ ...GOOD, sharpness: Number.NaN })).toHaveLength(1);
  });

  it("become an error where they must hold", () => {
    requireQuality([]);
    const warnings = qualityWarnings({ ...GOOD, yaw: 80 });
    expect(() => requireQuality(warnings, "a.jpg")).toThrow(
      expect.objectContaining({
        code: "FACE_UNFIT",
        message: expect.stringMatching(/^a\.jpg: the head is turned aside: 80/),
        hint: "use a better photograph, or leave out strict",
      }),
    );
  });
});

describe("chooseFace", () => {
  const small = face([90, 90, 20, 20]);
  const large = face([0, 0, 50, 60]);
  const photograph = { width: 200, height: 200 };

  it("takes the largest, the most central, or the only one", () => {
    expect(chooseFace([small, large], "largest", photograph)).toBe(large);
    expect(chooseFace([large, small], "central", photograph)).toBe(small);
    expect(chooseFace([large], "only", photograph)).toBe(large);
  });

  it("says when there is none, or more than one", () => {
    expect(() => chooseFace([], "largest", photograph, "b.jpg")).toThrow(
      expect.objectContaining({ code: "FACE_NOT_FOUND", message: "no face was found in b.jpg" }),
    );
    expect(() => chooseFace([small, large], "only", photograph)).toThrow(
      expect.objectContaining({ code: "SEVERAL_FACES" }),
    );
  });
});
