/** @file Drawings of measurements: well-formed, complete and repeatable. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { detChart, rocChart, scoreChart, trainingChart } from "./chart.ts";
import type { ScoredPairs } from "./scores.ts";

const random = new Random(5);
const same = Uint8Array.from({ length: 300 }, (_, i) => i % 2);
const pairs: ScoredPairs = {
  same,
  scores: Float64Array.from(same, (label) => 1 / (1 + Math.exp(-1.5 * random.normal() - 3 * label + 1.5))),
};
const separated: ScoredPairs = {
  same: Uint8Array.of(1, 1, 0, 0),
  scores: Float64Array.of(1, 0.9, 0.1, 0),
};
const epochs = [
  { epoch: 1, training: 0.7, validation: 0.6 },
  { epoch: 2, training: 0.4, validation: 0.5 },
];

const DRAWINGS: Record<string, () => string> = {
  roc: () => rocChart(pairs, { threshold: 0.5, seed: 1 }),
  det: () => detChart(pairs, { threshold: 0.5, seed: 1 }),
  scores: () => scoreChart(pairs, 0.5),
  "training loss": () => trainingChart("loss", epochs),
  "training accuracy": () => trainingChart("accuracy", epochs, "percent"),
  "roc without mistakes": () => rocChart(separated, { threshold: 0.5, seed: 1 }),
  "det without mistakes": () => detChart(separated, { threshold: 0.5, seed: 1 }),
  "scores without threshold": () => scoreChart(separated),
  "training of one epoch": () => trainingChart("loss", [{ epoch: 1, training: 0.7 }]),
};

describe.each(Object.entries(DRAWINGS))("%s", (_, drawing) => {
  it("is an SVG drawing with a description, the same each time", () => {
    const svg = drawing();
    expect(svg).toMatch(/^<svg [^>]*aria-label="[^"]+" role="img" xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(drawing()).toBe(svg);
    // Every element that is opened is closed.
    expect(svg.match(/<\w[^>]*(?<!\/)>/g)).toHaveLength(svg.match(/<\/\w+>/g)!.length);
  });
});

it("names the threshold where one is given", () => {
  expect(rocChart(pairs, { threshold: 0.25, seed: 1 })).toContain(">threshold 0.250<");
  expect(rocChart(pairs, { seed: 1 })).not.toContain("threshold");
  expect(scoreChart(pairs, 0.75)).toContain(">threshold 0.750<");
});
