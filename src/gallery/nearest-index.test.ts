/** @file The index on PostgreSQL (TEST_POSTGRES=postgres://…): others enrol while it is built, builders are killed, two build at once. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { direction, STORES } from "../../test/support/gallery-stores.ts";
import { Random } from "../base/random.ts";
import type { Database } from "./database.ts";
import { vectorText } from "./faces.ts";
import { Gallery, type GalleryModel } from "./gallery.ts";
import { candidatesOf, isSettled } from "./nearest-index.ts";
import { openDatabase } from "./open-database.ts";

const INDEXER = join(import.meta.dirname, "../../test/support/gallery-indexer.ts");
const MODEL: GalleryModel = {
  name: "test-model",
  digest: "d".repeat(64),
  dimensions: 16,
  template: "centroid",
};
const PEOPLE = 40;
const random = new Random(17);
const server = STORES.find(({ store }) => store === "PostgreSQL");

describe.skipIf(server === undefined)("the index on PostgreSQL", () => {
  let address: string;
  let database: Database;
  let writer: Database;
  let gallery: Gallery;
  let name: string;

  beforeAll(async () => {
    address = await server!.make();
  });
  beforeEach(async () => {
    name = `g${randomUUID()}`;
    [database, writer] = [await openDatabase(address), await openDatabase(address)];
    gallery = await Gallery.open(address, { name, create: MODEL });
    for (let i = 0; i < PEOPLE; i++) await enrol();
  });
  afterEach(async () => {
    for (const each of [gallery, database, writer]) await each[Symbol.asyncDispose]();
  });

  async function enrol(on = gallery) {
    const embedding = direction(random, MODEL.dimensions);
    const { id } = await on.people.add(randomUUID());
    await on.faces.add([{ personId: id, embedding, photoDigest: randomUUID() }]);
    return { id, embedding };
  }

  /** The gallery's index, once something of it is there. */
  async function indexes() {
    return await database.rows<{ oid: number; valid: boolean }>(
      `SELECT i.indexrelid::int AS oid, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE i.indrelid = 'faceid_people'::regclass
         AND c.relname = (SELECT 'faceid_nearest_' || id FROM faceid_galleries WHERE name = $1)`,
      [name],
    );
  }
  const begun = () =>
    vi.waitFor(async () => expect(await indexes()).toMatchObject([{ valid: false }]), { timeout: 60_000 });

  /** The connections on which a build runs. */
  async function builders(): Promise<number[]> {
    const rows = await database.rows<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'CREATE INDEX CONCURRENTLY faceid_nearest_%'
         AND pid <> pg_backend_pid() AND query LIKE '% gallery_id = ' || (SELECT id FROM faceid_galleries WHERE name = $1) || ' %'`,
      [name],
    );
    return rows.map(({ pid }) => pid);
  }

  /** Does `work` while a writer's transaction is open, which a build has to wait for. */
  async function whileWriting(work: () => Promise<void>): Promise<void> {
    await writer.transaction(async (queries) => {
      await queries.rows("UPDATE faceid_people SET name = name WHERE false");
      await work();
    });
  }

  const recall = async () => {
    await using again = await Gallery.open(address, { name });
    return (await again.check()).recall;
  };

  it("is used by a process that had the gallery open before another one built it", async () => {
    await using second = await Gallery.open(address, { name });
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      expect(await second.indexUse()).toBeUndefined();
      expect(await gallery.index(1)).toBe(true);
      expect(await second.indexUse()).toBeUndefined();
      vi.setSystemTime(Date.now() + 10_000);
      expect(await second.indexUse()).toMatchObject({ used: true, comparisons: PEOPLE });
    } finally {
      vi.useRealTimers();
    }
  });

  it("hides nobody behind what many changes of one person have left in it", async () => {
    const ann = await enrol();
    expect(await gallery.index(1)).toBe(true);
    const elsewhere = vectorText(direction(random, MODEL.dimensions));
    for (let i = 0; i < 500; i++) {
      await database.rows(
        "UPDATE faceid_people SET centroid = l2_normalize(centroid + ($2::vector * array_fill($3::real, ARRAY[$4::int])::vector)) WHERE id = $1",
        [ann.id, elsewhere, 0.0001, MODEL.dimensions],
      );
    }
    // PostgreSQL would not use the index of so few.
    const planner = "%20-c%20enable_seqscan%3Doff%20-c%20enable_bitmapscan%3Doff%20-c%20enable_sort%3Doff";
    await using indexed = await Gallery.open(`${address}${planner}`, { name });
    expect(await indexed.indexUse()).toMatchObject({ used: true });
    const found = await indexed.search(ann.embedding, 3);
    expect(found).toHaveLength(3);
    expect(found[0]!.personId).toBe(ann.id);
  });

  it("is built where the server ends statements that wait for a lock", async () => {
    await using impatient = await Gallery.open(`${address}%20-c%20lock_timeout%3D100`, { name });
    let building: Promise<boolean> | undefined;
    await whileWriting(async () => {
      building = impatient.index(1);
      await begun();
      await wait(500);
    });
    expect(await building).toBe(true);
  });

  it("is no longer waited for on a signal, or when the gallery is closed", async () => {
    const [second, third] = [await Gallery.open(address, { name }), await Gallery.open(address, { name })];
    const stop = new AbortController();
    let building: Promise<boolean> | undefined;
    await whileWriting(async () => {
      building = gallery.index(1);
      await begun();
      const waiting = [second.index(1, { signal: stop.signal }), third.index(1)];
      const ended = Promise.allSettled(waiting);
      await wait(200);
      stop.abort();
      await third[Symbol.asyncDispose]();
      expect(await ended).toMatchObject([1, 2].map(() => ({ reason: { code: "INTERRUPTED" } })));
      await second[Symbol.asyncDispose]();
    });
    expect(await building).toBe(true);
  });

  /** Waits until no statement builds, while a writer still keeps it from ending by itself. */
  const brokenOff = () => vi.waitFor(async () => expect(await builders()).toEqual([]), { timeout: 60_000 });
  const INTERRUPTED = expect.objectContaining({
    code: "INTERRUPTED",
    message: "the build of the gallery's index was stopped",
    hint: expect.stringContaining("what was enrolled is kept"),
  });

  it("is stopped by a signal while it is built, and leaves nothing", async () => {
    const stop = new AbortController();
    let building: Promise<unknown> | undefined;
    await whileWriting(async () => {
      building = gallery.index(1, { signal: stop.signal }).catch((error: unknown) => error);
      await begun();
      stop.abort();
      await brokenOff();
    });
    expect(await building).toEqual(INTERRUPTED);
    expect(await indexes()).toEqual([]);
    expect(await gallery.indexUse()).toBeUndefined();
    const builds: object[] = [];
    const onBuild = (about: object) => void builds.push(about);
    expect(await gallery.index(1, { onBuild: (about) => onBuild(about) as undefined })).toBe(true);
    expect(builds).toEqual([{ comparisons: PEOPLE, blocks: false }]);
  });

  it("is stopped when the gallery is closed, and leaves nothing", async () => {
    const other = await Gallery.open(address, { name });
    let [building, closing]: (Promise<unknown> | undefined)[] = [];
    await whileWriting(async () => {
      building = other.index(1).catch((error: unknown) => error);
      await begun();
      closing = other[Symbol.asyncDispose]();
      await brokenOff();
    });
    expect(await building).toEqual(INTERRUPTED);
    await closing;
    expect(await indexes()).toEqual([]);
  });

  it("is built for the other callers in a process when the one that began it stops", async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    let asked: Promise<unknown>[] = [];
    await whileWriting(async () => {
      asked = [first.signal, second.signal, undefined].map((signal) =>
        gallery.index(1, { signal }).catch((error: unknown) => error),
      );
      await begun();
      second.abort();
      expect(await asked[1]).toEqual(INTERRUPTED);
      first.abort();
      await brokenOff();
    });
    expect(await Promise.all(asked)).toEqual([INTERRUPTED, INTERRUPTED, true]);
    expect(await indexes()).toMatchObject([{ valid: true }]);
  });

  it("is not measured by a check before another process has built it", async () => {
    await using second = await Gallery.open(address, { name });
    let [building, checking]: (Promise<unknown> | undefined)[] = [];
    const stop = new AbortController();
    await whileWriting(async () => {
      building = gallery.index(1);
      await begun();
      checking = second.check();
      const stopped = second.check({ signal: stop.signal });
      stop.abort();
      await expect(stopped).rejects.toMatchObject({
        code: "INTERRUPTED",
        message: "the wait for another process that builds an index was stopped",
      });
    });
    expect(await building).toBe(true);
    expect(await checking).toMatchObject({ recall: 1, index: { used: true, comparisons: PEOPLE } });
  });

  it("does not keep many changes of the model from getting on", async () => {
    const digests = Array.from({ length: 12 }, (_, i) => i.toString(16).repeat(64));
    await Promise.all(digests.map((digest) => gallery.changeModel({ ...MODEL, digest })));
    await using changed = await Gallery.open(address, { name });
    expect(digests).toContain(changed.model.digest);
  });

  it("is built while others enrol, and has whom they enrolled", async () => {
    let building: Promise<boolean> | undefined;
    const enrolled: Awaited<ReturnType<typeof enrol>>[] = [];
    await whileWriting(async () => {
      building = gallery.index(1);
      await begun();
      enrolled.push(await enrol(), await enrol());
      expect((await gallery.search(enrolled[0]!.embedding, 1))[0]).toMatchObject({
        personId: enrolled[0]!.id,
      });
    });
    expect(await building).toBe(true);
    expect(await indexes()).toMatchObject([{ valid: true }]);
    for (const { id, embedding } of enrolled) {
      expect((await gallery.search(embedding, 1))[0]).toMatchObject({ personId: id });
    }
    expect(await recall()).toBe(1);
  });

  it("is built anew where the server broke a build off", async () => {
    let broken: Promise<unknown> | undefined;
    await whileWriting(async () => {
      broken = gallery.index(1).catch((error: unknown) => error);
      await begun();
      for (const pid of await builders()) await database.rows("SELECT pg_terminate_backend($1)", [pid]);
      expect(await broken).toMatchObject({ code: "GALLERY_UNAVAILABLE" });
    });
    const [left] = await indexes();
    expect(left).toMatchObject({ valid: false });
    const { id, embedding } = await enrol();
    expect((await gallery.search(embedding, 1))[0]).toMatchObject({ personId: id });
    expect(await gallery.index(1)).toBe(true);
    const [built] = await indexes();
    expect(built).toMatchObject({ valid: true });
    expect(built!.oid).not.toBe(left!.oid);
    expect(await recall()).toBe(1);
  });

  it("leaves nothing of a build that failed", async () => {
    await whileWriting(async () => {
      const failed = gallery.index(1).catch((error: unknown) => error);
      await begun();
      for (const pid of await builders()) await database.rows("SELECT pg_cancel_backend($1)", [pid]);
      // What it left is dropped once the writer is done.
      void failed;
    });
    await vi.waitFor(async () => expect(await indexes()).toEqual([]), { timeout: 60_000 });
    expect(await gallery.index(1)).toBe(true);
  });

  it("takes over what the server has built for a process that was killed", async () => {
    const child = spawn(process.execPath, ["--import", "tsx", INDEXER, address, name]);
    await whileWriting(async () => {
      await begun();
      child.kill("SIGKILL");
      await once(child, "close");
      expect(await builders()).toHaveLength(1);
    });
    expect(await gallery.index(1)).toBe(true);
    expect(await indexes()).toMatchObject([{ valid: true }]);
    expect(await recall()).toBe(1);
  });

  it("is built once where several processes build at once, in one gallery and in two", async () => {
    const other = `g${randomUUID()}`;
    await using second = await Gallery.open(address, { name });
    await using neighbour = await Gallery.open(address, { name: other, create: MODEL });
    for (let i = 0; i < PEOPLE; i++) await enrol(neighbour);
    const asked = [gallery, gallery, gallery.as("another"), second, neighbour];
    expect(await Promise.all(asked.map((each) => each.index(1)))).toEqual(asked.map(() => true));
    expect(await indexes()).toMatchObject([{ valid: true }]);
    expect((await second.check()).recall).toBe(1);
    expect((await neighbour.check()).recall).toBe(1);
  });

  it("is dropped, after a build, by a change of the model, and not built for the former one", async () => {
    await using second = await Gallery.open(address, { name });
    let building: Promise<boolean> | undefined;
    let changing: Promise<Gallery> | undefined;
    await whileWriting(async () => {
      building = gallery.index(1);
      await begun();
      changing = second.changeModel({ ...MODEL, name: "next", digest: "e".repeat(64), dimensions: 8 });
    });
    expect(await building).toBe(true);
    const changed = await changing!;
    expect(await indexes()).toEqual([]);
    await using former = await Gallery.open(address, { name });
    expect(former.model.dimensions).toBe(8);
    expect(await changed.index(1)).toBe(false);
    const { id } = await changed.people.add(randomUUID());
    await changed.faces.add([{ personId: id, embedding: direction(random, 8), photoDigest: randomUUID() }]);
    expect(await changed.index(1)).toBe(true);
  });
});

describe.each(STORES)("an index on $store", ({ make }) => {
  let address: string;
  beforeAll(async () => {
    address = await make();
  });

  async function enrol(gallery: Gallery, count: number) {
    for (let i = 0; i < count; i++) {
      const { id } = await gallery.people.add(randomUUID());
      await gallery.faces.add([
        { personId: id, embedding: direction(random, MODEL.dimensions), photoDigest: randomUUID() },
      ]);
    }
  }

  it("is not built of nobody, nor rejected for good by that", async () => {
    await using gallery = await Gallery.open(address, { name: "nobody", create: MODEL });
    expect(await gallery.index(0)).toBe(false);
    expect(await gallery.indexUse()).toBeUndefined();
    expect(await gallery.check()).not.toHaveProperty("index");
    await enrol(gallery, 10);
    expect(await gallery.index(0)).toBe(true);
    // Nor is one rejected whose people have all left.
    for (const { id } of await gallery.people.list({ limit: 1000 })) await gallery.people.remove(id);
    expect(await gallery.check()).not.toHaveProperty("index");
    expect(await gallery.index(0)).toBe(false);
    await enrol(gallery, 10);
    expect(await gallery.index(0)).toBe(true);
    expect(await gallery.indexUse()).toMatchObject({ used: true, comparisons: 10 });
  });

  it("is measured by one at a time, whose setting another would change", async () => {
    await using gallery = await Gallery.open(address, { name: "measured", create: MODEL });
    await enrol(gallery, 30);
    const [built, ...checks] = await Promise.all([gallery.index(1), gallery.check(), gallery.check()]);
    expect(built).toBe(true);
    for (const { recall } of checks) expect(recall).toBe(1);
  });

  it("is not begun on a signal that was aborted before", async () => {
    await using gallery = await Gallery.open(address, { name: "stopped", create: MODEL });
    await enrol(gallery, 3);
    await expect(gallery.index(1, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "INTERRUPTED",
    });
    expect(await gallery.indexUse()).toBeUndefined();
    expect(await gallery.index(1)).toBe(true);
  });
});

describe.skipIf(process.platform === "win32")("the build of an index in a folder", () => {
  it("ends with the process at SIGINT, which no handler would hear before its end", async () => {
    const address = await STORES[0]!.make();
    const kind = { ...MODEL, dimensions: 64, template: "best" } as const;
    const count = 50;
    {
      await using gallery = await Gallery.open(address, { create: kind });
      const { id } = await gallery.people.add("Ann");
      await gallery.faces.add(
        Array.from({ length: count }, () => ({
          personId: id,
          embedding: direction(random, kind.dimensions),
          photoDigest: randomUUID(),
        })),
      );
    }
    const script = join(import.meta.dirname, "../../test/support/gallery-interrupted.ts");
    const child = spawn(process.execPath, ["--import", "tsx", script, address], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (text: Buffer) => {
      said += text;
    });
    const [, signal] = await once(child, "close");
    expect({ said, signal }).toEqual({ said: "building\n", signal: "SIGINT" });
    await using gallery = await Gallery.open(address);
    expect(await gallery.check()).toMatchObject({ people: 1, faces: count });
    expect(await gallery.indexUse()).toBeUndefined();
  });
});

describe("a measurement of an index", () => {
  const measure = { candidates: 600, recall: 1, low: 0.991, high: 1, searches: 381, comparisons: 1000 };

  it("holds until the gallery has grown by a quarter", () => {
    const state = { indexed: true, measure };
    expect(candidatesOf(state, 1250)).toBe(600);
    expect(candidatesOf(state, 1251)).toBeUndefined();
    expect([1250, 1251].map((count) => isSettled(state, count))).toEqual([true, false]);
  });

  it("keeps an index that misses too many from being used, and from being built until the gallery is smaller", () => {
    const bad = { ...measure, low: 0.989 };
    expect(candidatesOf({ indexed: true, measure: bad }, 1000)).toBeUndefined();
    const dropped = { indexed: false, measure: bad };
    expect([10_000, 800, 799].map((count) => isSettled(dropped, count))).toEqual([true, true, false]);
  });
});
