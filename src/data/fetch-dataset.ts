/** @file Downloads and unpacks parts of a public dataset, without repeating what an earlier call has done. */
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type DownloadProgress, downloadFile, mirrorAddress } from "../base/download.ts";
import { FaceError } from "../base/errors.ts";
import { checkTarget, writeFileAtomic } from "../base/files.ts";
import { extractArchive } from "./archive.ts";
import type { RemoteDataset, RemoteFile, RemotePart } from "./catalogue.ts";

/** Progress of a download. */
export type FetchEvent =
  | { readonly kind: "present"; readonly file: string }
  | ({ readonly kind: "downloading"; readonly file: string } & DownloadProgress)
  | { readonly kind: "unpacking"; readonly file: string; readonly images: number }
  | { readonly kind: "done"; readonly file: string; readonly images: number };

export interface FetchOptions {
  readonly output: string;
  /** URL of a folder on another server with files of the same names. */
  readonly mirror?: string | undefined;
  /** Keeps the archives after unpacking. */
  readonly keepArchives?: boolean;
  readonly onEvent?: (event: FetchEvent) => void;
  readonly signal?: AbortSignal;
  /** For `downloadFile`. */
  readonly retryDelayMs?: number;
}

/** File in the output folder that lists what is complete. */
const RECORD = ".faceid-download.json";

async function readRecord(output: string): Promise<Record<string, { images: number }>> {
  try {
    return JSON.parse(await readFile(join(output, RECORD), "utf8")) as Record<string, { images: number }>;
  } catch {
    return {};
  }
}

const isArchive = (name: string) => /\.(zip|tgz)$/.test(name);

async function download(file: RemoteFile, path: string, options: FetchOptions): Promise<void> {
  const { mirror, onEvent, signal, retryDelayMs } = options;
  await downloadFile({
    url: mirror === undefined ? file.url : mirrorAddress(mirror, file.name),
    path,
    sha256: file.sha256,
    signal,
    ...(retryDelayMs === undefined ? {} : { retryDelayMs }),
    advice: {
      refused:
        "the file may have moved: look at the dataset's page, and pass --mirror with the URL of its folder",
      space: "free some space, or choose another folder with --output",
    },
    onProgress: (progress) => onEvent?.({ kind: "downloading", file: file.name, ...progress }),
  });
}

/** Unpacks an archive and deletes it if it is damaged, so that the next call downloads it again. */
async function unpack(dataset: RemoteDataset, file: RemoteFile, path: string, options: FetchOptions) {
  const { output, onEvent, signal } = options;
  try {
    const images = await extractArchive(path, output, {
      place: dataset.place,
      onFile: (done) => onEvent?.({ kind: "unpacking", file: file.name, images: done }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (images > 0) return images;
    throw new FaceError("ARCHIVE_INVALID", `${file.name} holds no images of ${dataset.name}`, {
      hint: "the file may have been replaced by another; check the mirror",
    });
  } catch (error) {
    if (error instanceof FaceError && error.code === "ARCHIVE_INVALID") await rm(path, { force: true });
    throw error;
  }
}

/** Downloads and unpacks one file; returns its number of images. */
async function fetchFile(dataset: RemoteDataset, file: RemoteFile, options: FetchOptions): Promise<number> {
  const path = join(options.output, file.name);
  const archive = isArchive(file.name);
  // A complete archive is left over from an interrupted unpacking.
  if (!archive || !existsSync(path)) await download(file, path, options);
  if (!archive) return 0;
  const images = await unpack(dataset, file, path, options);
  if (options.keepArchives !== true) await rm(path);
  return images;
}

/**
 * Downloads and unpacks parts of a dataset into one folder, in the layout that `openDataset` reads.
 * @returns the number of images of these parts.
 * @throws FaceError `DOWNLOAD_FAILED`, `ARCHIVE_INVALID`, `DISK_FULL` or `INTERRUPTED`; the next call resumes.
 */
export async function fetchDataset(
  dataset: RemoteDataset,
  parts: readonly RemotePart[],
  options: FetchOptions,
): Promise<number> {
  const { output, onEvent } = options;
  await checkTarget(output, "folder");
  const record = await readRecord(output);
  let images = 0;
  for (const file of parts.flatMap((part) => part.files)) {
    const known = record[file.name];
    if (known === undefined) {
      record[file.name] = { images: await fetchFile(dataset, file, options) };
      await writeFileAtomic(join(output, RECORD), `${JSON.stringify(record, null, 2)}\n`);
      onEvent?.({ kind: "done", file: file.name, images: record[file.name]!.images });
    } else {
      onEvent?.({ kind: "present", file: file.name });
    }
    images += record[file.name]!.images;
  }
  return images;
}
