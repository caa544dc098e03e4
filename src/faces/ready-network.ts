/** @file Networks as the runtime has optimised them for this processor, kept on disk and mapped from there by every session. */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, readSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { writeFileAtomic } from "../base/files.ts";
import { float32, floats } from "../base/tensor.ts";
import { openRuntime, optimizeTo, type RuntimeSession } from "../onnx/runtime/runtime.ts";
import {
  isBlocked,
  keptIn,
  keptNetwork,
  keptPath,
  LABEL_BYTES,
  labelOf,
  mostBytes,
  openOwn,
} from "./lowered-cache.ts";

/**
 * A model of one operator of the runtime, which orders the channels of an image `[1, 64, 1, 2]` in blocks: one for each number
 * of a vector register. `ready-network.test.ts` builds it.
 */
export const BLOCKS_MODEL =
  "CAgSBmZhY2VpZEICEBFCFwoTY29tLm1pY3Jvc29mdC5uY2h3YxABOn0KOQoBeBIBeRoOUmVvcmRlcklucHV0XzEiDFJlb3JkZXJJbnB1dDoTY29t" +
  "Lm1pY3Jvc29mdC5uY2h3YxIGYmxvY2tzWhsKAXgSFgoUCAESEAoCCAEKAghACgIIAQoCCAJiGwoBeRIWChQIARIQCgIIAQoCCEAKAggBCgIIAg==";
const BLOCKS_SHAPE = [1, 64, 1, 2] as const;

/** Channels in a block of the runtime's on this processor, by which optimised networks differ; 0 where it has no blocks. */
async function askBlocks(): Promise<number> {
  try {
    const session = await openRuntime(Buffer.from(BLOCKS_MODEL, "base64"));
    const x = float32(
      BLOCKS_SHAPE,
      Float32Array.from({ length: 128 }, (_, i) => i),
    );
    const y = floats((await session.run(new Map([["x", x]]))).get("y")!);
    await session.close();
    // The second pixel of the first channel comes after the first pixels of a block.
    return y.indexOf(1);
  } catch {
    return 0;
  }
}

let blocks: Promise<number> | undefined;

/** Bytes that are checked at a time. */
const PIECE_BYTES = 2 ** 20;

/** Whether a file ends with the label of its own content. */
function isWhole(file: number, digest: string): boolean {
  const end = fstatSync(file).size - LABEL_BYTES;
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let checksum = 0;
  for (let at = 0; at < end; ) {
    const read = readSync(file, piece, 0, Math.min(PIECE_BYTES, end - at), at);
    if (read === 0) return false;
    checksum = crc32(piece.subarray(0, read), checksum);
    at += read;
  }
  const label = Buffer.alloc(LABEL_BYTES);
  return (
    end > 0 &&
    readSync(file, label, 0, LABEL_BYTES, end) === LABEL_BYTES &&
    label.equals(labelOf(digest, checksum))
  );
}

/** Where a session finds an open file, whatever has its name by now. */
const placeOf = (file: number, path: string) =>
  process.platform === "linux" ? `/proc/self/fd/${file}` : path;

/** A session of a kept file; undefined where there is none, or one that is not whole or not of this program and processor. */
async function openKept(
  path: string,
  digest: string,
  maxBytes: number,
  threads: number,
): Promise<RuntimeSession | undefined> {
  let file: number | undefined;
  try {
    file = openOwn(path, maxBytes);
    return isWhole(file, digest) ? await openRuntime({ path: placeOf(file, path) }, { threads }) : undefined;
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Optimises a network and keeps it; without a word where that is not possible. */
async function keep(path: string, digest: string, bytes: Uint8Array): Promise<void> {
  if (isBlocked(path)) return;
  const folder = await mkdtemp(join(tmpdir(), "faceid-network-"));
  try {
    const made = join(folder, "network.ort");
    await optimizeTo(made, bytes);
    const content = await readFile(made);
    await writeFileAtomic(path, [content, labelOf(digest, crc32(content))]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface ReadyOptions {
  /** Threads that share the work of each operator. Default 1. */
  readonly threads?: number | undefined;
  /** Where networks are kept. Default: `FACEID_CACHE_DIR`, or the system's folder for caches. */
  readonly folder?: string;
}

/**
 * A session of a network in the calling thread. It is lowered and optimised once: from then on a start maps the result, in a
 * sixth of the time, and all threads and processes share its weights. A cache that cannot be written is no error.
 * @param kind what is made of the file; one name for each way to lower it.
 * @param file the content of the network's file.
 * @param lower makes the network.
 * @throws FaceError what `lower` throws, or `MODEL_UNSUPPORTED` for a network that the runtime cannot run.
 */
export async function openReady(
  kind: string,
  file: Uint8Array,
  lower: () => Uint8Array | Promise<Uint8Array>,
  { threads = 1, folder = keptIn() }: ReadyOptions = {},
): Promise<RuntimeSession> {
  // Windows lets nobody replace a file that is mapped.
  if (process.platform === "win32")
    return await openRuntime(await keptNetwork(kind, file, lower, folder), { threads });
  blocks ??= askBlocks();
  const hash = createHash("sha256").update(file).digest("hex");
  const digest = `${hash} blocks ${await blocks}`;
  const path = keptPath(folder, kind, hash, "ort");
  const kept = await openKept(path, digest, mostBytes(file), threads);
  if (kept !== undefined) return kept;
  const bytes = await lower();
  const isKept = await keep(path, digest, bytes).then(
    () => true,
    () => false,
  );
  const made = isKept ? await openKept(path, digest, mostBytes(file), threads) : undefined;
  return made ?? (await openRuntime(bytes, { threads }));
}
