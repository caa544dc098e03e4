/** @file Whole measurements: figures by hand, thresholds from other people, the record that travels, the text. */
import { describe, expect, it } from "vitest";
import { calibrationSchema } from "../artifact/calibration.ts";
import { Random } from "../base/random.ts";
import { crossEntropy, measure } from "./metrics.ts";
import { reportHtml } from "./report.ts";
import { reportText } from "./report-text.ts";
import { type ScoredPairs, scoredPairs } from "./scores.ts";
import { calibrate, supportsFar } from "./thresholds.ts";

/** Probabilities of a verifier of middling quality. */
function drawn(count: number, seed: number): ScoredPairs {
  const random = new Random(seed);
  const same = Uint8Array.from({ length: count }, (_, i) => i % 2);
  const logit = (label: number) => 2 * random.normal() + (label === 1 ? 2 : -2);
  return { same, scores: Float64Array.from(same, (label) => 1 / (1 + Math.exp(-logit(label)))) };
}

const data = { dataset: "synthetic", people: "40 validation people" };

describe("scoredPairs", () => {
  it("leaves out pairs without a score", () => {
    const { scores, same } = scoredPairs(Float64Array.of(0.5, Number.NaN, 0.25), [true, true, false]);
    expect([[...scores], [...same]]).toEqual([
      [0.5, 0.25],
      [1, 0],
    ]);
  });

  it("refuses lists that do not fit", () => {
    expect(() => scoredPairs(Float64Array.of(0.5), [])).toThrow(
      expect.objectContaining({ code: "SHAPE_MISMATCH" }),
    );
  });
});

describe("crossEntropy", () => {
  it("is the mean of the logarithms, clipped as Keras clips", () => {
    const pairs = { scores: Float64Array.of(0.8, 0.4, 0), same: Uint8Array.of(1, 0, 1) };
    expect(crossEntropy(pairs)).toBeCloseTo(-(Math.log(0.8) + Math.log(0.6) + Math.log(1e-7)) / 3, 12);
  });
});

describe("calibrate", () => {
  const pairs = drawn(4000, 1);
  const record = calibrate(pairs, data);

  it("tells only the rates that its pairs can tell", () => {
    expect(record.operatingPoints.map(({ far }) => far)).toEqual([0.1, 0.01]);
    expect([supportsFar(10_000, 1e-3), supportsFar(9999, 1e-3), supportsFar(100, 0.1)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it("keeps to the wanted false accept rates", () => {
    for (const { far, threshold, measuredFar, measuredTar } of record.operatingPoints) {
      const share = (kind: number) =>
        pairs.scores.filter((score, i) => pairs.same[i] === kind && score >= threshold).length / 2000;
      expect(share(0)).toBeLessThanOrEqual(far);
      expect(measuredFar.value).toBe(share(0));
      expect(measuredTar.value).toBe(share(1));
      expect(measuredTar.interval[0]).toBeLessThan(measuredTar.value);
    }
  });

  it("tells what its default threshold lets through", () => {
    const byHand = { scores: Float64Array.of(0.9, 0.8, 0.7, 0.6, 0.2), same: Uint8Array.of(1, 1, 0, 1, 0) };
    const { threshold, measuredFar, measuredTar } = calibrate(byHand, data);
    expect(threshold).toBeGreaterThan(0.2);
    expect(threshold).toBeLessThanOrEqual(0.8);
    const accepted = (kind: number) =>
      byHand.scores.filter((score, i) => byHand.same[i] === kind && score >= threshold).length;
    expect(measuredFar!.value).toBe(accepted(0) / 2);
    expect(measuredTar!.value).toBe(accepted(1) / 3);
    // Clopper and Pearson by hand: none of two at 95 % is at most 1 − √0.025; one of two at most √0.975.
    expect(measuredFar!.interval[1]).toBeCloseTo(
      accepted(0) === 0 ? 1 - Math.sqrt(0.025) : Math.sqrt(0.975),
      9,
    );
  });

  it("still reads records without rates at the default threshold", () => {
    const { measuredFar: _far, measuredTar: _tar, ...old } = record;
    expect(calibrationSchema("probability").parse(JSON.parse(JSON.stringify(old)))).toEqual(old);
  });

  it("comes back from JSON as it was", () => {
    expect(calibrationSchema("probability").parse(JSON.parse(JSON.stringify(record)))).toEqual(record);
  });
});

describe("measure", () => {
  const calibration = calibrate(drawn(2000, 1), data);
  const pairs = drawn(2000, 2);
  const report = measure(pairs, { calibration, seed: 3, missing: 2 });

  it("counts pairs and finds the quality that was put in", () => {
    expect(report).toMatchObject({ pairs: 2000, positives: 1000, negatives: 1000, missing: 2 });
    // Two normal distributions of deviation 2 that lie 4 apart: Φ(4 / √8) and Φ(−1).
    expect(report.auc.interval[0] < 0.9214 && 0.9214 < report.auc.interval[1]).toBe(true);
    expect(report.eer.interval[0] < 0.1587 && 0.1587 < report.eer.interval[1]).toBe(true);
  });

  it("decides by the threshold of other people", () => {
    const { threshold, accuracy, far, tar } = report.calibrated!;
    expect(threshold).toBe(calibration.threshold);
    expect(accuracy.value).toBeCloseTo((tar.value + 1 - far.value) / 2, 12);
  });

  it("leaves out rates that too few pairs of different people cannot tell", () => {
    expect(report.tarAtFar.map(({ supported }) => supported)).toEqual([true, true, false]);
    expect(report.tarAtFar[2]).not.toHaveProperty("tar");
  });

  it("counts a probability of just one half as different people", () => {
    const undecided = { scores: Float64Array.of(0.5, 0.5), same: Uint8Array.of(1, 0) };
    expect(measure(undecided, { seed: 1 }).accuracy.value).toBe(0.5);
    const certain = { scores: Float64Array.of(0.5, 0.500001), same: Uint8Array.of(0, 1) };
    expect(measure(certain, { seed: 1 }).accuracy.value).toBe(1);
  });

  it("gives figures of few pairs the intervals that they support", () => {
    const few = (count: number) => ({
      scores: Float64Array.from({ length: 2 * count }, (_, i) => i / (2 * count)),
      same: Uint8Array.from({ length: 2 * count }, (_, i) => (i < count ? 0 : 1)),
    });
    // Clopper and Pearson of 0 of n: the upper end is 1 − 0.025^(1/n), near the rule of three, 3.69/n.
    for (const count of [9, 100, 1000]) {
      const { eer, auc, tarAtFar } = measure(few(count), { seed: 1 });
      const beyond = 1 - 0.025 ** (1 / count);
      expect(eer.interval[0]).toBe(0);
      expect(eer.interval[1]).toBeCloseTo(beyond, 9);
      expect(auc.interval[0]).toBeCloseTo(1 - beyond, 9);
      const { tar } = tarAtFar[0]!;
      expect(tar?.interval[0] ?? 1 - beyond).toBeCloseTo(1 - beyond, 9);
    }
  });

  it("says whose pairs they are, and that nobody knows whether the model was trained on them", () => {
    const people = { dataset: "mine", heldOut: false };
    const unknown = measure(pairs, { seed: 3, people });
    expect(unknown).toMatchObject({ protocol: "people of a dataset", people });
    const text = reportText(unknown);
    expect(text).toMatch(/^on 2,000 pairs of people of mine \(1,000 same/);
    expect(text).toContain("whether the model was trained on these people is unknown");
    const page = reportHtml({
      title: "t",
      made: "m",
      evaluation: { report: unknown, scored: pairs, seed: 3 },
    });
    expect(page).toContain("People in the dataset mine");
    expect(page).toContain("Whether the model was trained on these people is unknown");
    expect(text + page).not.toMatch(/not trained on|Held-out/);
  });

  it("names a photograph without a face once", () => {
    const path = "ann/1.jpg";
    const withoutFace = [{ path, code: "FACE_NOT_FOUND", reason: `no face was found in ${path}` }] as const;
    const text = reportText({ ...report, facesNotFound: 1, withoutFace });
    expect(text).toMatch(/^ {4}no face was found in ann\/1\.jpg$/m);
  });

  it("reads well", () => {
    const text = reportText(report);
    expect(text).toMatch(/^on 2,000 pairs of people not trained on \(1,000 same, 1,000 different\)\n/);
    expect(text).toMatch(/ROC AUC +9\d\.\d\d % {2}\(95 %: /);
    expect(text).toMatch(/TAR at FAR 0\.001 +n\/a: needs at least 10,000 negative pairs, has 1,000/);
    expect(text).toMatch(/pairs left out +2, an image could not be read/);
  });
});
