/** @file Genuine SavedModels in the engine: fed tensors, shapes of any rank, parsed examples, threads that die. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeHalfPlusTwo } from "../../../test/support/saved-models.ts";
import { float32, type Tensor, tensor } from "../../base/tensor.ts";
import { ExampleSchema, type Feature } from "../../proto/tensorflow/example_pb.ts";
import { SavedModelSchema } from "../../proto/tensorflow/graph_pb.ts";
import { DataType } from "../../proto/tensorflow/tensor_pb.ts";
import type { Servable } from "../engine/servable.ts";
import { regress as regressCall } from "../regress.ts";
import { savedModelLoader } from "./loader.ts";

let folder: string;
let model: Servable;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "faceid-loader-"));
  await writeHalfPlusTwo(join(folder, "1"));
  model = await savedModelLoader({ sessions: 1 })(join(folder, "1"), { name: "half", version: 1n });
});

afterAll(async () => {
  await model.close();
  await rm(folder, { recursive: true });
});

const predict = async (x: Tensor) =>
  (await model.run("serving_default", new Map([["x", x]]), ["y"])).get("y")!;

describe("a SavedModel", () => {
  it("feeds a tensor in the middle of the graph, of whatever rank", async () => {
    expect(await predict(float32([2, 1], [1, 2]))).toEqual(float32([2, 1], [2.5, 3]));
    expect(await predict(float32([3], [1, 2, 5]))).toEqual(float32([3], [2.5, 3, 4.5]));
    expect(await predict(float32([], [1]))).toEqual(float32([], [2.5]));
    expect(await predict(float32([1, 2, 2], [1, 2, 3, 4]))).toEqual(float32([1, 2, 2], [2.5, 3, 3.5, 4]));
  });

  it("keeps going with ever new shapes", async () => {
    for (let side = 1; side < 12; side++) {
      const x = float32([1, side], new Float32Array(side).fill(side));
      expect((await predict(x)).data[0]).toBe(side / 2 + 2);
    }
  });

  const serialized = (...features: (Feature["kind"] | undefined)[]) =>
    tensor(
      "string",
      [features.length],
      features.map((kind) =>
        toBinary(
          ExampleSchema,
          create(ExampleSchema, { features: { feature: kind ? { x: { kind } } : {} } }),
        ),
      ),
    );
  const floatFeature = (...value: number[]) => ({ case: "floatList", value: { value } }) as never;
  const regress = async (inputs: Tensor) =>
    (await model.run("regress_x_to_y", new Map([["inputs", inputs]]), ["outputs"])).get("outputs")!;

  it("parses examples in front of the graph, with the default for what is missing", async () => {
    expect(await regress(serialized(floatFeature(2), undefined))).toEqual(float32([2, 1], [3, 2]));
  });

  it("takes examples where the signature declares floats but the placeholder takes strings, as TensorFlow does", async () => {
    const place = join(folder, "declared/1");
    await writeHalfPlusTwo(place);
    const file = join(place, "saved_model.pb");
    const saved = fromBinary(SavedModelSchema, await readFile(file));
    saved.metaGraphs[0]!.signatureDef.regress_x_to_y!.inputs.inputs!.dtype = DataType.DT_FLOAT;
    await writeFile(file, toBinary(SavedModelSchema, saved));
    const servable = await savedModelLoader({ sessions: 1 })(place, { name: "declared", version: 1n });
    const models = { acquire: () => ({ servable, [Symbol.dispose]: () => undefined }) };
    const { values } = await regressCall(models, {
      model: { name: "declared", version: { by: "latest" } },
      signatureName: "regress_x_to_y",
      examples: serialized(floatFeature(2)).data as readonly Uint8Array[],
    });
    expect([...values]).toEqual([3]);
    await servable.close();
  });

  it("refuses examples that do not fit", async () => {
    const int = { case: "int64List", value: { value: [1n] } } as never;
    await expect(regress(serialized(int))).rejects.toThrow(
      "Name: <unknown>, Key: x, Index: 0.  Data types don't match. Data type: int64 but expected type: float",
    );
    await expect(regress(serialized(floatFeature(1, 2)))).rejects.toThrow(
      "Number of float values != expected.  Values size: 2 but output shape: [1]",
    );
    await expect(regress(tensor("string", [1], [Uint8Array.of(255)]))).rejects.toThrow(
      "Could not parse example",
    );
  });
});
