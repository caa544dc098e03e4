/** @file YuNet's output tensors become boxes, five points and scores (Wu, Peng and Yu, 2023, section 3). */
import type { Box, Detection, Landmarks, Point } from "./face.ts";

/** Pixels of the network's input between two cells of a grid; one grid for each. */
export const STRIDES = [8, 16, 32] as const;

/** The network's input in its file. */
export const YUNET_INPUT = "input";
/** Sides of the network's input are multiples of this. */
export const INPUT_MULTIPLE = 32;

/** The network's outputs for one image by name: `cls_8`, `obj_8`, `bbox_8`, `kps_8` and so on. */
export type YunetOutputs = (name: string) => ArrayLike<number>;

/** The network's input. */
export interface InputSize {
  /** Columns, a multiple of 32. */
  readonly width: number;
  /** Rows, a multiple of 32. */
  readonly height: number;
}

const clip = (value: number) => Math.min(Math.max(value, 0), 1);

/** The five points of a cell at column and row of a grid. */
function pointsOf(kps: ArrayLike<number>, cell: number, column: number, row: number, stride: number) {
  const point = (index: number): Point => {
    const at = cell * 10 + index * 2;
    return [(kps[at]! + column) * stride, (kps[at + 1]! + row) * stride];
  };
  return [point(0), point(1), point(2), point(3), point(4)] satisfies Landmarks;
}

/** The box of a cell: its centre moves by the first two numbers, its sides are exponentials of the others. */
function boxOf(bbox: ArrayLike<number>, cell: number, column: number, row: number, stride: number): Box {
  const at = cell * 4;
  const width = Math.exp(bbox[at + 2]!) * stride;
  const height = Math.exp(bbox[at + 3]!) * stride;
  const [x, y] = [(column + bbox[at]!) * stride, (row + bbox[at + 1]!) * stride];
  return [x - width / 2, y - height / 2, width, height];
}

/**
 * Faces of one image, several for the same face as a rule (`suppressOverlaps`), in the input's pixels.
 * The score of a cell is the geometric mean of its two confidences.
 * @param threshold the lowest score that counts, 0 to 1.
 */
export function decodeYunet(
  outputs: YunetOutputs,
  { width, height }: InputSize,
  threshold: number,
): Detection[] {
  const found: Detection[] = [];
  const enough = threshold * threshold;
  for (const stride of STRIDES) {
    const [columns, cells] = [width / stride, (width / stride) * (height / stride)];
    const [cls, obj] = [outputs(`cls_${stride}`), outputs(`obj_${stride}`)];
    const [bbox, kps] = [outputs(`bbox_${stride}`), outputs(`kps_${stride}`)];
    for (let cell = 0; cell < cells; cell++) {
      const squared = clip(cls[cell]!) * clip(obj[cell]!);
      if (!(squared >= enough)) continue;
      const [column, row] = [cell % columns, Math.floor(cell / columns)];
      found.push({
        box: boxOf(bbox, cell, column, row, stride),
        landmarks: pointsOf(kps, cell, column, row, stride),
        score: Math.sqrt(squared),
      });
    }
  }
  return found;
}

/** Area shared by two boxes beside the area of both together, 0 to 1. */
export function overlap([ax, ay, aw, ah]: Box, [bx, by, bw, bh]: Box): number {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx);
  const height = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (aw * ah + bw * bh - shared);
}

/** Boxes that share more than this are of one face. */
const SAME_FACE = 0.3;
/** Boxes that share more than this with the best one tell as well as it where the face is. */
const AS_GOOD = 0.5;

/** The mean of several detections by their scores, with the best one's score. */
export function meanDetection(detections: readonly Detection[]): Detection {
  const total = detections.reduce((sum, { score }) => sum + score, 0);
  const mean = (value: (detection: Detection) => number) =>
    detections.reduce((sum, detection) => sum + detection.score * value(detection), 0) / total;
  const side = (index: 0 | 1 | 2 | 3) => mean(({ box }) => box[index]);
  const point = (index: 0 | 1 | 2 | 3 | 4): Point => [
    mean(({ landmarks }) => landmarks[index][0]),
    mean(({ landmarks }) => landmarks[index][1]),
  ];
  return {
    box: [side(0), side(1), side(2), side(3)],
    landmarks: [point(0), point(1), point(2), point(3), point(4)],
    score: detections.reduce((best, { score }) => Math.max(best, score), 0),
  };
}

/**
 * One detection for each face: greedy non-maximum suppression, with boxes and points averaged over the cells that agree
 * with the best one. The average scatters by half as much as the best cell alone (docs/faces.md).
 * @param threshold the lowest score of a face; cells below it only take part in averages.
 * @param limit how many faces at most.
 * @returns by falling score.
 */
export function mergeDetections(
  detections: readonly Detection[],
  threshold: number,
  limit: number,
): Detection[] {
  let left = detections.toSorted((a, b) => b.score - a.score);
  const faces: Detection[] = [];
  for (let best = left[0]; best !== undefined && faces.length < limit; best = left[0]) {
    if (best.score < threshold) break;
    const { box } = best;
    faces.push(meanDetection(left.filter((each) => overlap(each.box, box) > AS_GOOD)));
    left = left.filter((each) => overlap(each.box, box) <= SAME_FACE);
  }
  return faces;
}

/**
 * The best detection of each face as it is: greedy non-maximum suppression.
 * @param limit how many faces at most.
 * @returns by falling score.
 */
export function suppressOverlaps(detections: readonly Detection[], limit: number): Detection[] {
  const kept: Detection[] = [];
  for (const detection of detections.toSorted((a, b) => b.score - a.score)) {
    if (kept.length === limit) break;
    if (kept.every(({ box }) => overlap(box, detection.box) <= SAME_FACE)) kept.push(detection);
  }
  return kept;
}
