/** @file Networks as the runtime has optimised them for this processor, kept on disk; each session maps a copy of its own. */
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { makeFolder } from "../base/files.ts";
import { float32, floats } from "../base/tensor.ts";
import { openRuntime, optimizeTo, type RuntimeSession } from "../onnx/runtime/runtime.ts";
import {
  isBlocked,
  keep,
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

/** Bytes that are copied at a time. */
const PIECE_BYTES = 2 ** 20;

/**
 * Files without a name, on Linux: nobody can change, cut or find what a session has mapped, and nothing is left behind.
 * Node has no name for the flag.
 */
const NAMELESS = 0o20000000 | (constants.O_DIRECTORY ?? 0) | constants.O_RDWR;

/** Calls a function with a new file without a name; undefined where there are none. */
async function withNameless<R>(
  folders: readonly string[],
  work: (file: number) => Promise<R>,
): Promise<R | undefined> {
  for (const folder of process.platform === "linux" ? folders : []) {
    let file: number;
    try {
      file = openSync(folder, NAMELESS, 0o600);
    } catch {
      continue;
    }
    try {
      return await work(file);
    } finally {
      closeSync(file);
    }
  }
  return undefined;
}

const placeOf = (file: number) => `/proc/self/fd/${file}`;

/** Copies a kept network without its label. @throws an error where it is not whole or not what `digest` says. */
function copyKept(path: string, digest: string, maxBytes: number, copy: number): void {
  const file = openOwn(path, maxBytes);
  try {
    const end = fstatSync(file).size - LABEL_BYTES;
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    let checksum = 0;
    for (let at = 0; at < end; ) {
      const read = readSync(file, piece, 0, Math.min(PIECE_BYTES, end - at), at);
      if (read === 0) throw new Error(`${path} is cut off`);
      checksum = crc32(piece.subarray(0, read), checksum);
      for (let written = 0; written < read; ) written += writeSync(copy, piece, written, read - written);
      at += read;
    }
    const label = Buffer.alloc(LABEL_BYTES);
    if (end > 0) readSync(file, label, 0, LABEL_BYTES, end);
    if (!label.equals(labelOf(digest, checksum)))
      throw new Error(`${path} is not whole, or of another program`);
  } finally {
    closeSync(file);
  }
}

/** What a network is kept as. */
interface Kept {
  readonly path: string;
  /** The file's digest, and the processor's blocks. */
  readonly digest: string;
  readonly maxBytes: number;
}

/** Copies what was kept, or lowers and optimises the network and keeps that. */
async function fill(copy: number, kept: Kept, lower: () => Uint8Array | Promise<Uint8Array>): Promise<void> {
  try {
    copyKept(kept.path, kept.digest, kept.maxBytes, copy);
    return;
  } catch {
    ftruncateSync(copy);
  }
  await optimizeTo(placeOf(copy), await lower());
  if (isBlocked(kept.path)) return;
  const content = await readFile(placeOf(copy));
  await keep(kept.path, [content, labelOf(kept.digest, crc32(content))]);
}

export interface ReadyOptions {
  /** Threads that share the work of each operator. Default 1. */
  readonly threads?: number | undefined;
  /** Where networks are kept. Default: `FACEID_CACHE_DIR`, or the system's folder for caches. */
  readonly folder?: string;
}

/**
 * A session of a network in the calling thread. On Linux it is lowered and optimised once; from then on a start copies the
 * result to a file of its own and maps that, in half of the time and with less memory. Elsewhere what was lowered is kept. A cache that cannot be
 * written is no error.
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
  blocks ??= askBlocks();
  const hash = createHash("sha256").update(file).digest("hex");
  const digest = `${hash} blocks ${await blocks}`;
  const path = keptPath(folder, kind, digest, "ort");
  const kept = { path, digest, maxBytes: mostBytes(file) };
  await makeFolder(dirname(path)).catch(() => undefined);
  let refused: unknown;
  const lowered = async () => {
    try {
      return await lower();
    } catch (error) {
      refused = error;
      throw error;
    }
  };
  const open = async (copy: number) => {
    await fill(copy, kept, lowered);
    return await openRuntime({ path: placeOf(copy) }, { threads });
  };
  const session = await withNameless([dirname(path), tmpdir()], open).catch(() => undefined);
  if (session !== undefined) return session;
  // What cannot be lowered now cannot be lowered for the other way either.
  if (refused !== undefined) throw refused;
  return await openRuntime(await keptNetwork(kind, file, lower, folder), { threads });
}
