/** @file Atomic writes of files and folders (a reader sees all of it or nothing), digests of files, text of any encoding, and the cache folder. */
import { createHash, randomBytes } from "node:crypto";
import { constants, createReadStream, mkdirSync, rmdirSync, rmSync, type Stats, statSync } from "node:fs";
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from "node:fs/promises";
import { devNull, homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FaceError, FULL_CODES, messageOf, SYSTEM_REASONS, systemCode } from "./errors.ts";

/** Names of files and folders that are not complete; a process that was killed may leave some. */
export const TEMPORARY_FILE = /^\..*\.\d+-[0-9a-f]{8}\.tmp$/;

/** Files and folders in work, which a process that ends early takes with it. */
const inWork = new Set<string>();
/** Folders that a check has made and not removed yet. */
const probed = new Set<string>();

process.once("exit", () => {
  const attempt = (work: () => void) => {
    try {
      work();
    } catch {
      // The process ends for another reason, which is reported.
    }
  };
  for (const path of inWork) attempt(() => rmSync(path, { recursive: true, force: true }));
  for (const path of probed) attempt(() => rmdirSync(path));
});

/** Removes a folder when the process ends, however it ends but by SIGKILL, unless it was removed before. */
export async function untilRemoved<T>(path: string, work: () => Promise<T>): Promise<T> {
  inWork.add(path);
  try {
    return await work();
  } finally {
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
    inWork.delete(path);
  }
}

/** Bytes of a name that usual file systems take. */
const LONGEST_NAME = 255;
const DIGEST_DIGITS = 8;

/** A file's name with an ending; of one that would be too long, the beginning and digits that tell it from others. */
export function nameWith(name: string, ending: string): string {
  const bytes = Buffer.from(name);
  const room = LONGEST_NAME - Buffer.byteLength(ending);
  if (bytes.length <= room) return `${name}${ending}`;
  const digits = createHash("sha256").update(bytes).digest("hex").slice(0, DIGEST_DIGITS);
  // A decoder of a stream keeps back a character that is not complete.
  const start = new TextDecoder().decode(bytes.subarray(0, room - digits.length - 1), { stream: true });
  return `${start}-${digits}${ending}`;
}

/** A hidden name in the target's folder, so that the final rename stays on one file system. */
function temporaryPath(path: string): string {
  const ending = `.${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
  return join(dirname(path), nameWith(`.${basename(path)}`, ending));
}

/** The folder above, for a folder that cannot be made without it. */
function parentOf(path: string, error: unknown): string {
  const parent = dirname(path);
  if (systemCode(error) !== "ENOENT" || parent === path) throw error;
  return parent;
}

/** Some file systems, such as /proc, take no folders and say that there is none. */
const takesNone = (path: string, what: "files" | "folders", error: unknown): unknown =>
  systemCode(error) === "ENOENT"
    ? new FaceError("FILE_INVALID", `cannot write ${path}: the file system there takes no ${what}`, {
        hint: "choose another place",
        cause: error,
      })
    : error;

/**
 * Makes a folder and those above it. Node's own recursive call never ends where the system refuses a folder with ENOENT.
 * @param mode permissions of the folders that are made.
 * @returns the folders that were made, the innermost last.
 * @throws the system's error, or FaceError `FILE_INVALID`.
 */
export async function makeFolder(path: string, mode = 0o777): Promise<string[]> {
  let above: string[] = [];
  const make = (refused: (error: unknown) => unknown) =>
    mkdir(path, mode).then(
      () => [...above, path],
      async (error: unknown): Promise<string[]> => {
        const isFolder =
          systemCode(error) !== "ENOENT" && (await stat(path).catch(() => undefined))?.isDirectory();
        if (isFolder === true) return above;
        throw refused(error);
      },
    );
  try {
    return await make((error) => error);
  } catch (error) {
    above = await makeFolder(parentOf(path, error), mode);
  }
  return await make((error) => takesNone(path, "folders", error));
}

/** Makes a folder as `makeFolder` does, where nothing can be awaited. */
export function makeFolderSync(path: string): void {
  const make = () => {
    try {
      mkdirSync(path);
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
    }
  };
  try {
    make();
    return;
  } catch (error) {
    makeFolderSync(parentOf(path, error));
  }
  try {
    make();
  } catch (error) {
    throw takesNone(path, "folders", error);
  }
}

/** What is to be written: a file, a folder that may not be there yet, or files into a folder. */
export type TargetKind = "file" | "new folder" | "folder";

/** Writes and removes a small file, and the folders that it needed. */
async function probe(folder: string): Promise<void> {
  const made = (await makeFolder(folder)).reverse();
  for (const each of made) probed.add(each);
  const file = temporaryPath(join(folder, "probe"));
  try {
    await untilRemoved(file, () => writeFile(file, "written to see whether it can be"));
  } finally {
    for (const each of made) {
      // Another process may have begun to use them.
      await rmdir(each).catch(() => undefined);
      probed.delete(each);
    }
  }
}

const PROBES = 5;

/**
 * Checks, before long work, that its result can be written: makes the folders, writes a small file there, and removes both.
 * @throws FaceError `FILE_INVALID` or `DISK_FULL`, as writing would.
 */
export async function checkTarget(path: string, kind: TargetKind): Promise<void> {
  const about = await stat(path).catch(() => undefined);
  if (kind === "file" && about?.isDirectory() === true) throw isFolderError(path);
  if (kind === "new folder" && about !== undefined) {
    const names = await readdir(path).catch(() => [""]);
    if (names.length > 0) throw takenError(path);
  }
  if (kind === "file" && about !== undefined && !about.isFile()) return;
  const folder = kind === "folder" ? path : dirname(path);
  for (let attempt = 1; ; attempt++) {
    try {
      return await probe(folder);
    } catch (error) {
      // Another command that checks the same place has just removed what it made.
      if (systemCode(error) !== "ENOENT") throw writeError(path, error);
      if (attempt >= PROBES) throw takesNone(path, "files", error);
    }
  }
}

const isFolderError = (path: string) =>
  new FaceError("FILE_INVALID", `cannot write ${path}: EISDIR, it is a folder, a file is wanted`, {
    hint: "name a file in it",
  });

const takenError = (path: string, cause?: unknown) =>
  new FaceError("FILE_INVALID", `${path} exists already`, {
    hint: "choose another folder, or remove that one first",
    ...(cause === undefined ? {} : { cause }),
  });

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
 * Opens a pipe only where somebody reads it: to wait for a reader would block the process for good, signals and all. Held until
 * the pipe is open for writing, it keeps the reader from seeing an end.
 */
async function heldPipe(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (systemCode(error) !== "ENXIO") throw error;
    throw new FaceError("FILE_INVALID", `cannot write ${path}: it is a pipe that nobody reads`, {
      hint: "name a file, or start what reads the pipe first",
      cause: error,
    });
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
  const pieces = Array.isArray(chunks) ? (chunks as readonly Uint8Array[]) : [chunks as string | Uint8Array];
  inWork.add(temporary);
  try {
    const about = await stat(path).catch(() => undefined);
    if (about?.isDirectory() === true) throw isFolderError(path);
    // Such as /dev/stdout, which a rename would replace.
    const isDevice = about !== undefined && !about.isFile();
    if (!isDevice) await makeFolder(dirname(path));
    const pipe = about?.isFIFO() === true ? await heldPipe(path) : undefined;
    const file = await open(isDevice ? path : temporary, isDevice ? "w" : "wx", mode);
    await pipe?.close();
    try {
      for (const piece of pieces) await file.writeFile(piece);
      if (!isDevice) await file.sync();
    } finally {
      await file.close();
    }
    if (!isDevice) await renameWhenFree(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(path, error);
  } finally {
    inWork.delete(temporary);
  }
}

/**
 * Fills a temporary folder and renames it into place, so that a server polling the parent never sees half of it.
 * @throws FaceError `FILE_INVALID` when the folder exists already, or whatever `fill` throws; nothing is left behind.
 */
export async function publishFolder(path: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = temporaryPath(path);
  inWork.add(temporary);
  try {
    await makeFolder(temporary);
    await fill(temporary);
    await renameWhenFree(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    const { syscall } = error as { syscall?: string };
    const taken = syscall === "rename" && ["ENOTEMPTY", "EEXIST"].includes(systemCode(error) ?? "");
    throw taken ? takenError(path, error) : writeError(path, error);
  } finally {
    inWork.delete(temporary);
  }
}

/** Whether reading ends at once: the null device is an empty file. */
const isNullDevice = (about: Stats) =>
  about.isCharacterDevice() && about.rdev === statSync(devNull, { throwIfNoEntry: false })?.rdev;

/** Folders have an error of their own, which the system gives. */
function refuseEndless(path: string, about: Stats): void {
  if (about.isFile() || about.isDirectory() || isNullDevice(about)) return;
  const { words } = SYSTEM_REASONS.EFTYPE!;
  // The system's own code for this, where it has one (macOS, the BSDs).
  throw Object.assign(new Error(`${path}: ${words}`), { code: "EFTYPE", path });
}

/**
 * Refuses pipes, devices and sockets before they are opened: opening one can block for good, and reading one may never end.
 * @throws the system's error, or one like it with the code `EFTYPE`; `messageOf` and `asFaceError` have both in words.
 */
export async function requireRegular(path: string): Promise<void> {
  refuseEndless(path, await stat(path));
}

/** As `requireRegular`, where nothing can be awaited. */
export function requireRegularSync(path: string): void {
  refuseEndless(path, statSync(path));
}

/**
 * Reads a file that somebody named, or that lies in a folder that somebody named.
 * @throws as `requireRegular`.
 */
export async function readWhole(path: string): Promise<Buffer> {
  await requireRegular(path);
  return await readFile(path);
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
      const { words, hint } = SYSTEM_REASONS[info.isDirectory() ? "EISDIR" : "EFTYPE"]!;
      throw new FaceError("MODEL_INVALID", `${path}: ${words}`, { hint });
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

/** A text that changes whenever the file does, or comes or goes. */
export function fileState(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return messageOf(error);
  }
}

/** Long pieces hash three times as fast as the stream's usual ones. */
const HASHED_AT_ONCE = 2 ** 20;

/**
 * A file's SHA-256 in lower-case hexadecimal digits.
 * @throws the system's error when the file cannot be read
 */
export async function sha256OfFile(path: string): Promise<string> {
  await requireRegular(path);
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
