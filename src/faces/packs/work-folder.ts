/** @file The temporary folder in which one process collects a pack before publishing it, while other processes wait. */
import { createHash, randomBytes } from "node:crypto";
import { readdir, rm, rmdir, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FaceError, systemCode } from "../../base/errors.ts";
import { makeFolder, renameWhenFree, writeError } from "../../base/files.ts";

/** How often the owner of a work folder renews its modification time. */
const TOUCH_MS = 5_000;
/** A folder that was not renewed for this long is abandoned. */
const ABANDONED_MS = 30_000;
const LOOK_AGAIN_MS = 200;

const HOST = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
const OWNER = /^\.(?<pack>.+)\.(?<host>[0-9a-f]{8})-(?<pid>\d+)-[0-9a-f]{8}\.part$/;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== "ESRCH";
  }
}

interface Found {
  readonly path: string;
  /** Its owner has left it, died or stopped renewing it. */
  readonly abandoned: boolean;
}

/** The work folders of a pack, in the order of their names. */
async function foldersFor(root: string, pack: string): Promise<Found[]> {
  const found: Found[] = [];
  const names = await readdir(root).catch((error: unknown) => {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return [];
    throw writeError(root, error);
  });
  for (const name of names.sort()) {
    const owner = OWNER.exec(name)?.groups;
    if (owner?.pack !== pack) continue;
    const path = join(root, name);
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined) continue;
    // Threads of one process share its pid, so for them only the modification time counts.
    const pid = Number(owner.pid);
    const dead = owner.host === HOST && pid !== process.pid && !isAlive(pid);
    found.push({ path, abandoned: dead || Date.now() - stats.mtimeMs > ABANDONED_MS });
  }
  return found;
}

export interface ClaimOptions {
  /** Called once when another process works on the same pack. */
  readonly onWait: () => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A folder with one owner beside the published packs. Its name is unique, so no two processes write the same file. The
 * folder of a dead owner is taken over by renaming it, which only one process can do.
 */
export class WorkFolder {
  readonly path: string;
  readonly #timer: NodeJS.Timeout;

  private constructor(path: string) {
    this.path = path;
    this.#timer = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => undefined);
    }, TOUCH_MS);
    this.#timer.unref();
  }

  static #nameFor(root: string, pack: string): string {
    return join(root, `.${pack}.${HOST}-${process.pid}-${randomBytes(4).toString("hex")}.part`);
  }

  /**
   * Creates a folder.
   * @throws FaceError `FILE_INVALID` or `DISK_FULL` when it cannot be created.
   */
  static async make(root: string, pack: string): Promise<WorkFolder> {
    const path = WorkFolder.#nameFor(root, pack);
    try {
      await makeFolder(path);
    } catch (error) {
      const { code, message } = writeError(path, error);
      throw new FaceError(code, message, {
        hint: "set FACEID_MODELS_DIR to a writable folder with enough space",
        cause: error,
      });
    }
    return new WorkFolder(path);
  }

  /** Takes over an abandoned folder; undefined when another process was faster. */
  static async #takeOver(left: string, root: string, pack: string): Promise<WorkFolder | undefined> {
    const path = WorkFolder.#nameFor(root, pack);
    try {
      const now = new Date();
      // Before the rename, so that it is not abandoned under its new name.
      await utimes(left, now, now);
      await renameWhenFree(left, path);
      return new WorkFolder(path);
    } catch {
      return undefined;
    }
  }

  /**
   * Takes over an abandoned folder or creates one. Returns undefined after waiting for another process, which may have
   * published the pack.
   * @throws FaceError as `make`; `INTERRUPTED` on the signal.
   */
  static async claim(root: string, pack: string, options: ClaimOptions): Promise<WorkFolder | undefined> {
    const found = await foldersFor(root, pack);
    if (found.some(isBusy)) return await waitFor(root, pack, options);
    const left = found.find(({ abandoned }) => abandoned);
    const taken = left === undefined ? undefined : await WorkFolder.#takeOver(left.path, root, pack);
    const own = taken ?? (await WorkFolder.make(root, pack));
    // Of two that started together the first by name continues; at worst both do, and one publishes.
    const earlier = (await foldersFor(root, pack)).some((each) => isBusy(each) && each.path < own.path);
    if (!earlier) return own;
    await own.leave();
    return await waitFor(root, pack, options);
  }

  /** Leaves the folder for the next process to take over; an empty one is removed. */
  async leave(): Promise<void> {
    clearInterval(this.#timer);
    await rmdir(this.path).catch(() => utimes(this.path, 0, 0).catch(() => undefined));
  }

  /** Removes the folder and its content. */
  async remove(): Promise<void> {
    clearInterval(this.#timer);
    await rm(this.path, { recursive: true, force: true });
  }
}

const isBusy = ({ abandoned }: Found): boolean => !abandoned;

/** Waits until no process works on the pack. */
async function waitFor(root: string, pack: string, { onWait, signal }: ClaimOptions): Promise<undefined> {
  onWait();
  while ((await foldersFor(root, pack)).some(isBusy)) {
    await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {
      throw new FaceError("INTERRUPTED", `stopped waiting for another process that fetches ${pack}`);
    });
  }
}

/** Prefix of the names of folders that are being removed. */
export const REMOVED = ".removed-";

/** Removes what dead processes have left of a pack. */
export async function sweep(root: string, pack: string): Promise<void> {
  for (const name of await readdir(root).catch(() => [])) {
    if (name.startsWith(REMOVED)) await rm(join(root, name), { recursive: true, force: true });
  }
  for (const { path, abandoned } of await foldersFor(root, pack)) {
    if (abandoned) await rm(path, { recursive: true, force: true });
  }
}
