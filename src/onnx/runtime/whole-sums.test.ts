/** @file The model that asks a processor for its sums is the one that this builder makes, and it is answered. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ModelBuilder } from "../lower/model-builder.ts";
import { openRuntime } from "./runtime.ts";
import { SUMS_MODEL, sumsWhole } from "./whole-sums.ts";

it("asks by a model that this builder makes", () => {
  const model = new ModelBuilder();
  const weights = model.initializer(
    { dtype: "int8", shape: [16, 4], data: new Int8Array(64).fill(127) },
    "w",
  );
  const y = model.node("MatMulInteger", [model.input("x", "uint8", [2, 16]), weights]);
  model.output("y", y, "int32", [2, 4]);
  expect(Buffer.from(model.bytes("sums")).toString("base64")).toBe(SUMS_MODEL);
});

const FLAGS = process.platform === "linux" ? readFileSync("/proc/cpuinfo", "utf8") : "";

it.runIf(process.arch === "arm64" || /avx512_vnni|avx_vnni/.test(FLAGS))(
  "keeps the fast instruction of processors with 8-bit dot products",
  async () => {
    expect(await sumsWhole(openRuntime)).toBe(true);
  },
);
