/** @file The safetensors format: a JSON table of contents, then the tensors' bytes one after the other. */
import { FaceError } from "../base/errors.ts";
import type { DType, NumericDType, Tensor, TensorMap } from "../base/tensor.ts";
import { bytesOf, bytesPerElement, fromBytes, sizeOf } from "../base/tensor.ts";

const TYPE_NAMES: Partial<Record<DType, string>> = {
  float32: "F32",
  float64: "F64",
  float16: "F16",
  bfloat16: "BF16",
  int8: "I8",
  int16: "I16",
  int32: "I32",
  int64: "I64",
  uint8: "U8",
  uint16: "U16",
  uint32: "U32",
  uint64: "U64",
  bool: "BOOL",
};
const TYPES = new Map(Object.entries(TYPE_NAMES).map(([dtype, name]) => [name, dtype as NumericDType]));

/** The length of the table comes first, as a little-endian 64-bit number. */
const LENGTH_BYTES = 8;
/** Tensors start on a multiple of this many bytes, so that they can be viewed in place. */
const ALIGNMENT = 8;
/** No table of ours comes near this; a larger one is a damaged or hostile file. */
const LARGEST_HEADER = 16 * 2 ** 20;

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The pieces of a file, in order. Texts about the tensors go into the table as they are. */
export function writeSafetensors(
  tensors: TensorMap,
  metadata: Readonly<Record<string, string>>,
): Uint8Array[] {
  const table: Record<string, unknown> = { __metadata__: metadata };
  const pieces: Uint8Array[] = [];
  let offset = 0;
  for (const [name, value] of [...tensors].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const bytes = bytesOf(value as Tensor<NumericDType>);
    table[name] = {
      dtype: TYPE_NAMES[value.dtype],
      shape: value.shape,
      data_offsets: [offset, offset + bytes.byteLength],
    } satisfies Partial<Record<keyof Entry, unknown>>;
    pieces.push(bytes);
    offset += bytes.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(table));
  const padded = Math.ceil((LENGTH_BYTES + json.length) / ALIGNMENT) * ALIGNMENT - LENGTH_BYTES;
  const header = new Uint8Array(LENGTH_BYTES + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, LENGTH_BYTES);
  return [header, ...pieces];
}

function damaged(reason: string): FaceError {
  return new FaceError("CHECKPOINT_INVALID", `not a safetensors file: ${reason}`);
}

function parseTable(bytes: Uint8Array): { table: Record<string, unknown>; start: number } {
  if (bytes.length < LENGTH_BYTES) throw damaged(`it has only ${bytes.length} bytes`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > LARGEST_HEADER || LENGTH_BYTES + length > bytes.length) {
    throw damaged(`its table of contents claims ${length} bytes of ${bytes.length}`);
  }
  try {
    const table: unknown = JSON.parse(
      new TextDecoder().decode(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length)),
    );
    if (typeof table === "object" && table !== null)
      return { table: table as Record<string, unknown>, start: LENGTH_BYTES + length };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw damaged("its table of contents is not JSON");
}

function isEntry(value: unknown): value is Entry {
  const entry = value as Partial<Entry> | null;
  const whole = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((item) => Number.isSafeInteger(item) && item >= 0);
  return (
    typeof entry?.dtype === "string" &&
    whole(entry.shape) &&
    whole(entry.data_offsets) &&
    entry.data_offsets.length === 2
  );
}

function readTensor(name: string, entry: unknown, body: Uint8Array): Tensor {
  const dtype = isEntry(entry) ? TYPES.get(entry.dtype) : undefined;
  if (!isEntry(entry) || dtype === undefined) throw damaged(`${name} is not described properly`);
  const [from, to] = entry.data_offsets;
  if (to < from || to > body.length || to - from !== sizeOf(entry.shape) * bytesPerElement(dtype)) {
    throw damaged(`${name} does not fit its place, bytes ${from} to ${to} of ${body.length}`);
  }
  return fromBytes(dtype, entry.shape, body.subarray(from, to));
}

/**
 * Reads a whole file.
 * @throws FaceError `CHECKPOINT_INVALID` when it is cut off or contradicts itself.
 */
export function readSafetensors(bytes: Uint8Array): {
  tensors: TensorMap;
  metadata: Readonly<Record<string, string>>;
} {
  const { table, start } = parseTable(bytes);
  const { __metadata__: metadata = {}, ...entries } = table;
  const body = bytes.subarray(start);
  const tensors = new Map(
    Object.entries(entries).map(([name, entry]) => [name, readTensor(name, entry, body)]),
  );
  return { tensors, metadata: metadata as Record<string, string> };
}
