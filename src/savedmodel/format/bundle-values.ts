/** @file A tensor's bytes in a bundle's shard, checked against their checksum: raw elements, or strings with their lengths. */
import { FaceError } from "../../base/errors.ts";
import {
  bytesOf,
  bytesPerElement,
  fromBytes,
  hasDType,
  type NumericDType,
  shapeText,
  sizeOf,
  type Tensor,
} from "../../base/tensor.ts";
import type { BundleEntry } from "./bundle-index.ts";
import { ByteCursor, uint32Bytes, varintBytes } from "./byte-cursor.ts";
import { crc32c, masked } from "./crc32c.ts";

/** A string's length as checksums take it: 32 bits, or 64 where that is too little. */
function lengthBytes(length: number): Uint8Array {
  const high = Math.floor(length / 2 ** 32);
  return Uint8Array.from([length, ...(high > 0 ? [high] : [])].flatMap(uint32Bytes));
}

/** Checksum of the strings' lengths, each as a number of fixed width. */
function lengthsChecksum(lengths: readonly number[]): number {
  return lengths.reduce((crc, length) => crc32c(lengthBytes(length), crc), 0);
}

/** The bytes that a tensor takes at least: strings have a length of one byte each, and a checksum of the lengths. */
function leastSize({ dtype, shape }: BundleEntry): number {
  return dtype === "string" ? sizeOf(shape) + 4 : sizeOf(shape) * bytesPerElement(dtype);
}

/**
 * Makes sure, before anything is read, that an entry's bytes can hold its tensor.
 * @throws FaceError `MODEL_INVALID`.
 */
export function checkEntrySize(entry: BundleEntry, what: string): void {
  const least = leastSize(entry);
  if (entry.dtype === "string" ? entry.size >= least : entry.size === least) return;
  const wanted = `a ${entry.dtype} tensor of shape ${shapeText(entry.shape)} takes ${least} bytes`;
  throw new FaceError("MODEL_INVALID", `${what} is damaged: ${wanted}, it has ${entry.size}`);
}

function checkSum(entry: BundleEntry, crc: number, what: string): void {
  if (masked(crc) === entry.checksum) return;
  throw new FaceError("MODEL_INVALID", `${what} is damaged: its checksum is wrong`);
}

function strings(entry: BundleEntry, bytes: Uint8Array, what: string): Tensor<"string"> {
  const cursor = new ByteCursor(bytes, what);
  const lengths = Array.from({ length: sizeOf(entry.shape) }, () => cursor.varint());
  const ofLengths = lengthsChecksum(lengths);
  const stored = cursor.take(4);
  if (masked(ofLengths) !== new ByteCursor(stored, what).uint32()) {
    throw cursor.damaged("the checksum of its lengths is wrong");
  }
  checkSum(entry, crc32c(cursor.bytes.subarray(cursor.at), crc32c(stored, ofLengths)), what);
  const data = lengths.map((length) => cursor.take(length));
  if (cursor.left > 0) throw cursor.damaged("it is longer than its strings");
  return { dtype: "string", shape: entry.shape, data };
}

/**
 * A tensor from its bytes, which it may keep as its elements.
 * @throws FaceError `MODEL_INVALID` when checksum or lengths are wrong.
 */
export function decodeBundleTensor(entry: BundleEntry, bytes: Uint8Array, what: string): Tensor {
  checkEntrySize(entry, what);
  if (entry.dtype === "string") return strings(entry, bytes, what);
  checkSum(entry, crc32c(bytes), what);
  return fromBytes(entry.dtype, entry.shape, bytes);
}

/** A tensor's bytes and their masked checksum. */
export function encodeBundleTensor(value: Tensor): { bytes: Uint8Array; checksum: number } {
  if (!hasDType(value, "string")) {
    const bytes = bytesOf(value as Tensor<NumericDType>);
    return { bytes, checksum: masked(crc32c(bytes)) };
  }
  const lengths = value.data.map(({ length }) => length);
  const ofLengths = lengthsChecksum(lengths);
  const stored = Uint8Array.from(uint32Bytes(masked(ofLengths)));
  const text = Buffer.concat([...value.data]);
  return {
    bytes: Buffer.concat([Uint8Array.from(lengths.flatMap(varintBytes)), stored, text]),
    checksum: masked(crc32c(text, crc32c(stored, ofLengths))),
  };
}
