/** @file Finds the files of a pack in a user's files, folders and zip archives, such as Python wheels, and copies them. */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { isZip, zipFiles } from "../../base/archives.ts";
import { FaceError, messageOf } from "../../base/errors.ts";
import { readWhole, writeFileAtomic } from "../../base/files.ts";
import { filesOf, type Pack, type PackFile } from "./catalogue.ts";

/** A file that may be one of the pack's. */
interface Candidate {
  /** Its place, for error messages. */
  readonly place: string;
  readonly name: string;
  readonly size: number;
  /** Reads the content. Only possible before the next candidate is asked for. */
  read(): Promise<Uint8Array>;
}

function badArchive(path: string, error: unknown): FaceError {
  if (error instanceof FaceError) return error;
  return new FaceError("ARCHIVE_INVALID", `cannot read ${path}: ${messageOf(error)}`, {
    hint: "get the archive again; it must be a zip, as Python's wheels are",
    cause: error,
  });
}

function badSource(path: string, error: unknown): FaceError {
  if (error instanceof FaceError) return error;
  return new FaceError("FILE_INVALID", `cannot read ${path}: ${messageOf(error)}`, {
    hint: "`from` takes the files of the pack, a folder with them, or a zip archive such as a Python wheel",
    cause: error,
  });
}

/** Awaits a result and turns its error into a FaceError. */
async function reading<T>(
  path: string,
  result: Promise<T>,
  asError: (path: string, error: unknown) => FaceError,
): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw asError(path, error);
  }
}

const fileAt = (path: string, size: number): Candidate => ({
  place: path,
  name: basename(path),
  size,
  read: () => reading(path, readWhole(path), badSource),
});

async function* inArchive(path: string): AsyncGenerator<Candidate> {
  try {
    for await (const file of zipFiles(path)) {
      yield {
        place: `${file.path} in ${path}`,
        name: basename(file.path),
        size: file.size,
        read: () => reading(path, file.read(), badArchive),
      };
    }
  } catch (error) {
    throw badArchive(path, error);
  }
}

async function* inFile(path: string, size: number): AsyncGenerator<Candidate> {
  if (await reading(path, isZip(path), badSource)) yield* inArchive(path);
  else yield fileAt(path, size);
}

/** All files below a folder, including those behind links and in its zip archives. */
async function* inFolder(folder: string): AsyncGenerator<Candidate> {
  const entries = readdir(folder, { recursive: true, withFileTypes: true });
  for (const { parentPath, name } of await reading(folder, entries, badSource)) {
    const path = join(parentPath, name);
    const stats = await stat(path).catch(() => undefined);
    if (stats?.isFile() !== true) continue;
    if (/\.(zip|whl)$/i.test(name)) yield* inFile(path, stats.size);
    else yield fileAt(path, stats.size);
  }
}

async function* candidatesIn(source: string): AsyncGenerator<Candidate> {
  const stats = await reading(source, stat(source), badSource);
  yield* stats.isDirectory() ? inFolder(source) : inFile(source, stats.size);
}

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Whether a file is a Git LFS pointer, which a clone without Git LFS has in place of the file. */
const isPointer = (bytes: Uint8Array) =>
  Buffer.from(bytes.subarray(0, 24)).toString("latin1") === "version https://git-lfs.";

/** Why a file of the right name is not the catalogue's. */
async function differenceOf({ place, size, read }: Candidate, file: PackFile): Promise<string> {
  if (size < 1024 && isPointer(await read()))
    return `${place} is a Git LFS pointer to the file: run git lfs pull there`;
  if (size !== file.bytes) return `${place} has ${size} bytes, expected ${file.bytes}`;
  return `${place} has SHA-256 ${digestOf(await read())}, expected ${file.sha256}`;
}

/** Copies a candidate if it is one of the wanted files; returns which one. */
async function take(
  candidate: Candidate,
  wanted: Iterable<PackFile>,
  folder: string,
): Promise<PackFile | undefined> {
  const fitting = [...wanted].filter(({ bytes }) => bytes === candidate.size);
  if (fitting.length === 0) return undefined;
  const content = await candidate.read();
  const digest = digestOf(content);
  const file = fitting.find(({ sha256 }) => sha256 === digest);
  if (file !== undefined) await writeFileAtomic(join(folder, file.name), content);
  return file;
}

/**
 * Copies the files of a pack into a folder. Files are recognised by content, so names and other files do not matter.
 * @param sources files, folders and zip archives.
 * @throws FaceError `PACK_INVALID` when one of the files is not among them, or only another of its name; `FILE_INVALID`
 *   or `ARCHIVE_INVALID` for a source that cannot be read; `DISK_FULL`; `INTERRUPTED` on the signal.
 */
export async function copyPack(
  pack: Pack,
  folder: string,
  sources: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const wanted = new Set(filesOf(pack).map(([, file]) => file));
  const differences: string[] = [];
  for (const source of sources) {
    for await (const candidate of candidatesIn(source)) {
      if (signal?.aborted) throw new FaceError("INTERRUPTED", `stopped adding ${pack.name}`);
      const file = await take(candidate, wanted, folder);
      if (file !== undefined) wanted.delete(file);
      else {
        const named = [...wanted].find(({ name }) => name === candidate.name);
        if (named !== undefined) differences.push(await differenceOf(candidate, named));
      }
    }
  }
  if (wanted.size === 0) return;
  const missing = [...wanted].map(({ name }) => name).join(" and no ");
  const hint = "take the files of exactly this name and digest (faceid models list --json prints both)";
  const said = differences.length > 0 ? differences.join("; ") : `${sources.join(", ")} holds no ${missing}`;
  throw new FaceError("PACK_INVALID", said, { hint });
}
