/** @file Whole ONNX files: networks of several ages, their batch, their names, what is written and read again, and what is refused. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { multipliedOut } from "../../../test/support/blocked-weights.ts";
import { type OnnxFile, onnxFile, onnxModel } from "../../../test/support/onnx-file.ts";
import { ONNX_NETWORKS } from "../../../test/support/onnx-networks.ts";
import { IMAGES, randomGraph, randomGraphs } from "../../../test/support/random-graph.ts";
import { NETWORK_IMAGE, randomNetwork } from "../../../test/support/random-network.ts";
import { FaceError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import { sizeOf } from "../../base/shape.ts";
import { bytesOf, float32, int64, type Tensor, type TensorMap, tensor } from "../../base/tensor.ts";
import { input } from "../../graph/build.ts";
import { evaluate } from "../../graph/evaluate.ts";
import { numbersOf } from "../../graph/numbers.ts";
import { type ModelProto, ModelProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { lower } from "../lower.ts";
import { openRuntime } from "../runtime.ts";
import { openOnnx } from "./open.ts";
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

const refuse = (file: OnnxFile | ModelProto | Uint8Array, code: string, text: string) => {
  const bytes =
    file instanceof Uint8Array
      ? file
      : "$typeName" in file
        ? toBinary(ModelProtoSchema, file)
        : onnxFile(file);
  try {
    readOnnx(bytes, { what: "net.onnx" });
  } catch (error) {
    expect(error).toBeInstanceOf(FaceError);
    expect((error as FaceError).message).toContain(text);
    expect((error as FaceError).code).toBe(code);
    return;
  }
  expect.unreachable(`${text} was read`);
};

describe("what cannot be read", () => {
  it("is named all at once, with where it stands", () => {
    const nodes = [
      { op: "Teleport", inputs: ["x"], outputs: ["a"], name: "first" },
      { op: "FusedConv", inputs: ["a"], outputs: ["b"], domain: "com.microsoft" },
      { op: "Teleport", inputs: ["b"], outputs: ["c"] },
      { op: "Relu", inputs: ["c"] },
      { op: "Nobody", inputs: ["c"], outputs: ["needs it"] },
    ];
    refuse(
      { inputs: { x: { shape: [2] } }, nodes },
      "MODEL_UNSUPPORTED",
      "net.onnx uses operations that faceid cannot run: Teleport (first, c); com.microsoft.FusedConv (b)",
    );
  });

  it.each([
    ["dilations of a pool", "MaxPool", { kernel_shape: [2, 2], dilations: [2, 2] }, "a pool with dilations"],
    ["cubic samples", "Resize", { mode: "cubic" }, "mode cubic"],
    ["other margins", "Pad", { mode: "wrap" }, "mode wrap"],
    ["training", "BatchNormalization", { training_mode: 1 }, "batch normalisation in training mode"],
  ] as const)("%s", (_, op, attributes, text) => {
    const stored = {
      Resize: { roi: float32([0], []), scales: float32([4], [1, 1, 2, 2]) },
      Pad: { pads: int64([8], [0, 0, 1, 1, 0, 0, 1, 1]) },
    }[op as string] as Record<string, Tensor> | undefined;
    refuse(
      {
        opset: 19,
        inputs: { x: { shape: [1, 2, 4, 4] } },
        stored: stored ?? {},
        nodes: [{ op, inputs: ["x", ...Object.keys(stored ?? {})], attributes, name: "here" }],
      },
      "MODEL_UNSUPPORTED",
      `here (${op}): ${text}`,
    );
  });

  it("names outputs that are not made, where they are used", () => {
    const pool = {
      op: "MaxPool",
      inputs: ["x"],
      outputs: ["y", "places"],
      attributes: { kernel_shape: [2, 2] },
    };
    const inputs = { x: { shape: [1, 2, 4, 4] } };
    expect(readOnnx(onnxFile({ inputs, nodes: [pool] })).outputs.y!.shape).toEqual(["batch", 2, 3, 3]);
    refuse(
      { inputs, nodes: [pool], outputs: { places: { dtype: "int64" } } },
      "MODEL_UNSUPPORTED",
      "y (MaxPool): its output 1 is not supported",
    );
  });

  it("names operator sets that are too old or too new", () => {
    refuse(single("Relu", [2], { opset: 8 }), "MODEL_UNSUPPORTED", "operator set 8; 9 to 24");
    refuse(single("Relu", [2], { opset: 25 }), "MODEL_UNSUPPORTED", "operator set 25; 9 to 24");
  });

  it("names inputs of unknown rank and of other types", () => {
    refuse(
      { inputs: { x: {} }, nodes: [{ op: "Relu", inputs: ["x"] }] },
      "MODEL_UNSUPPORTED",
      "x has no known rank",
    );
    refuse(
      single("Relu", [2], { inputs: { x: { shape: [2], dtype: "string" } } }),
      "MODEL_UNSUPPORTED",
      "x is no tensor of numbers",
    );
  });
});

describe("a damaged or hostile file", () => {
  const relu = () => onnxModel(single("Add", [2, 2], { stored: { w: noise(2, 2) } }));

  it("says what is wrong with it", () => {
    refuse(new Uint8Array([9, 9, 9]), "MODEL_INVALID", "net.onnx is damaged");
    refuse(create(ModelProtoSchema, {}), "MODEL_INVALID", "net.onnx holds no ONNX graph");
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    refuse(new TextEncoder().encode(pointer), "MODEL_INVALID", "net.onnx is Git LFS's pointer to a model");
    refuse(
      { inputs: {}, nodes: [{ op: "Relu", inputs: ["x"] }] },
      "MODEL_INVALID",
      "y needs x, which is not made before it",
    );
    refuse(
      {
        inputs: { x: { shape: [2] } },
        nodes: [
          { op: "Relu", inputs: ["x"] },
          { op: "Abs", inputs: ["x"] },
        ],
      },
      "MODEL_INVALID",
      "the value y is made in two places",
    );
    refuse(
      single("Add", [2, 3], { stored: { w: noise(2, 2) } }),
      "MODEL_INVALID",
      "y (Add): add: [2, 3] and [2, 2] do not broadcast",
    );
  });

  it("cannot lie about its weights", () => {
    const short = relu();
    short.graph!.initializer[0]!.rawData = new Uint8Array(15);
    refuse(short, "MODEL_INVALID", "w of shape [2, 2] takes 16 bytes, the file holds 15");
    const vast = relu();
    vast.graph!.initializer[0]!.dims = [2n ** 40n, 2n ** 40n];
    refuse(vast, "MODEL_INVALID", "w has the impossible shape [1099511627776, 1099511627776]");
    const listed = relu();
    Object.assign(listed.graph!.initializer[0]!, { rawData: new Uint8Array(), floatData: [1, 2, 3] });
    refuse(listed, "MODEL_INVALID", "w of shape [2, 2] takes 4 elements, the file holds 3");
    const odd = relu();
    odd.graph!.initializer[0]!.dataType = 14;
    refuse(odd, "MODEL_UNSUPPORTED", "w is stored as type 14");
    const elsewhere = relu();
    elsewhere.graph!.initializer[0]!.dataLocation = 1;
    refuse(elsewhere, "MODEL_UNSUPPORTED", "w is kept in another file");
  });

  it("cannot make much of little", () => {
    const shape = (...sides: number[]) => ({ sides: int64([sides.length], sides) });
    refuse(
      { inputs: {}, stored: shape(1 << 14, 1 << 14), nodes: [{ op: "ConstantOfShape", inputs: ["sides"] }] },
      "MODEL_UNSUPPORTED",
      "a tensor of shape [16384, 16384] made of few elements",
    );
    const doubled = Array.from({ length: 60 }, (_, i) => ({
      op: "Concat",
      inputs: i === 0 ? ["w", "w"] : [`d${i - 1}`, `d${i - 1}`],
      outputs: [`d${i}`],
      attributes: { axis: 0 },
    }));
    refuse(
      { inputs: {}, stored: { w: noise(4) }, nodes: [...doubled, { op: "Relu", inputs: ["d59"] }] },
      "MODEL_UNSUPPORTED",
      "makes more elements than can be kept",
    );
    // As sums of shapes, each of which is asked for on very many ways.
    const summed = Array.from({ length: 60 }, (_, i) => ({
      op: "Add",
      inputs: i === 0 ? ["sides", "sides"] : [`d${i - 1}`, `d${i - 1}`],
      outputs: [`d${i}`],
    }));
    refuse(
      {
        inputs: { x: { shape: [2, 2] } },
        stored: shape(1, 1),
        nodes: [...summed, { op: "Reshape", inputs: ["x", "d59"] }],
      },
      "MODEL_UNSUPPORTED",
      "y (Reshape)",
    );
  });
});

describe("numbers as files store them", () => {
  const typed = (dataType: number, fields: object, cast = 1): OnnxProgram => {
    const model = onnxModel({
      inputs: {},
      stored: { w: noise(3) },
      nodes: [{ op: "Cast", inputs: ["w"], attributes: { to: cast } }],
    });
    Object.assign(model.graph!.initializer[0]!, { dataType, rawData: new Uint8Array(), ...fields });
    return readOnnx(toBinary(ModelProtoSchema, model));
  };
  const valuesOf = (program: OnnxProgram) => Array.from(numbersOf(evaluate([program.outputs.y!])[0]!));

  it.each([
    ["float32", 1, { floatData: [1.5, -2, 3] }, [1.5, -2, 3]],
    ["float64", 11, { doubleData: [1.5, -2, 3] }, [1.5, -2, 3]],
    ["int8", 3, { int32Data: [1, -2, 127] }, [1, -2, 127]],
    ["bool", 9, { int32Data: [1, 0, 1] }, [1, 0, 1]],
    ["float16 as bits", 10, { int32Data: [0x3c00, 0xc000, 0x3800] }, [1, -2, 0.5]],
    ["int64", 7, { int64Data: [1n, -2n, 3n] }, [1, -2, 3]],
    ["uint64", 13, { uint64Data: [1n, 2n, 3n] }, [1, 2, 3]],
    ["int4, two in a byte", 22, { rawData: Uint8Array.of(0x7f, 0x08) }, [-1, 7, -8]],
    ["uint4, two in a byte", 21, { rawData: Uint8Array.of(0x7f, 0x08) }, [15, 7, 8]],
  ] as const)("%s", (_, type, fields, wanted) => {
    expect(valuesOf(typed(type, fields))).toEqual(wanted);
  });

  it.each([
    ["value_float", { float: 2.5 }, [2.5]],
    ["value_int", 7, [7]],
    ["value_floats", { floats: [1.5, 2] }, [1.5, 2]],
    ["value_ints", [3, 4], [3, 4]],
    ["value", float32([2], [5, 6]), [5, 6]],
  ] as const)("a constant's %s", (name, value, wanted) => {
    const program = readOnnx(
      onnxFile({ inputs: {}, nodes: [{ op: "Constant", inputs: [], attributes: { [name]: value } }] }),
    );
    expect(valuesOf(program)).toEqual(wanted);
  });
});

describe("weights in a file beside the model", () => {
  let root = "";
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "faceid-onnx-"));
  });
  afterAll(() => rm(root, { recursive: true }));
  const weights = noise(2, 2);

  /** A model whose one weight lies elsewhere, in a folder of its own. */
  async function written(
    name: string,
    entries: Readonly<Record<string, string>>,
    content = bytesOf(weights),
  ): Promise<string> {
    const model = onnxModel(single("Add", [2, 2], { stored: { w: weights } }));
    const stored = model.graph!.initializer[0]!;
    Object.assign(stored, { rawData: new Uint8Array(), dataLocation: 1 });
    stored.externalData = Object.entries(entries).map(([key, value]) => ({
      $typeName: "onnx.StringStringEntryProto" as const,
      key,
      value,
    }));
    const folder = join(root, name);
    await mkdir(join(folder, "data"), { recursive: true });
    await writeFile(join(folder, "data/weights.bin"), content);
    await writeFile(join(folder, "net.onnx"), toBinary(ModelProtoSchema, model));
    return join(folder, "net.onnx");
  }

  it("are read from their place", async () => {
    const x = noise(2, 2);
    for (const entries of [{}, { offset: "8", length: "16" }]) {
      const ahead = "offset" in entries ? new Uint8Array(8) : new Uint8Array();
      const path = await written(
        "good",
        { location: "data/weights.bin", ...entries },
        Buffer.concat([ahead, bytesOf(weights)]),
      );
      const program = (await openOnnx(path)).program();
      const [sum] = evaluate([program.outputs.y!], { inputs: new Map([["x", x]]) });
      expect(numbersOf(sum!)).toBeAllClose(x.data.map((value, i) => value + weights.data[i]!));
    }
  });

  it.each([
    ["an absolute path", { location: "/etc/passwd" }, "outside of the model's folder"],
    ["a drive", { location: "C:\\weights.bin" }, "outside of the model's folder"],
    ["a way out", { location: "data/../../weights.bin" }, "outside of the model's folder"],
    ["another way out", { location: "data\\..\\..\\weights.bin" }, "outside of the model's folder"],
    ["no name", {}, "outside of the model's folder"],
    ["a folder", { location: "data" }, "is no file"],
    ["a file that is not there", { location: "nothing.bin" }, "cannot read its weights in nothing.bin"],
    [
      "more than there is",
      { location: "data/weights.bin", offset: "4" },
      "needs 16 bytes from 4 on of data/weights.bin, which holds 16",
    ],
    [
      "another length",
      { location: "data/weights.bin", length: "12" },
      "takes 16 bytes, data/weights.bin is said to hold 12",
    ],
    ["no number", { location: "data/weights.bin", offset: "-1" }, "no place in a file"],
  ])("are refused at %s", async (name, entries, text) => {
    const path = await written(name, entries as Record<string, string>);
    await expect(openOnnx(path)).rejects.toMatchObject({
      code: "MODEL_INVALID",
      message: expect.stringContaining(text),
    });
  });

  it("are refused behind a link that leads out of the folder", async () => {
    const path = await written("linked", { location: "link.bin" });
    await writeFile(join(root, "secret"), bytesOf(weights));
    await symlink(join(root, "secret"), join(root, "linked/link.bin"));
    await expect(openOnnx(path)).rejects.toThrow("links to a file outside");
  });

  it("says where there is no model", async () => {
    await expect(openOnnx(join(root, "none.onnx"))).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
  });
});
