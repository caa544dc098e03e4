/** @file Downloads a large file over HTTP, resumes after interruptions, and checks length and checksum. */
import { type FileHandle, open, readFile, rm, stat, statfs, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FaceError, messageOf } from "./errors.ts";
import { makeFolder, renameWhenFree, sha256OfFile, writeError } from "./files.ts";

/** Progress in bytes; `total` is undefined when the server does not send it. */
export interface DownloadProgress {
  readonly received: number;
  readonly total: number | undefined;
}

/** Hints for the user of the command that downloads. */
export interface DownloadAdvice {
  /** When the server refuses the file. */
  readonly refused?: string;
  /** When the disk is full. */
  readonly space?: string;
}

export interface DownloadOptions {
  readonly url: string;
  /** Path of the complete file; an incomplete one is beside it with the suffix `.part`. */
  readonly path: string;
  /** Checksum in hexadecimal digits, if known. */
  readonly sha256?: string | undefined;
  /** Length, if known. The download stops when the server announces or sends another one. */
  readonly bytes?: number | undefined;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal | undefined;
  /** Attempts without any progress before giving up. Default 5. */
  readonly attempts?: number;
  /** Wait before the second attempt; doubled each time. Default 1000. */
  readonly retryDelayMs?: number;
  /** A connection is closed when no data comes for this long. Default 60,000. */
  readonly stallMs?: number;
  readonly advice?: DownloadAdvice;
}

/** What the server said about a partly downloaded file; stored beside the part. */
interface PartInfo {
  readonly url: string;
  /** A strong ETag or a date, by which the server recognises whether the file has changed. */
  readonly validator: string;
}

/** A failure that another attempt would not fix. */
const isFinal = (error: unknown) => error instanceof FaceError;

function failed(url: string, reason: string, hint: string, cause?: unknown): FaceError {
  return new FaceError("DOWNLOAD_FAILED", `cannot download ${url}: ${reason}`, { hint, cause });
}

/** One download: the part on disk and the requests that complete it. */
class Download {
  readonly #options: DownloadOptions;
  readonly #part: string;
  readonly #infoPath: string;
  #received = 0;
  #total: number | undefined;

  constructor(options: DownloadOptions) {
    this.#options = options;
    this.#part = `${options.path}.part`;
    this.#infoPath = `${options.path}.part.json`;
  }

  async run(): Promise<void> {
    const { attempts = 5, retryDelayMs = 1000, signal, url } = this.#options;
    await this.#writing(() => makeFolder(dirname(this.#part)));
    for (let vain = 0; ; ) {
      const before = this.#received;
      try {
        await this.#attempt();
        break;
      } catch (error) {
        if (signal?.aborted) {
          throw new FaceError("INTERRUPTED", `stopped downloading ${url}; the next call resumes`);
        }
        if (isFinal(error)) throw error;
        vain = this.#received > before ? 1 : vain + 1;
        if (vain >= attempts) {
          const hint = "check the connection and run the command again: it resumes";
          throw failed(url, messageOf(causeOf(error)), hint, error);
        }
        // A signal ends the wait; the next attempt reports it.
        await sleep(retryDelayMs * 2 ** (vain - 1), undefined, { signal }).catch(() => undefined);
      }
    }
    await this.#finish();
  }

  /** Length and validator of the part; undefined when there is no part to resume. */
  async #resumable(): Promise<{ length: number; validator: string } | undefined> {
    try {
      const { size } = await stat(this.#part);
      const info = JSON.parse(await readFile(this.#infoPath, "utf8")) as Partial<PartInfo>;
      if (size === 0 || info.url !== this.#options.url || typeof info.validator !== "string")
        return undefined;
      return { length: size, validator: info.validator };
    } catch {
      return undefined;
    }
  }

  /** One request; throws unless the file is complete after it. */
  async #attempt(): Promise<void> {
    const { url, signal, stallMs = 60_000 } = this.#options;
    const known = await this.#resumable();
    const stall = new AbortController();
    let timer = setTimeout(() => stall.abort(), stallMs);
    try {
      const response = await fetch(url, {
        headers: {
          "accept-encoding": "identity",
          ...(known === undefined ? {} : { range: `bytes=${known.length}-`, "if-range": known.validator }),
        },
        signal: AbortSignal.any([stall.signal, ...(signal === undefined ? [] : [signal])]),
      });
      const start = await this.#accept(response, known?.length ?? 0);
      if (start === undefined) return;
      await this.#receive(response, start, () => {
        clearTimeout(timer);
        timer = setTimeout(() => stall.abort(), stallMs);
      });
    } catch (error) {
      if (stall.signal.aborted) throw new Error(`no data came for ${stallMs / 1000} seconds`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    if (this.#total !== undefined && this.#received !== this.#total) {
      throw new Error(`the connection ended after ${this.#received} of ${this.#total} bytes`);
    }
  }

  /** Checks the head of a response: the offset at which its body begins; undefined when the part is complete. */
  async #accept(response: Response, have: number): Promise<number | undefined> {
    const { url } = this.#options;
    const { status, headers } = response;
    const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers.get("content-range") ?? "");
    if (status === 416) {
      if (range !== null && Number(range[2]) === have) {
        this.#received = this.#total = have;
        return undefined;
      }
      await this.#forget();
      throw new Error("the part on disk does not fit the file");
    }
    if (status === 206) {
      if (range === null || Number(range[1]) !== have) {
        await this.#forget();
        throw new Error("the server sent another range than requested");
      }
      await this.#expectTotal(Number(range[2]));
      await this.#checkSpace(have);
      return have;
    }
    if (status === 200) {
      const length = headers.get("content-length");
      await this.#expectTotal(length === null ? this.#options.bytes : Number(length));
      await this.#checkSpace(0);
      await this.#remember(headers);
      return 0;
    }
    await response.body?.cancel();
    if (status === 429 || status >= 500)
      throw new Error(`the server answered ${status} ${response.statusText}`);
    throw failed(
      url,
      `the server answered ${status} ${response.statusText}`,
      this.#options.advice?.refused ?? "the file may have moved; check the address",
    );
  }

  async #expectTotal(total: number | undefined): Promise<void> {
    this.#total = total;
    const { bytes = total, url } = this.#options;
    if (total === bytes) return;
    await this.#forget();
    throw failed(
      url,
      `the server has ${total} bytes there, expected ${bytes}`,
      "the file was replaced by another, or a proxy answers in the server's place; check the address",
    );
  }

  /** Turns errors of writing into a FaceError, which another attempt would not fix. */
  async #writing<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw writeError(this.#part, error);
    }
  }

  /** Stores the validator for a later `If-Range`, which does not accept weak ETags. */
  async #remember(headers: Headers): Promise<void> {
    const etag = headers.get("etag");
    const validator = etag !== null && !etag.startsWith("W/") ? etag : headers.get("last-modified");
    if (validator === null) return await rm(this.#infoPath, { force: true });
    const info: PartInfo = { url: this.#options.url, validator };
    await this.#writing(() => writeFile(this.#infoPath, JSON.stringify(info)));
  }

  async #forget(): Promise<void> {
    await rm(this.#part, { force: true });
    await rm(this.#infoPath, { force: true });
  }

  /** Writes the body of a response at its offset in the part. */
  async #receive(response: Response, start: number, alive: () => void): Promise<void> {
    const file = await this.#writing(() => open(this.#part, start === 0 ? "w" : "r+"));
    this.#received = start;
    try {
      for await (const chunk of response.body ?? []) {
        alive();
        await this.#write(file, chunk);
        this.#options.onProgress?.({ received: this.#received, total: this.#total });
      }
      await file.truncate(this.#received);
    } finally {
      await file.close();
    }
  }

  async #write(file: FileHandle, chunk: Uint8Array): Promise<void> {
    // A server that sends no length could send without end.
    const { bytes = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#received + chunk.length > bytes) await this.#expectTotal(this.#received + chunk.length);
    await this.#writing(async () => {
      for (let at = 0; at < chunk.length; ) {
        const { bytesWritten } = await file.write(chunk, at, chunk.length - at, this.#received);
        at += bytesWritten;
        this.#received += bytesWritten;
      }
    });
  }

  /** Fails before the download when the disk has too little space. */
  async #checkSpace(start: number): Promise<void> {
    if (this.#total === undefined) return;
    const { bavail, bsize } = await statfs(dirname(this.#part));
    const needed = this.#total - start;
    if (bavail * bsize >= needed) return;
    throw new FaceError(
      "DISK_FULL",
      `${this.#options.path} needs ${needed} more bytes, ${bavail * bsize} are free`,
      {
        hint: this.#options.advice?.space ?? "free some space, or choose another folder",
      },
    );
  }

  async #finish(): Promise<void> {
    const { path, sha256, url } = this.#options;
    if (sha256 !== undefined) {
      const found = await sha256OfFile(this.#part);
      if (found !== sha256.toLowerCase()) {
        await this.#forget();
        throw failed(
          url,
          `its SHA-256 is ${found}, expected ${sha256}`,
          "the transfer was damaged or the file was replaced; run the command again, or choose another mirror",
        );
      }
    }
    await renameWhenFree(this.#part, path);
    await rm(this.#infoPath, { force: true });
  }
}

/** The cause of a "fetch failed". */
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? error.cause : error;
}

/**
 * The URL of a file in a folder on a server.
 * @param mirror the URL of the folder, with or without a slash at the end.
 * @throws FaceError `CONFIG_INVALID` when `mirror` is not an HTTP URL.
 */
export function mirrorAddress(mirror: string, file: string): string {
  const base = mirror.endsWith("/") ? mirror : `${mirror}/`;
  if (/^https?:/i.test(base) && URL.canParse(file, base)) return new URL(file, base).href;
  throw new FaceError("CONFIG_INVALID", `${JSON.stringify(mirror)} is not the URL of a mirror`, {
    hint: "a mirror begins with https:// or http:// and names the folder that holds the files",
  });
}

/**
 * Downloads a file, or resumes an earlier download if the server can confirm that the file is the same (`If-Range`).
 * @throws FaceError `DOWNLOAD_FAILED` when the server refuses, does not answer, or sends a file with another checksum;
 *   `DISK_FULL`; `INTERRUPTED` on the signal. The part is kept for the next call, except after a wrong checksum.
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  await new Download(options).run();
}
