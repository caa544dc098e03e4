/** @file Lets one process at a time open a folder: PGlite has no lock of its own, and two writers would destroy its files. */
import { randomBytes } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { FaceError, systemCode } from "../base/errors.ts";
import { writeError } from "../base/files.ts";

const NAME = "lock";
/** How long to wait for a process that has the folder open: a short command ends within it. */
const WAIT_MS = 10_000;
const STEP_MS = 100;

/** Who holds a lock. */
interface Holder {
  readonly host: string;
  readonly pid: number;
  /** When the process started, in clock ticks since the machine did; numbers of processes are used again. */
  readonly started: string;
}

/** Field 22 of /proc/PID/stat (proc(5)); the second field may hold spaces and brackets. Empty on other systems. */
async function startOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

async function isAlive({ host, pid, started }: Holder): Promise<boolean> {
  // A process on another machine, or in another container, cannot be asked.
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (systemCode(error) === "ESRCH") return false;
  }
  return (await startOf(pid)) === started;
}

async function holderOf(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Holder;
  } catch {
    return undefined;
  }
}

const sameHolder = (a: Holder | undefined, b: Holder | undefined) => JSON.stringify(a) === JSON.stringify(b);

export class FolderLock {
  readonly #path: string;
  readonly #text: string;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  /** Whether a file in the folder belongs to locks. */
  static owns(name: string): boolean {
    return name === NAME || name.startsWith(`.${NAME}-`);
  }

  /**
   * Takes the lock, from a dead process too.
   * @throws FaceError `GALLERY_UNAVAILABLE` when another process holds it for long.
   */
  static async acquire(folder: string, waitMs = WAIT_MS): Promise<FolderLock> {
    const path = join(folder, NAME);
    const own = join(folder, `.${NAME}-${process.pid}-${randomBytes(4).toString("hex")}`);
    const holder: Holder = { host: hostname(), pid: process.pid, started: await startOf(process.pid) };
    const text = JSON.stringify({ ...holder, token: randomBytes(8).toString("hex") });
    try {
      await writeFile(own, text, { flag: "wx" });
    } catch (error) {
      throw writeError(own, error);
    }
    try {
      const end = Date.now() + waitMs;
      // A link is made only where there is none, and never half written.
      while (!(await linked(own, path))) await waitFor(folder, path, end);
      return new FolderLock(path, text);
    } finally {
      await rm(own, { force: true });
    }
  }

  /**
   * Checks that nobody has the folder open, where no lock can be taken.
   * @throws FaceError `GALLERY_UNAVAILABLE`
   */
  static async requireFree(folder: string): Promise<void> {
    const path = join(folder, NAME);
    const holder = await holderOf(path);
    if (holder !== undefined && (await isAlive(holder))) throw heldError(folder, path, holder);
  }

  /** Gives the lock back. */
  async release(): Promise<void> {
    const text = await readFile(this.#path, "utf8").catch(() => "");
    if (text === this.#text) await rm(this.#path, { force: true });
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw writeError(to, error);
  }
}

/** Removes a dead process's lock, or waits a moment for a living one's. */
async function waitFor(folder: string, path: string, end: number): Promise<void> {
  const holder = await holderOf(path);
  if (holder !== undefined && !(await isAlive(holder))) {
    const aside = join(folder, `.${NAME}-${randomBytes(4).toString("hex")}`);
    await rename(path, aside).catch(() => {});
    // Another process may have taken the lock since it was read: then it gets it back.
    const moved = await holderOf(aside);
    if (moved !== undefined && !sameHolder(moved, holder)) await link(aside, path).catch(() => {});
    await rm(aside, { force: true });
    return;
  }
  if (Date.now() >= end) {
    throw heldError(folder, path, holder);
  }
  await pause(STEP_MS);
}

function heldError(folder: string, path: string, holder: Holder | undefined): FaceError {
  const who = holder === undefined ? "another process" : `process ${holder.pid} on ${holder.host}`;
  return new FaceError("GALLERY_UNAVAILABLE", `the gallery ${folder} is open in ${who}`, {
    hint:
      holder?.host === hostname()
        ? "wait for that process or stop it; for several at once use PostgreSQL: a gallery postgres://…"
        : `if nothing there uses it any more, remove ${path}`,
  });
}
