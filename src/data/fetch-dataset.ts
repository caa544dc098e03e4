/** @file Downloads parts of a public dataset and unpacks them; what is done already is not done again. */
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type DownloadProgress, downloadFile, mirrorAddress } from "../base/download.ts";
import { FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { extractArchive } from "./archive.ts";
import type { RemoteDataset, RemoteFile, RemotePart } from "./catalogue.ts";

/** What happens, as it happens. */
export type FetchEvent =
  | { readonly kind: "present"; readonly file: string }
  | ({ readonly kind: "downloading"; readonly file: string } & DownloadProgress)
  | { readonly kind: "unpacking"; readonly file: string; readonly images: number }
  | { readonly kind: "done"; readonly file: string; readonly images: number };

export interface FetchOptions {
  readonly output: string;
  /** Folder on another server that holds files of the same names. */
  readonly mirror?: string | undefined;
  /** Keeps the archives after unpacking. */
  readonly keepArchives?: boolean;
  readonly onEvent?: (event: FetchEvent) => void;
  readonly signal?: AbortSignal;
  /** For `downloadFile`. */
  readonly retryDelayMs?: number;
}

/** Names of the files that are finished, in the output folder. */
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
        "the file may have moved: look at the dataset's page, and pass --mirror with the folder it is in now",
      space: "free some space, or choose another folder with --output",
    },
    onProgress: (progress) => onEvent?.({ kind: "downloading", file: file.name, ...progress }),
  });
}

/** Unpacks an archive; one that turns out to be bad is removed, so that the next run fetches it anew. */
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

/** Brings one file in place; returns the number of images it holds. */
async function fetchFile(dataset: RemoteDataset, file: RemoteFile, options: FetchOptions): Promise<number> {
  const path = join(options.output, file.name);
  const archive = isArchive(file.name);
  // An archive that is here whole was interrupted while it was unpacked.
  if (!archive || !existsSync(path)) await download(file, path, options);
  if (!archive) return 0;
  const images = await unpack(dataset, file, path, options);
  if (options.keepArchives !== true) await rm(path);
  return images;
}

/**
 * Downloads and unpacks parts of a dataset into one folder, in the layout that `openDataset` reads.
 * @returns the number of images of these parts
 * @throws FaceError `DOWNLOAD_FAILED`, `ARCHIVE_INVALID`, `DISK_FULL` or `INTERRUPTED`; the next call goes on from there.
 */
export async function fetchDataset(
  dataset: RemoteDataset,
  parts: readonly RemotePart[],
  options: FetchOptions,
): Promise<number> {
  const { output, onEvent } = options;
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
