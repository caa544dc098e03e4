/** @file Networks as the runtime takes them, kept on disk so that a start does not lower them again. */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
} from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { cpus } from "node:os";
import { dirname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { systemCacheFolder, writeFileAtomic } from "../base/files.ts";
import { RUNTIME_VERSION, VERSION } from "../base/platform.ts";
import type { OpenNetwork, OpenPackNetwork } from "./network.ts";

/** The rooms whose code decides what a lowered network is. */
const ROOMS = ["faces", "graph", "onnx"] as const;
const SOURCE = fileURLToPath(new URL("../", import.meta.url));

/**
 * What changes with the processor, by which the runtime has blocked operators or not, and with the program's files: their
 * sizes and times, as for `make`.
 */
function programStamp(): string {
  const hash = createHash("sha1").update(`${process.arch} ${cpus()[0]?.model}\n`);
  for (const room of ROOMS) {
    for (const entry of readdirSync(join(SOURCE, room), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.name.includes(".test.")) continue;
      const { size, mtimeMs } = statSync(join(entry.parentPath, entry.name));
      hash.update(`${entry.name} ${size} ${mtimeMs}\n`);
    }
  }
  return hash.digest("hex");
}

let stamp: string | undefined;

/** Bytes beside a network: a line with all that it depends on and its checksum, filled up with spaces. */
export const LABEL_BYTES = 256;

/** What a kept network depends on. */
function origin(digest: string): string {
  stamp ??= programStamp();
  return `faceid ${VERSION} onnxruntime ${RUNTIME_VERSION} program ${stamp} file ${digest}`;
}

/** @param checksum the network's CRC-32. */
export const labelOf = (digest: string, checksum: number): Buffer =>
  Buffer.from(`${`${origin(digest)} crc32 ${checksum}`.padEnd(LABEL_BYTES - 1)}\n`);

const headOf = (digest: string, bytes: Uint8Array) => labelOf(digest, crc32(bytes));

/** A pipe without a writer would block the reader, and a link may lead anywhere. Windows has neither flag. */
const READ_ONLY = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);
/** A lowered network is hardly larger than its file. */
export const mostBytes = (file: Uint8Array): number => 4 * file.length + 2 ** 24;

/** Whose files are believed: our own, and root's, who could change the program as well. */
const isTrusted = (uid: number) => process.getuid === undefined || uid === 0 || uid === process.getuid();

/**
 * Opens a regular file of ours.
 * @returns its descriptor, which the caller closes.
 * @throws the system's error, or an error for any other file.
 */
export function openOwn(path: string, maxBytes: number): number {
  const file = openSync(path, READ_ONLY);
  const info = fstatSync(file);
  if (info.isFile() && isTrusted(info.uid) && info.size <= maxBytes) return file;
  closeSync(file);
  throw new Error(`${path} is not ours`);
}

function readOwn(path: string, maxBytes: number): Buffer {
  const file = openOwn(path, maxBytes);
  try {
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/** Whether something else than a file has the name: writing into a pipe, or through a link into a device, may never end. */
export function isBlocked(path: string): boolean {
  try {
    return !lstatSync(path).isFile();
  } catch {
    return false;
  }
}

/** A kept network; undefined where there is none, where another program or user wrote it, or where it is damaged. */
function readKept(path: string, digest: string, maxBytes: number): Uint8Array | undefined {
  try {
    const content = readOwn(path, maxBytes);
    const bytes = content.subarray(LABEL_BYTES);
    return headOf(digest, bytes).equals(content.subarray(0, LABEL_BYTES)) ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** Where networks are kept: `FACEID_CACHE_DIR`, or the system's folder for caches. */
export const keptIn = (): string => process.env.FACEID_CACHE_DIR || systemCacheFolder();

/** Where a network is kept: a place of its own for each installed faceid and each processor that share the folder. */
export function keptPath(folder: string, kind: string, digest: string, extension: string): string {
  const made = createHash("sha1").update(origin(digest)).digest("hex");
  return join(folder, "networks", `${kind}-${digest.slice(0, 16)}-${made.slice(0, 8)}.${extension}`);
}

/** How many are kept of one kind and file: each may have 40 MB. */
const KEPT_ORIGINS = 4;

/** Writes a kept network, and removes the oldest of other origins where there are many. A folder that cannot be written is no error. */
export async function keep(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void> {
  const folder = dirname(path);
  const { base, ext } = parse(path);
  const same = base.slice(0, base.lastIndexOf("-"));
  try {
    await writeFileAtomic(path, content);
    const all = (await readdir(folder)).filter((name) => name.startsWith(same) && name.endsWith(ext));
    if (all.length <= KEPT_ORIGINS) return;
    const dated = await Promise.all(
      all.map(async (name) => ({ name, made: (await stat(join(folder, name))).mtimeMs })),
    );
    const old = dated.toSorted((a, b) => b.made - a.made).slice(KEPT_ORIGINS);
    await Promise.all(old.map(({ name }) => rm(join(folder, name), { force: true })));
  } catch {
    // The network is made again at the next start.
  }
}

/**
 * A network as the runtime takes it: from the cache, or lowered now and kept there. A cache that cannot be written is no error.
 * @param kind what is made of the file; one name for each way to lower it.
 * @param file the content of the network's file; its digest, the versions of faceid and ONNX Runtime, and the program's files
 *   decide whether a kept network is taken.
 * @param lower makes the network.
 * @param folder where networks are kept.
 */
export async function keptNetwork(
  kind: string,
  file: Uint8Array,
  lower: () => Uint8Array | Promise<Uint8Array>,
  folder = keptIn(),
): Promise<Uint8Array> {
  const digest = createHash("sha256").update(file).digest("hex");
  const path = keptPath(folder, kind, digest, "onnx");
  const kept = readKept(path, digest, mostBytes(file));
  if (kept !== undefined) return kept;
  const bytes = await lower();
  if (isBlocked(path)) return bytes;
  await keep(path, [headOf(digest, bytes), bytes]);
  return bytes;
}

/** Starts sessions of networks that were lowered before, where they are kept. */
export const openLowered =
  (open: OpenNetwork): OpenPackNetwork =>
  async (kind, file, lower) =>
    await open(await keptNetwork(kind, file, lower));
