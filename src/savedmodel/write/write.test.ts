/** @file A model that is written and read back gives the same numbers, and what is broken is refused. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { evaluate } from "../../../test/support/evaluate.ts";
import { FaceError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import { float32, floats } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { SavedModelSchema } from "../../proto/tensorflow/graph_pb.ts";
import { DataType } from "../../proto/tensorflow/tensor_pb.ts";
import { readSavedModel } from "../read/read.ts";
import { buildSavedModel, writeSavedModel } from "./write.ts";

const random = new Random(5);
const noise = (...shape: number[]) =>
  float32(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );

/** A bit of everything that networks are exported with. */
function network() {
  const x = g.input("image", ["batch", 8, 8, 3]);
  const parameters = new Map([
    ["kernel", noise(3, 3, 3, 4)],
    ["bias", noise(4)],
    ["depthwise", noise(3, 3, 1, 4)],
    ["slope", noise(4)],
    ["dense", noise(64, 5)],
  ]);
  const weight = (name: string) => g.parameter(name, parameters.get(name)!.shape);
  let y = g.add(g.conv2d(x, weight("kernel"), { strides: [1, 1] }), weight("bias"));
  y = g.prelu(g.maxPool(g.relu(y), { size: [2, 2] }), weight("slope"));
  y = g.conv2d(y, weight("depthwise"), { groups: 4 });
  y = g.sigmoid(g.matmul(g.flatten(y), weight("dense")));
  return { x, y, parameters };
}

describe("a SavedModel", () => {
  const folder = join(mkdtempSync(join(tmpdir(), "faceid-savedmodel-")), "1");
  const { x, y, parameters } = network();
  beforeAll(() =>
    writeSavedModel(folder, {
      signatures: {
        serving_default: { inputs: { image: x }, outputs: { probabilities: y } },
        doubled: { inputs: { image: x }, outputs: { twice: g.mul(y, 2) } },
      },
      parameters,
      files: { "assets.extra/note.txt": "hello" },
    }),
  );

  it("gives the same numbers when it is read back", async () => {
    const model = await readSavedModel(folder);
    expect([...model.signatures.keys()].sort()).toEqual(["doubled", "serving_default"]);
    expect(model.signatures.get("serving_default")?.inputs.get("image")).toEqual({
      tensorName: "image:0",
      dtype: "float32",
      shape: [-1, 8, 8, 3],
    });
    const inputs = new Map([["image", noise(3, 8, 8, 3)]]);
    const [expected] = evaluate([y], { inputs, parameters });
    const [got] = evaluate(Object.values((await model.program("serving_default")).outputs), { inputs });
    expect(floats(got!)).toBeAllClose(floats(expected!), { absolute: 1e-6 });
    expect(readFileSync(join(folder, "assets.extra/note.txt"), "utf8")).toBe("hello");
  });

  it("repeats values of any number of images", async () => {
    const x = g.input("x", ["batch", 1, 3]);
    const y = g.broadcastTo(x, [2, 1, 4, 3]);
    const model = buildSavedModel({
      signatures: { a: { inputs: { x }, outputs: { y } } },
      parameters: new Map(),
    });
    const nodes = model.metaGraphs[0]!.graphDef!.node;
    // TensorFlow wants every side of the target, not 1 where a side is to stay.
    const spread = nodes.find(({ op }) => op === "BroadcastTo")!;
    const target = nodes.find(({ name }) => name === spread.input[1])!;
    expect(target.op).toBe("Pack");
    expect(target.input).toHaveLength(4);
  });

  it("keeps margins of average pools from counting, and free sides of reshapes", async () => {
    const image = g.input("image", ["batch", 7, 6, 2]);
    const pads = [
      [1, 0],
      [1, 2],
    ] as const;
    const pooled = g.avgPool(image, { size: [2, 3], strides: [2, 2], padding: pads });
    const outputs = { pooled, rows: g.reshape(image, [0, -1, 2]) };
    const place = join(mkdtempSync(join(tmpdir(), "faceid-pools-")), "1");
    await writeSavedModel(place, {
      signatures: { a: { inputs: { image }, outputs } },
      parameters: new Map(),
    });
    const inputs = new Map([["image", noise(3, 7, 6, 2)]]);
    const expected = evaluate(Object.values(outputs), { inputs });
    const program = await (await readSavedModel(place)).program("a");
    const got = evaluate([program.outputs.pooled!, program.outputs.rows!], { inputs });
    expect(program.outputs.rows!.shape).toEqual(["batch", 42, 2]);
    for (const i of [0, 1]) expect(floats(got[i]!)).toBeAllClose(floats(expected[i]!), { absolute: 1e-6 });
    const open = g.input("image", ["batch", "height", 6, 2]);
    const free = { pooled: g.avgPool(open, { size: [2, 3], padding: pads }) };
    const content = { signatures: { a: { inputs: { image: open }, outputs: free } }, parameters: new Map() };
    expect(() => buildSavedModel(content)).toThrow("on an image of unknown size cannot be exported");
  });

  it("holds convolutions in forms that TensorFlow computes without oneDNN", async () => {
    const image = g.input("image", ["batch", 9, 8, 4]);
    const weight = (...shape: number[]) => g.constant(noise(...shape));
    const outputs = {
      apart: g.add(g.conv2d(image, weight(3, 3, 1, 4), { groups: 4, dilations: [2, 2] }), weight(4)),
      uneven: g.add(g.conv2d(image, weight(3, 3, 1, 8), { groups: 4, strides: [2, 1] }), weight(8)),
      grouped: g.add(g.conv2d(image, weight(3, 3, 2, 6), { groups: 2 }), weight(6)),
      wide: g.makeNode("conv2dInputGrad", [image, weight(3, 2, 5, 4)], {
        ...{ strides: [2, 1], dilations: [1, 3], padding: "same", groups: 1 },
        inputSize: [18, 8],
      }),
    };
    const signatures = { a: { inputs: { image }, outputs } };
    const nodes = buildSavedModel({ signatures, parameters: new Map() }).metaGraphs[0]!.graphDef!.node;
    const count = (op: string) => nodes.filter((node) => node.op === op).length;
    // Its kernels of depthwise convolutions know neither dilations nor unequal strides, fused ones no groups.
    expect([count("DepthwiseConv2dNative"), count("BiasAdd"), count("Conv2D")]).toEqual([0, 0, 3]);
    expect(nodes.find(({ op }) => op === "Conv2DBackpropInput")!.attr).not.toHaveProperty("dilations");
    const place = join(mkdtempSync(join(tmpdir(), "faceid-windows-")), "1");
    await writeSavedModel(place, { signatures, parameters: new Map() });
    const inputs = new Map([["image", noise(2, 9, 8, 4)]]);
    const expected = evaluate(Object.values(outputs), { inputs });
    const program = await (await readSavedModel(place)).program("a");
    for (const [i, name] of Object.keys(outputs).entries()) {
      const [got] = evaluate([program.outputs[name]!], { inputs });
      expect(floats(got!), name).toBeAllClose(floats(expected[i]!), { absolute: 1e-5 });
    }
  });

  it("holds a convolution of one channel and one column in a form that TensorFlow computes with oneDNN", async () => {
    const image = g.input("image", ["batch", 9, 7, 1]);
    const conv = (height: number, width: number, attrs: object) =>
      g.conv2d(image, g.constant(noise(height, width, 1, 3)), {
        strides: [1, 3],
        padding: "valid",
        ...attrs,
      });
    const outputs = {
      valid: conv(4, 5, {}),
      exact: conv(1, 7, {}),
      dilated: conv(2, 3, { dilations: [2, 3] }),
      same: conv(3, 4, { padding: "same", strides: [1, 7] }),
      margins: conv(3, 8, {
        padding: [
          [2, 0],
          [1, 1],
        ],
      }),
    };
    const place = join(mkdtempSync(join(tmpdir(), "faceid-column-")), "1");
    const content = { signatures: { a: { inputs: { image }, outputs } }, parameters: new Map() };
    await writeSavedModel(place, content);
    const written = await readSavedModel(place);
    const inputs = new Map([["image", noise(2, 9, 7, 1)]]);
    const { outputs: read } = await written.program("a");
    for (const [name, node] of Object.entries(outputs)) {
      const [expected] = evaluate([node], { inputs });
      const [got] = evaluate([read[name]!], { inputs });
      expect(got!.shape, name).toEqual(expected!.shape);
      expect(floats(got!), name).toBeAllClose(floats(expected!), { absolute: 1e-5 });
    }
    const nodes = buildSavedModel(content).metaGraphs[0]!.graphDef!.node;
    const convs = nodes.filter(({ op }) => op === "Conv2D");
    const strides = convs.map(({ attr: { strides: each } }) => String(JSON.stringify(each?.value, String)));
    expect(convs).toHaveLength(5);
    expect(new Set(strides).size).toBe(1);
  });

  it("is never written over", async () => {
    const content = { signatures: { serving_default: { inputs: { image: x }, outputs: { y } } }, parameters };
    await expect(writeSavedModel(folder, content)).rejects.toMatchObject({ code: "FILE_INVALID" });
  });

  it("stores shared weights once", () => {
    const one = buildSavedModel({ signatures: { a: { inputs: { image: x }, outputs: { y } } }, parameters });
    const two = buildSavedModel({
      signatures: {
        a: { inputs: { image: x }, outputs: { y } },
        b: { inputs: { image: x }, outputs: { z: g.neg(y) } },
      },
      parameters,
    });
    const bytes = (model: typeof one) => toBinary(SavedModelSchema, model).length;
    expect(bytes(two) - bytes(one)).toBeLessThan(500);
  });

  it("stores large constants in half precision where that is asked for, and computes with them in float32", async () => {
    const image = g.input("image", ["batch", 6, 6, 64]);
    const values = new Map([
      ["kernel", noise(3, 3, 64, 8)],
      ["depthwise", noise(3, 3, 1, 64)],
      ["bias", noise(8)],
      [
        "large",
        float32(
          [256],
          Float32Array.from({ length: 256 }, (_, i) => 1e5 + i),
        ),
      ],
      [
        "tiny",
        float32(
          [256],
          Float32Array.from({ length: 256 }, (_, i) => 1e-6 * i),
        ),
      ],
    ]);
    const weight = (name: string) => g.parameter(name, values.get(name)!.shape);
    const deep = g.conv2d(image, weight("depthwise"), { groups: 64 });
    const y = g.add(g.conv2d(deep, weight("kernel")), weight("bias"));
    const sum = g.add(weight("large"), weight("tiny"));
    const content = {
      signatures: { a: { inputs: { image }, outputs: { y, both: g.add(g.reduceMean(image), sum) } } },
      parameters: values,
    };
    const place = join(mkdtempSync(join(tmpdir(), "faceid-halves-")), "1");
    await writeSavedModel(place, { ...content, weights: "float16" });
    const read = await readSavedModel(place);
    const stored = read.graph.node.filter(({ op, attr }) => {
      const type = attr.dtype?.value;
      return op === "Const" && type?.case === "type" && type.value === DataType.DT_HALF;
    });
    expect(stored.map(({ name }) => name).toSorted()).toEqual(["depthwise/half", "kernel/half"]);
    const program = await read.program("a");
    const inputs = new Map([["image", noise(2, 6, 6, 64)]]);
    const [expected] = evaluate([y], { inputs, parameters: values });
    const [got] = evaluate([program.outputs.y!], { inputs });
    const largest = Math.max(...floats(expected!).map(Math.abs));
    expect(floats(got!)).toBeAllClose(floats(expected!), { absolute: largest / 500 });
    expect(floats(got!)).not.toBeAllClose(floats(expected!), { absolute: largest / 1e6 });
    const sizes = (["float32", "float16"] as const).map(
      (weights) => toBinary(SavedModelSchema, buildSavedModel({ ...content, weights })).length,
    );
    expect(sizes[0]! - sizes[1]!).toBeGreaterThan(2 * (3 * 3 * 64 * 9) - 300);
    await expect(
      Promise.resolve(evaluate([program.outputs.both!], { inputs })).then(([both]) => floats(both!)[255]),
    ).resolves.toBeCloseTo(1e5 + 255, 0);
  });

  it("refuses ops that only training makes", () => {
    const grad = g.makeNode("reluGrad", [x, x], {});
    const content = { signatures: { a: { inputs: { image: x }, outputs: { grad } } }, parameters: new Map() };
    expect(() => buildSavedModel(content)).toThrow("belongs to training");
  });

  it("is refused with one clear error however it is damaged", async () => {
    const bytes = readFileSync(join(folder, "saved_model.pb"));
    const damaged = mkdtempSync(join(tmpdir(), "faceid-damaged-"));
    const attempt = async (content: Uint8Array) => {
      writeFileSync(join(damaged, "saved_model.pb"), content);
      try {
        const model = await readSavedModel(damaged);
        for (const name of model.signatures.keys()) await model.program(name);
      } catch (error) {
        expect(error).toBeInstanceOf(FaceError);
      }
    };
    for (const share of [0, 0.1, 0.5, 0.9, 0.99])
      await attempt(bytes.subarray(0, Math.floor(bytes.length * share)));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (edits) => {
          const changed = Uint8Array.from(bytes);
          for (const [at, value] of edits) changed[at] = value;
          await attempt(changed);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("names everything it cannot read, and circles", async () => {
    const model = buildSavedModel({
      signatures: { a: { inputs: { image: x }, outputs: { y } } },
      parameters,
    });
    const graph = model.metaGraphs[0]!.graphDef!;
    const put = async () => {
      const place = mkdtempSync(join(tmpdir(), "faceid-odd-"));
      writeFileSync(join(place, "saved_model.pb"), toBinary(SavedModelSchema, model));
      return (await readSavedModel(place)).program("a");
    };
    const relu = graph.node.find((node) => node.op === "Relu")!;
    relu.op = "FancyRelu";
    await expect(put()).rejects.toThrow(`FancyRelu (${relu.name})`);
    relu.op = "Relu";
    const conv = graph.node.find((node) => node.op === "BiasAdd")!;
    conv.input[0] = relu.name;
    await expect(put()).rejects.toThrow("cycle");
  });

  it("says which tags there are when the wanted ones are not", async () => {
    const place = mkdtempSync(join(tmpdir(), "faceid-tags-"));
    const model = create(SavedModelSchema, {
      metaGraphs: [{ metaInfoDef: { tags: ["train"] }, graphDef: {} }],
    });
    writeFileSync(join(place, "saved_model.pb"), toBinary(SavedModelSchema, model));
    await expect(readSavedModel(place)).rejects.toThrow("there are { train }");
    await expect(readSavedModel(join(place, "nowhere"))).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
  });
});
