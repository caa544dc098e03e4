/** @file A model to convert is found whatever its format, and becomes a SavedModel with the same numbers. */
import { copyFile, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { onnxFile } from "../../test/support/onnx-file.ts";
import { NETWORK_IMAGE, randomNetwork } from "../../test/support/random-network.ts";
import { Random } from "../base/random.ts";
import { float32, floats, sizeOf } from "../base/tensor.ts";
import { contentOf } from "../savedmodel/write/rewrite.ts";
import { writeSavedModel } from "../savedmodel/write/write.ts";
import { readAnyModel } from "./read-model.ts";

const SIGNATURE = "serving_default";
const random = new Random(2);
const SHAPE = [2, ...NETWORK_IMAGE];
const images = float32(
  SHAPE,
  Array.from({ length: sizeOf(SHAPE) }, () => random.uniform()),
);

describe("a model to convert", () => {
  let [file, version, saved] = ["", "", ""];
  beforeAll(async () => {
    const root = await mkdtemp(join(tmpdir(), "faceid-read-model-"));
    [file, version, saved] = [join(root, "net.onnx"), join(root, "version"), join(root, "saved/1")];
    await writeFile(file, onnxFile(randomNetwork(4)));
    await mkdir(version);
    await copyFile(file, join(version, "model.onnx"));
    await mkdir(join(root, "saved"));
    await writeSavedModel(saved, await contentOf(await readAnyModel(file)));
  });

  const numbers = async (path: string) => {
    const { outputs } = await (await readAnyModel(path)).program(SIGNATURE);
    return floats(evaluate([outputs.y!], { inputs: new Map([["image", images]]) })[0]!);
  };

  it("is an ONNX file, a version's folder with one, or a SavedModel's", async () => {
    const expected = await numbers(file);
    expect(expected.length).toBe(10);
    expect(await numbers(version)).toEqual(expected);
    expect(await numbers(saved)).toBeAllClose(expected, { absolute: 1e-6 });
  });

  it("has the file's inputs and outputs as its one signature, for other shapes too", async () => {
    const model = await readAnyModel(file);
    expect([...model.signatures.keys()]).toEqual([SIGNATURE]);
    const signature = model.signatures.get(SIGNATURE)!;
    const input = { tensorName: "image", dtype: "float32", shape: [-1, ...NETWORK_IMAGE] };
    expect([...signature.inputs]).toEqual([["image", input]]);
    expect([...signature.outputs]).toMatchObject([["y", { dtype: "float32", shape: [-1, 5] }]]);
    const larger = {
      ...signature,
      inputs: new Map([["picture", { ...input, shape: [-1, 3, 24, 20] }]]),
    } as typeof signature;
    const program = await model.program(SIGNATURE, larger);
    expect(program.inputs.picture!.shape).toEqual(["batch", 3, 24, 20]);
  });

  it("must be somewhere", async () => {
    await expect(readAnyModel("nowhere")).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
    await expect(readAnyModel("nowhere.onnx")).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
  });
});
