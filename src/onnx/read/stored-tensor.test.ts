/** @file Numbers in every form in which ONNX files store them, in the file and beside it. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluate } from "../../../test/support/evaluate.ts";
import { onnxFile, onnxModel } from "../../../test/support/onnx-file.ts";
import { Random } from "../../base/random.ts";
import { bytesOf, float32, sizeOf } from "../../base/tensor.ts";
import { numbersOf } from "../../graph/numbers.ts";
import { ModelProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { openOnnx } from "./open.ts";
import { type OnnxProgram, readOnnx } from "./read.ts";

const random = new Random(11);
const noise = (...shape: number[]) =>
  float32(
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.between(-1, 1)),
  );

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
    const model = onnxModel({
      inputs: { x: { shape: [2, 2] } },
      stored: { w: weights },
      nodes: [{ op: "Add", inputs: ["x", "w"] }],
    });
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
    ["a folder", { location: "data" }, "it is a folder, a file is wanted"],
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

  it.skipIf(process.platform === "win32")(
    "are refused behind a link that leads out of the folder",
    async () => {
      const path = await written("linked", { location: "link.bin" });
      await writeFile(join(root, "secret"), bytesOf(weights));
      await symlink(join(root, "secret"), join(root, "linked/link.bin"));
      await expect(openOnnx(path)).rejects.toThrow("links to a file outside");
    },
  );

  it("says where there is no model", async () => {
    await expect(openOnnx(join(root, "none.onnx"))).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
  });
});
