/** @file OpenCV's detector and embedding, read from their files, compute what ONNX Runtime computes of them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { multipliedOut } from "../../../test/support/blocked-weights.ts";
import { Random } from "../../base/random.ts";
import { float32, sizeOf, type Tensor, type TensorMap } from "../../base/tensor.ts";
import { lower } from "../lower/lower.ts";
import { parseOnnx } from "../runtime/model-file.ts";
import { openRuntime } from "../runtime/runtime.ts";
import { type OnnxProgram, readOnnx } from "./read.ts";

const FOLDER = join(import.meta.dirname, "../../../../shared/models/opencv");
const YUNET = join(FOLDER, "face_detection_yunet_2023mar_int8bq.onnx");
const SFACE = join(FOLDER, "face_recognition_sface_2021dec_int8bq.onnx");
const isThere = existsSync(YUNET) && existsSync(SFACE);
const note = isThere ? "" : ` (not tested: there is no ${FOLDER})`;

/** Pixels, channels second. */
function pixels(shape: readonly number[], seed = 1): Tensor<"float32"> {
  const random = new Random(seed);
  return float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.integer(256)),
  );
}

function channelsLast({ shape, data }: Tensor<"float32">): Tensor<"float32"> {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const area = height * width;
  const turned = data.map((_, i) => {
    const place = Math.floor(i / channels);
    return data[(Math.floor(place / area) * channels + (i % channels)) * area + (place % area)]!;
  });
  return float32([batch, height, width, channels], turned);
}

async function run(bytes: Uint8Array, inputs: TensorMap): Promise<TensorMap> {
  const session = await openRuntime(bytes);
  try {
    return await session.run(inputs);
  } finally {
    await session.close();
  }
}

const compute = (program: OnnxProgram, inputs: TensorMap) =>
  run(lower({ outputs: program.outputs }).bytes, inputs);

const TOLERANCE = 2e-6;

/** Differences count in parts of an output's greatest element. */
function expectClose(actual: Tensor, expected: Tensor): void {
  expect(actual.shape).toEqual(expected.shape);
  const [ours, theirs] = [actual.data as Float32Array, expected.data as Float32Array];
  const greatest = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const furthest = theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i]!)), 0);
  expect(furthest / greatest).toBeLessThan(TOLERANCE);
}

function expectAllClose(actual: TensorMap, expected: TensorMap): void {
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, value] of expected) expectClose(actual.get(name)!, value);
}

const countOf = (program: OnnxProgram, operator: string) =>
  parseOnnx(lower({ outputs: program.outputs }).bytes, "model").operations.get(operator) ?? 0;

describe.skipIf(!isThere)(`the face detector${note}`, () => {
  const bytes = isThere ? readFileSync(YUNET) : new Uint8Array();

  it("computes what its file computes", async () => {
    const images = pixels([1, 3, 640, 640]);
    const expected = await run(multipliedOut(bytes), new Map([["input", images]]));
    expectAllClose(await compute(readOnnx(bytes), new Map([["input", images]])), expected);
  });

  it("takes images of another size and number, with channels last", async () => {
    const program = readOnnx(bytes, {
      inputShapes: { input: ["batch", 3, 96, 160] },
      images: "channels-last",
    });
    expect(program.inputs.input!.shape).toEqual(["batch", 96, 160, 3]);
    expect(program.outputs.kps_8!.shape).toEqual(["batch", 240, 10]);
    const [first, second] = [pixels([1, 3, 96, 160], 1), pixels([1, 3, 96, 160], 2)];
    const original = multipliedOut(bytes, true);
    const both = float32([2, 3, 96, 160], [...first.data, ...second.data]);
    const joint = await compute(program, new Map([["input", channelsLast(both)]]));
    for (const [i, single] of [first, second].entries()) {
      // Nothing in the file depends on the size that it states.
      const alone = await run(original, new Map([["input", single]]));
      for (const [name, value] of alone) {
        const rows = (joint.get(name)!.data as Float32Array).slice(
          i * value.data.length,
          (i + 1) * value.data.length,
        );
        expectClose(float32(value.shape, rows), value);
      }
    }
  });

  it("needs no transposition but those in its file", () => {
    expect(countOf(readOnnx(bytes), "Transpose")).toBe(12);
  });
});

describe.skipIf(!isThere)(`the face embedding${note}`, () => {
  const bytes = isThere ? readFileSync(SFACE) : new Uint8Array();

  it("computes what its file computes, for any number of images", async () => {
    const program = readOnnx(bytes);
    expect(Object.keys(program.inputs)).toEqual(["data"]);
    expect(program.inputs.data!.shape).toEqual(["batch", 3, 112, 112]);
    const images = pixels([1, 3, 112, 112]);
    const expected = await run(multipliedOut(bytes), new Map([["data", images]]));
    expectAllClose(await compute(program, new Map([["data", images]])), expected);
    const twice = float32([2, 3, 112, 112], [...images.data, ...images.data]);
    const doubled = (await compute(program, new Map([["data", twice]]))).get("fc1")!;
    const once = expected.get("fc1")!.data as Float32Array;
    expectClose(doubled, float32([2, 128], [...once, ...once]));
  });

  it("is lowered without a transposition, its normalisations within its kernels", () => {
    const program = readOnnx(bytes);
    expect(countOf(program, "Transpose")).toBe(0);
    expect(countOf(readOnnx(bytes, { images: "channels-last" }), "Transpose")).toBe(1);
  });
});
