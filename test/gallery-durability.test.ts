/** @file A gallery in a folder outlives kill -9, a second writer and a full disk: what was acknowledged is kept. */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, vi } from "vitest";
import { Gallery } from "../src/gallery/gallery.ts";
import { temporaryFolder } from "./support/photos.ts";

const WRITER = join(import.meta.dirname, "support/gallery-writer.ts");

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

interface WriterOptions {
  /** Bytes of a photograph that is kept with each face. */
  readonly large?: number;
  /** Kilobytes of the largest file that it may write. */
  readonly limit?: number;
}

function startWriter(address: string, count: number, { large, limit }: WriterOptions = {}) {
  const args = [
    "--import",
    "tsx",
    WRITER,
    address,
    String(count),
    ...(large === undefined ? [] : [String(large)]),
  ];
  const limited = ["-c", `ulimit -f ${limit}; exec "$0" "$@"`, process.execPath, ...args];
  const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
  const child =
    limit === undefined ? spawn(process.execPath, args, { stdio }) : spawn("bash", limited, { stdio });
  const acknowledged: string[] = [];
  const lines = createInterface({ input: child.stdout });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  lines.on("line", (line) => acknowledged.push(line));
  const ended = once(child, "close");
  const has = async (wanted: number) => {
    const early = ended.then(() => Promise.reject(new Error(`the writer ended too early: ${errors}`)));
    early.catch(() => {});
    while (acknowledged.length < wanted) await Promise.race([once(lines, "line"), early]);
  };
  return { child, acknowledged, has, errors: () => errors, ended };
}

async function idsIn(address: string): Promise<{ ids: Set<string>; people: number }> {
  await using gallery = await Gallery.open(address, { name: "written" });
  const people = await gallery.people.list();
  const faces = await Promise.all(people.map(({ id }) => gallery.faces.of(id)));
  return { ids: new Set(faces.flat().map(({ id }) => id)), people: people.length };
}

const MODEL = { name: "test-model", digest: "a".repeat(64), dimensions: 128, template: "centroid" as const };

/** Waits until a database is being made in the folder: files of it are there, under another name. */
async function whileMade(folder: string): Promise<string> {
  return await vi.waitUntil(
    () => {
      const name = existsSync(folder) ? readdirSync(folder).find((each) => each.endsWith(".tmp")) : undefined;
      return name !== undefined && existsSync(join(folder, name, "base", "1")) && join(folder, name);
    },
    { timeout: 60_000, interval: 10 },
  );
}

describe("a gallery in a folder", () => {
  it("is there whole or not at all when the process that makes it is killed, and is made again", async () => {
    const address = join(await temporaryFolder(), "people");
    const writer = startWriter(address, 1);
    const unfinished = await whileMade(address);
    writer.child.kill("SIGKILL");
    await writer.ended;
    expect(existsSync(unfinished)).toBe(true);
    await expect(Gallery.open(address, { name: "written" })).rejects.toMatchObject({
      code: "GALLERY_NOT_FOUND",
      message: `there is no gallery in ${address}`,
    });
    await using gallery = await Gallery.open(address, { name: "written", create: MODEL });
    expect(gallery.isNew).toBe(true);
    expect(readdirSync(address).toSorted()).toEqual(["database", "lock"]);
  });

  it("is stopped while it is made, and leaves nothing", async () => {
    const parent = await temporaryFolder();
    const address = join(parent, "new", "people");
    const stop = new AbortController();
    const opening = Gallery.open(address, { create: MODEL, signal: stop.signal });
    const failed = expect(opening).rejects.toMatchObject({
      code: "INTERRUPTED",
      message: `making the gallery ${address} was stopped`,
    });
    // This thread is free meanwhile, or the database would be finished when it is looked for.
    await whileMade(address);
    stop.abort();
    await failed;
    expect(readdirSync(parent)).toEqual([]);
    await expect(Gallery.open(address, { create: MODEL, signal: AbortSignal.abort() })).rejects.toMatchObject(
      { code: "INTERRUPTED" },
    );
    expect(readdirSync(parent)).toEqual([]);
    // With a signal that never comes, it is made in the thread.
    await using gallery = await Gallery.open(address, {
      create: MODEL,
      signal: new AbortController().signal,
    });
    expect(gallery.isNew).toBe(true);
  });

  it("is not made over one of which a part is missing", async () => {
    const address = join(await temporaryFolder(), "people");
    await (await Gallery.open(address, { create: MODEL }))[Symbol.asyncDispose]();
    const database = join(address, "database");
    const incomplete = {
      code: "GALLERY_INVALID",
      message: `the gallery ${address} is incomplete: there is no file ${join(database, "PG_VERSION")}`,
    };
    rmSync(join(database, "PG_VERSION"));
    const before = readdirSync(database);
    for (const create of [undefined, MODEL]) {
      await expect(Gallery.open(address, { create })).rejects.toMatchObject(incomplete);
    }
    expect(readdirSync(database)).toEqual(before);
    rmSync(database, { recursive: true });
    mkdirSync(database);
    await expect(Gallery.open(address)).rejects.toMatchObject(incomplete);
    expect(readdirSync(database)).toEqual([]);
  });

  it("keeps every acknowledged face when its process is killed in the middle of 1,000", async () => {
    const address = join(await temporaryFolder(), "people");
    for (const wanted of [150, 300]) {
      const writer = startWriter(address, 1000);
      await writer.has(wanted);
      writer.child.kill("SIGKILL");
      await writer.ended;
      const kept = writer.acknowledged.filter((line) => line !== "ready");
      expect(kept.length).toBeLessThan(1000);
      const { ids } = await idsIn(address);
      expect(kept.filter((id) => !ids.has(id))).toEqual([]);
    }
  });

  it("lets a second writer wait, and refuses it after a while", async () => {
    const address = join(await temporaryFolder(), "people");
    const first = startWriter(address, 10);
    await first.has(1);
    const second = startWriter(address, 20);
    await Promise.all([first.ended, second.ended]);
    expect(second.errors()).toBe("");
    const { ids, people } = await idsIn(address);
    expect(people).toBe(2);
    expect(ids.size).toBe(30);

    await using holder = await Gallery.open(address, { name: "written" });
    await expect(Gallery.open(address, { name: "written" })).rejects.toMatchObject({
      code: "GALLERY_UNAVAILABLE",
      message: expect.stringContaining(`process ${process.pid}`),
    });
    expect(holder.name).toBe("written");
  });

  it.skipIf(process.platform === "win32")(
    "is made whole or not at all where files may not grow",
    async () => {
      const address = join(await temporaryFolder(), "new", "people");
      const writer = startWriter(address, 1, { limit: 8192 });
      await writer.ended;
      expect(writer.errors()).toContain("EFBIG, the file would be larger than is allowed");
      expect(writer.errors()).toContain("DISK_FULL");
      expect(existsSync(dirname(address))).toBe(false);
    },
  );

  it.skipIf(process.platform === "win32")(
    "says so when its files may not grow, and keeps what it has",
    async () => {
      const address = join(await temporaryFolder(), "people");
      const first = startWriter(address, 3);
      await first.ended;
      const second = startWriter(address, 1000, { large: 1_000_000, limit: 17_000 });
      await second.ended;
      expect(second.errors()).toContain("EFBIG, the file would be larger than is allowed");
      const kept = [...first.acknowledged, ...second.acknowledged].filter((line) => line !== "ready");
      const { ids } = await idsIn(address);
      expect(kept.length).toBeGreaterThan(3);
      expect(kept.filter((id) => !ids.has(id))).toEqual([]);
    },
  );

  const small = mkdtempSync(join(tmpdir(), "faceid-small-"));
  const hasSmall = spawnSync("mount", ["-t", "tmpfs", "-o", "size=260m", "tmpfs", small]).status === 0;
  it.skipIf(!hasSmall)("goes on in the same process when its disk has room again", async () => {
    try {
      const create = {
        name: "test-model",
        digest: "a".repeat(64),
        dimensions: 4,
        template: "centroid",
      } as const;
      const gallery = await Gallery.open(join(small, "people"), { create });
      const { id } = await gallery.people.add("Ann");
      const face = () => ({
        personId: id,
        embedding: Float32Array.of(1, 0, 0, 0),
        photoDigest: randomUUID(),
        photo: randomBytes(1_000_000),
      });
      const open = () => readdirSync("/proc/self/fd").length;
      const before = open();
      for (let round = 1; round <= 2; round++) {
        const ballast = join(small, "ballast");
        const work = gallery.transaction(async (inner) => {
          // The transaction began with room, so only a write of the engine finds out.
          spawnSync("fallocate", ["-l", String(freeBytes(small) - 65_536), ballast]);
          for (let i = 0; i < 60; i++) await inner.faces.add([face()]);
        });
        await expect(work).rejects.toMatchObject({ code: "DISK_FULL" });
        await expect(gallery.people.list()).rejects.toMatchObject({ code: "DISK_FULL" });
        rmSync(ballast);
        // One attempt for all who ask at once.
        const asked = () => Promise.all([gallery.people.list(), gallery.counts(), gallery.people.get("Ann")]);
        const [people, counts] = await vi.waitFor(asked, { timeout: 60_000, interval: 200 });
        expect(people.map(({ name }) => name)).toEqual(["Ann"]);
        expect(counts).toMatchObject({ people: 1, faces: round - 1 });
        await gallery.faces.add([face()]);
        expect(open()).toBeLessThan(before + 10);
      }
      await gallery[Symbol.asyncDispose]();
      await using again = await Gallery.open(join(small, "people"));
      expect(await again.counts()).toMatchObject({ people: 1, faces: 2, photos: 2 });
    } finally {
      spawnSync("umount", [small]);
    }
  });

  const disk = mkdtempSync(join(tmpdir(), "faceid-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=220m", "tmpfs", disk]).status === 0;
  it.skipIf(!mounted)("says that the disk is full, and keeps what it acknowledged", async () => {
    try {
      const address = join(disk, "people");
      const writer = startWriter(address, 1000, { large: 500_000 });
      await writer.ended;
      const kept = writer.acknowledged.filter((line) => line !== "ready");
      expect(writer.errors()).toMatch(/\d+ MB are free on its disk/);
      expect(kept.length).toBeGreaterThan(0);
      const { ids } = await idsIn(address);
      expect(kept.filter((id) => !ids.has(id))).toEqual([]);
    } finally {
      spawnSync("umount", [disk]);
    }
  });
});
