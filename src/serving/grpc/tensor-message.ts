/** @file TensorProto on the wire: planned without growing, then read into typed arrays; and written from them. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { bytesOf, bytesPerElement, type DType, type NumericDType, type Tensor } from "../../base/tensor.ts";
import { DataType, TensorProtoSchema } from "../../proto/tensorflow/tensor_pb.ts";
import type { TensorLimits } from "../../savedmodel/format/tensor-proto.ts";
import {
  dataTypeText,
  dtypeOf,
  stringsFromContent,
  tensorHead,
  tensorToProto,
} from "../../savedmodel/format/tensor-proto.ts";
import type { TensorMemory } from "../request-memory.ts";
import { StatusError } from "../status.ts";
import type { FieldCount, Range } from "./wire.ts";
import {
  blockSize,
  countFields,
  unreadable,
  varint64Size,
  varintSize,
  Wire,
  WireType,
  WireWriter,
} from "./wire.ts";

const FIELD = { dtype: 1, shape: 2, version: 3, content: 4 } as const;

/** The list of each element type, and how its values are encoded. */
const LISTS: { readonly [D in DType]: readonly [field: number, type: number] } = {
  float32: [5, WireType.fixed32],
  float64: [6, WireType.fixed64],
  float16: [13, WireType.varint],
  bfloat16: [13, WireType.varint],
  int8: [7, WireType.varint],
  int16: [7, WireType.varint],
  int32: [7, WireType.varint],
  int64: [10, WireType.varint],
  uint8: [7, WireType.varint],
  uint16: [7, WireType.varint],
  uint32: [16, WireType.varint],
  uint64: [17, WireType.varint],
  bool: [11, WireType.varint],
  string: [8, WireType.bytes],
};

/** More than any shape of at most 254 sides takes. */
const LONGEST_SHAPE = 2 ** 16;
/** What a string takes beside its bytes. */
export const STRING_BYTES = 128;

/** An input of a type that TensorFlow has and no model here takes, such as `complex64`. */
export class ForeignType extends StatusError {
  readonly typeText: string;

  constructor(typeText: string) {
    super("INVALID_ARGUMENT", `tensors of ${typeText} are not supported`);
    this.typeText = typeText;
  }
}

/** Where a tensor lies in a message, and what it will take. */
export interface TensorPlan {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly size: number;
  /** The message itself; several where a client sends it in parts. */
  readonly parts: readonly Range[];
  /** `tensor_content`, if it is not empty. */
  readonly content: Range | undefined;
  /** The field of the list of values in the message. */
  readonly list: number;
  /** Bytes in memory. */
  readonly bytes: number;
}

/**
 * Reads type and shape, and checks the form of all fields.
 * @throws ForeignType; FaceError `SHAPE_MISMATCH` for a type or shape that cannot be read, StatusError `INTERNAL` for a broken message.
 */
export function planTensor(
  bytes: Uint8Array,
  parts: readonly Range[],
  limits: TensorLimits,
  count: FieldCount,
): TensorPlan {
  let content: Range | undefined;
  const head: Uint8Array[] = [];
  for (const part of parts) {
    const wire = new Wire(bytes, part, count);
    for (let start = wire.at; wire.next(); start = wire.at) {
      const { field } = wire;
      if (field === FIELD.content) content = wire.range();
      else {
        wire.skip();
        if (field <= FIELD.version) head.push(bytes.subarray(start, wire.at));
      }
      if (field === FIELD.shape && wire.at - start > LONGEST_SHAPE) throw unreadable();
    }
  }
  if (content !== undefined && content[0] === content[1]) content = undefined;
  const proto = parsed(head);
  const isForeign = proto.dtype !== DataType.DT_INVALID && DataType[proto.dtype] !== undefined;
  if (isForeign && dtypeOf(proto.dtype) === undefined) throw new ForeignType(dataTypeText(proto.dtype));
  const { dtype, shape, size } = tensorHead(proto, limits);
  const width = dtype === "string" ? STRING_BYTES : bytesPerElement(dtype);
  return { dtype, shape, size, parts, content, list: LISTS[dtype][0], bytes: size * width };
}

function parsed(head: readonly Uint8Array[]) {
  try {
    return fromBinary(TensorProtoSchema, Buffer.concat(head), { readUnknownFields: false });
  } catch {
    throw unreadable();
  }
}

/** Bytes that reading takes time for: what is copied as a whole does not count. */
export function workOf({ dtype, content, parts }: TensorPlan): number {
  if (dtype === "string") return 0;
  if (content !== undefined || LISTS[dtype][1] !== WireType.varint) return 0;
  return parts.reduce((sum, [start, end]) => sum + end - start, 0);
}

/**
 * Reads a tensor as planned. A shorter list repeats its last value, the rest of a longer one is ignored.
 * @param memory for numbers.
 * @throws FaceError `SHAPE_MISMATCH` where `tensor_content` has another length.
 */
export function readTensor(bytes: Uint8Array, plan: TensorPlan, memory: TensorMemory): Tensor {
  const { dtype, shape, size } = plan;
  if (dtype === "string") return { dtype, shape, data: readStrings(bytes, plan) };
  if (plan.content !== undefined) return memory.fromBytes(dtype, shape, bytes.subarray(...plan.content));
  const data = memory.array(dtype, size);
  const given = fillFromLists(bytes, plan, dtype, data as Uint8Array);
  if (given < size)
    (data as Float32Array).fill(given > 0 ? (data[given - 1]! as number) : zeroOf(dtype), given);
  return { dtype, shape, data } as Tensor;
}

const zeroOf = (dtype: NumericDType) => (dtype === "int64" || dtype === "uint64" ? (0n as never) : 0);

function readStrings(bytes: Uint8Array, { size, parts, content, list }: TensorPlan): Uint8Array[] {
  if (content !== undefined) return stringsFromContent(bytes.subarray(...content), size);
  const strings: Uint8Array[] = [];
  const count = countFields();
  for (const part of parts) {
    const wire = new Wire(bytes, part, count);
    while (wire.next()) {
      if (wire.field !== list) wire.skip();
      else {
        const range = wire.range();
        if (strings.length < size) strings.push(bytes.subarray(...range));
      }
    }
  }
  const last = strings.at(-1) ?? new Uint8Array(0);
  while (strings.length < size) strings.push(last);
  return strings;
}

/** @returns the number of values in the message, at most the capacity of the target. */
function fillFromLists(bytes: Uint8Array, plan: TensorPlan, dtype: NumericDType, data: Uint8Array): number {
  const type = LISTS[dtype][1];
  const fill = type === WireType.varint ? varintFiller(dtype, data) : fixedFiller(dtype, data);
  let given = 0;
  const count = countFields();
  for (const part of plan.parts) {
    const wire = new Wire(bytes, part, count);
    while (wire.next() && given < plan.size) {
      if (wire.field !== plan.list) wire.skip();
      else if (wire.type === WireType.bytes) {
        given = fill(new Wire(bytes, wire.range(), count), given);
      } else if (wire.type === type) {
        const { at } = wire;
        wire.skip();
        given = fill(new Wire(bytes, [at, wire.at], count), given);
      } else throw unreadable();
    }
  }
  return given;
}

type Filler = (wire: Wire, from: number) => number;

/** Copies values of four or eight bytes. */
function fixedFiller(dtype: NumericDType, data: Uint8Array): Filler {
  const width = bytesPerElement(dtype);
  const target = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return ({ bytes, at, end }, from) => {
    if ((end - at) % width !== 0) throw unreadable();
    const count = Math.min((end - at) / width, data.length - from);
    if (count > 0) target.fill(bytes.subarray(at, at + count * width), from * width, (from + count) * width);
    return from + count;
  };
}

function varintFiller(dtype: NumericDType, data: Uint8Array): Filler {
  if (dtype === "int64" || dtype === "uint64") {
    const halves = new Uint32Array(data.buffer, data.byteOffset, data.length * 2);
    return (wire, from) => {
      let at = from;
      for (; wire.at < wire.end && at < data.length; at++) {
        wire.varint();
        halves[2 * at] = wire.low;
        halves[2 * at + 1] = wire.high;
      }
      return at;
    };
  }
  const isBool = dtype === "bool";
  return (wire, from) => {
    let at = from;
    for (; wire.at < wire.end && at < data.length; at++) {
      wire.varint();
      data[at] = isBool ? Number(wire.low !== 0 || wire.high !== 0) : wire.low | 0;
    }
    return at;
  };
}

/** A tensor as a TensorProto message, every value written out in a packed list, or as packed bytes. */
export function tensorMessage(value: Tensor, asContent: boolean): Uint8Array {
  const { dtype, shape, data } = value;
  if (dtype === "string") return toBinary(TensorProtoSchema, tensorToProto(value));
  const head = toBinary(TensorProtoSchema, tensorToProto({ dtype, shape, data: data.slice(0, 0) } as Tensor));
  if (data.length === 0) return head;
  const numbers = value as Tensor<NumericDType>;
  return asContent
    ? withBlock(head, FIELD.content, bytesOf(numbers))
    : packedList(numbers, LISTS[dtype][0], head);
}

/** A field of bytes behind the other fields of a message. */
function withBlock(head: Uint8Array, field: number, content: Uint8Array): Uint8Array {
  const writer = new WireWriter(head.length + blockSize(field, content.length));
  writer.raw(head);
  writer.block(field, content);
  return writer.bytes;
}

/** A tensor's values as a packed list, behind the other fields of a message. */
export function packedList(value: Tensor<NumericDType>, field: number, head: Uint8Array): Uint8Array {
  if (LISTS[value.dtype][1] !== WireType.varint) return withBlock(head, field, bytesOf(value));
  const length = varintsLength(value);
  const writer = new WireWriter(head.length + blockSize(field, length));
  writer.raw(head);
  writer.tag(field, WireType.bytes);
  writer.varint(length);
  writeVarints(value, writer);
  return writer.bytes;
}

/** Negative numbers of up to 32 bits take ten bytes, as numbers of 64 bits. */
const NEGATIVE_BYTES = 10;

function halvesOf({ dtype, data }: Tensor<NumericDType>): Uint32Array | undefined {
  if (dtype !== "int64" && dtype !== "uint64") return undefined;
  return new Uint32Array(data.buffer, data.byteOffset, data.length * 2);
}

function varintsLength(value: Tensor<NumericDType>): number {
  const halves = halvesOf(value);
  let length = 0;
  if (halves !== undefined) {
    for (let i = 0; i < halves.length; i += 2) length += varint64Size(halves[i]!, halves[i + 1]!);
    return length;
  }
  const numbers = value.data as Int32Array;
  for (let i = 0; i < numbers.length; i++) {
    length += numbers[i]! < 0 ? NEGATIVE_BYTES : varintSize(numbers[i]!);
  }
  return length;
}

function writeVarints(value: Tensor<NumericDType>, writer: WireWriter): void {
  const halves = halvesOf(value);
  if (halves !== undefined) {
    for (let i = 0; i < halves.length; i += 2) writer.varint64(halves[i]!, halves[i + 1]!);
    return;
  }
  const numbers = value.data as Int32Array;
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i]!;
    if (number < 0) writer.varint64(number, -1);
    else writer.varint(number);
  }
}
