/** @file Atomic writes of files and folders (a reader sees all of it or nothing), digests of files, text of any encoding, and the cache folder. */
import { createHash, randomBytes } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FaceError, FULL_CODES, messageOf, SYSTEM_REASONS, systemCode } from "./errors.ts";

/** Names of files and folders that are not complete; a process that was killed may leave some. */
export const TEMPORARY_FILE = /^\..*\.\d+-[0-9a-f]{8}\.tmp$/;

/** A hidden name in the target's folder, so that the final rename stays on one file system. */
function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
}

/** Turns a failed write into our error; a full disk gets its own code. */
export function writeError(path: string, error: unknown): FaceError {
  if (error instanceof FaceError) return error;
  const code = systemCode(error) ?? "";
  const full = FULL_CODES.includes(code);
  return new FaceError(full ? "DISK_FULL" : "FILE_INVALID", `cannot write ${path}: ${messageOf(error)}`, {
    hint: SYSTEM_REASONS[code]?.hint ?? "check that the folder exists and may be written to",
    cause: error,
  });
}

/** What Windows answers while a virus scanner or another program has the file open. */
const BLOCKED_CODES: readonly string[] = ["EPERM", "EBUSY", "EACCES"];
const FIRST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 1000;
/** 0.02 + 0.04 + … + 0.64 + 1 + 1 + 1 + 1 seconds. */
const ATTEMPTS = 11;

/** Settings of `renameWhenFree`, for tests. */
interface RenameOptions {
  readonly attempts?: number;
  readonly rename?: (from: string, to: string) => Promise<void>;
}

/**
 * Renames a file or folder; where another program blocks it, tries again for about five seconds.
 * @throws the system's error of the last attempt.
 */
export async function renameWhenFree(from: string, to: string, options: RenameOptions = {}): Promise<void> {
  const { attempts = ATTEMPTS, rename: move = rename } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await move(from, to);
    } catch (error) {
      if (attempt >= attempts || !BLOCKED_CODES.includes(systemCode(error) ?? "")) throw error;
      await sleep(Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS));
    }
  }
}

/**
 * Writes a file under a temporary name, flushes it to disk and renames it into place. Missing folders are made.
 * @param options `mode`: the permissions of the file, such as 0o600; those of the process when left out.
 * @throws FaceError `DISK_FULL` or `FILE_INVALID`; the old file, if any, is untouched then.
 */
export async function writeFileAtomic(
  path: string,
  chunks: string | Uint8Array | readonly Uint8Array[],
  { mode }: { readonly mode?: number } = {},
): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, "wx", mode);
    try {
      for (const chunk of Array.isArray(chunks)
        ? (chunks as readonly Uint8Array[])
        : [chunks as string | Uint8Array]) {
        await file.writeFile(chunk);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await renameWhenFree(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(path, error);
  }
}

/**
 * Fills a temporary folder and renames it into place, so that a server polling the parent never sees half of it.
 * @throws FaceError `FILE_INVALID` when the folder exists already, or whatever `fill` throws; nothing is left behind.
 */
export async function publishFolder(path: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await mkdir(temporary, { recursive: true });
    await fill(temporary);
    await renameWhenFree(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    const { syscall } = error as { syscall?: string };
    const taken = syscall === "rename" && ["ENOTEMPTY", "EEXIST"].includes(systemCode(error) ?? "");
    if (taken) {
      throw new FaceError("FILE_INVALID", `${path} exists already`, {
        hint: "choose another version, or remove that folder first",
        cause: error,
      });
    }
    throw writeError(path, error);
  }
}

/** A pipe without a writer would block the reader for ever; Windows has no such flag. */
const READ_ONLY = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
/** One call to the system reads 2 GB at most. */
const READ_AT_ONCE = 2 ** 30;

/**
 * Opens a file of a model to read it. Pipes, devices and folders are refused: they block, or never end.
 * @throws the system's error, or FaceError `MODEL_INVALID`.
 */
export async function openRegular(
  path: string,
): Promise<{ readonly file: FileHandle; readonly size: number }> {
  const file = await open(path, READ_ONLY);
  try {
    const info = await file.stat();
    if (!info.isFile()) {
      throw new FaceError("MODEL_INVALID", `${path} is not a regular file`, {
        hint: "a model's folder holds files, or links to files, not pipes or devices",
      });
    }
    return { file, size: info.size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Reads a file of a model, in memory of its own.
 * @throws as `openRegular`, and FaceError `MODEL_UNSUPPORTED` for a file of more than `maxBytes`.
 */
export async function readRegular(path: string, maxBytes: number): Promise<Buffer<ArrayBuffer>> {
  const { file, size } = await openRegular(path);
  try {
    if (size > maxBytes) {
      throw new FaceError("MODEL_UNSUPPORTED", `${path} has ${size} bytes, at most ${maxBytes} are read`);
    }
    const bytes = Buffer.from(new ArrayBuffer(size));
    let done = 0;
    while (done < size) {
      const { bytesRead } = await file.read(bytes, done, Math.min(size - done, READ_AT_ONCE), done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  } finally {
    await file.close();
  }
}

/** Long pieces hash three times as fast as the stream's usual ones. */
const HASHED_AT_ONCE = 2 ** 20;

/**
 * A file's SHA-256 in lower-case hexadecimal digits.
 * @throws the system's error when the file cannot be read
 */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: HASHED_AT_ONCE })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest("hex");
}

/** faceid's folder in the system's folder for caches; it may not exist yet. */
export function systemCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = environment;
  if (process.platform === "win32" && LOCALAPPDATA) return join(LOCALAPPDATA, "faceid", "cache");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "faceid");
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "faceid");
}

/** The encoding that the first bytes tell: a byte-order mark, or the zero bytes of Latin letters in UTF-16. */
function wideEncoding([first, second]: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return "utf-16le";
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0 && second !== undefined))
    return "utf-16be";
  return undefined;
}

/** Text in UTF-8 or UTF-16, with or without a byte-order mark; what is neither is read as Windows-1252. */
export function decodeText(bytes: Uint8Array): string {
  const wide = wideEncoding(bytes);
  if (wide !== undefined) return new TextDecoder(wide).decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}
