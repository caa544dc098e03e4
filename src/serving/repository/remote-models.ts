/** @file Models in a storage for objects: whole versions are copied into a folder here, from which they are served. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { versionOf } from "../../artifact/files.ts";
import { FaceError } from "../../base/errors.ts";
import { makeFolder, publishFolder, TEMPORARY_FILE } from "../../base/files.ts";
import type { Log } from "../../base/log.ts";
import type { ServableVersionPolicy } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { type RemoteScheme, remoteAddress } from "./model-config.ts";
import type { ObjectStore, StoredObject } from "./object-store.ts";
import { aspiredVersions, type VersionFolders, versionPolicy } from "./version-policy.ts";

/** The cache folder of remote models, and how often the storage is listed. */
export interface RemoteOptions {
  readonly cacheDir: string;
  readonly pollWaitSeconds: number;
}

const MS_PER_SECOND = 1000;

/** A name that stays within its folder on any system. */
const isSafe = (name: string): boolean =>
  name.split("/").every((part) => /^[^\\:\p{C}]+$/u.test(part) && part !== "." && part !== "..");

/** A version as it was listed. */
interface Listed {
  readonly version: bigint;
  readonly objects: readonly StoredObject[];
  /** Of names, sizes and ETags. */
  readonly digest: string;
}

const digestOf = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16);

function versionsIn(objects: readonly StoredObject[]): Map<bigint, Listed> {
  const groups = new Map<string, StoredObject[]>();
  for (const object of objects) {
    const slash = object.name.indexOf("/");
    // A key that ends in a slash stands for an empty folder.
    if (slash <= 0 || object.name.endsWith("/")) continue;
    const folder = object.name.slice(0, slash);
    if (!/^[0-9]+$/.test(folder) || versionOf(folder) === undefined) continue;
    const group = groups.get(folder) ?? [];
    groups.set(folder, group);
    group.push({ ...object, name: object.name.slice(slash + 1) });
  }
  const versions = new Map<bigint, Listed>();
  for (const [folder, found] of [...groups].sort()) {
    const text = found.map(({ name, size, etag }) => `${name}\0${size}\0${etag}`).sort();
    const version = versionOf(folder)!;
    versions.set(version, { version, objects: found, digest: digestOf(text.join("\n")) });
  }
  return versions;
}

/** A copy in work is written to more often than this. */
const ABANDONED_MS = 3_600_000;

/** Whether nothing in a folder has been written for long. */
async function isAbandoned(folder: string): Promise<boolean> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const times = ["", ...names].map(
    async (name) => (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0,
  );
  return Math.max(...(await Promise.all(times))) + ABANDONED_MS < Date.now();
}

/** Loads what reads a storage only where a model lies in one. @throws StatusError where its client or credentials are not there. */
async function openStore(scheme: RemoteScheme): Promise<ObjectStore> {
  if (scheme === "gs") return await (await import("./google-store.ts")).openGoogleStore();
  return await (await import("./s3-store.ts")).openS3Store();
}

/** Keeps copies of remote models. */
export class RemoteModels {
  readonly #open: (scheme: RemoteScheme) => Promise<ObjectStore>;
  readonly #stores = new Map<RemoteScheme, ObjectStore>();
  readonly #options: RemoteOptions;
  readonly #log: Log;
  readonly #closing = new AbortController();
  /** Base path → what its last listing found. */
  readonly #last = new Map<
    string,
    { readonly atMs: number; readonly digests: ReadonlyMap<bigint, string> }
  >();
  readonly #found = new Map<string, VersionFolders>();
  /** Base path → why it could not be read, which is not tried again at once. */
  readonly #failed = new Map<string, { readonly error: unknown; readonly untilMs: number }>();
  /** Folders that the last listing did not want. */
  readonly #unwanted = new Set<string>();
  readonly #scanning = new Map<string, Promise<VersionFolders>>();

  constructor(options: RemoteOptions, log: Log, open = openStore) {
    this.#options = options;
    this.#log = log;
    this.#open = open;
  }

  /**
   * The storage of a base path, opened once.
   * @throws StatusError where the client of the storage is not installed, or has no credentials.
   */
  async storeOf(basePath: string): Promise<ObjectStore> {
    const { scheme } = remoteAddress(basePath);
    const store = this.#stores.get(scheme) ?? (await this.#open(scheme));
    this.#stores.set(scheme, store);
    return store;
  }

  get #waitMs(): number {
    return this.#options.pollWaitSeconds * MS_PER_SECOND;
  }

  /** Whether a listing of the base path goes on. */
  isScanning(basePath: string): boolean {
    return this.#scanning.has(basePath);
  }

  /**
   * The wanted versions, after they are copied here; between two listings, what the last one found.
   * @throws FaceError, or the storage's error.
   */
  async scan(basePath: string, policy: ServableVersionPolicy | undefined): Promise<VersionFolders> {
    const running = this.#scanning.get(basePath);
    if (running !== undefined) return await running;
    const last = this.#last.get(basePath);
    const found = this.#found.get(basePath);
    const isFresh = last !== undefined && Date.now() < last.atMs + this.#waitMs;
    if (isFresh && found !== undefined) return found;
    const failed = this.#failed.get(basePath);
    if (failed !== undefined && Date.now() < failed.untilMs) throw failed.error;
    const scanning = this.#scan(basePath, policy).finally(() => this.#scanning.delete(basePath));
    this.#scanning.set(basePath, scanning);
    try {
      const scanned = await scanning;
      this.#failed.delete(basePath);
      return scanned;
    } catch (error) {
      this.#failed.set(basePath, { error, untilMs: Date.now() + this.#waitMs });
      throw error;
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #scan(basePath: string, policy: ServableVersionPolicy | undefined): Promise<VersionFolders> {
    const { bucket, prefix } = remoteAddress(basePath);
    const store = await this.storeOf(basePath);
    const listed = versionsIn(await store.list(bucket, prefix, this.#closing.signal));
    const before = this.#last.get(basePath)?.digests;
    const nowMs = Date.now();
    this.#last.set(basePath, {
      atMs: nowMs,
      digests: new Map([...listed].map(([version, { digest }]) => [version, digest])),
    });
    const folders = new Map<bigint, string>();
    const notes: string[] = [];
    const settled = [...listed.values()].filter((each) => {
      const isSettled = before?.get(each.version) === each.digest || this.#isOld(each, nowMs);
      if (!isSettled) notes.push(`Version ${each.version} is still being written`);
      return isSettled;
    });
    for (const version of aspiredVersions(
      versionPolicy(policy),
      settled.map(({ version: each }) => each),
    )) {
      const each = listed.get(version)!;
      folders.set(version, await this.#copied(store, basePath, each));
    }
    const found = { folders, notes };
    this.#found.set(basePath, found);
    await this.#clean(basePath, new Set(folders.values()));
    return found;
  }

  /** Whether nothing of a version has changed for the time between two listings. */
  #isOld({ objects }: Listed, nowMs: number): boolean {
    const newest = Math.max(...objects.map(({ modifiedMs }) => modifiedMs));
    return newest + this.#waitMs <= nowMs;
  }

  #folderOf(basePath: string): string {
    return join(this.#options.cacheDir, digestOf(basePath));
  }

  /** The folder of a version, copied unless it is here. Other content under the same number has another folder. */
  async #copied(store: ObjectStore, basePath: string, { version, objects, digest }: Listed): Promise<string> {
    const { bucket } = remoteAddress(basePath);
    const folder = join(this.#folderOf(basePath), `${version}-${digest}`);
    if (existsSync(folder)) return folder;
    const unsafe = objects.find(({ name }) => !isSafe(name));
    if (unsafe !== undefined) {
      const text = `version ${version} of ${basePath} has an object with the name ${JSON.stringify(unsafe.name)}`;
      throw new FaceError("MODEL_INVALID", text, { hint: "such names cannot be copied into a folder" });
    }
    const bytes = objects.reduce((sum, { size }) => sum + size, 0);
    this.#log.info(`copying version ${version} of ${basePath}: ${objects.length} objects, ${bytes} bytes`);
    await makeFolder(dirname(folder));
    const copyAll = publishFolder(folder, async (temporary) => {
      for (const object of objects) {
        const file = join(temporary, object.name);
        await makeFolder(dirname(file));
        await store.copy(bucket, object, file, this.#closing.signal);
      }
    });
    await copyAll.catch((error: unknown) => {
      // Another process with the same cache may have been first.
      if (!existsSync(folder)) throw error;
    });
    return folder;
  }

  /**
   * Removes copies that two listings in a row did not want, and what a process that was killed has left. A loaded version
   * needs its files no longer.
   */
  async #clean(basePath: string, wanted: ReadonlySet<string>): Promise<void> {
    const parent = this.#folderOf(basePath);
    const names = await readdir(parent).catch(() => []);
    for (const name of names) {
      const folder = join(parent, name);
      if (TEMPORARY_FILE.test(name) && (await isAbandoned(folder)))
        await rm(folder, { recursive: true, force: true });
      if (wanted.has(folder) || !/^\d+-[0-9a-f]{16}$/.test(name)) this.#unwanted.delete(folder);
      else if (!this.#unwanted.has(folder)) this.#unwanted.add(folder);
      else {
        await rm(folder, { recursive: true, force: true });
        this.#unwanted.delete(folder);
      }
    }
  }
}
