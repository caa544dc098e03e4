/** @file Tensors in every encoding of TensorFlow, read and written. */
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float32, tensor } from "../../base/tensor.ts";
import { DataType, TensorProtoSchema } from "../../proto/tensorflow/tensor_pb.ts";
import { dataTypeText, dtypeOf, tensorFromProto, tensorToProto } from "./tensor-proto.ts";

const shape = (...sides: number[]) => ({ dim: sides.map((side) => ({ size: BigInt(side) })) });

describe("tensorFromProto", () => {
  it("reads packed bytes, aligned or not", () => {
    const bytes = new Uint8Array(new Float32Array([1.5, -2]).buffer);
    const shifted = new Uint8Array(9);
    shifted.set(bytes, 1);
    for (const tensorContent of [bytes, shifted.subarray(1)]) {
      const proto = create(TensorProtoSchema, {
        dtype: DataType.DT_FLOAT,
        tensorShape: shape(2),
        tensorContent,
        floatVal: [9, 9],
      });
      expect(tensorFromProto(proto)).toEqual(float32([2], [1.5, -2]));
    }
  });

  it("repeats the last value of a short list, ignores what is too much, and takes defaults for an empty one", () => {
    const read = (floatVal: number[]) =>
      tensorFromProto(
        create(TensorProtoSchema, { dtype: DataType.DT_FLOAT, tensorShape: shape(3), floatVal }),
      );
    expect(read([1, 2]).data).toEqual(Float32Array.of(1, 2, 2));
    expect(read([1, 2, 3, 4]).data).toEqual(Float32Array.of(1, 2, 3));
    expect(read([]).data).toEqual(Float32Array.of(0, 0, 0));
    const strings = create(TensorProtoSchema, {
      dtype: DataType.DT_STRING,
      tensorShape: shape(2),
      stringVal: [Uint8Array.of(65)],
    });
    expect(tensorFromProto(strings).data).toEqual([Uint8Array.of(65), Uint8Array.of(65)]);
  });

  it("reads a missing shape as a scalar, and tensors of no elements", () => {
    expect(tensorFromProto(create(TensorProtoSchema, { dtype: DataType.DT_BOOL, boolVal: [true] }))).toEqual(
      tensor("bool", [], Uint8Array.of(1)),
    );
    const empty = create(TensorProtoSchema, { dtype: DataType.DT_INT64, tensorShape: shape(0, 3) });
    expect(tensorFromProto(empty).data).toHaveLength(0);
  });

  it("reads strings packed as lengths and bytes", () => {
    const proto = create(TensorProtoSchema, {
      dtype: DataType.DT_STRING,
      tensorShape: shape(3),
      tensorContent: Uint8Array.of(1, 0, 2, 65, 66, 67),
    });
    expect(tensorFromProto(proto).data).toEqual([Uint8Array.of(65), Uint8Array.of(), Uint8Array.of(66, 67)]);
  });

  it.each([
    [{ dtype: DataType.DT_INVALID }, "INVALID"],
    [{ dtype: DataType.DT_COMPLEX64 }, "complex64"],
    [{ dtype: DataType.DT_FLOAT, tensorShape: shape(-1) }, "known"],
    [{ dtype: DataType.DT_FLOAT, tensorShape: { unknownRank: true } }, "unknown rank"],
    [{ dtype: DataType.DT_FLOAT, tensorShape: shape(1 << 20, 1 << 20) }, "limit"],
    [{ dtype: DataType.DT_FLOAT, tensorShape: shape(2), tensorContent: new Uint8Array(7) }, "8 bytes"],
    [{ dtype: DataType.DT_STRING, tensorShape: shape(2), tensorContent: new Uint8Array(1) }, "too early"],
  ])("refuses %o", (init, message) => {
    expect(() => tensorFromProto(create(TensorProtoSchema, init))).toThrow(message);
  });
});

describe("tensorToProto", () => {
  it("is read back unchanged in both encodings, whatever the type", () => {
    const cases = fc.oneof(
      fc.float32Array().map((data) => tensor("float32", [data.length], data)),
      fc.float64Array().map((data) => tensor("float64", [data.length], data)),
      fc.uint16Array().map((data) => tensor("float16", [data.length], data)),
      fc.int8Array().map((data) => tensor("int8", [data.length], data)),
      fc.int32Array().map((data) => tensor("int32", [1, data.length], data)),
      fc.uint32Array().map((data) => tensor("uint32", [data.length], data)),
      fc.bigInt64Array().map((data) => tensor("int64", [data.length], data)),
      fc.bigUint64Array().map((data) => tensor("uint64", [data.length], data)),
      fc.array(fc.uint8Array()).map((data) => tensor("string", [data.length], data)),
    );
    fc.assert(
      fc.property(cases, fc.boolean(), (value, asContent) => {
        expect(tensorFromProto(tensorToProto(value, { asContent }))).toEqual(value);
      }),
    );
  });
});

describe("element types", () => {
  it("names them as TensorFlow does, and sees through references", () => {
    expect([DataType.DT_FLOAT, DataType.DT_HALF, DataType.DT_STRING].map(dataTypeText)).toEqual([
      "float",
      "half",
      "string",
    ]);
    expect(dtypeOf(DataType.DT_FLOAT_REF)).toBe("float32");
    expect(dtypeOf(DataType.DT_COMPLEX64)).toBeUndefined();
  });
});
