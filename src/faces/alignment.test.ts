/** @file Similarities and framings against hand-made numbers and numpy's singular value decomposition. */
import { describe, expect, it } from "vitest";
import { alignTo, cropOf, templateOf } from "./alignment.ts";
import type { Detection, Landmarks, Point } from "./face.ts";
import {
  angleOf,
  applySimilarity,
  compose,
  fitSimilarity,
  invert,
  type Similarity,
  scaleOf,
  similarityAbout,
} from "./similarity.ts";

function expectPoint(actual: Point, [x, y]: Point, digits = 9): void {
  expect(actual[0]).toBeCloseTo(x, digits);
  expect(actual[1]).toBeCloseTo(y, digits);
}

const TURN: Similarity = { a: 0, b: 2, x0: 3, y0: -1 };

describe("similarities", () => {
  it("turn clockwise, as y points down", () => {
    expectPoint(applySimilarity(TURN, [1, 0]), [3, 1]);
    expect(scaleOf(TURN)).toBe(2);
    expect(angleOf(TURN)).toBeCloseTo(Math.PI / 2);
  });

  it("are undone by their inverse and follow one another", () => {
    const point: Point = [0.3, -7];
    expectPoint(applySimilarity(invert(TURN), applySimilarity(TURN, point)), point);
    const second = similarityAbout([1, 1], [4, 4], 0.5, 1);
    expectPoint(
      applySimilarity(compose(TURN, second), point),
      applySimilarity(second, applySimilarity(TURN, point)),
    );
    expectPoint(applySimilarity(second, [1, 1]), [4, 4]);
  });

  it("are found again from points that they moved", () => {
    const points: Point[] = [
      [0, 0],
      [10, 3],
      [-4, 8],
    ];
    const moved = points.map((point) => applySimilarity(TURN, point));
    const found = fitSimilarity(points, moved)!;
    for (const point of points) expectPoint(applySimilarity(found, point), applySimilarity(TURN, point));
  });

  it("are not fitted to a single place, nor to numbers that are none", () => {
    expect(
      fitSimilarity(
        [
          [1, 1],
          [1, 1],
        ],
        [
          [0, 0],
          [5, 5],
        ],
      ),
    ).toBeUndefined();
    expect(
      fitSimilarity(
        [
          [1, 1],
          [2, Number.NaN],
        ],
        [
          [0, 0],
          [5, 5],
        ],
      ),
    ).toBeUndefined();
  });
});

/** Umeyama's method by singular value decomposition in numpy, for these five points and 112 pixels. */
const POINTS: Landmarks = [
  [10, 20],
  [60, 25],
  [33, 50],
  [15, 70],
  [52, 77],
];
const NUMPY: Similarity = {
  a: 0.7630231568832982,
  b: -0.05906090146750522,
  x0: 27.22482503494061,
  y0: 36.978529856743535,
};

const face: Detection = { box: [0, 0, 80, 120], landmarks: POINTS, score: 1 };

describe("alignment", () => {
  it("is Umeyama's similarity", () => {
    const fitted = alignTo(POINTS);
    for (const key of ["a", "b", "x0", "y0"] as const) expect(fitted[key]).toBeCloseTo(NUMPY[key], 10);
  });

  it("refuses five points in one place", () => {
    const point: Point = [4, 4];
    expect(() => alignTo([point, point, point, point, point])).toThrow(/no extent/);
  });

  it("scales the template with the side, an eighth further in for multiples of 128", () => {
    expectPoint(templateOf(112)[0], [38.2946, 51.6963]);
    expectPoint(templateOf(224)[4], [141.4598, 184.4082]);
    expectPoint(templateOf(256)[0], [2 * 46.2946, 2 * 51.6963]);
  });

  it("brings the crop's template to the points of the photograph", () => {
    const points = templateOf(112).map((point) => applySimilarity(invert(NUMPY), point));
    const there: Detection = { ...face, landmarks: points as unknown as Landmarks };
    const crop = cropOf(there, { kind: "aligned" }, 112);
    for (const [i, point] of templateOf(112).entries())
      expectPoint(applySimilarity(crop, point), points[i]!, 6);
  });

  it("shows more of the surroundings with a margin, about the crop's middle", () => {
    const [tight, wide] = [
      cropOf(face, { kind: "aligned" }, 112),
      cropOf(face, { kind: "aligned", margin: 1.5 }, 112),
    ];
    expect(scaleOf(wide) / scaleOf(tight)).toBeCloseTo(1.5);
    expectPoint(applySimilarity(wide, [55.5, 55.5]), applySimilarity(tight, [55.5, 55.5]));
  });

  it("puts the box's middle into the middle of a centred crop, upright, enlarged by the factor", () => {
    const crop = cropOf(face, { kind: "centred", factor: 2 }, 100);
    expectPoint(applySimilarity(crop, [49.5, 49.5]), [39.5, 59.5]);
    expect(100 * scaleOf(crop)).toBeCloseTo(2 * Math.sqrt(80 * 120));
    expect(angleOf(crop)).toBeCloseTo(-Math.atan2(NUMPY.b, NUMPY.a));
  });
});
