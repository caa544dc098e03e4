/** @file An equalised network gives the same numbers, and loses less of them in 8 bits. */
import { fromBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { noiseFrom } from "../../../test/support/like-evaluation.ts";
import { Random } from "../../base/random.ts";
import { float32, floats, type TensorMap } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import type { Node } from "../../graph/ops.ts";
import { ModelProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { lower } from "../lower/lower.ts";
import { openRuntime } from "../runtime/runtime.ts";
import { measurePeaks, measureRanges } from "./calibrate.ts";
import { equalised, factorsFor, valuesToEqualise } from "./equalise.ts";
import { quantize, valuesToMeasure } from "./quantize.ts";

const random = new Random(8);
const noise = noiseFrom(random);
const images = (): TensorMap => new Map([["x", noise([3, 12, 12, 8])]]);

/** Output channels of very different sizes, as training leaves them. */
function uneven(shape: readonly number[]) {
  const { data } = noise(shape);
  const channels = shape.at(-1)!;
  return g.constant(
    float32(
      shape,
      data.map((value, i) => value * 2 ** ((i % channels) % 3)),
    ),
  );
}

const slopes = (channels: number, most: number) =>
  g.constant(
    float32(
      [channels],
      Float32Array.from({ length: channels }, () => random.between(-0.5, most)),
    ),
  );

/** Convolution after convolution, as networks of small devices are built. */
function chain(): Node {
  let y: Node = g.input("x", ["batch", 12, 12, 8]);
  for (const [kernel, groups] of [
    [[3, 3, 8, 16], 1],
    [[3, 3, 1, 16], 16],
    [[1, 1, 16, 16], 1],
    [[3, 3, 1, 16], 16],
  ] as const) {
    y = g.prelu(g.add(g.conv2d(y, uneven(kernel), { groups }), g.constant(noise([16]))), slopes(16, 1.6));
  }
  return g.conv2d(y, g.constant(noise([3, 3, 16, 4])));
}

/** Convolutions of all kinds with all kinds of activations between; a sum and a product read some of them. */
function network(): Node {
  const conv = (x: Node, kernel: number[], options = {}) =>
    g.add(g.conv2d(x, uneven(kernel), options), g.constant(noise([kernel[3]!])));
  let y = g.prelu(conv(g.input("x", ["batch", 12, 12, 8]), [3, 3, 8, 16]), slopes(16, 2.5));
  y = g.prelu(conv(y, [3, 3, 1, 16], { groups: 16, strides: [2, 2] }), slopes(16, 2.5));
  y = g.relu(conv(y, [1, 1, 16, 12]));
  const kept = g.prelu(conv(y, [3, 3, 4, 12], { groups: 3 }), slopes(12, 0.9));
  y = g.add(conv(kept, [1, 1, 12, 12]), kept);
  return g.matmul(g.flatten(conv(y, [3, 3, 12, 4])), g.constant(noise([36 * 4, 3])));
}

const graphOf = (bytes: Uint8Array) => fromBinary(ModelProtoSchema, bytes).graph!;

async function answer(bytes: Uint8Array, inputs: TensorMap): Promise<Float32Array> {
  const session = await openRuntime(bytes);
  const y = floats((await session.run(inputs)).get("y")!);
  await session.close();
  return y;
}

async function levelled(bytes: Uint8Array, runs: readonly TensorMap[]): Promise<Uint8Array> {
  return equalised(bytes, factorsFor(bytes, await measurePeaks(bytes, valuesToEqualise(bytes), runs)));
}

async function inIntegers(bytes: Uint8Array, runs: readonly TensorMap[]): Promise<Uint8Array> {
  return quantize(bytes, await measureRanges(bytes, valuesToMeasure(bytes), runs)).bytes;
}

const error = (actual: Float32Array, expected: Float32Array) =>
  Math.sqrt(actual.reduce((sum, value, i) => sum + (value - expected[i]!) ** 2, 0));

it("gives the same numbers, whatever stands around the convolutions", async () => {
  const { bytes } = lower({ outputs: { y: network() } }, { runtimeOps: false });
  const level = await levelled(bytes, [images()]);
  // The sum and the product read the fourth to the sixth.
  expect(valuesToEqualise(bytes)).toHaveLength(3);
  const inputs = images();
  const [expected, actual] = [await answer(bytes, inputs), await answer(level, inputs)];
  const span = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(actual).toBeAllClose(expected, { absolute: 1e-5 * span, relative: 0 });
});

it("brings channels to the range of the widest", async () => {
  const { bytes } = lower({ outputs: { y: network() } }, { runtimeOps: false });
  const runs = [images()];
  const names = valuesToEqualise(bytes);
  const spread = async (model: Uint8Array) =>
    [...(await measurePeaks(model, names, runs)).values()].map(
      (peaks) => Math.max(...peaks) / Math.min(...peaks),
    );
  const [before, after] = [await spread(bytes), await spread(await levelled(bytes, runs))];
  for (const [i, ratio] of before.entries()) {
    expect(ratio).toBeGreaterThan(3);
    // Steps of a fourth of a doubling, to either side, and no factor beyond 8.
    expect(after[i]).toBeLessThan(1.25 * Math.max(1, ratio / 8));
  }
});

it("loses less in 8 bits, and leaves no PReLU in floats", async () => {
  const { bytes } = lower({ outputs: { y: chain() } }, { runtimeOps: false });
  const runs = [images(), images()];
  const level = await inIntegers(await levelled(bytes, runs), runs);
  expect(graphOf(level).node.map(({ opType }) => opType)).not.toContain("BatchNormalization");
  const plain = await inIntegers(bytes, runs);
  expect(graphOf(plain).node.map(({ opType }) => opType)).toContain("BatchNormalization");
  const inputs = images();
  const expected = await answer(bytes, inputs);
  const [before, after] = [await answer(plain, inputs), await answer(level, inputs)];
  expect(error(after, expected)).toBeLessThan(0.7 * error(before, expected));
});

it("keeps one kernel where two convolutions share it", async () => {
  const [first, second, slope] = [uneven([3, 3, 3, 8]), uneven([3, 3, 8, 4]), slopes(8, 2)];
  const sides = ["a", "b"].map((name) =>
    g.conv2d(g.prelu(g.conv2d(g.input(name, ["batch", 8, 8, 3]), first), slope), second),
  );
  const { bytes } = lower({ outputs: { y: g.sub(sides[0]!, sides[1]!) } }, { runtimeOps: false });
  const runs = [
    new Map([
      ["a", noise([2, 8, 8, 3])],
      ["b", noise([2, 8, 8, 3], 0, 5)],
    ]),
  ];
  const level = await levelled(bytes, runs);
  expect(graphOf(level).initializer.filter(({ dims }) => dims.length === 4)).toHaveLength(2);
  const [expected, actual] = [await answer(bytes, runs[0]!), await answer(level, runs[0]!)];
  const span = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(actual).toBeAllClose(expected, { absolute: 1e-5 * span, relative: 0 });
});

it("leaves a channel without a signal as it is", () => {
  const { bytes } = lower({ outputs: { y: network() } }, { runtimeOps: false });
  const [name = ""] = valuesToEqualise(bytes);
  const peaks = Float32Array.from({ length: 16 }, (_, i) => (i === 3 ? 0 : 2 ** -i));
  expect(factorsFor(bytes, new Map([[name, peaks]])).get(name)).toBe("0480cccccccccccc");
});
