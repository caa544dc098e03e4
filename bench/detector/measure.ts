/** @file How a detector compares with the pack's on LFW's photographs: which central faces it finds, and where it places points. */
import { join } from "node:path";
import { FaceError } from "../../src/base/errors.ts";
import { chooseFace } from "../../src/faces/choose.ts";
import type { Detector } from "../../src/faces/detector.ts";
import type { Detection, Landmarks } from "../../src/faces/face.ts";
import { Pyramid } from "../../src/faces/pyramid.ts";
import { applySimilarity, fitSimilarity, scaleOf } from "../../src/faces/similarity.ts";
import { overlap } from "../../src/faces/yunet.ts";
import { decodePixels } from "../../src/image/decode.ts";
import { type Labelled, LFW, SURE } from "./labels.ts";

/** Boxes of one face share at least this much. */
const SAME = 0.4;

export interface Comparison {
  readonly photographs: number;
  /** Central faces that were found. */
  readonly found: number;
  readonly lost: readonly string[];
  /** Faces that only this detector finds, over all photographs. */
  readonly others: number;
  /** Mean distance of a face's points from the pack's beside the pack's distance of the eyes, face by face, rising. */
  readonly errors: readonly number[];
  /** The same on the mean of all faces, after the similarity that takes the points closest to the pack's. */
  readonly shapeError: number;
  /** The mean scale of these similarities: above 1 where the points lie too close together. */
  readonly scale: number;
}

/** The mean distance of five points beside the distance of the eyes. */
export function pointError(points: Detection, truth: Detection): number {
  const distances = points.landmarks.map(([x, y], i) => {
    const [u, v] = truth.landmarks[i]!;
    return Math.hypot(x - u, y - v);
  });
  const [[ax, ay], [bx, by]] = truth.landmarks;
  return distances.reduce((sum, each) => sum + each, 0) / distances.length / Math.hypot(ax - bx, ay - by);
}

/** The error that is left when the points are laid over the truth's by a similarity, and its scale. */
function laidOver(points: Detection, truth: Detection): { error: number; scale: number } {
  const by = fitSimilarity(points.landmarks, truth.landmarks);
  if (by === undefined) return { error: pointError(points, truth), scale: 1 };
  const landmarks = points.landmarks.map((point) => applySimilarity(by, point)) as unknown as Landmarks;
  return { error: pointError({ ...points, landmarks }, truth), scale: scaleOf(by) };
}

const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;

/** The most central face; undefined where there is none. */
function central(
  faces: readonly Detection[],
  size: { width: number; height: number },
): Detection | undefined {
  try {
    return chooseFace(faces, "central", size);
  } catch (error) {
    if (error instanceof FaceError && error.code === "FACE_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Runs a detector on photographs whose labels are known. */
export async function compareWithLabels(
  detector: Detector,
  labels: readonly Labelled[],
): Promise<Comparison> {
  const errors: number[] = [];
  const laid: { error: number; scale: number }[] = [];
  const lost: string[] = [];
  let others = 0;
  for (const { path, faces } of labels) {
    const pixels = await decodePixels(join(LFW, path));
    const truth = central(
      faces.filter(({ score }) => score >= SURE),
      pixels,
    );
    if (truth === undefined) continue;
    const found = await detector.find(new Pyramid(pixels));
    others += found.filter(({ box }) => faces.every((face) => overlap(face.box, box) < SAME)).length;
    const face = found.find(({ box }) => overlap(box, truth.box) >= SAME);
    if (face === undefined) {
      lost.push(path);
      continue;
    }
    errors.push(pointError(face, truth));
    laid.push(laidOver(face, truth));
  }
  return {
    photographs: errors.length + lost.length,
    found: errors.length,
    lost,
    others,
    errors: errors.toSorted((a, b) => a - b),
    shapeError: mean(laid.map(({ error }) => error)),
    scale: mean(laid.map(({ scale }) => scale)),
  };
}

/** The comparison in three lines. */
export function comparisonText({
  photographs,
  found,
  others,
  errors,
  shapeError,
  scale,
}: Comparison): string {
  const percent = (value: number | undefined) => `${(100 * (value ?? Number.NaN)).toFixed(2)} %`;
  const at = (part: number) => percent(errors[Math.floor(part * (errors.length - 1))]);
  const within = percent(errors.filter((error) => error <= 0.05).length / errors.length);
  return [
    `${found} of ${photographs} central faces found (${percent(found / photographs)}), ${others} others`,
    `points beside the pack's, in distances of the eyes: mean ${percent(mean(errors))}, median ${at(0.5)}, 95 % ${at(0.95)}; ${within} of the faces within 5 %`,
    `laid over the pack's, larger by the factor ${scale.toFixed(3)}: mean ${percent(shapeError)}`,
  ].join("\n");
}
