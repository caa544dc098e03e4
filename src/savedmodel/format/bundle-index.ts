/** @file Reads the index of a tensor bundle (`variables.index`): names, types, shapes and positions of tensors. */
import { fromBinary } from "@bufbuild/protobuf";
import { FaceError, messageOf } from "../../base/errors.ts";
import { type DType, type Shape, shapeText } from "../../base/tensor.ts";
import type { BundleEntryProto, BundleHeaderProto } from "../../proto/tensorflow/graph_pb.ts";
import { BundleEntryProtoSchema, BundleHeaderProtoSchema } from "../../proto/tensorflow/graph_pb.ts";
import { readTable } from "./table.ts";
import { dataTypeText, dtypeOf } from "./tensor-proto.ts";

/** One tensor of a bundle. */
export interface BundleEntry {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly shard: number;
  /** Where its bytes begin in the shard, and how many there are. */
  readonly offset: number;
  readonly size: number;
  /** Masked CRC-32C of the bytes. */
  readonly checksum: number;
}

/** The content of a bundle's index file. */
export interface BundleIndex {
  readonly shards: number;
  readonly keys: ReadonlySet<string>;
  /** @throws FaceError `MODEL_INVALID` for a missing or invalid entry, `MODEL_UNSUPPORTED` for a sliced one. */
  entry(key: string): BundleEntry;
}

/** The key of the header, which comes before all others. */
export const HEADER_KEY = "";
const LITTLE_ENDIAN = 0;
/** TensorFlow writes one shard per device or host; the file names have five digits. */
const MOST_SHARDS = 99_999;

function damaged(what: string, reason: string, cause?: unknown): FaceError {
  return new FaceError("MODEL_INVALID", `${what} is damaged: ${reason}`, {
    hint: "copy the whole folder of the version again",
    cause,
  });
}

function decoded<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw damaged(what, messageOf(error), error);
  }
}

function checkHeader({ numShards, endianness }: BundleHeaderProto, what: string): void {
  if (endianness !== LITTLE_ENDIAN) {
    throw new FaceError("MODEL_UNSUPPORTED", `${what} was written on a big-endian machine`);
  }
  if (numShards < 1 || numShards > MOST_SHARDS) throw damaged(what, `it cannot have ${numShards} shards`);
}

function entryOf(proto: BundleEntryProto, shards: number, place: string): BundleEntry {
  if (proto.slices.length > 0) {
    throw new FaceError("MODEL_UNSUPPORTED", `${place} is stored in slices, which is not supported`, {
      hint: "save the model without partitioned variables",
    });
  }
  const dtype = dtypeOf(proto.dtype);
  if (dtype === undefined) {
    throw new FaceError(
      "MODEL_UNSUPPORTED",
      `${place} holds ${dataTypeText(proto.dtype)}, which is not supported`,
    );
  }
  const shape = (proto.shape?.dim ?? []).map(({ size }) => Number(size));
  const [offset, size] = [Number(proto.offset), Number(proto.size)];
  const isSane = [...shape, offset, size].every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!isSane || proto.shape?.unknownRank) {
    throw damaged(place, `shape ${shapeText(shape)}, offset ${offset}, size ${size}`);
  }
  if (proto.shardId < 0 || proto.shardId >= shards) {
    throw damaged(place, `it is in shard ${proto.shardId}, there are ${shards}`);
  }
  return { dtype, shape, shard: proto.shardId, offset, size, checksum: proto.crc32c };
}

/**
 * Reads an index file.
 * @param what its name, for errors
 * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export function parseBundleIndex(bytes: Uint8Array, what: string): BundleIndex {
  const table = readTable(bytes, what);
  const headerBytes = table.get(HEADER_KEY);
  if (headerBytes === undefined) throw damaged(what, "it has no header");
  const header = decoded(what, () => fromBinary(BundleHeaderProtoSchema, headerBytes));
  checkHeader(header, what);
  const keys = new Set(table.keys());
  keys.delete(HEADER_KEY);
  return {
    shards: header.numShards,
    keys,
    entry(key) {
      const value = keys.has(key) ? table.get(key) : undefined;
      if (value === undefined) throw new FaceError("MODEL_INVALID", `${what} has no tensor ${key}`);
      const place = `${key} in ${what}`;
      return entryOf(
        decoded(place, () => fromBinary(BundleEntryProtoSchema, value)),
        header.numShards,
        place,
      );
    },
  };
}
