/** @file Lists the photographs in a folder and in all folders below it, and what is left out there. */
import type { Stats } from "node:fs";
import { open, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { FaceError, messageOf, systemCode } from "../base/errors.ts";
import { imageFormat } from "../image/decode.ts";
import { isSystemFile, isSystemFolder, kindByName, type LeftOut, REASONS, Tally } from "./left-out.ts";

/** A person's folder. */
export interface Folder {
  readonly name: string;
  /** Photographs: paths below the folder, with `/`; those directly in it first, then folder by folder. */
  readonly files: readonly string[];
  /** How many of them lie directly in it. */
  readonly direct: number;
  readonly leftOut: readonly LeftOut[];
}

/** What lies directly in a folder, in code point order. */
interface Entries {
  readonly folders: readonly string[];
  readonly files: readonly string[];
}

/** Concurrent reads of folders: enough to hide the latency of a disk or network. */
const MAX_READS = 16;
/** Bytes that tell a format. */
const MAGIC_BYTES = 16;

export interface ListOptions {
  /** Whether a link that leads nowhere is a photograph where its name says so: for jobs that say why each one was left out. */
  readonly keepsBroken?: boolean;
  /** Called for each file and folder that is left out, also where nothing is lost by it, in no particular order. */
  readonly onLeftOut?: (reason: string, path: string) => void;
}

const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Whether a file that its name says nothing about begins like a photograph. */
async function looksLikeImage(path: string): Promise<boolean> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC_BYTES), 0, MAGIC_BYTES, 0);
    return imageFormat(buffer.subarray(0, bytesRead)) !== undefined;
  } catch {
    return false;
  }
}

/** Lists a folder and those below it. */
class Walk {
  readonly #root: string;
  readonly #options: ListOptions;
  readonly tally = new Tally();

  constructor(root: string, options: ListOptions) {
    this.#root = root;
    this.#options = options;
  }

  #leaveOut(reason: string, path: string): void {
    this.tally.add(reason, path);
    this.#options.onLeftOut?.(reason, path);
  }

  /**
   * The folders and photographs directly in a folder.
   * @param above real paths of the folders that links on the way here lead to
   */
  async entries(
    below: string,
    above: readonly string[],
  ): Promise<{ folders: string[]; files: string[]; above: string[] }> {
    const path = join(this.#root, below);
    const folders: string[] = [];
    const files: string[] = [];
    const chain = new Set(above);
    for (const entry of await readdir(path, { withFileTypes: true })) {
      const { name } = entry;
      // The common case first: a dataset has millions of files that their names tell to be photographs.
      if (entry.isFile() && kindByName(name) === "photograph") {
        files.push(name);
        continue;
      }
      const at = join(path, name);
      const kind = entry.isSymbolicLink() ? await this.#follow(at, path, chain) : entry;
      if (kind === "broken") files.push(name);
      else if (kind?.isDirectory()) this.#takeFolder(name, at, folders);
      else if (kind?.isFile()) await this.#takeFile(name, at, files);
      else if (kind !== undefined) this.#leaveOut(isSystemFile(name) ? REASONS.hidden : REASONS.device, at);
    }
    return { folders: folders.sort(byCode), files: files.sort(byCode), above: [...chain] };
  }

  /** What a link leads to; undefined, and counted, where that is nothing or a folder above. `broken`: a photograph that is gone. */
  async #follow(at: string, folder: string, chain: Set<string>): Promise<Stats | "broken" | undefined> {
    try {
      const about = await stat(at);
      if (!about.isDirectory()) return about;
      const target = await realpath(at);
      chain.add(await realpath(folder));
      if (![...chain].some((each) => each === target || each.startsWith(target + sep))) return about;
      this.#leaveOut(REASONS.loop, at);
    } catch (error) {
      const isGone = systemCode(error) !== "ELOOP" && kindByName(at) === "photograph";
      if (isGone && this.#options.keepsBroken) return "broken";
      this.#leaveOut(systemCode(error) === "ELOOP" ? REASONS.loop : REASONS.broken, at);
    }
    return undefined;
  }

  #takeFolder(name: string, at: string, folders: string[]): void {
    if (isSystemFolder(name)) this.#leaveOut(REASONS.hidden, at);
    else if (name.includes("\uFFFD")) this.#leaveOut(REASONS.encoding, at);
    else folders.push(name);
  }

  async #takeFile(name: string, at: string, files: string[]): Promise<void> {
    const kind = kindByName(name);
    if (kind === "photograph" || (kind === undefined && (await looksLikeImage(at)))) files.push(name);
    else this.#leaveOut(kind?.reason ?? REASONS.other, at);
  }

  /** All photographs below a folder: paths below it. */
  async photographs(below: string, above: readonly string[]): Promise<{ files: string[]; direct: number }> {
    try {
      const { folders, files, above: chain } = await this.entries(below, above);
      if (folders.length === 0) return { files, direct: files.length };
      const all = [...files];
      for (const name of folders) {
        const inside = await this.photographs(join(below, name), chain);
        for (const file of inside.files) all.push(`${name}/${file}`);
      }
      return { files: all, direct: files.length };
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      this.#leaveOut(REASONS.unreadable, join(this.#root, below));
      return { files: [], direct: 0 };
    }
  }
}

/** What a dataset's own folder holds. */
export interface RootEntries extends Entries {
  readonly leftOut: readonly LeftOut[];
}

/**
 * Names of the folders and photographs directly in a folder.
 * @throws FaceError `DATASET_NOT_FOUND` when the folder does not exist, `DATASET_INVALID` when it cannot be read.
 */
export async function listFolder(path: string, options: ListOptions = {}): Promise<RootEntries> {
  const walk = new Walk(path, options);
  try {
    const { folders, files } = await walk.entries("", []);
    return { folders, files, leftOut: walk.tally.list() };
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") {
      throw new FaceError("DATASET_NOT_FOUND", `there is no folder ${path}`, {
        hint: "check the path: a folder of photographs, or of one folder per person, is wanted",
        cause: error,
      });
    }
    const isArchive = /\.(zip|tar|t?gz|tar\.\w+|7z|rar)$/i.test(path);
    const isPhoto = code === "ENOTDIR" && kindByName(basename(path)) === "photograph";
    const reason = code === "ENOTDIR" ? "it is a file, not a folder" : messageOf(error);
    throw new FaceError("DATASET_INVALID", `cannot read the dataset ${path}: ${reason}`, {
      hint: isArchive
        ? "unpack the archive, and give the folder that holds one folder per person"
        : isPhoto
          ? `give a folder of photographs, such as the one that holds it: ${dirname(path)}`
          : "give the folder that holds one folder per person",
      cause: error,
    });
  }
}

/** The photographs of each of the named folders, in the same order. */
export async function listPeople(
  root: string,
  names: readonly string[],
  options: ListOptions = {},
): Promise<Folder[]> {
  const above = [await realpath(root)];
  const folders = new Array<Folder>(names.length);
  // Each reader takes the next name: a promise for each of 100,000 folders would take more memory than their photographs.
  const waiting = names.entries();
  const read = async (): Promise<void> => {
    for (const [index, name] of waiting) {
      const walk = new Walk(root, options);
      const { files, direct } = await walk.photographs(name, above);
      folders[index] = { name, files, direct, leftOut: walk.tally.list() };
    }
  };
  await Promise.all(Array.from({ length: MAX_READS }, read));
  return folders;
}

/**
 * Paths of all photographs in a folder and below it.
 * @throws FaceError as `listFolder`.
 */
export async function listPhotographs(root: string, options: ListOptions = {}): Promise<string[]> {
  const { folders, files } = await listFolder(root, options);
  const people = await listPeople(root, folders, options);
  const below = people.flatMap(({ name, files: inside }) => inside.map((file) => join(name, file)));
  return [...files, ...below].map((path) => join(root, path));
}
