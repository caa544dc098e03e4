/** @file Writes tensor bundles and LevelDB tables, as TensorFlow does, for tests and benchmarks of their readers. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { bytesOf, hasDType, type NumericDType, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import { BundleEntryProtoSchema, BundleHeaderProtoSchema } from "../../src/proto/tensorflow/graph_pb.ts";
import { lengthsChecksum, shardPath } from "../../src/savedmodel/format/bundle.ts";
import { type BundleEntry, HEADER_KEY } from "../../src/savedmodel/format/bundle-index.ts";
import { uint32Bytes } from "../../src/savedmodel/format/byte-cursor.ts";
import { crc32c, masked } from "../../src/savedmodel/format/crc32c.ts";
import {
  type BlockEntry,
  FOOTER_BYTES,
  HANDLES_BYTES,
  MAGIC,
  TRAILER_BYTES,
  UNCOMPRESSED,
} from "../../src/savedmodel/format/table.ts";
import { dataTypeOf } from "../../src/savedmodel/format/tensor-proto.ts";

/** A whole number of up to 53 bits, seven bits a byte. */
export function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
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

/** Writes the index of a bundle with a single shard. */
export function encodeBundleIndex(entries: ReadonlyMap<string, BundleEntry>): Uint8Array {
  const header = create(BundleHeaderProtoSchema, { numShards: 1, version: { producer: 1 } });
  const table = new Map([[HEADER_KEY, toBinary(BundleHeaderProtoSchema, header)]]);
  for (const [key, { dtype, shape, shard, offset, size, checksum }] of entries) {
    const proto = create(BundleEntryProtoSchema, {
      dtype: dataTypeOf(dtype),
      shape: { dim: shape.map((side) => ({ size: BigInt(side) })) },
      shardId: shard,
      offset: BigInt(offset),
      size: BigInt(size),
      crc32c: checksum,
    });
    table.set(key, toBinary(BundleEntryProtoSchema, proto));
  }
  return writeTable(table);
}

/** A tensor's bytes and their masked checksum. */
function encodeBundleTensor(value: Tensor): { bytes: Uint8Array; checksum: number } {
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

/** Writes a bundle of a single shard; missing folders are made. */
export async function writeBundle(prefix: string, tensors: TensorMap): Promise<void> {
  const entries = new Map<string, BundleEntry>();
  const pieces: Uint8Array[] = [];
  let offset = 0;
  for (const [key, { dtype, shape, ...rest }] of tensors) {
    const { bytes, checksum } = encodeBundleTensor({ dtype, shape, ...rest });
    entries.set(key, { dtype, shape, shard: 0, offset, size: bytes.length, checksum });
    pieces.push(bytes);
    offset += bytes.length;
  }
  await mkdir(dirname(prefix), { recursive: true });
  await writeFile(shardPath(prefix, 0, 1), Buffer.concat(pieces));
  await writeFile(`${prefix}.index`, encodeBundleIndex(entries));
}
