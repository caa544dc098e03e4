/** @file Graphs that keep the rows of a batch apart and graphs that mix them; how many rows are computed at a time. */
import { describe, expect, it } from "vitest";
import { float32, int64 } from "../base/tensor.ts";
import { keepsImagesApart, rowsAtATime } from "./batch-rows.ts";
import * as g from "./build.ts";
import type { Node } from "./ops.ts";

const BATCH = "batch";
const image = (side: number, channels: number) => g.input("x", [BATCH, side, side, channels]);
const kernel = (...shape: number[]) =>
  g.constant(float32(shape, new Float32Array(shape.reduce((a, b) => a * b))));

/** A convolution, a dense layer and a table that rows are looked up in. */
function apart(): Node[] {
  const x = g.relu(g.conv2d(image(8, 3), kernel(3, 3, 3, 4), { padding: "same" }));
  const dense = g.matmul(g.flatten(x), kernel(256, 2));
  const row = g.gather(kernel(5, 2), g.input("row", [BATCH], "int64"), 0);
  return [g.add(dense, row)];
}

const x = g.input("x", [BATCH, 4]);
const rows = g.input("rows", [BATCH], "int64");

describe("keepsImagesApart", () => {
  it("takes networks of images, and tables that rows are looked up in", () => {
    expect(keepsImagesApart(apart(), BATCH)).toBe(true);
    expect(keepsImagesApart([g.gather(x, g.constant(int64([2], [1, 0])), 1)], BATCH)).toBe(true);
  });

  it.each<[string, Node]>([
    ["the mean over the batch", g.sub(x, g.reduceMean(x, { axes: [0], keepDims: true }))],
    ["rows that other rows choose", g.gather(x, rows, 0)],
    ["each row beside each", g.matmul(x, x, { transposeB: true })],
    ["a softmax over the batch", g.softmax(x, 0)],
  ])("refuses %s", (_, output) => {
    expect(keepsImagesApart([output], BATCH)).toBe(false);
  });
});

describe("rowsAtATime", () => {
  it("is as many as have their largest image in two megabytes, and one at least", () => {
    const net = (side: number, channels: number) => {
      const inner = g.conv2d(image(side, 3), kernel(1, 1, 3, channels));
      return [g.conv2d(inner, kernel(1, 1, channels, 1))];
    };
    // 64 · 64 · 32 numbers of four bytes are half a megabyte.
    expect(rowsAtATime(net(64, 32))).toBe(4);
    expect(rowsAtATime(net(512, 32))).toBe(1);
  });

  it("is more where large matrices would be read for few rows", () => {
    const inner = g.conv2d(image(512, 3), kernel(1, 1, 3, 32));
    const small = g.reduceMean(inner, { axes: [1, 2] });
    const dense = (units: number) => rowsAtATime([g.matmul(small, kernel(32, units))]);
    expect(dense(4)).toBe(1);
    // The matrix has 128 megabytes; a row takes 35 for its images and 4 for its answer: eight times 128 are those of 26.3 rows.
    expect(dense(2 ** 20)).toBe(27);
  });

  it("is open for graphs that mix rows, for images of any size, and for inputs without a batch", () => {
    expect(rowsAtATime([g.sub(x, g.reduceMean(x, { axes: [0], keepDims: true }))])).toBeUndefined();
    expect(rowsAtATime([g.relu(g.input("x", [BATCH, "side"]))])).toBeUndefined();
    expect(rowsAtATime([g.add(x, g.input("shift", [4]))])).toBeUndefined();
    expect(rowsAtATime([g.relu(g.input("x", [3, 4]))])).toBeUndefined();
  });
});
