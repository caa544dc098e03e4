/** @file Thresholds as texts have them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scoreText } from "./rates.ts";

describe("a threshold", () => {
  it("has three decimals, or more where these would say 0 or 1", () => {
    expect([0.36785, 0.457, 1, 0, -0.25].map(scoreText)).toEqual([
      "0.368",
      "0.457",
      "1.000",
      "0.000",
      "-0.250",
    ]);
    expect([0.99982, 0.9999997, 0.00004].map(scoreText)).toEqual(["0.9998", "1.000000", "0.00004"]);
  });

  it("is written alike by every command", () => {
    const source = join(import.meta.dirname, "..");
    const files = ["cli", "evaluate", "verify", "jobs", "gallery", "train"].flatMap((room) =>
      readdirSync(join(source, room), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
        .map((name) => join(source, room, name)),
    );
    const others = files.filter((file) => /threshold\.toFixed\(/i.test(readFileSync(file, "utf8")));
    // It adds decimals until two that nearly are the same can be told apart.
    expect(others).toEqual([join(source, "cli/commands/verify.ts")]);
  });
});
