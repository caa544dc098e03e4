/** @file Atomic writes of files and folders (a reader sees all of it or nothing), digests of files, text of any encoding, and the cache folder. */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { FaceError, messageOf, systemCode } from "./errors.ts";

/** A hidden name in the target's folder, so that the final rename stays on one file system. */
function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
}

/** Turns a failed write into our error; a full disk gets its own code. */
export function writeError(path: string, error: unknown): FaceError {
  if (error instanceof FaceError) return error;
  const full = ["ENOSPC", "EDQUOT", "EFBIG"].includes(systemCode(error) ?? "");
  return new FaceError(full ? "DISK_FULL" : "FILE_INVALID", `cannot write ${path}: ${messageOf(error)}`, {
    hint: full
      ? "free some space or choose another folder"
      : "check that the folder exists and may be written to",
    cause: error,
  });
}

/**
 * Writes a file under a temporary name, flushes it to disk and renames it into place. Missing folders are made.
 * @throws FaceError `DISK_FULL` or `FILE_INVALID`; the old file, if any, is untouched then.
 */
export async function writeFileAtomic(
  path: string,
  chunks: string | Uint8Array | readonly Uint8Array[],
): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, "wx");
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
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
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
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    const taken = ["ENOTEMPTY", "EEXIST"].includes(systemCode(error) ?? "");
    if (taken) {
      throw new FaceError("FILE_INVALID", `${path} exists already`, {
        hint: "choose another version, or remove that folder first",
        cause: error,
      });
    }
    throw writeError(path, error);
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
