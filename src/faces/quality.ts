/** @file Numbers that say how well a face can be compared, from its five points and its aligned crop. */
import type { Pixels } from "../image/settings.ts";
import { alignTo, templateOf } from "./alignment.ts";
import type { Detection, FaceQuality, Landmarks, Point } from "./face.ts";
import type { Sampled } from "./pyramid.ts";
import { angleOf } from "./similarity.ts";

/** Side of the aligned crop that quality is measured on. */
export const QUALITY_SIDE = 112;

const EYE_DISTANCE = 35.2;
/**
 * How far the nose's tip and the corners of the mouth stand before the eyes, in pixels of the template: 0.45 and 0.05 of
 * the distance between the eyes, a grown head's proportions.
 */
const DEPTHS = [0, 0, 0.45 * EYE_DISTANCE, 0.05 * EYE_DISTANCE, 0.05 * EYE_DISTANCE] as const;

/** Degrees of pitch that YuNet's points of a level head seem to have against the template: the median over LFW. */
const LEVEL_PITCH = 10;

const degrees = (radians: number) => (radians * 180) / Math.PI;

/** Solves a symmetric 3×3 system by Cramer's rule. */
function solve3(m: readonly (readonly number[])[], right: readonly number[]): [number, number, number] {
  const [[a, b, c], [, e, f], [, , i]] = m as [number[], number[], number[]] as [
    [number, number, number],
    [number, number, number],
    [number, number, number],
  ];
  const cofactors = [
    [e * i - f * f, c * f - b * i, b * f - c * e],
    [c * f - b * i, a * i - c * c, b * c - a * f],
    [b * f - c * e, b * c - a * f, a * e - b * b],
  ];
  const determinant = a * cofactors[0]![0]! + b * cofactors[0]![1]! + c * cofactors[0]![2]!;
  const row = (k: number) =>
    cofactors[k]!.reduce((sum, value, j) => sum + value * right[j]!, 0) / determinant;
  return [row(0), row(1), row(2)];
}

/** The face's points in space: the template with depths, about their mean. */
const MODEL = (() => {
  const points = templateOf(QUALITY_SIDE).map(([x, y], i) => [x, y, DEPTHS[i]!]);
  const mean = [0, 1, 2].map((axis) => points.reduce((sum, point) => sum + point[axis]!, 0) / points.length);
  return points.map((point) => point.map((value, axis) => value - mean[axis]!));
})();

const NORMAL = [0, 1, 2].map((i) =>
  [0, 1, 2].map((j) => MODEL.reduce((sum, point) => sum + point[i]! * point[j]!, 0)),
);

/** The row of the projection that gives one coordinate of the five points, by least squares. */
function projectionRow(coordinates: readonly number[]): [number, number, number] {
  const sums = [0, 1, 2].map((axis) =>
    MODEL.reduce((sum, point, i) => sum + point[axis]! * coordinates[i]!, 0),
  );
  return solve3(NORMAL, sums);
}

/**
 * How the head is turned, in degrees, from five points: the scaled orthographic projection of a rigid model that fits
 * them best (DeMenthon and Davis, 1995, first step).
 */
export function poseOf(landmarks: Landmarks): Pick<FaceQuality, "yaw" | "pitch" | "roll"> {
  const roll = angleOf(alignTo(landmarks, QUALITY_SIDE));
  // Upright first: yaw and pitch are about the head's own axes.
  const upright = landmarks.map(([x, y]): Point => {
    const [cos, sin] = [Math.cos(roll), Math.sin(roll)];
    return [cos * x - sin * y, sin * x + cos * y];
  });
  const [xx, , xz] = projectionRow(upright.map(([x]) => x));
  const [, yy, yz] = projectionRow(upright.map(([, y]) => y));
  return {
    yaw: degrees(Math.atan2(xz, xx)),
    pitch: degrees(Math.atan2(yz, yy)) - LEVEL_PITCH,
    roll: -degrees(roll),
  };
}

const distance = ([ax, ay]: Point, [bx, by]: Point) => Math.hypot(ax - bx, ay - by);

/** Luminance of sRGB pixels, 0 to 255 (ITU-R BT.601, as JPEG stores it). */
function luminance({ data }: Pixels): Float32Array {
  const out = new Float32Array(data.length / 3);
  for (let i = 0, at = 0; i < out.length; i++, at += 3) {
    out[i] = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
  }
  return out;
}

/** The part of the aligned crop that is face whatever the head's shape. */
const FACE_PART = { left: 24, right: 88, top: 36, bottom: 104 } as const;

/** The same at the size of an image that is `width` pixels wide. */
function facePart(width: number): { left: number; right: number; top: number; bottom: number } {
  const scale = width / QUALITY_SIDE;
  const { left, right, top, bottom } = FACE_PART;
  return { left: left * scale, right: right * scale, top: top * scale, bottom: bottom * scale };
}

/** The image smoothed by the binomial filter 1 2 1 along both axes, in the face and one pixel around it. */
function smoothed(light: Float32Array, width: number): Float32Array {
  const { left, right, top, bottom } = facePart(width);
  const across = new Float32Array(light.length);
  const both = new Float32Array(light.length);
  for (let row = top - 2; row < bottom + 2; row++) {
    for (let at = row * width + left - 1, end = row * width + right + 1; at < end; at++)
      across[at] = (light[at - 1]! + 2 * light[at]! + light[at + 1]!) / 4;
  }
  for (let row = top - 1; row < bottom + 1; row++) {
    for (let at = row * width + left - 1, end = row * width + right + 1; at < end; at++)
      both[at] = (across[at - width]! + 2 * across[at]! + across[at + width]!) / 4;
  }
  return both;
}

/** The image at half its size, each pixel a mean of four. */
function halved(light: Float32Array, width: number): Float32Array {
  const out = new Float32Array(light.length / 4);
  const side = width / 2;
  for (let i = 0, at = 0; i < out.length; at += width) {
    for (const end = i + side; i < end; i++, at += 2)
      out[i] = (light[at]! + light[at + 1]! + light[at + width]! + light[at + width + 1]!) / 4;
  }
  return out;
}

/** Squares of the Laplacian over the face, their mean: after the filter, as the plain Laplacian of a blurred face is that of rounding and compression. */
function detailOf(light: Float32Array, width: number): number {
  const smooth = smoothed(light, width);
  const { left, right, top, bottom } = facePart(width);
  let sum = 0;
  for (let row = top; row < bottom; row++) {
    for (let at = row * width + left, end = row * width + right; at < end; at++) {
      const around = smooth[at - 1]! + smooth[at + 1]! + smooth[at - width]! + smooth[at + width]!;
      sum += (around - 4 * smooth[at]!) ** 2;
    }
  }
  return sum / ((right - left) * (bottom - top));
}

/**
 * Detail beside that at a quarter of the size. A sharp face has detail at every size; one that is blurred, or was small and enlarged, only at
 * the smaller one. Both grow with the contrast, which their ratio therefore leaves out.
 */
function sharpnessOf(light: Float32Array, width: number): number {
  const coarse = detailOf(halved(halved(light, width), width / 2), width / 4);
  return coarse === 0 ? 0 : Math.sqrt(detailOf(light, width) / coarse);
}

/** What the aligned crop's pixels say. */
function lookOf(crop: Pixels): Pick<FaceQuality, "sharpness" | "brightness" | "contrast"> {
  const light = luminance(crop);
  const { left, right, top, bottom } = FACE_PART;
  let [sum, squares] = [0, 0];
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const value = light[row * crop.width + column]!;
      sum += value;
      squares += value * value;
    }
  }
  const count = (right - left) * (bottom - top);
  const mean = sum / count;
  const variance = Math.max(0, squares / count - mean * mean);
  return {
    sharpness: variance < 1 ? 0 : sharpnessOf(light, crop.width),
    brightness: mean / 255,
    contrast: Math.sqrt(variance) / 255,
  };
}

/** @param crop the face aligned to `QUALITY_SIDE`. */
export function qualityOf({ landmarks, score }: Detection, crop: Sampled): FaceQuality {
  return {
    score,
    eyeDistance: distance(landmarks[0], landmarks[1]),
    ...poseOf(landmarks),
    ...lookOf(crop),
    inside: crop.inside,
  };
}
