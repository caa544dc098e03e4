/** @file Which face of several is compared, and the warning when another could be meant as well. */
import { describe, expect, it } from "vitest";
import { chooseFace, rivalWarning } from "./choose.ts";
import type { Detection } from "./face.ts";

const PHOTOGRAPH = { width: 200, height: 100 };

const face = (x: number, y: number, width: number, height: number): Detection => ({
  box: [x, y, width, height],
  landmarks: [
    [x, y],
    [x + width, y],
    [x + width / 2, y + height / 2],
    [x, y + height],
    [x + width, y + height],
  ],
  score: 0.9,
});

describe("choosing a face", () => {
  const small = face(95, 45, 10, 10);
  const large = face(10, 10, 40, 50);
  // Larger than `large`, but mostly outside the photograph.
  const cut = face(-50, 10, 60, 60);

  it("takes the largest by what lies inside the photograph", () => {
    expect(chooseFace([cut, small, large], "largest", PHOTOGRAPH)).toBe(large);
  });

  it("takes the most central", () => {
    expect(chooseFace([cut, large, small], "central", PHOTOGRAPH)).toBe(small);
  });

  it("takes the one of a number, and refuses a number that no face has", () => {
    expect(chooseFace([large, small], 2, PHOTOGRAPH)).toBe(small);
    expect(() => chooseFace([large, small], 3, PHOTOGRAPH, "a.jpg")).toThrow(
      expect.objectContaining({
        code: "FACE_NOT_FOUND",
        message: "there is no face 3 in a.jpg: 2 faces were found",
      }),
    );
  });

  it.each([
    ["FACE_NOT_FOUND", []],
    ["SEVERAL_FACES", [large, small]],
  ] as const)("fails with %s", (code, faces) => {
    expect(() => chooseFace(faces, "only", PHOTOGRAPH, "a.jpg")).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining("a.jpg") }),
    );
  });

  it("warns of another face of at least half the area", () => {
    const rival = face(120, 10, 30, 40);
    expect(rivalWarning([large, small], large, "largest", PHOTOGRAPH)).toBeUndefined();
    expect(rivalWarning([small, large, rival], large, "largest", PHOTOGRAPH)).toBe(
      "2 faces of about the same size were found; only face 2 of 3, the largest, was taken",
    );
    expect(rivalWarning([small, large, rival], rival, 3, PHOTOGRAPH)).toBeUndefined();
  });
});
