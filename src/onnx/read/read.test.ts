/** @file Whole ONNX files: networks of several ages, the number of images, and what is written and read again. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { multipliedOut } from "../../../test/support/blocked-weights.ts";
import { evaluate } from "../../../test/support/evaluate.ts";
import { type OnnxFile, onnxFile } from "../../../test/support/onnx-file.ts";
import { ONNX_NETWORKS } from "../../../test/support/onnx-networks.ts";
import { IMAGES, randomGraph, randomGraphs } from "../../../test/support/random-graph.ts";
import { NETWORK_IMAGE, randomNetwork } from "../../../test/support/random-network.ts";
import { Random } from "../../base/random.ts";
import { float32, int64, sizeOf, type TensorMap, tensor } from "../../base/tensor.ts";
import { input } from "../../graph/build.ts";
import { numbersOf } from "../../graph/numbers.ts";
import { lower } from "../lower/lower.ts";
import { openRuntime } from "../runtime/runtime.ts";
import { type OnnxProgram, readOnnx } from "./read.ts";

async function run(model: Uint8Array, inputs: TensorMap): Promise<TensorMap> {
  const session = await openRuntime(model);
  try {
    return await session.run(inputs);
  } finally {
    await session.close();
  }
}

const compute = (program: OnnxProgram, inputs: TensorMap) =>
  run(lower({ outputs: program.outputs }).bytes, inputs);

const random = new Random(11);
const noise = (...shape: number[]) =>
  float32(
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.between(-1, 1)),
  );

const TOLERANCE = { absolute: 2e-6, relative: 2e-6 };

/** Sums are rounded in another order where scales have become part of kernels. */
const LOOSER = { absolute: 1e-5, relative: 1e-5 };

function expectSame(actual: TensorMap, expected: TensorMap, tolerance = TOLERANCE): void {
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  for (const [name, value] of expected) {
    expect(actual.get(name)!.shape).toEqual(value.shape);
    expect(numbersOf(actual.get(name)!)).toBeAllClose(numbersOf(value), tolerance);
  }
}

/** One row of every tensor. */
const row = (tensors: TensorMap, i: number): TensorMap =>
  new Map(
    [...tensors].map(([name, { shape, data }]) => {
      const size = sizeOf(shape.slice(1));
      return [name, float32([1, ...shape.slice(1)], (data as Float32Array).slice(i * size, (i + 1) * size))];
    }),
  );

describe.each([
  ["embedding", "input.1", [3, 12, 12]],
  ["excited", "image", [3, 9, 8]],
  ["detector", "input", [3, 16, 16]],
  ["quantised", "data", [2, 4, 4]],
] as const)("the network %s", (name, port, sides) => {
  const original = onnxFile(ONNX_NETWORKS[name]);
  const known = name === "quantised" ? multipliedOut(original) : original;

  it("computes what ONNX Runtime computes of its file, in the engine and step by step", async () => {
    const inputs = new Map([[port, noise(1, ...sides)]]);
    const program = readOnnx(original);
    const expected = await run(known, inputs);
    expectSame(await compute(program, inputs), expected);
    const evaluated = evaluate(Object.values(program.outputs), { inputs });
    expectSame(new Map(Object.keys(program.outputs).map((output, i) => [output, evaluated[i]!])), expected);
  });

  it("takes any number of images, and gives each what it gets alone", async () => {
    const inputs = new Map([[port, noise(3, ...sides)]]);
    const program = readOnnx(original);
    expect(program.inputs[port]!.shape[0]).toBe(name === "excited" ? "N" : "batch");
    const together = await compute(program, inputs);
    for (const i of [0, 1, 2]) expectSame(row(together, i), await run(known, row(inputs, i)));
  });

  it("takes images with their channels last", async () => {
    const [channels, height, width] = sides;
    const program = readOnnx(original, { images: "channels-last" });
    expect(program.inputs[port]!.shape.slice(1)).toEqual([height, width, channels]);
    const image = noise(1, height, width, channels);
    const turned = image.data.map((_, i) => {
      const [channel, place] = [Math.floor(i / (height * width)), i % (height * width)];
      return image.data[place * channels + channel]!;
    });
    const expected = await run(known, new Map([[port, float32([1, ...sides], turned)]]));
    expectSame(await compute(program, new Map([[port, image]])), expected);
  });
});

describe("random networks", () => {
  it("compute what ONNX Runtime computes of them, each image by itself", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 3, max: 16 }), async (seed, layers) => {
        const file = onnxFile(randomNetwork(seed, layers));
        const program = readOnnx(file);
        const inputs = new Map([["image", noise(2, ...NETWORK_IMAGE)]]);
        const together = await compute(program, inputs);
        for (const i of [0, 1]) expectSame(row(together, i), await run(file, row(inputs, i)), LOOSER);
      }),
      { numRuns: 150 },
    );
  });
});

/** A file of one node. */
const single = (op: string, shape: readonly (number | string)[], rest: Partial<OnnxFile> = {}): OnnxFile => ({
  inputs: { x: { shape } },
  nodes: [{ op, inputs: ["x", ...Object.keys(rest.stored ?? {})] }],
  ...rest,
});

describe("the number of images", () => {
  const sideOf = (file: OnnxFile) => readOnnx(onnxFile(file)).inputs.x!.shape[0];

  it("stays 1 where images would be mixed", () => {
    const softmax = single("Softmax", [1, 4]);
    expect(sideOf({ ...softmax, nodes: [{ ...softmax.nodes[0]!, attributes: { axis: 0 } }] })).toBe(1);
    expect(sideOf(single("ReduceSum", [1, 4], { stored: { axes: int64([1], [0]) } }))).toBe(1);
    expect(sideOf(single("Reshape", [1, 2, 6], { stored: { sides: int64([3], [2, 1, 6]) } }))).toBe(1);
    expect(sideOf(single("Reshape", [1, 2, 6], { stored: { sides: int64([2], [2, 6]) } }))).toBe(1);
    expect(sideOf(single("Transpose", [1, 4]))).toBe(1);
    expect(
      sideOf({
        ...single("Concat", [1, 4]),
        nodes: [{ op: "Concat", inputs: ["x", "x"], attributes: { axis: 0 } }],
      }),
    ).toBe(1);
    const product = { op: "MatMul", inputs: ["x", "t"] };
    const turned = { op: "Transpose", inputs: ["x"], outputs: ["t"] };
    expect(sideOf({ inputs: { x: { shape: [1, 4] } }, nodes: [turned, product] })).toBe(1);
  });

  it("is any where each is treated by itself", () => {
    expect(sideOf(single("Relu", [1, 4]))).toBe("batch");
    expect(sideOf(single("Reshape", [1, 2, 6], { stored: { sides: int64([2], [1, -1]) } }))).toBe("batch");
    expect(sideOf(single("MatMul", [1, 2, 6], { stored: { w: noise(6, 3) } }))).toBe("batch");
  });

  it("may be computed with, as exporters do where they repeat values", async () => {
    const file = onnxFile({
      inputs: { x: { shape: ["N", 3] }, v: { shape: [1, 1] } },
      stored: { four: int64([1], [2]), none: int64([], [-1]) },
      nodes: [
        { op: "Shape", inputs: ["x"], outputs: ["sides"] },
        {
          op: "ConstantOfShape",
          inputs: ["four"],
          outputs: ["ones"],
          attributes: { value: int64([1], [1]) },
        },
        { op: "Equal", inputs: ["sides", "none"], outputs: ["open"] },
        { op: "Where", inputs: ["open", "ones", "sides"], outputs: ["target"] },
        { op: "Expand", inputs: ["v", "target"] },
      ],
    });
    const inputs = new Map([
      ["x", noise(4, 3)],
      ["v", noise(1, 1)],
    ]);
    const program = readOnnx(file);
    expect(program.outputs.y!.shape).toEqual(["N", 3]);
    expectSame(await compute(program, inputs), await run(file, inputs));
  });

  it("is what the caller says, or refused", () => {
    const fixed = onnxFile(single("Relu", [1, 4]));
    expect(readOnnx(fixed, { inputShapes: { x: [1, 4] } }).outputs.y!.shape).toEqual([1, 4]);
    expect(readOnnx(fixed, { inputShapes: { x: ["rows", 7] } }).outputs.y!.shape).toEqual(["rows", 7]);
    const mixing = onnxFile(single("ReduceSum", [1, 4], { stored: { axes: int64([1], [0]) } }));
    expect(() => readOnnx(mixing, { inputShapes: { x: ["rows", 4] } })).toThrow(
      "mixes what belongs to several",
    );
    expect(() => readOnnx(fixed, { inputShapes: { x: [1, 4, 4] } })).toThrow("cannot be read as [1, 4, 4]");
    expect(() => readOnnx(fixed, { inputShapes: { z: [1, 4] } })).toThrow("has no input z that is used");
  });
});

describe("graphs of ours", () => {
  it("are the same once they have been written and read again", async () => {
    await fc.assert(
      fc.property(randomGraphs, fc.integer(), ({ seed, steps }, drawn) => {
        const graph = randomGraph(input("images", IMAGES, "float64"), seed, steps);
        const values = new Random(drawn);
        const images = tensor(
          "float64",
          IMAGES,
          Float64Array.from({ length: sizeOf(IMAGES) }, () => values.between(-2, 2)),
        );
        const { bytes } = lower({ outputs: { y: graph } }, { runtimeOps: false });
        const again = readOnnx(bytes, { inputShapes: graphNeeds(bytes) ? { images: IMAGES } : {} });
        const inputs = new Map([["images", images]]);
        const [before, after] = [
          evaluate([graph], { inputs })[0]!,
          evaluate([again.outputs.y!], { inputs })[0]!,
        ];
        expect(after.shape).toEqual(before.shape);
        expect(numbersOf(after)).toBeAllClose(numbersOf(before), { absolute: 1e-9, relative: 1e-6 });
      }),
      { numRuns: 300 },
    );
  });
});

/** Whether anything in a model reads its images. */
function graphNeeds(bytes: Uint8Array): boolean {
  return Object.keys(readOnnx(bytes).inputs).length > 0;
}
