/** @file Downloads the files of a pack from their origins or a mirror into a folder. */
import { join } from "node:path";
import { downloadFile, mirrorAddress } from "../../base/download.ts";
import { FaceError } from "../../base/errors.ts";
import { bytesOf, filesOf, type Pack, type PackFile } from "./catalogue.ts";
import { isFileOf } from "./check.ts";

/** Progress of a pack's download, in bytes of all its files. */
export interface PackProgress {
  readonly pack: string;
  /** The file being downloaded. */
  readonly file: string;
  readonly received: number;
  readonly total: number;
}

export type OnPackProgress = (progress: PackProgress) => void;

export interface FetchOptions {
  readonly mirror: string | undefined;
  readonly onProgress?: OnPackProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For `downloadFile`. */
  readonly retryDelayMs?: number | undefined;
}

/** Lower than usual, because there is another address to try. */
const ATTEMPTS = 3;
const STALL_MS = 30_000;

async function fetchFile(
  file: PackFile,
  path: string,
  addresses: readonly string[],
  options: FetchOptions & { readonly onBytes: (received: number) => void },
): Promise<void> {
  const { signal, retryDelayMs, onBytes } = options;
  const failures: FaceError[] = [];
  for (const url of addresses) {
    try {
      return await downloadFile({
        url,
        path,
        sha256: file.sha256,
        bytes: file.bytes,
        attempts: ATTEMPTS,
        stallMs: STALL_MS,
        signal,
        ...(retryDelayMs === undefined ? {} : { retryDelayMs }),
        onProgress: ({ received }) => onBytes(received),
        advice: { space: "free some space, or set FACEID_MODELS_DIR to a folder on another disk" },
      });
    } catch (error) {
      if (!(error instanceof FaceError) || error.code !== "DOWNLOAD_FAILED") throw error;
      failures.push(error);
    }
  }
  throw new FaceError("DOWNLOAD_FAILED", failures.map(({ message }) => message).join("\n  "), {
    hint: "name a mirror by FACEID_MODELS_URL, or copy the files here and add them with `from`",
    cause: failures[0],
  });
}

/**
 * Downloads the files that are not in the folder yet and resumes incomplete ones.
 * @throws FaceError `CONFIG_INVALID` for a mirror that is not a URL; `DOWNLOAD_FAILED` when no address has the file with
 *   the catalogue's digest; `DISK_FULL`; `FILE_INVALID` when the folder cannot be written to; `INTERRUPTED`.
 */
export async function fetchPack(pack: Pack, folder: string, options: FetchOptions): Promise<void> {
  const { mirror, onProgress } = options;
  const total = bytesOf(pack);
  let before = 0;
  for (const [, file] of filesOf(pack)) {
    const path = join(folder, file.name);
    const report = (received: number) =>
      onProgress?.({ pack: pack.name, file: file.name, received: before + received, total });
    if (!(await isFileOf(path, file))) {
      const addresses =
        mirror === undefined ? file.origins : [mirrorAddress(mirror, `${pack.name}/${file.name}`)];
      await fetchFile(file, path, addresses, { ...options, onBytes: report });
    }
    before += file.bytes;
    report(0);
  }
}
