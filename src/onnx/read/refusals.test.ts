/** @file What cannot be read of ONNX, and damaged or hostile files: one clear error each. */
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type OnnxFile, onnxFile, onnxModel } from "../../../test/support/onnx-file.ts";
import { FaceError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import { float32, int64, sizeOf, type Tensor } from "../../base/tensor.ts";
import { type ModelProto, ModelProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { readOnnx } from "./read.ts";

const random = new Random(11);
const noise = (...shape: number[]) =>
  float32(
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.between(-1, 1)),
  );

/** A file of one node. */
const single = (op: string, shape: readonly (number | string)[], rest: Partial<OnnxFile> = {}): OnnxFile => ({
  inputs: { x: { shape } },
  nodes: [{ op, inputs: ["x", ...Object.keys(rest.stored ?? {})] }],
  ...rest,
});

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
