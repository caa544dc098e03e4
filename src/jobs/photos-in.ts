/** @file The photographs of a folder, of whatever layout, and what a job says of those it leaves out. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { FaceError } from "../base/errors.ts";
import { eachLimited } from "../base/limiter.ts";
import { countText, type Log } from "../base/log.ts";
import { usableCores } from "../base/platform.ts";
import { listPhotographs } from "../data/folder.ts";
import { isLoss, leftOutText, sentenceOf, Tally } from "../data/left-out.ts";
import type { FaceChoice } from "../faces/choose.ts";
import { readImageFile } from "../image/decode.ts";
import { csvLine } from "./csv.ts";

/** Whether a path names a folder. */
export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

/** What a folder holds, by paths relative to it with `/`. */
export interface FolderPhotos {
  /** Those of a folder in name order, before those of the folders in it. */
  readonly paths: readonly string[];
  /** Files that somebody may take for photographs and that are not read, such as videos, in path order. */
  readonly unread: readonly LeftOutFile[];
}

/**
 * Every photograph of a folder and of the folders in it, and the files that are not read. Links that lead nowhere are among the
 * photographs, so that they are left out by name and not silently.
 * @throws FaceError as `listFolder`; `DATASET_INVALID` without a photograph.
 */
export async function photosIn(root: string): Promise<FolderPhotos> {
  const below = (path: string) => relative(root, path).replaceAll("\\", "/");
  const unread: LeftOutFile[] = [];
  const tally = new Tally();
  const onLeftOut = (reason: string, path: string) => {
    if (!isLoss({ reason })) return;
    tally.add(reason, path);
    const name = below(path);
    unread.push({ path: name, code: "IMAGE_UNREADABLE", reason: sentenceOf(name, reason) });
  };
  const paths = await listPhotographs(root, { keepsBroken: true, onLeftOut });
  if (paths.length > 0) return { paths: paths.map(below), unread: unread.toSorted(byPath) };
  const lost = tally.list().map(leftOutText);
  const found = lost.length === 0 ? "" : `; left out: ${lost.join("; ")}`;
  throw new FaceError("DATASET_INVALID", `there are no photographs in ${root}${found}`, {
    hint: "name a folder of image files, or of folders of them",
  });
}

/** A photograph that is asked for, and its place in the folder that was named. */
export interface WantedPhoto {
  readonly path: string;
  readonly name: string;
}

/** A photograph that cannot be read. */
export interface UnreadPhoto {
  readonly image: string;
  readonly error: FaceError;
}

/** The photographs, and all of each folder. @throws FaceError `DATASET_INVALID` for a folder without photographs. */
export async function wantedPhotos(
  given: readonly string[],
): Promise<{ readonly photos: readonly WantedPhoto[]; readonly unread: readonly UnreadPhoto[] }> {
  const lists = given.map(async (path) => {
    if (!(await isFolder(path))) return { photos: [{ path, name: basename(path) }], unread: [] };
    const found = await photosIn(path);
    return {
      photos: found.paths.map((name) => ({ path: join(path, name), name })),
      unread: found.unread.map(({ path: name, reason }) => ({
        image: join(path, name),
        error: new FaceError(
          "IMAGE_UNREADABLE",
          reason.replace(name, () => join(path, name)),
        ),
      })),
    };
  });
  const all = await Promise.all(lists);
  return { photos: all.flatMap(({ photos }) => photos), unread: all.flatMap(({ unread }) => unread) };
}

/**
 * Why photographs cannot be read of which none is there: known before a job opens its model, which may be downloaded first.
 * @returns undefined where one is there.
 */
export async function noneThere(paths: readonly string[]): Promise<UnreadPhoto[] | undefined> {
  if (paths.some((path) => existsSync(path))) return undefined;
  const unread: UnreadPhoto[] = [];
  for (const image of paths) {
    const error: unknown = await readImageFile(image).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    // One that has appeared meanwhile is there.
    if (error === undefined) return undefined;
    if (!(error instanceof FaceError)) throw error;
    unread.push({ image, error });
  }
  return unread;
}

/** Whose photograph it is: the name of the folder below the root; undefined for one beside the folders. */
export const personOf = (path: string): string | undefined =>
  path.includes("/") ? path.slice(0, path.indexOf("/")) : undefined;

/** A photograph without a result. */
export interface LeftOutFile {
  /** Relative to the folder. */
  readonly path: string;
  /** `FACE_NOT_FOUND`, `SEVERAL_FACES`, `FACE_UNFIT` or `IMAGE_UNREADABLE`. */
  readonly code: string;
  readonly reason: string;
}

/** The state of a photograph's file, by which a later run knows that it was not changed. */
export interface FileState {
  readonly size: number;
  readonly modified: number;
}

/** Of a file that is gone, or cannot be asked: no file has it. */
const NO_STATE: FileState = { size: -1, modified: -1 };

export async function stateOf(path: string): Promise<FileState> {
  try {
    const { size, mtimeMs } = await stat(path);
    return { size, modified: mtimeMs };
  } catch {
    return NO_STATE;
  }
}

/**
 * The content of a photograph that was listed.
 * @throws FaceError `IMAGE_UNREADABLE` where it is gone or cannot be read; `DATASET_NOT_FOUND` where the whole folder is gone.
 */
export async function readPhoto(root: string, path: string): Promise<Uint8Array> {
  try {
    return await readImageFile(join(root, path), path);
  } catch (error) {
    await requireFolder(root);
    throw error;
  }
}

/** Ends a job whose folder has gone meanwhile: otherwise all photographs that are left would be left out. */
export async function requireFolder(root: string): Promise<void> {
  if (await isFolder(root)) return;
  throw new FaceError("DATASET_NOT_FOUND", `the folder ${root} is gone`, {
    hint: "run the command again when it is back",
  });
}

/** Codes that concern one photograph; any other error ends the job. */
const OF_ONE_PHOTO: ReadonlySet<string> = new Set([
  "FACE_NOT_FOUND",
  "SEVERAL_FACES",
  "FACE_UNFIT",
  "IMAGE_UNREADABLE",
]);

/** A photograph's error as an entry of the list; throws any other. */
export function leftOutFile(path: string, error: unknown): LeftOutFile {
  if (error instanceof FaceError && OF_ONE_PHOTO.has(error.code)) {
    return { path, code: error.code, reason: error.message };
  }
  throw error;
}

/** The order of a list of files. */
export const byPath = (a: LeftOutFile, b: LeftOutFile): number => (a.path < b.path ? -1 : 1);

/** The list as a CSV file, in path order. */
export function leftOutCsv(list: readonly LeftOutFile[]): string {
  const rows = list.toSorted(byPath).map(({ path, code, reason }) => csvLine([path, code, reason]));
  return `${[csvLine(["path", "code", "reason"]), ...rows].join("\n")}\n`;
}

/** How far a job over photographs is. */
export type OnPhotoProgress = (done: number, total: number) => void;

/** What every job over photographs takes beside its own options. */
export interface PhotosJobOptions {
  /** Which face is meant. Default `largest`. */
  readonly face?: FaceChoice | undefined;
  readonly log?: Log | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnPhotoProgress | undefined;
}

/** Threads of a job over photographs: each may hold one of the largest size. */
export const photoThreads = (): number => Math.min(4, usableCores());

/**
 * Works on photographs, three for each thread at a time: one in the networks, one being decoded, one being read.
 * @param work gets a path and a signal that aborts when the job is stopped.
 * @throws FaceError `INTERRUPTED` on the signal, or what the work throws.
 */
export async function eachPhoto(
  paths: readonly string[],
  { signal, onProgress }: PhotosJobOptions,
  work: (path: string, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = signal ?? new AbortController().signal;
  let done = 0;
  try {
    await eachLimited(paths, photoThreads() * 3, async (path) => {
      stop.throwIfAborted();
      await work(path, stop);
      onProgress?.(++done, paths.length);
    });
  } catch (error) {
    if (!stop.aborted) throw error;
    throw new FaceError(
      "INTERRUPTED",
      `stopped after ${countText(done)} of ${countText(paths.length)} photographs`,
      {
        hint: "run the command again to continue",
      },
    );
  }
}
