/** @file Requests on the wire become the tensors that protobuf's own reader gives, and answers the messages that it reads. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { examplesOf } from "../../../test/support/attacks.ts";
import { halfPlusTwo } from "../../../test/support/servables.ts";
import { type DType, float32, type Tensor, tensor } from "../../base/tensor.ts";
import { collectGarbage } from "../../base/worker.ts";
import { DataType, TensorProtoSchema, TensorShapeProtoSchema } from "../../proto/tensorflow/tensor_pb.ts";
import {
  PredictRequestSchema,
  PredictResponseSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { dataTypeOf, tensorFromProto, tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import { JsonCodec } from "../json/codec.ts";
import { MemoryBudget } from "../memory-budget.ts";
import { RequestMemory } from "../request-memory.ts";
import { predictRpc } from "./prediction-service.ts";
import { RequestBytes } from "./request-bytes.ts";
import { readExamplesMessage, readPredictMessage } from "./request-messages.ts";
import { predictResponse } from "./response-messages.ts";
import { planTensor } from "./tensor-message.ts";
import { countFields } from "./wire.ts";

const codec = new JsonCodec({ workers: 1, maxQueued: 8 });
afterAll(() => codec[Symbol.asyncDispose]());

async function read(message: Uint8Array, memory = new RequestMemory()): Promise<Tensor> {
  const plan = planTensor(message, [[0, message.length]], {}, countFields());
  return (await codec.readTensors(message, new Map([["x", plan]]), { memory })).get("x")!;
}

/** A varint field of this number, one byte long, many times: `packed` in one list. */
function many(field: number, count: number, value: number): Uint8Array {
  const shape = toBinary(TensorShapeProtoSchema, create(TensorShapeProtoSchema, { dim: [{ size: 2n }] }));
  const length: number[] = [];
  for (let rest = count; ; rest = Math.floor(rest / 128)) {
    length.push(rest > 127 ? (rest % 128) | 128 : rest);
    if (rest <= 127) break;
  }
  const tag = field * 8 + 2;
  const tags = tag > 127 ? [(tag & 127) | 128, tag >> 7] : [tag];
  return Buffer.concat([
    Uint8Array.of(0x12, shape.length),
    shape,
    Uint8Array.from([...tags, ...length]),
    Buffer.alloc(count, value),
  ]);
}

const NUMBERS: readonly DType[] = [
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "bool",
];

describe("tensors on the wire", () => {
  it.each(NUMBERS)("of type %s are read and written as protobuf does", async (dtype) => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(
        bytes,
        fc.boolean(),
        fc.integer({ min: 0, max: 12 }),
        async (given, asContent, more) => {
          const whole = new Uint8Array(Math.ceil(given.length / 8) * 8);
          whole.set(dtype === "bool" ? given.map((each) => each % 2) : given);
          const width =
            { float64: 8, int64: 8, uint64: 8, float32: 4, int32: 4, uint32: 4 }[dtype as "int32"] ?? 2;
          const size =
            dtype === "int8" || dtype === "uint8" || dtype === "bool" ? whole.length : whole.length / width;
          const value = tensorFromProto(
            create(TensorProtoSchema, {
              dtype: dataTypeOf(dtype),
              tensorShape: { dim: [{ size: BigInt(size) }] },
              tensorContent: whole,
            }),
          );
          const proto = tensorToProto(value, { asContent });
          expect(await read(toBinary(TensorProtoSchema, proto))).toEqual(value);
          const answered = { name: "m", version: 1n, signatureName: "s" };
          const response = predictResponse(new Map([["y", value]]), answered, asContent);
          const known = fromBinary(PredictResponseSchema, response);
          expect(known.outputs.y).toEqual(fromBinary(TensorProtoSchema, toBinary(TensorProtoSchema, proto)));
          expect(known.modelSpec).toMatchObject({ name: "m", signatureName: "s" });
          // A shorter list repeats its last value, the rest of a longer one is ignored.
          proto.tensorShape!.dim[0]!.size = BigInt(more);
          if (!asContent)
            expect(await read(toBinary(TensorProtoSchema, proto))).toEqual(tensorFromProto(proto));
        },
      ),
      { numRuns: 30 },
    );
  });

  it("of strings are read as protobuf does, few and many", async () => {
    for (const size of [0, 3, 40_000]) {
      const data = Array.from({ length: size }, (_, i) => Buffer.from(`text ${i}`));
      const value = tensor(
        "string",
        [size],
        data.map((each) => new Uint8Array(each)),
      );
      const told = await read(toBinary(TensorProtoSchema, tensorToProto(value)));
      expect((told.data as Uint8Array[]).map((each) => Buffer.from(each).toString())).toEqual(
        data.map(String),
      );
    }
  });

  it.each([
    ["bool_val", 11, DataType.DT_BOOL, 1],
    ["int_val", 7, DataType.DT_UINT8, 1],
    ["int64_val", 10, DataType.DT_INT64, 8],
    ["half_val", 13, DataType.DT_HALF, 2],
    ["uint32_val", 16, DataType.DT_UINT32, 4],
  ])("may list millions of values more than their shape takes: %s", async (_, field, dtype, width) => {
    const message = Buffer.concat([Uint8Array.of(8, dtype), many(field, 20_000_000, 1)]);
    const memory = new RequestMemory();
    const told = await read(message, memory);
    expect(told.shape).toEqual([2]);
    expect((told.data as Uint8Array).byteLength).toBe(2 * width);
    expect(Number(told.data[1])).toBe(1);
  });

  it("may have no elements and many rows, up to a limit", async () => {
    const empty = (...shape: number[]) =>
      toBinary(
        TensorProtoSchema,
        create(TensorProtoSchema, {
          dtype: DataType.DT_FLOAT,
          tensorShape: { dim: shape.map((side) => ({ size: BigInt(side) })) },
        }),
      );
    for (const shape of [[0], [0, 1024, 1024, 3], [2 ** 25, 0]]) {
      expect(await read(empty(...shape))).toEqual({ dtype: "float32", shape, data: new Float32Array(0) });
    }
    for (const shape of [
      [2 ** 40, 0],
      [0, 2 ** 26],
      [2 ** 62, 2 ** 62, 0],
      [0, ...Array.from({ length: 253 }, () => 2 ** 62)],
    ]) {
      await expect(read(empty(...shape))).rejects.toThrow(
        "has no elements, but its other sides make more than",
      );
    }
  });

  it("leaves the event loop to others while many examples are found, and stops when the client leaves", async () => {
    const request = examplesOf("half", "", 300_000);
    let turns = 0;
    let isOver = false;
    const watch = () => {
      turns++;
      if (!isOver) setImmediate(watch);
    };
    watch();
    const { examples, modelSpec } = await readExamplesMessage(request, false);
    isOver = true;
    expect(modelSpec!.name).toBe("half");
    expect(examples).toHaveLength(300_000);
    expect(turns).toBeGreaterThan(50);
    const left = new AbortController();
    const reading = readExamplesMessage(request, false, left.signal);
    left.abort(new Error("gone"));
    await expect(reading).rejects.toThrow("gone");
  });

  it("are refused where a list of another type, or names, hold millions of values", async () => {
    const unpacked = Buffer.alloc(4_000_000, Uint8Array.of(11 * 8, 1));
    expect(() => planTensor(unpacked, [[0, unpacked.length]], {}, countFields())).toThrow(
      "outside of packed",
    );
    const filters = Buffer.alloc(4_000_000, Uint8Array.of(0x1a, 0));
    expect(() => readPredictMessage(filters)).toThrow("The request holds more than 4096 names.");
    const examples = Buffer.concat([
      Uint8Array.of(0x12, 0x85, 0x92, 0xf4, 0x01, 0x0a, 0x80, 0x92, 0xf4, 0x01),
      Buffer.alloc(4_000_000, Uint8Array.of(0x0a, 0)),
    ]);
    await expect(readExamplesMessage(examples, false)).rejects.toThrow(
      "The request holds more than 524288 strings.",
    );
  });

  it("are counted before they are made", async () => {
    const proto = create(TensorProtoSchema, {
      dtype: DataType.DT_FLOAT,
      tensorShape: { dim: [{ size: 40_000_000n }] },
      floatVal: [1],
    });
    const memory = new RequestMemory(new MemoryBudget(100 * 2 ** 20));
    await expect(read(toBinary(TensorProtoSchema, proto), memory)).rejects.toMatchObject({
      status: "RESOURCE_EXHAUSTED",
      message: expect.stringContaining("than all requests together may hold, 104857600 bytes"),
    });
  });

  it.each([
    ["cut off", Uint8Array.of(0x12, 5, 1)],
    ["a group", Uint8Array.of(0x0b)],
    ["field 0", Uint8Array.of(0)],
    ["an endless number", new Uint8Array(12).fill(0xff)],
  ])("are refused when the message is broken: %s", (_, bytes) => {
    expect(() => readPredictMessage(bytes)).toThrow("Error deserializing request");
  });
});

it("a request is answered from its bytes", async () => {
  const x = float32(
    [3000],
    Array.from({ length: 3000 }, (_, i) => i),
  );
  const request = create(PredictRequestSchema, {
    modelSpec: { name: "m" },
    inputs: { x: tensorToProto(x, { asContent: true }) },
  });
  const servable = halfPlusTwo({ name: "m", version: 1n });
  const models = { acquire: () => ({ servable, [Symbol.dispose]: () => undefined }) };
  const context = { models, codec, asTensorContent: true, limits: {} };
  const answer = await predictRpc(context, new RequestBytes(toBinary(PredictRequestSchema, request)), {});
  const { outputs } = fromBinary(PredictResponseSchema, answer);
  expect(tensorFromProto(outputs.y!).data).toEqual(x.data.map((value) => value / 2 + 2));
});

it("a request that waits for its run keeps the tensors, not the message", async () => {
  let begin = () => {};
  let end = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const half = halfPlusTwo({ name: "m", version: 1n });
  const servable = {
    ...half,
    run: async (...call: Parameters<typeof half.run>) => {
      begin();
      await ended;
      return half.run(...call);
    },
  };
  const models = { acquire: () => ({ servable, [Symbol.dispose]: () => undefined }) };
  const context = { models, codec, asTensorContent: true, limits: {} };
  const request = create(PredictRequestSchema, {
    modelSpec: { name: "m" },
    inputs: { x: tensorToProto(float32([3000], new Float32Array(3000)), { asContent: true }) },
  });
  const sent = new RequestBytes(toBinary(PredictRequestSchema, request));
  const message = new WeakRef(sent.bytes);
  const answer = predictRpc(context, sent, {});
  await begun;
  // A reference that was read keeps its object to the end of the turn.
  await nextTurn();
  collectGarbage();
  expect(message.deref()).toBeUndefined();
  expect(() => sent.bytes).toThrow(/internal: a request was read twice/);
  end();
  expect((await answer).length).toBeGreaterThan(12_000);
});

it.each([
  [DataType.DT_COMPLEX64, "complex64"],
  [DataType.DT_COMPLEX128, "complex128"],
  [DataType.DT_QINT8, "qint8"],
])("an input of a type that no model takes is refused in TensorFlow's words: %i", async (dtype, text) => {
  const servable = halfPlusTwo({ name: "m", version: 1n });
  const models = { acquire: () => ({ servable, [Symbol.dispose]: () => undefined }) };
  const context = { models, codec, asTensorContent: true, limits: {} };
  const ask = (alias: string) => {
    const proto = create(TensorProtoSchema, { dtype, tensorShape: { dim: [{ size: 1n }] } });
    const request = create(PredictRequestSchema, { modelSpec: { name: "m" }, inputs: { [alias]: proto } });
    return predictRpc(context, new RequestBytes(toBinary(PredictRequestSchema, request)), {});
  };
  await expect(ask("x")).rejects.toMatchObject({
    status: "INVALID_ARGUMENT",
    message: `Expects arg[0] to be float but ${text} is provided (input alias: x)`,
  });
  await expect(ask("z")).rejects.toMatchObject({ message: "tensor parsing error: z" });
});
