/** @file Reads LevelDB's table files, the format of a bundle's index; LevelDB packages open databases, not single tables. */
import { ByteCursor } from "./byte-cursor.ts";
import { crc32c, masked } from "./crc32c.ts";
import { unpackSnappy } from "./snappy.ts";

/** A table's entries in the order of their keys' bytes. */
export type TableEntries = ReadonlyMap<string, Uint8Array>;

export const MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];
export const FOOTER_BYTES = 48;
/** Two handles of up to 20 bytes each, padded. */
export const HANDLES_BYTES = 40;
/** Compression type and checksum behind each block. */
export const TRAILER_BYTES = 5;
export const UNCOMPRESSED = 0;
const SNAPPY = 1;
/** Keys share prefixes, so a small table could claim huge keys; all keys may take this many times the table's size. */
const LARGEST_KEY_RATIO = 64;

const keyText = new TextDecoder();

interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

function readHandle(cursor: ByteCursor): BlockHandle {
  return { offset: cursor.varint(), size: cursor.varint() };
}

/** A block's content, after a check of its checksum. */
function readBlock(table: ByteCursor, { offset, size }: BlockHandle): Uint8Array {
  const cursor = new ByteCursor(table.bytes, table.what);
  cursor.take(offset);
  const stored = cursor.take(size);
  const compression = cursor.byte();
  const checksum = cursor.uint32();
  const actual = masked(crc32c(table.bytes.subarray(offset, offset + size + 1)));
  if (actual !== checksum) throw table.damaged(`the checksum of the block at ${offset} is wrong`);
  if (compression === UNCOMPRESSED) return stored;
  if (compression === SNAPPY) return unpackSnappy(stored, `${table.what}, block at ${offset}`);
  throw table.damaged(`the block at ${offset} has the unknown compression ${compression}`);
}

export interface BlockEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The entries of a block in order; the restart points, which only searches need, are skipped. */
function* blockEntries(content: Uint8Array, what: string): Generator<BlockEntry> {
  const whole = new ByteCursor(content, what);
  if (content.length < 4) throw whole.damaged("a block is too short");
  const restarts = new ByteCursor(content, what, content.length - 4).uint32();
  const end = content.length - 4 * (restarts + 1);
  if (end < 0) throw whole.damaged("a block has more restart points than room");
  const cursor = new ByteCursor(content.subarray(0, end), what);
  let key = new Uint8Array(0);
  while (cursor.left > 0) {
    const [shared, added, size] = [cursor.varint(), cursor.varint(), cursor.varint()];
    if (shared > key.length) throw cursor.damaged("a key shares more than the key before it has");
    const next = new Uint8Array(shared + Math.min(added, cursor.left));
    next.set(key.subarray(0, shared));
    next.set(cursor.take(added), shared);
    key = next;
    yield { key, value: cursor.take(size) };
  }
}

function readFooter(table: ByteCursor): BlockHandle {
  if (table.bytes.length < FOOTER_BYTES) throw table.damaged("it is too short for a table");
  const footer = new ByteCursor(table.bytes, table.what, table.bytes.length - FOOTER_BYTES);
  const handles = new ByteCursor(footer.take(HANDLES_BYTES), table.what);
  const magic = footer.take(MAGIC.length);
  if (!MAGIC.every((byte, i) => byte === magic[i])) throw table.damaged("it does not end as a table does");
  readHandle(handles); // the metaindex, which is empty in tensor bundles
  return readHandle(handles);
}

/**
 * Reads a whole table.
 * @param what its name, for errors
 * @throws FaceError `MODEL_INVALID` for a damaged table.
 */
export function readTable(bytes: Uint8Array, what: string): TableEntries {
  const table = new ByteCursor(bytes, what);
  const entries = new Map<string, Uint8Array>();
  let last: Uint8Array | undefined;
  let keyBytes = 0;
  let blockBytes = 0;
  for (const { value } of blockEntries(readBlock(table, readFooter(table)), what)) {
    const handle = readHandle(new ByteCursor(value, what));
    blockBytes += handle.size + TRAILER_BYTES;
    if (blockBytes > bytes.length) throw table.damaged("its blocks overlap");
    const block = readBlock(table, handle);
    for (const { key, value } of blockEntries(block, what)) {
      if (last !== undefined && Buffer.compare(last, key) >= 0)
        throw table.damaged("its keys are not in order");
      keyBytes += key.length;
      if (keyBytes > bytes.length * LARGEST_KEY_RATIO) throw table.damaged("its keys are too long");
      entries.set(keyText.decode(key), value);
      last = key;
    }
  }
  return entries;
}
