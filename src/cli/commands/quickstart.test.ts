/** @file What `faceid quickstart` ends with. */
import { describe, expect, it } from "vitest";
import { nextSteps } from "./quickstart.ts";

describe("the next steps after the quickstart", () => {
  it("are commands that can be pasted, with what they are about in lines of their own", () => {
    const lines = nextSteps({
      models: "quickstart/models/quickstart",
      photos: ["quickstart/photos/anna-1.png", "quickstart/photos/anna-2.png", "quickstart/photos/ben-1.png"],
    }).split("\n");
    const commands = lines.filter((line) => !line.startsWith("  # "));
    expect(commands).toHaveLength(4);
    for (const command of commands) expect(command).not.toMatch(/#|\s$| {3}/);
    for (const line of lines.filter((line) => line.startsWith("  # "))) expect(line.length).toBeLessThan(80);
  });
});
