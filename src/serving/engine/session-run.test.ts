/** @file What clients are told when ONNX Runtime refuses their inputs. */
import { describe, expect, it } from "vitest";
import { refusalText } from "./session-run.ts";

describe("refusalText", () => {
  it.each([
    [
      "Non-zero status code returned while running Gather node. Name:'secret' Status Message: indices element out of data bounds, idx=7 must be within the inclusive range [-3,2]",
      "The model cannot run on these inputs: indices element out of data bounds, idx=7 must be within the inclusive range [-3,2]",
    ],
    [
      "Non-zero status code returned while running Reshape node. Name:'a' Status Message: /onnxruntime_src/core/reshape.h:44 Reshape failed",
      "The model cannot run on these inputs.",
    ],
    ["Status Message: the node 'x' failed", "The model cannot run on these inputs."],
    ["Status Message: two\n  lines ", "The model cannot run on these inputs: two lines"],
    ["", "The model cannot run on these inputs."],
  ])("%s", (message, told) => expect(refusalText(message)).toBe(told));

  it("has no colours of a terminal", () => {
    expect(refusalText("\u001b[1;31mStatus Message: sizes differ\u001b[m")).not.toContain("\u001b");
  });
});
