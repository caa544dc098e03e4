/** @file What `faceid train` says before it starts. */
import { describe, expect, it, vi } from "vitest";
import { startText } from "./train.ts";

describe("the start of a run, in words", () => {
  it("has commands that can be pasted", () => {
    vi.stubEnv("npm_command", "exec");
    const summary = {
      path: "/my photos",
      dataset: "folder my photos",
      people: 4,
      photographs: 17,
      leftOut: [{ reason: "video", count: 1, example: "a.mov" }],
      split: { train: 4, validation: 0, test: 0 },
      excluded: 0,
      network: "compact",
      frozen: false,
      parameters: 1,
      epochs: 1,
      datasetSize: 8,
      warnings: ["4 people are few: faceid verify a.jpg b.jpg"],
    };
    const text = startText(summary, "runs/latest", undefined);
    vi.unstubAllEnvs();
    expect(text).toContain("(npx faceid dataset info --dataset-path '/my photos' lists them)");
    expect(text).toContain("warning: 4 people are few: npx faceid verify a.jpg b.jpg");
  });
});
