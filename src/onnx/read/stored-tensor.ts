/** @file Tensors as ONNX files store them: raw bytes, or one list per kind of number; here or in a file beside it. */

import { FaceError } from "../../base/errors.ts";
import { bytesPerElement, type DType, fromBytes, type NumericDType, type Tensor } from "../../base/tensor.ts";
import { allocate, fromNumbers, isBigInt } from "../../graph/numbers.ts";
import { type TensorProto, TensorProto_DataLocation } from "../../proto/onnx/onnx_pb.ts";
import { dtypeOfOnnx } from "../dtypes.ts";

/** What was read from the files beside a model, by the tensors that lie there. */
export type ExternalData = ReadonlyMap<TensorProto, Uint8Array>;

/** `TensorProto.DataType` of numbers of 4 bits, two of which share a byte, the first in its lower half. */
const UINT4 = 21;
const INT4 = 22;

/** How a tensor's elements are kept. */
export interface Storage {
  /** The type in which they are computed with. */
  readonly dtype: NumericDType;
  readonly shape: readonly number[];
  readonly size: number;
  /** What its bytes take up. */
  readonly bytes: number;
  /** Whether two elements share a byte. */
  readonly isPacked: boolean;
}

export const isExternal = ({ dataLocation }: TensorProto): boolean =>
  dataLocation === TensorProto_DataLocation.EXTERNAL;

/**
 * What a stored tensor says of itself.
 * @param place where it stands, for errors
 * @throws FaceError `MODEL_INVALID` for an impossible shape, `MODEL_UNSUPPORTED` for a type that cannot be computed with.
 */
export function storageOf({ dims, dataType }: TensorProto, place: string): Storage {
  const shape = dims.map(Number);
  const size = shape.reduce((product, side) => product * side, 1);
  if (shape.some((side) => side < 0) || !Number.isSafeInteger(size))
    throw new FaceError("MODEL_INVALID", `${place} has the impossible shape [${dims.join(", ")}]`);
  const isPacked = dataType === UINT4 || dataType === INT4;
  const dtype = isPacked ? (dataType === INT4 ? "int8" : "uint8") : dtypeOfOnnx(dataType);
  if (dtype === undefined || dtype === "string")
    throw new FaceError(
      "MODEL_UNSUPPORTED",
      `${place} is stored as type ${dataType}, which cannot be computed with`,
    );
  const bytes = isPacked ? Math.ceil(size / 2) : size * bytesPerElement(dtype);
  return { dtype, shape, size, bytes, isPacked };
}

/** Two numbers of 4 bits out of each byte. */
function unpacked(bytes: ArrayLike<number>, { dtype, shape, size }: Storage): Tensor {
  const result = allocate(dtype, shape);
  const data = result.data as Int8Array | Uint8Array;
  for (let i = 0; i < size; i++) {
    const half = (bytes[i >> 1]! >> (4 * (i & 1))) & 15;
    data[i] = dtype === "int8" && half > 7 ? half - 16 : half;
  }
  return result;
}

/** The list that keeps elements of a type, where they are not kept as bytes. */
function listOf(stored: TensorProto, dtype: DType): readonly number[] | readonly bigint[] {
  if (dtype === "float32") return stored.floatData;
  if (dtype === "float64") return stored.doubleData;
  if (dtype === "int64") return stored.int64Data;
  if (dtype === "uint64" || dtype === "uint32") return stored.uint64Data;
  return stored.int32Data;
}

function fromList(list: readonly number[] | readonly bigint[], storage: Storage): Tensor {
  const { dtype, shape, isPacked } = storage;
  if (isPacked) return unpacked(list as readonly number[], storage);
  if (isBigInt(dtype)) {
    const result = allocate(dtype, shape);
    (result.data as BigInt64Array).set(list as readonly bigint[]);
    return result;
  }
  // Halves are kept as their bits, as ours are.
  if (dtype === "float16" || dtype === "bfloat16") {
    const result = allocate(dtype, shape);
    (result.data as Uint16Array).set(list as readonly number[]);
    return result;
  }
  return fromNumbers(dtype, shape, (list as readonly (number | bigint)[]).map(Number));
}

/**
 * A stored tensor.
 * @param place where it stands, for errors
 * @param external what was read from the files beside the model
 * @throws FaceError `MODEL_INVALID` when the elements do not fill the shape, `MODEL_UNSUPPORTED` for types that cannot be
 *   computed with and for data in other files that were not read.
 */
export function storedTensor(stored: TensorProto, place: string, external: ExternalData = new Map()): Tensor {
  const storage = storageOf(stored, place);
  const beside = external.get(stored);
  if (isExternal(stored) && beside === undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `${place} is kept in another file`, {
      hint: "read the model by its path, with that file beside it",
    });
  }
  const bytes = beside ?? (stored.rawData.length > 0 ? stored.rawData : undefined);
  if (bytes !== undefined) {
    if (bytes.length !== storage.bytes)
      throw damaged(place, `${storage.bytes} bytes`, bytes.length, storage.shape);
    return storage.isPacked ? unpacked(bytes, storage) : fromBytes(storage.dtype, storage.shape, bytes);
  }
  const list = listOf(stored, storage.dtype);
  const wanted = storage.isPacked ? storage.bytes : storage.size;
  if (list.length !== wanted) throw damaged(place, `${wanted} elements`, list.length, storage.shape);
  return fromList(list, storage);
}

const damaged = (place: string, wanted: string, got: number, shape: readonly number[]) =>
  new FaceError(
    "MODEL_INVALID",
    `${place} of shape [${shape.join(", ")}] takes ${wanted}, the file holds ${got}`,
    { hint: "export the ONNX file again, or copy it again" },
  );
