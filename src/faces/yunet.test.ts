/** @file Cells become boxes and points by hand-made numbers; overlapping ones become one face. */
import { describe, expect, it } from "vitest";
import type { Box, Detection } from "./face.ts";
import { decodeYunet, mergeDetections, overlap, STRIDES, suppressOverlaps } from "./yunet.ts";

const SIZE = { width: 64, height: 32 };

/** Outputs of zeros but for one cell of the grid of stride 16: column 3, row 1. */
function outputsWith(cls: number, obj: number) {
  const tensors = new Map<string, Float32Array>();
  for (const stride of STRIDES) {
    const cells = (SIZE.width / stride) * (SIZE.height / stride);
    for (const [kind, width] of [
      ["cls", 1],
      ["obj", 1],
      ["bbox", 4],
      ["kps", 10],
    ] as const)
      tensors.set(`${kind}_${stride}`, new Float32Array(cells * width));
  }
  const cell = 1 * 4 + 3;
  tensors.get("cls_16")![cell] = cls;
  tensors.get("obj_16")![cell] = obj;
  tensors.get("bbox_16")!.set([0.5, -0.25, Math.log(2), Math.log(3)], cell * 4);
  tensors.get("kps_16")!.set([0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1.25], cell * 10);
  return (name: string) => tensors.get(name)!;
}

describe("decodeYunet", () => {
  it("places box and points in the input's pixels", () => {
    const [found, ...others] = decodeYunet(outputsWith(0.81, 0.64), SIZE, 0.6);
    expect(others).toEqual([]);
    expect(found!.score).toBeCloseTo(0.72, 6);
    // Centre (3 + 0.5, 1 − 0.25) × 16 = (56, 12), sides 2 × 16 and 3 × 16.
    for (const [i, value] of [40, -12, 32, 48].entries()) expect(found!.box[i]).toBeCloseTo(value, 4);
    const expected = [
      [48, 16],
      [64, 16],
      [56, 24],
      [48, 32],
      [64, 36],
    ];
    for (const [i, point] of expected.entries()) expect(found!.landmarks[i]).toEqual(point);
  });

  it("leaves out cells below the threshold and cuts confidences at 0 and 1", () => {
    expect(decodeYunet(outputsWith(0.81, 0.64), SIZE, 0.73)).toEqual([]);
    expect(decodeYunet(outputsWith(3, 2), SIZE, 0.9)[0]!.score).toBe(1);
    expect(decodeYunet(outputsWith(-1, -1), SIZE, 0.1)).toEqual([]);
  });

  it("leaves out cells whose confidence is not a number", () => {
    expect(decodeYunet(outputsWith(Number.NaN, 1), SIZE, 0.1)).toEqual([]);
  });
});

const detection = (box: Box, score: number): Detection => {
  const [x, y] = box;
  return {
    box,
    score,
    landmarks: [
      [x, y],
      [x + 1, y],
      [x + 2, y],
      [x + 3, y],
      [x + 4, y],
    ],
  };
};

describe("overlap", () => {
  it("is the shared area beside the area of both", () => {
    expect(overlap([0, 0, 2, 2], [1, 0, 2, 2])).toBeCloseTo(2 / 6);
    expect(overlap([0, 0, 2, 2], [0, 0, 2, 2])).toBe(1);
    expect(overlap([0, 0, 2, 2], [2, 0, 2, 2])).toBe(0);
    expect(overlap([0, 0, 2, 2], [-5, 9, 2, 2])).toBe(0);
  });
});

describe("mergeDetections", () => {
  it("averages the cells that agree with the best one by their scores", () => {
    const [face, ...others] = mergeDetections(
      [detection([0, 0, 100, 100], 0.4), detection([10, 0, 100, 100], 0.8)],
      0.6,
      100,
    );
    expect(others).toEqual([]);
    expect(face!.score).toBe(0.8);
    expect(face!.box[0]).toBeCloseTo((0.4 * 0 + 0.8 * 10) / 1.2);
    expect(face!.landmarks[3][0]).toBeCloseTo(3 + (0.8 * 10) / 1.2);
  });

  it("neither averages nor keeps a box that overlaps by a third only", () => {
    const faces = mergeDetections(
      [detection([0, 0, 100, 100], 0.9), detection([45, 0, 100, 100], 0.8)],
      0.6,
      100,
    );
    expect(faces.map(({ box }) => box[0])).toEqual([0]);
  });

  it("keeps faces apart, the surest first, as many as allowed", () => {
    const far = [
      detection([0, 0, 10, 10], 0.7),
      detection([50, 0, 10, 10], 0.9),
      detection([99, 0, 10, 10], 0.8),
    ];
    expect(mergeDetections(far, 0.6, 100).map(({ score }) => score)).toEqual([0.9, 0.8, 0.7]);
    expect(mergeDetections(far, 0.6, 2).map(({ score }) => score)).toEqual([0.9, 0.8]);
    expect(mergeDetections(far, 0.75, 100)).toHaveLength(2);
    expect(mergeDetections([], 0.6, 100)).toEqual([]);
  });
});

describe("suppressOverlaps", () => {
  it("keeps the best of each face unchanged", () => {
    const [best, same, other] = [
      detection([0, 0, 100, 100], 0.9),
      detection([5, 0, 100, 100], 0.8),
      detection([200, 0, 100, 100], 0.7),
    ];
    expect(suppressOverlaps([other, same, best], 100)).toEqual([best, other]);
    expect(suppressOverlaps([other, same, best], 1)).toEqual([best]);
  });
});
