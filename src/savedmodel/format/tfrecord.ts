/** @file Reads and writes TFRecord files, a framing of records with checksums that takes 30 lines. */
import { ByteCursor, uint32Bytes } from "./byte-cursor.ts";
import { crc32c, masked } from "./crc32c.ts";

/** Frames records: length (64 bits), checksum of the length, content, checksum of the content. */
export function writeRecords(records: readonly Uint8Array[]): Uint8Array {
  const pieces = records.flatMap((record) => {
    const length = Uint8Array.from([record.length, Math.floor(record.length / 2 ** 32)].flatMap(uint32Bytes));
    const checksum = (bytes: Uint8Array) => Uint8Array.from(uint32Bytes(masked(crc32c(bytes))));
    return [length, checksum(length), record, checksum(record)];
  });
  return Buffer.concat(pieces);
}

/**
 * The records of a file, as views on its bytes.
 * @param what the file's name, for errors
 * @throws FaceError `MODEL_INVALID` for a file that is cut off or whose checksums are wrong.
 */
export function readRecords(bytes: Uint8Array, what: string): Uint8Array[] {
  const cursor = new ByteCursor(bytes, what);
  const records: Uint8Array[] = [];
  const checked = (count: number) => {
    const content = cursor.take(count);
    if (masked(crc32c(content)) !== cursor.uint32()) throw cursor.damaged("a checksum is wrong");
    return content;
  };
  while (cursor.left > 0) {
    const length = new ByteCursor(checked(8), what);
    records.push(checked(length.uint32() + length.uint32() * 2 ** 32));
  }
  return records;
}
