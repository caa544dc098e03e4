/** @file Lists, adds, removes and opens the packs of this machine; opening downloads at first use. */

import { randomBytes } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { FaceError, systemCode } from "../../base/errors.ts";
import { renameWhenFree, systemCacheFolder, writeError } from "../../base/files.ts";
import { bytesText, type Log, silentLog } from "../../base/log.ts";
import { bytesOf, licencesOf, PACKS, type Pack, packNamed } from "./catalogue.ts";
import { checkPack, type PackState } from "./check.ts";
import { fetchPack, type OnPackProgress } from "./fetch.ts";
import { REMOVED, sweep, WorkFolder } from "./work-folder.ts";

type Environment = NodeJS.ProcessEnv;

/** The folder of all packs: `FACEID_MODELS_DIR`, else a folder in the system's folder for caches. */
export function packsFolder(environment: Environment): string {
  return resolve(environment.FACEID_MODELS_DIR || join(systemCacheFolder(environment), "models"));
}

/** `FACEID_MODELS_URL`: the URL of a server with `<mirror>/<pack>/<file>`, used instead of the origins. */
export function mirrorOf(environment: Environment): string | undefined {
  return environment.FACEID_MODELS_URL || undefined;
}

/** Whether `FACEID_OFFLINE` forbids downloads: it is set to any value but 0, false, no or off. */
export function isOffline(environment: Environment): boolean {
  return !["", "0", "false", "no", "off"].includes((environment.FACEID_OFFLINE ?? "").trim().toLowerCase());
}

/** A pack of the catalogue and its state on this machine. */
export type PackStatus = PackState & {
  readonly pack: Pack;
  /** Its folder, which may not exist yet. */
  readonly folder: string;
};

/** A checked pack on this machine. */
export interface OpenedPack {
  readonly name: string;
  /** Paths of the files. */
  readonly files: { readonly detector: string; readonly embedding: string };
  /** The catalogue's entry: licences, what it was trained on, digests. */
  readonly about: Pack;
}

export interface OpenPackOptions {
  /** Gets one line with size and licence before a download. */
  readonly log?: Log | undefined;
  readonly progress?: OnPackProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface AddPackOptions extends OpenPackOptions {
  /** Files, folders and zip archives to copy from; without them the pack is downloaded. */
  readonly from?: string | readonly string[] | undefined;
}

export interface PackStoreOptions {
  readonly catalogue?: readonly Pack[];
  /** Has `FACEID_MODELS_DIR`, `FACEID_MODELS_URL` and `FACEID_OFFLINE`. Default: `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
  /** For `downloadFile`. */
  readonly retryDelayMs?: number;
}

/** `10.8 MB; licences of the weights: MIT and Apache-2.0` */
function termsOf(pack: Pack): string {
  return `${bytesText(bytesOf(pack))}; licences of the weights: ${licencesOf(pack)}`;
}

/** Renames a complete work folder to the pack's folder, which another process may have done first. */
async function publish(pack: Pack, work: WorkFolder, folder: string): Promise<void> {
  for (;;) {
    try {
      return await rename(work.path, folder);
    } catch (error) {
      if (!["ENOTEMPTY", "EEXIST", "EPERM", "EACCES"].includes(systemCode(error) ?? "")) throw error;
      const { state } = await checkPack(pack, folder);
      if (state === "absent") return await renameWhenFree(work.path, folder);
      if (state === "present") return;
      await discard(folder).catch((failure: unknown) => {
        // Another process has replaced the damaged pack first.
        if (systemCode(failure) !== "ENOENT") throw failure;
      });
    }
  }
}

/** Removes a folder atomically for other processes. */
async function discard(folder: string): Promise<void> {
  const aside = join(folder, "..", `${REMOVED}${randomBytes(4).toString("hex")}`);
  await renameWhenFree(folder, aside);
  await rm(aside, { recursive: true, force: true });
}

/** The model packs in one folder, which several processes may share. */
export class PackStore {
  readonly #catalogue: readonly Pack[];
  readonly #environment: NodeJS.ProcessEnv;
  readonly #retryDelayMs: number | undefined;

  constructor({ catalogue = PACKS, environment = process.env, retryDelayMs }: PackStoreOptions = {}) {
    this.#catalogue = catalogue;
    this.#environment = environment;
    this.#retryDelayMs = retryDelayMs;
  }

  /**
   * The folder of all packs, or that of one; it may not exist yet.
   * @throws FaceError `PACK_UNKNOWN`
   */
  path(name?: string): string {
    const root = packsFolder(this.#environment);
    return name === undefined ? root : join(root, packNamed(name, this.#catalogue).name);
  }

  /** All packs of the catalogue with their state; digests are checked. */
  async list(): Promise<PackStatus[]> {
    return await Promise.all(
      this.#catalogue.map(async (pack) => {
        const folder = this.path(pack.name);
        return { pack, folder, ...(await checkPack(pack, folder)) };
      }),
    );
  }

  /** Whether a pack is on this machine, whole or damaged. @throws FaceError `PACK_UNKNOWN` */
  async has(name: string): Promise<boolean> {
    return (await checkPack(packNamed(name, this.#catalogue), this.path(name))).state !== "absent";
  }

  /**
   * Downloads a pack, or copies it from files. A complete pack is kept, a damaged one replaced. The pack appears
   * complete or not at all.
   * @returns whether the pack was added.
   * @throws FaceError `PACK_UNKNOWN`; `PACK_MISSING` when `FACEID_OFFLINE` forbids the download; `DOWNLOAD_FAILED`, after
   *   which the next call resumes; `PACK_INVALID`, `ARCHIVE_INVALID` or
   *   `FILE_INVALID` for the sources in `from`; `DISK_FULL`; `INTERRUPTED` on the signal.
   */
  async add(
    name: string,
    { from, log = silentLog, progress, signal }: AddPackOptions = {},
  ): Promise<boolean> {
    const pack = packNamed(name, this.#catalogue);
    const [root, folder] = [this.path(), this.path(name)];
    const isHere = async () => (await checkPack(pack, folder)).state === "present";
    if (await isHere()) return false;
    if (from !== undefined) {
      const sources = typeof from === "string" ? [from] : from;
      const { copyPack } = await import("./copy.ts");
      const work = await WorkFolder.make(root, name);
      await this.#gather(pack, work, (path) => copyPack(pack, path, sources, signal)).finally(() =>
        work.remove(),
      );
      return true;
    }
    if (isOffline(this.#environment)) throw this.#missing(pack, "FACEID_OFFLINE forbids fetching it");
    const onWait = () => log.info(`another process is fetching ${name}; waiting for it`);
    let work: WorkFolder | undefined;
    while (work === undefined) {
      work = await WorkFolder.claim(root, name, { onWait, signal });
      if (work === undefined && (await isHere())) return false;
    }
    log.info(`fetching ${name}: ${termsOf(pack)}`);
    await this.#gather(pack, work, (path) =>
      fetchPack(pack, path, {
        mirror: mirrorOf(this.#environment),
        onProgress: progress,
        signal,
        retryDelayMs: this.#retryDelayMs,
      }),
    );
    return true;
  }

  /** Fills and publishes a work folder; after a failure it stays for the next call to resume. */
  async #gather(pack: Pack, work: WorkFolder, fill: (path: string) => Promise<void>): Promise<void> {
    const root = this.path();
    try {
      await fill(work.path);
      await publish(pack, work, this.path(pack.name));
      await work.remove();
    } catch (error) {
      await work.leave();
      throw systemCode(error) === undefined ? error : writeError(work.path, error);
    }
    await sweep(root, pack.name);
  }

  /**
   * Removes a pack and the remains of interrupted downloads.
   * @returns whether the pack was on this machine.
   * @throws FaceError `PACK_UNKNOWN`, or `FILE_INVALID` without permission to remove it.
   */
  async remove(name: string): Promise<boolean> {
    const folder = this.path(name);
    try {
      await sweep(this.path(), name);
      await discard(folder);
      return true;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return false;
      throw writeError(folder, error);
    }
  }

  /**
   * Opens a pack after checking its digests; downloads it first if it is not on this machine.
   * @throws FaceError `PACK_UNKNOWN`; `PACK_MISSING` when it cannot or may not be downloaded; `PACK_INVALID` when a file
   *   is not the catalogue's; `DISK_FULL`; `INTERRUPTED` on the signal.
   */
  async open(name: string, options: OpenPackOptions = {}): Promise<OpenedPack> {
    const pack = packNamed(name, this.#catalogue);
    const folder = this.path(name);
    const found = await checkPack(pack, folder);
    if (found.state === "damaged") {
      throw new FaceError("PACK_INVALID", `the model pack in ${folder} is damaged: ${found.problem}`, {
        hint: `run faceid models add ${name}, which replaces it`,
      });
    }
    if (found.state === "absent") await this.#fetchForUse(pack, options);
    const { detector, embedding } = pack.files;
    return {
      name,
      files: { detector: join(folder, detector.name), embedding: join(folder, embedding.name) },
      about: pack,
    };
  }

  async #fetchForUse(pack: Pack, options: OpenPackOptions): Promise<void> {
    try {
      if (await this.add(pack.name, options)) options.log?.info(pack.note);
    } catch (error) {
      if (!(error instanceof FaceError) || error.code !== "DOWNLOAD_FAILED") throw error;
      throw this.#missing(pack, `it could not be fetched: ${error.message}`, error);
    }
  }

  #missing({ name }: Pack, reason: string, cause?: unknown): FaceError {
    return new FaceError("PACK_MISSING", `the model pack ${name} is not here, and ${reason}`, {
      hint: [
        isOffline(this.#environment)
          ? `fetch it:            unset FACEID_OFFLINE, then faceid models add ${name}`
          : `fetch it:            faceid models add ${name}`,
        `take it from files:  faceid models add ${name} --from FOLDER (or files, or a zip)`,
        `look elsewhere:      set FACEID_MODELS_DIR (now ${this.path()})`,
      ].join("\n  "),
      cause,
    });
  }
}
