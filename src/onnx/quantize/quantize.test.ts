/** @file Quantised models through ONNX Runtime: close to the floats they were made of, and integers all the way between. */
import { fromBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { noiseFrom } from "../../../test/support/like-evaluation.ts";
import { Random } from "../../base/random.ts";
import { float32, floats, sizeOf } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import type { Node } from "../../graph/ops.ts";
import { ModelProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { lower } from "../lower/lower.ts";
import { openRuntime } from "../runtime/runtime.ts";
import { measureRanges } from "./calibrate.ts";
import { quantize, scaleFor, valuesToMeasure } from "./quantize.ts";

const random = new Random(3);
const noise = noiseFrom(random);
const images = () => new Map([["x", noise([4, 12, 12, 3], 0, 1)]]);

/** Convolutions with and without ReLU, one for each channel among them, a pool, and a product that stays in floats. */
function network(): Node {
  const conv = (x: Node, kernel: number[], options = {}) =>
    g.add(g.conv2d(x, g.constant(noise(kernel)), options), g.constant(noise([kernel[3]!])));
  let y = g.relu(conv(g.input("x", ["batch", 12, 12, 3]), [3, 3, 3, 8]));
  y = g.maxPool(y, { size: [2, 2] });
  y = g.relu(conv(y, [1, 1, 8, 16]));
  y = conv(y, [3, 3, 1, 16], { groups: 16, strides: [2, 2] });
  return g.matmul(g.flatten(y), g.constant(noise([9 * 16, 2])));
}

const operators = (bytes: Uint8Array) =>
  fromBinary(ModelProtoSchema, bytes).graph!.node.map((node) => node.opType);

it("computes nearly the same, in integers from the first convolution to the last", async () => {
  const { bytes } = lower({ outputs: { y: network() } }, { runtimeOps: false });
  const ranges = await measureRanges(bytes, valuesToMeasure(bytes), [images(), images()]);
  const { bytes: integers, convolutions } = quantize(bytes, ranges);
  expect(convolutions).toBe(3);
  expect(operators(integers).filter((op) => !/Identity|Reshape|Transpose|Shape|Add/.test(op))).toEqual([
    "QuantizeLinear",
    "Pad",
    "QLinearConv",
    "MaxPool",
    "QLinearConv",
    "QLinearConv",
    "DequantizeLinear",
    "MatMul",
  ]);
  const inputs = images();
  const run = async (model: Uint8Array) => {
    const session = await openRuntime(model);
    const y = floats((await session.run(inputs)).get("y")!);
    await session.close();
    return y;
  };
  const [expected, actual] = [await run(bytes), await run(integers)];
  const span = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // Two hundred and fifty-five steps for each of four values in a row: a few hundredths of the greatest output.
  expect(actual).toBeAllClose(expected, { absolute: 0.05 * span, relative: 0 });
});

it("sums the largest products whole, on processors without 8-bit dot products too", async () => {
  const ones = (shape: readonly number[]) => float32(shape, new Float32Array(sizeOf(shape)).fill(1));
  const image = g.input("x", ["batch", 4, 4, 64]);
  const wide = g.conv2d(image, g.constant(ones([3, 3, 64, 64])), { padding: "valid" });
  const pointwise = g.conv2d(wide, g.constant(ones([1, 1, 64, 512])));
  const y = g.matmul(g.flatten(pointwise), g.constant(ones([512, 4 * 512])), { transposeB: true });
  const { bytes } = lower({ outputs: { wide, pointwise, y } }, { runtimeOps: false });
  const inputs = new Map([["x", ones([1, 4, 4, 64])]]);
  const integers = quantize(bytes, await measureRanges(bytes, valuesToMeasure(bytes), [inputs]));
  expect(integers.convolutions).toBe(2);
  expect(operators(integers.bytes)).toContain("MatMulIntegerToFloat");
  const session = await openRuntime(integers.bytes);
  const answers = await session.run(inputs);
  await session.close();
  const sums = { wide: 9 * 64, pointwise: 9 * 64 * 64, y: 9 * 64 * 64 * 4 * 512 };
  for (const [name, sum] of Object.entries(sums)) {
    for (const value of floats(answers.get(name)!)) expect(value / sum).toBeCloseTo(1, 2);
  }
});

it("shares weights of two sides in the file, and still sums whole", async () => {
  const kernel = g.constant(float32([1, 1, 64, 64], new Float32Array(64 * 64).fill(1)));
  const sides = ["a", "b"].map((name) => g.conv2d(g.input(name, ["batch", 4, 4, 64]), kernel));
  const { bytes } = lower({ outputs: { y: g.sub(sides[0]!, sides[1]!) } }, { runtimeOps: false });
  const image = (value: number) => float32([1, 4, 4, 64], new Float32Array(4 * 4 * 64).fill(value));
  const inputs = new Map([
    ["a", image(1)],
    ["b", image(0.5)],
  ]);
  const integers = quantize(bytes, await measureRanges(bytes, valuesToMeasure(bytes), [inputs])).bytes;
  const { initializer } = fromBinary(ModelProtoSchema, integers).graph!;
  expect(initializer.filter(({ dims }) => dims.length === 4)).toHaveLength(1);
  const session = await openRuntime(integers);
  for (const value of floats((await session.run(inputs)).get("y")!)) expect(value / 32).toBeCloseTo(1, 1);
  await session.close();
});

it.each([
  { window: [3, 3], how: {}, gathers: false },
  { window: [5, 5], how: { padding: "same" }, gathers: true },
  { window: [2, 7], how: { padding: "same", strides: [1, 3] }, gathers: true },
  { window: [3, 4], how: { padding: "valid", dilations: [2, 3] }, gathers: true },
  { window: [1, 5], how: { padding: "same" }, gathers: false },
] as const)("gives three colours the bits of four with a last one of zeros, $window $how", async (one) => {
  const [rows, columns] = one.window;
  const [kernel, x] = [noise([rows, columns, 3, 16]), images().get("x")!];
  /** The numbers with a zero after each three. */
  const widened = (values: Float32Array, length: number) =>
    Float32Array.from({ length: (values.length / length) * (length + length / 3) }, (_, i) => {
      const [block, at] = [Math.floor(i / (length + length / 3)), i % (length + length / 3)];
      return at < length ? values[block * length + at]! : 0;
    });
  const run = async (channels: 3 | 4) => {
    const four = channels === 4;
    const weights = float32([rows, columns, channels, 16], four ? widened(kernel.data, 3 * 16) : kernel.data);
    const y = g.conv2d(g.input("x", ["batch", 12, 12, channels]), g.constant(weights), one.how);
    const { bytes } = lower({ outputs: { y } }, { runtimeOps: false });
    const inputs = new Map([["x", float32([4, 12, 12, channels], four ? widened(x.data, 3) : x.data)]]);
    const ranges = new Map(valuesToMeasure(bytes).map((name) => [name, { low: -9, high: 9 }]));
    const integers = quantize(bytes, ranges).bytes;
    const convolutions = one.gathers && !four ? "QLinearConv QLinearConv" : "QLinearConv";
    // As images the runtime would pad them pixel by pixel, in four times the time of both reorderings.
    const widening = four ? "" : "Reshape Pad Shape Add Reshape ";
    expect(operators(integers).join(" ")).toMatch(
      new RegExp(`QuantizeLinear ${widening}${convolutions} DequantizeLinear`),
    );
    const session = await openRuntime(integers);
    const values = floats((await session.run(inputs)).get("y")!);
    await session.close();
    return values;
  };
  expect(await run(3)).toEqual(await run(4));
});

it("cuts a lonely outlier off where the rest gains by it, and keeps 0 exact", async () => {
  const x = g.input("x", [1, 1, 1, 65536]);
  const { bytes } = lower({ outputs: { y: g.conv2d(x, g.constant(noise([1, 1, 65536, 1]))) } });
  const values = noise([1, 1, 1, 65536]);
  values.data[7] = 1.1;
  const [range] = (await measureRanges(bytes, ["x"], [new Map([["x", values]])])).values();
  expect(range!.high).toBeLessThan(1.09);
  expect(range!.high).toBeGreaterThanOrEqual(1);
  const { scale, zero } = scaleFor({ low: -1, high: 2 });
  expect(zero).toBe(85);
  expect(scale).toBeCloseTo(3 / 255, 6);
});

it("refuses a model without convolutions", () => {
  const { bytes } = lower({ outputs: { y: g.relu(g.input("x", [2])) } });
  expect(() => quantize(bytes, new Map())).toThrow("no convolution with stored weights");
});

it("leaves a convolution in floats that is squared, and one of squares", async () => {
  const conv = (x: Node, kernel: number[]) => g.conv2d(x, g.constant(noise(kernel)));
  const answers = g.square(conv(g.input("x", ["batch", 12, 12, 3]), [3, 3, 3, 8]));
  const sums = g.conv2d(answers, g.constant(noise([1, 1, 8, 8], 0, 1)));
  const y = conv(g.sqrt(g.add(sums, 1e-8)), [3, 3, 8, 4]);
  const { bytes } = lower({ outputs: { y } }, { runtimeOps: false });
  const ranges = await measureRanges(bytes, valuesToMeasure(bytes), [images()]);
  const { bytes: integers, convolutions } = quantize(bytes, ranges);
  expect(convolutions).toBe(1);
  expect(operators(integers).filter((op) => /Conv|Mul|Sqrt/.test(op))).toEqual([
    "Conv",
    "Mul",
    "Conv",
    "Sqrt",
    "QLinearConv",
  ]);
});

/** A depthwise and two other convolutions, PReLUs and a sum, as in MobileFaceNet. */
function preluNetwork(slopes: readonly number[]): Node {
  const prelu = (x: Node) => g.prelu(x, g.constant(float32([8], Float32Array.from(slopes))));
  const conv = (x: Node, kernel: number[], options = {}) =>
    g.add(g.conv2d(x, g.constant(noise(kernel)), options), g.constant(noise([8])));
  const first = prelu(conv(g.input("x", ["batch", 12, 12, 3]), [3, 3, 3, 8]));
  const second = prelu(conv(first, [3, 3, 1, 8], { groups: 8 }));
  return conv(g.add(first, second), [1, 1, 8, 8]);
}

/** The network in floats and in integers on the same images: root mean square of the error beside the values'. */
async function bothWays(y: Node) {
  const { bytes } = lower({ outputs: { y } }, { runtimeOps: false });
  const ranges = await measureRanges(bytes, valuesToMeasure(bytes), [images(), images()]);
  const integers = quantize(bytes, ranges).bytes;
  const inputs = images();
  const [expected, actual] = await Promise.all(
    [bytes, integers].map(async (model) => {
      const session = await openRuntime(model);
      const result = floats((await session.run(inputs)).get("y")!);
      await session.close();
      return result;
    }),
  );
  const squares = (of: (i: number) => number) =>
    expected!.reduce((sum, _, i) => sum + of(i) ** 2, 0) / expected!.length;
  const error = Math.sqrt(squares((i) => actual![i]! - expected![i]!) / squares((i) => expected![i]!));
  return { error, operators: operators(integers) };
}

it("keeps PReLUs with a slope for each channel, and sums, in integers", async () => {
  const slopes = [0.25, -0.5, 0, 1, 0.9, 0.1, -0.1, 0.6];
  const { error, operators } = await bothWays(preluNetwork(slopes));
  expect(operators.filter((op) => !/Reshape|Transpose|Shape|^Add/.test(op))).toEqual([
    "QuantizeLinear",
    "Pad",
    ...["QLinearConv", "QLinearConv", "QLinearAdd"],
    ...["QLinearConv", "QLinearConv", "QLinearAdd"],
    "QLinearAdd",
    "QLinearConv",
    "DequantizeLinear",
  ]);
  expect(error).toBeLessThan(0.03);
});

it("leaves a PReLU in floats that makes negative numbers larger", async () => {
  const { error, operators } = await bothWays(preluNetwork([0.25, -0.5, 0, 1.2, 0.9, 0.1, -0.1, 0.6]));
  expect(operators).not.toContain("QLinearAdd");
  expect(error).toBeLessThan(0.03);
});

it("multiplies rows with many stored columns in integers", async () => {
  const x = g.relu(g.conv2d(g.input("x", ["batch", 12, 12, 3]), g.constant(noise([3, 3, 3, 64]))));
  const y = g.matmul(g.flatten(x), g.constant(noise([128, 144 * 64])), { transposeB: true });
  const { error, operators } = await bothWays(y);
  expect(operators).toContain("MatMulIntegerToFloat");
  expect(operators).not.toContain("Gemm");
  expect(error).toBeLessThan(0.03);
});
