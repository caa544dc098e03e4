/** @file The infer messages of the Open Inference Protocol on gRPC's wire: names are decoded, tensors are read in place. */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  bytesPerElement,
  type DType,
  type NumericDType,
  type Tensor,
  type TensorMap,
} from "../../base/tensor.ts";
import {
  InferTensorContentsSchema,
  type ModelInferRequest,
  type ModelInferRequest_InferInputTensor,
  ModelInferRequest_InferInputTensorSchema,
  ModelInferRequestSchema,
  ModelInferResponse_InferOutputTensorSchema,
  ModelInferResponseSchema,
} from "../../proto/inference/grpc_service_pb.ts";
import type { TensorLimits } from "../../savedmodel/format/tensor-proto.ts";
import { packedList, readTensor, STRING_BYTES, type TensorPlan } from "../grpc/tensor-message.ts";
import {
  blockSize,
  countFields,
  type FieldCount,
  type Range,
  unreadable,
  Wire,
  WireType,
  WireWriter,
} from "../grpc/wire.ts";
import { MOST_STRINGS, tooManyStrings } from "../json/values.ts";
import type { Answered } from "../repository/catalog.ts";
import type { TensorMemory } from "../request-memory.ts";
import { invalidArgument, StatusError } from "../status.ts";
import { checkedSize, DATATYPES, dtypeNamed, rawBytes, rawStrings, wrongCount } from "./tensors.ts";

/** Fields of the messages that hold elements. */
const FIELD = { inputs: 5, rawInputs: 7, contents: 5, rawOutputs: 6 } as const;
/** The list of `InferTensorContents` for each element type; 16-bit floats are raw bytes only. */
const CONTENTS: { readonly [D in DType]: number | undefined } = {
  bool: 1,
  int8: 2,
  int16: 2,
  int32: 2,
  int64: 3,
  uint8: 4,
  uint16: 4,
  uint32: 4,
  uint64: 5,
  float32: 6,
  float64: 7,
  string: 8,
  float16: undefined,
  bfloat16: undefined,
};
/** Values narrower than the list that carries them. */
const NARROW: ReadonlySet<DType> = new Set(["bool", "int8", "int16", "uint8", "uint16"]);

/** Longest text of all names, shapes and parameters of a message. */
const LONGEST_HEAD = 2 ** 20;
/** More inputs than any model has. */
const MOST_INPUTS = 4096;

/** A request whose tensors are planned. */
export interface InferMessage {
  /** Without its tensors. */
  readonly head: ModelInferRequest;
  readonly plans: ReadonlyMap<string, InferPlan>;
  /** Whether the tensors are raw bytes, so that the answer's are too. */
  readonly isRaw: boolean;
}

/** Where a tensor lies in the message: in a list, or as raw bytes. */
export interface InferPlan extends TensorPlan {
  readonly isRaw: boolean;
}

/** Splits a message into the fields that are decoded and those that are read in place. */
function split(
  bytes: Uint8Array,
  range: Range,
  count: FieldCount,
  inPlace: (wire: Wire) => boolean,
): Uint8Array {
  const head: Uint8Array[] = [];
  let length = 0;
  const wire = new Wire(bytes, range, count);
  for (let start = wire.at; wire.next(); start = wire.at) {
    if (inPlace(wire)) continue;
    wire.skip();
    length += wire.at - start;
    if (length > LONGEST_HEAD) {
      const message = `The names, shapes and parameters of the request take more than ${LONGEST_HEAD} bytes.`;
      throw new StatusError("RESOURCE_EXHAUSTED", message);
    }
    head.push(bytes.subarray(start, wire.at));
  }
  return Buffer.concat(head);
}

function decoded<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D> {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch {
    throw unreadable();
  }
}

/**
 * Reads all but the elements.
 * @throws StatusError `INVALID_ARGUMENT` for tensors that cannot be right, `INTERNAL` for a broken message.
 */
export function readInferMessage(bytes: Uint8Array, limits: TensorLimits): InferMessage {
  const inputs: Range[] = [];
  const raw: Range[] = [];
  const count = countFields();
  const head = split(bytes, [0, bytes.length], count, (wire) => {
    if (wire.field !== FIELD.inputs && wire.field !== FIELD.rawInputs) return false;
    (wire.field === FIELD.inputs ? inputs : raw).push(wire.range());
    if (inputs.length > MOST_INPUTS || raw.length > MOST_INPUTS) {
      throw invalidArgument(`the request has more than ${MOST_INPUTS} inputs`);
    }
    return true;
  });
  const isRaw = raw.length > 0;
  if (isRaw && raw.length !== inputs.length) {
    throw invalidArgument(
      `the request has ${inputs.length} inputs and ${raw.length} raw_input_contents; with raw contents, all inputs have them`,
    );
  }
  const plans = new Map<string, InferPlan>();
  for (const [index, range] of inputs.entries()) {
    const [input, plan] = planInput(bytes, range, raw[index], { limits, count });
    if (plans.has(input.name)) throw invalidArgument(`input "${input.name}" is there twice`);
    plans.set(input.name, plan);
  }
  return { head: decoded(ModelInferRequestSchema, head), plans, isRaw };
}

/** Fields that are looked at for the model's name: clients send it first. */
const FIRST_FIELDS = 1000;
const LONGEST_NAME = 1024;

/** The model's name for the metrics; empty where there is none, or the message is broken. */
export function inferModelNameIn(bytes: Uint8Array): string {
  try {
    const wire = new Wire(bytes, [0, bytes.length], { left: FIRST_FIELDS });
    while (wire.next()) {
      if (wire.field !== 1) wire.skip();
      else {
        const [start, end] = wire.range();
        return Buffer.from(bytes.subarray(start, Math.min(end, start + LONGEST_NAME))).toString("utf8");
      }
    }
  } catch {
    // The call itself answers what is wrong.
  }
  return "";
}

function planInput(
  bytes: Uint8Array,
  range: Range,
  raw: Range | undefined,
  { limits, count }: { readonly limits: TensorLimits; readonly count: FieldCount },
): readonly [ModelInferRequest_InferInputTensor, InferPlan] {
  const parts: Range[] = [];
  const head = split(bytes, range, count, (wire) => {
    if (wire.field !== FIELD.contents) return false;
    parts.push(wire.range());
    return true;
  });
  const input = decoded(ModelInferRequest_InferInputTensorSchema, head);
  const { name } = input;
  const dtype = dtypeNamed(name, input.datatype);
  const shape = input.shape.map(Number);
  const size = checkedSize(name, shape);
  const list = CONTENTS[dtype];
  if (raw === undefined && list === undefined) {
    throw invalidArgument(
      `input "${name}": ${input.datatype} has no list of values; send raw_input_contents`,
    );
  }
  if (raw !== undefined && parts.some(([start, end]) => end > start)) {
    throw invalidArgument(`input "${name}" has values both in contents and in raw_input_contents`);
  }
  if (dtype === "string" && size > MOST_STRINGS) throw tooManyStrings();
  const total = size * (dtype === "string" ? STRING_BYTES : bytesPerElement(dtype));
  if (limits.maxBytes !== undefined && total > limits.maxBytes) {
    throw invalidArgument(`input "${name}" takes ${total} bytes, more than the limit of ${limits.maxBytes}`);
  }
  return [
    input,
    { dtype, shape, size, parts, content: raw, list: list ?? 0, bytes: total, isRaw: raw !== undefined },
  ];
}

/**
 * Reads the elements of a tensor, which must be as many as its shape has and within its type.
 * @throws StatusError `INVALID_ARGUMENT`.
 */
export function readInferTensor(
  input: string,
  bytes: Uint8Array,
  plan: InferPlan,
  memory: TensorMemory,
): Tensor {
  const { dtype, shape, size, content } = plan;
  if (dtype === "string" && content !== undefined) {
    return { dtype, shape, data: rawStrings(input, bytes.subarray(...content), size) };
  }
  if (content !== undefined && content[1] - content[0] !== plan.bytes) {
    throw invalidArgument(
      `input "${input}" takes ${plan.bytes} bytes, but its raw contents have ${content[1] - content[0]}`,
    );
  }
  if (content === undefined) checkList(input, bytes, plan);
  return readTensor(bytes, plan, memory);
}

/** Bytes of each value of a list that are as many for every value. */
const FIXED_BYTES: { readonly [D in DType]?: number } = { float32: 4, float64: 8 };

/** Counts the values of a list, and looks at those that could be too large for their type. */
function checkList(input: string, bytes: Uint8Array, plan: InferPlan): void {
  let given = 0;
  const count = countFields();
  const look = NARROW.has(plan.dtype)
    ? (wire: Wire) => checkNarrow(input, plan.dtype, wire)
    : () => undefined;
  for (const part of plan.parts) {
    const wire = new Wire(bytes, part, count);
    while (wire.next()) {
      if (wire.field !== plan.list) {
        throw invalidArgument(
          `input "${input}" of type ${DATATYPES[plan.dtype]} has values in the list of another type`,
        );
      }
      const isPacked = wire.type === WireType.bytes && plan.dtype !== "string";
      const at = wire.at;
      const values: Range = isPacked ? wire.range() : [at, at];
      if (!isPacked) {
        wire.skip();
        given++;
        if (wire.type === WireType.varint) look(wire);
      } else given += countPacked(bytes, values, plan, count, look);
    }
  }
  if (given !== plan.size) throw wrongCount(input, plan.size, given);
}

function countPacked(
  bytes: Uint8Array,
  range: Range,
  { dtype }: InferPlan,
  count: FieldCount,
  look: (wire: Wire) => void,
): number {
  const width = FIXED_BYTES[dtype];
  if (width !== undefined) return (range[1] - range[0]) / width;
  const wire = new Wire(bytes, range, count);
  let given = 0;
  for (; wire.at < wire.end; given++) {
    wire.varint();
    look(wire);
  }
  return given;
}

function checkNarrow(input: string, dtype: DType, { low, high }: Wire): void {
  if (dtype === "bool") return;
  const bits = dtype.endsWith("16") ? 16 : 8;
  const isSigned = dtype.startsWith("int");
  // A negative number has all bits of the upper half set.
  const value = isSigned && high === 0xffff_ffff ? low - 2 ** 32 : high * 2 ** 32 + low;
  const [least, most] = isSigned ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  if (value >= least && value <= most) return;
  throw invalidArgument(`input "${input}": ${value} is outside of ${DATATYPES[dtype]}, ${least} to ${most}`);
}

/** A ModelInferResponse. @param isRaw raw bytes instead of lists, which 16-bit floats do not have. */
export function inferResponse(
  outputs: TensorMap,
  answered: Answered,
  id: string,
  isRaw: boolean,
): Uint8Array {
  const asRaw = isRaw || [...outputs.values()].some(({ dtype }) => CONTENTS[dtype] === undefined);
  const head = toBinary(
    ModelInferResponseSchema,
    create(ModelInferResponseSchema, {
      modelName: answered.name,
      modelVersion: String(answered.version),
      id,
      parameters: {
        signature_name: { parameterChoice: { case: "stringParam", value: answered.signatureName } },
      },
    }),
  );
  const tensors = [...outputs].map(([name, value]) => outputMessage(name, value, asRaw));
  const raws = asRaw ? [...outputs.values()].map(rawBytes) : [];
  let size = head.length;
  for (const { length } of tensors) size += blockSize(FIELD.inputs, length);
  for (const { length } of raws) size += blockSize(FIELD.rawOutputs, length);
  const writer = new WireWriter(size);
  writer.raw(head);
  for (const message of tensors) writer.block(FIELD.inputs, message);
  for (const raw of raws) writer.block(FIELD.rawOutputs, raw);
  return writer.bytes;
}

function outputMessage(name: string, value: Tensor, asRaw: boolean): Uint8Array {
  const head = toBinary(
    ModelInferResponse_InferOutputTensorSchema,
    create(ModelInferResponse_InferOutputTensorSchema, {
      name,
      datatype: DATATYPES[value.dtype],
      shape: value.shape.map(BigInt),
    }),
  );
  if (asRaw || value.data.length === 0) return head;
  const contents =
    value.dtype === "string"
      ? toBinary(
          InferTensorContentsSchema,
          create(InferTensorContentsSchema, { bytesContents: [...(value.data as readonly Uint8Array[])] }),
        )
      : packedList(value as Tensor<NumericDType>, CONTENTS[value.dtype]!, new Uint8Array(0));
  const writer = new WireWriter(head.length + blockSize(FIELD.contents, contents.length));
  writer.raw(head);
  writer.block(FIELD.contents, contents);
  return writer.bytes;
}
