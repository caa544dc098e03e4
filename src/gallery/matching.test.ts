/** @file Who a face is named as, by similarities and thresholds with the digits that answers have. */
import { expect, it } from "vitest";
import type { Gallery } from "./gallery.ts";
import { identifyFaces, type Matcher } from "./matching.ts";

const point = (far: number, threshold: number) => ({
  far,
  threshold,
  measuredFar: { value: far, interval: [far / 2, far * 2] as [number, number] },
  measuredTar: { value: 0.99, interval: [0.98, 1] as [number, number] },
});
const calibration = {
  threshold: 0.3,
  operatingPoints: [point(0.1, 0.2), point(0.01, 0.41234567)],
  data: { dataset: "d", people: "p", positives: 1, negatives: 1 },
};
const embedding = Float32Array.of(1, 0);

/** A gallery of one person, as far as a search asks it. */
const gallery = {
  comparisons: async () => 1,
  search: async () => [{ personId: "1", name: "Ann", embedding }],
  recordSearch: async () => undefined,
} as unknown as Gallery;

it.each([
  [0.412346, 0.41234561, true],
  [1, 0.99999998, true],
  [0.412345, 0.41234549, false],
])(
  "answers %d for %d, and whether the answer's own threshold is reached",
  async (shown, similarity, match) => {
    const model: Matcher = { measure: "cosine", calibration, similarity: () => similarity };
    const [face] = await identifyFaces(model, gallery, [{ embedding, face: {} }], { fpir: 0.01 });
    expect(face).toMatchObject({ match, threshold: 0.412346, candidates: [{ similarity: shown }] });
  },
);
