/** @file Sorted tables of keys and values in LevelDB's file format, as tensor bundles keep their index. */
import { ByteCursor, uint32Bytes, varintBytes } from "./byte-cursor.ts";
import { crc32c, masked } from "./crc32c.ts";
import { unpackSnappy } from "./snappy.ts";

/** A table's entries in the order of their keys' bytes. */
export type TableEntries = ReadonlyMap<string, Uint8Array>;

const MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];
const FOOTER_BYTES = 48;
/** Two handles of up to 20 bytes each, padded. */
const HANDLES_BYTES = 40;
/** Compression type and checksum behind each block. */
const TRAILER_BYTES = 5;
const UNCOMPRESSED = 0;
const SNAPPY = 1;
/** Keys share beginnings, so a small table could claim huge ones; together they take at most so many times its size. */
const LARGEST_KEY_RATIO = 64;

const keyText = new TextDecoder();

interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

function readHandle(cursor: ByteCursor): BlockHandle {
  return { offset: cursor.varint(), size: cursor.varint() };
}

/** A block's content, once its checksum is found right. */
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
  throw table.damaged(`the block at ${offset} is packed in the unknown way ${compression}`);
}

interface BlockEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The entries of a block, one after the other; the restart points, which only searching needs, are skipped. */
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
 * @throws FaceError `MODEL_INVALID` for anything that is not a sound table.
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

/** Entries between restart points in data blocks, as TensorFlow writes them. */
const RESTART_INTERVAL = 16;
/** A block is closed once it is this large. */
const BLOCK_BYTES = 1 << 18;

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a[n] === b[n]) n++;
  return n;
}

function blockContent(entries: readonly BlockEntry[], restartInterval: number): Uint8Array {
  const pieces: Uint8Array[] = [];
  const restarts: number[] = [];
  let size = 0;
  let last = new Uint8Array(0);
  entries.forEach(({ key, value }, i) => {
    const isRestart = i % restartInterval === 0;
    if (isRestart) restarts.push(size);
    const shared = isRestart ? 0 : sharedLength(last, key);
    const suffix = key.subarray(shared);
    const head = Uint8Array.from([...[shared, suffix.length, value.length].flatMap(varintBytes)]);
    pieces.push(head, suffix, value);
    size += head.length + suffix.length + value.length;
    last = new Uint8Array(key);
  });
  if (restarts.length === 0) restarts.push(0);
  return Buffer.concat([...pieces, Uint8Array.from([...restarts, restarts.length].flatMap(uint32Bytes))]);
}

/** A growing file of blocks. */
class TableWriter {
  readonly #pieces: Uint8Array[] = [];
  #size = 0;

  block(entries: readonly BlockEntry[], restartInterval: number): Uint8Array {
    const stored = Buffer.concat([blockContent(entries, restartInterval), Uint8Array.of(UNCOMPRESSED)]);
    const handle = Uint8Array.from([...varintBytes(this.#size), ...varintBytes(stored.length - 1)]);
    this.#pieces.push(stored, Uint8Array.from(uint32Bytes(masked(crc32c(stored)))));
    this.#size += stored.length - 1 + TRAILER_BYTES;
    return handle;
  }

  finish(meta: Uint8Array, index: Uint8Array): Uint8Array {
    const footer = new Uint8Array(FOOTER_BYTES);
    footer.set(meta);
    footer.set(index, meta.length);
    footer.set(MAGIC, HANDLES_BYTES);
    return Buffer.concat([...this.#pieces, footer]);
  }
}

/** Writes a table, uncompressed; entries may come in any order. */
export function writeTable(entries: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const encoder = new TextEncoder();
  const sorted = [...entries]
    .map(([key, value]): BlockEntry => ({ key: encoder.encode(key), value }))
    .sort((a, b) => Buffer.compare(a.key, b.key));
  const writer = new TableWriter();
  const index: BlockEntry[] = [];
  for (let start = 0; start < sorted.length; ) {
    let end = start;
    for (let size = 0; end < sorted.length && size < BLOCK_BYTES; end++) {
      size += sorted[end]!.key.length + sorted[end]!.value.length;
    }
    const block = writer.block(sorted.slice(start, end), RESTART_INTERVAL);
    index.push({ key: sorted[end - 1]!.key, value: block });
    start = end;
  }
  const meta = writer.block([], 1);
  return writer.finish(meta, writer.block(index, 1));
}
