/** @file The report page: complete, self-contained, escaped, and its mistakes the worst there are. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { describe as describeModel } from "../model/description.ts";
import { measure } from "./metrics.ts";
import { type ReportContent, reportHtml } from "./report.ts";
import { type ScoredPairs, worstMistakes } from "./scores.ts";
import { calibrate, rate as rateOf } from "./thresholds.ts";

const IMAGE = { height: 112, width: 112 };
const random = new Random(6);
const same = Uint8Array.from({ length: 400 }, (_, i) => i % 2);
const scored: ScoredPairs = {
  same,
  scores: Float64Array.from(same, (label) => (random.uniform() + label) / 2),
};
const calibration = calibrate(scored, { dataset: "<b>faces</b>", people: "20 validation people" });
const content: ReportContent = {
  title: "Run “one” & more",
  made: "faceid 0.1.0",
  model: describeModel({ network: "compact", input: IMAGE }),
  settings: { model: "compact", seed: "1" },
  epochs: [
    { loss: 0.7, accuracy: 0.5, validationLoss: 0.69, validationAccuracy: 0.52 },
    { loss: 0.5, accuracy: 0.7, validationLoss: 0.6, validationAccuracy: 0.68 },
  ],
  evaluation: { report: measure(scored, { calibration, seed: 1 }), scored, calibration, seed: 1 },
  mistakes: [
    {
      score: 0.9,
      same: false,
      left: Uint8Array.of(255),
      right: Uint8Array.of(216),
      captions: ["Ann/1.jpg", "<Bea>/2.jpg"],
    },
  ],
};

describe("reportHtml", () => {
  const page = reportHtml(content);

  it("holds every section", () => {
    const titles = [...page.matchAll(/<h2>([^<]+)<\/h2>/g)].map((match) => match[1]);
    expect(titles).toEqual([
      "Held-out people",
      "Error rates",
      "Thresholds",
      "Training",
      "Most confident mistakes",
      "Model",
      "Settings",
    ]);
  });

  it("shows error rates by groups at one threshold, with their differentials", () => {
    const people = { attribute: "age & sex", threshold: 0.4, ungrouped: 3 };
    const rate = (errors: number) => ({ pairs: 200, errors, needed: 100, rate: rateOf(errors, 200) });
    const few = { pairs: 4, errors: 1, needed: 100 };
    const text = reportHtml({
      ...content,
      groups: [
        {
          ...people,
          pairs: [
            { groups: ["old", "old"], falseMatches: rate(20), falseNonMatches: few },
            { groups: ["old", "<young>"], falseMatches: rate(2), falseNonMatches: few },
          ],
          falsePositiveDifferential: { greatest: "old", smallest: "<young>", ratio: 10, overMean: 3.2 },
        },
      ],
    });
    expect(text).toContain("<h2>Groups</h2>");
    expect(text).toContain("<h3>By age &amp; sex</h3>");
    expect(text).toMatch(/old with &lt;young&gt;<\/th><td>1 % \(2 of 200; 95 %: /);
    expect(text).toContain("n/a: needs at least 100 pairs, has 4");
    expect(text).toContain(
      "False positive differential: old 10.0 times &lt;young&gt;, 3.2 times the geometric mean.",
    );
    expect(text).toContain("False negative differential: n/a, fewer than two groups have enough pairs.");
    expect(text).toContain("3 pairs without a group.");
    expect(page).not.toContain("<h2>Groups</h2>");
  });

  it("draws all backbones of a model in two stages", () => {
    const ensemble = { crops: [0.6, 0.9], mirror: true, projectionDim: 16 };
    const model = describeModel({ network: "compact", input: IMAGE, ...ensemble });
    const text = reportHtml({ ...content, model });
    for (const name of ["view1/compact", "view2/compact", "metric"]) expect(text).toContain(`>${name}<`);
    expect(text).toContain("Model: &quot;embedding/view2/compact&quot;");
  });

  it("says what the default threshold costs, where the record tells it", () => {
    expect(page).toMatch(
      /threshold with the most right decisions is [\d.]+: false accept rate [\d.]+\u00a0% \(.+?\), true accept rate .+?\)\./,
    );
    const { measuredFar: _far, measuredTar: _tar, ...old } = calibration;
    const evaluation = { ...content.evaluation!, calibration: old };
    expect(reportHtml({ ...content, evaluation })).toMatch(
      /threshold with the most right decisions is [\d.]+\. Where no rate is asked for, that for a false accept rate of [\d.]+ decides\.<\/p>/,
    );
    const kept = { ...content.evaluation!, calibration: { ...calibration, weights: "float32" as const } };
    expect(reportHtml({ ...content, evaluation: kept })).toContain(
      ". These rates were measured with the float32 version, not with this one.</p>",
    );
  });

  it("loads nothing", () => {
    const addresses = [...page.matchAll(/(?:src|href)="([^"]*)"|url\(([^)]*)\)/g)].map(
      ([, linked, styled]) => linked ?? styled!,
    );
    for (const address of addresses) expect(address).toMatch(/^(data:|#)/);
    expect(page).not.toContain("<script");
  });

  it("escapes what it is given", () => {
    expect(page).toContain("<title>Run “one” &amp; more</title>");
    expect(page).toContain("&lt;b&gt;faces&lt;/b&gt;");
    expect(page).toContain("&lt;Bea&gt;/2.jpg");
  });

  it("leaves out what there is not", () => {
    const short = reportHtml({ title: "t", made: "m" });
    expect([...short.matchAll(/<h2>/g)]).toHaveLength(0);
    expect(short).not.toMatch(/undefined|NaN/);
  });
});

describe("worstMistakes", () => {
  it("takes wrong decisions of either kind, the surest first", () => {
    const pairs = {
      scores: Float64Array.of(0.9, 0.1, 0.6, 0.95, 0.4, 0.3),
      same: Uint8Array.of(1, 1, 0, 0, 1, 0),
    };
    expect(worstMistakes(pairs, 0.5, 5)).toEqual({
      falseAccepts: [
        { pair: 3, score: 0.95, same: false },
        { pair: 2, score: 0.6, same: false },
      ],
      falseRejects: [
        { pair: 1, score: 0.1, same: true },
        { pair: 4, score: 0.4, same: true },
      ],
    });
    expect(worstMistakes(pairs, 0.5, 1).falseRejects).toHaveLength(1);
  });
});
