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
  let gallery: Gallery;
  let name: string;

  beforeAll(async () => {
    address = await server!.make();
  });
  beforeEach(async () => {
    name = `g${randomUUID()}`;
    database = await openDatabase(address);
    gallery = await Gallery.open(address, { name, create: MODEL });
    for (let i = 0; i < PEOPLE; i++) await enrol();
  });
  afterEach(async () => {
    await gallery[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
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
    await database.transaction(async (queries) => {
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
