/** @file What galleries make of wrong orders, odd names, several writers at once and stores that take no writes. */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { direction, STORES } from "../../test/support/gallery-stores.ts";
import { temporaryFolder } from "../../test/support/photos.ts";
import { Random } from "../base/random.ts";
import { Gallery, type GalleryModel } from "./gallery.ts";
import { openDatabase } from "./open-database.ts";

const MODEL: GalleryModel = {
  name: "test-model",
  digest: "c".repeat(64),
  dimensions: 16,
  template: "centroid",
};
const random = new Random(11);
const face = (personId: string, embedding = direction(random, MODEL.dimensions)) => ({
  personId,
  embedding,
  photoDigest: randomUUID(),
});
const fails = (code: string) => expect.objectContaining({ code });

describe.each(STORES)("a gallery on $store", ({ store, make }) => {
  let gallery: Gallery;
  let address: string;

  beforeAll(async () => {
    address = await make();
    gallery = await Gallery.open(address, { create: MODEL, actor: "tester" });
  });
  afterAll(async () => {
    await gallery[Symbol.asyncDispose]();
  });

  it.each([
    ["nothing to see", "\u200b\u200d"],
    ["a line break of Unicode", "a\u2028b"],
    ["half of a character", "a\ud800"],
    ["a mark of direction", "a\u200fb"],
    ["201 emoji", "😀".repeat(201)],
  ])("refuses a name with %s", async (_, name) => {
    await expect(gallery.people.add(name)).rejects.toEqual(fails("CONFIG_INVALID"));
  });

  it.each(["😀".repeat(200), "م‌ه‌دی", "👩‍👧", "עדן", "7", "a'\"\\b", "<b>", "$1"])(
    "takes the name %s",
    async (name) => {
      const { id } = await gallery.people.add(name);
      expect((await gallery.people.get(name)).id).toBe(id);
      await gallery.people.remove(name);
    },
  );

  it("finds a person by the own id, also where somebody has that id for a name", async () => {
    const ann = await gallery.people.add(`Ann ${randomUUID()}`);
    const bob = await gallery.people.add(ann.id);
    expect((await gallery.people.get(ann.id)).id).toBe(ann.id);
    expect((await gallery.people.get(ann.id.toUpperCase())).id).toBe(ann.id);
    expect((await gallery.people.remove(ann.id)).id).toBe(ann.id);
    expect((await gallery.people.get(ann.id)).id).toBe(bob.id);
  });

  it("refuses texts that no database takes", async () => {
    await expect(gallery.people.add(randomUUID(), { notes: { a: "\u0000" } })).rejects.toEqual(
      fails("CONFIG_INVALID"),
    );
    await expect(gallery.people.get("a\u0000")).rejects.toEqual(fails("CONFIG_INVALID"));
  });

  it("refuses notes, consents and qualities that JSON does not have, and values of another kind", async () => {
    const itself: Record<string, unknown> = {};
    itself.self = itself;
    const deep: Record<string, unknown> = {};
    let at = deep;
    for (let i = 0; i < 100_000; i++) at = at.next = {};
    const { id } = await gallery.people.add(randomUUID());
    const refused: readonly (readonly [notes: unknown, what: string])[] = [
      [itself, "a person's notes cannot be kept: they hold an object that holds itself"],
      [{ id: 7n }, "a person's notes cannot be kept: they hold a BigInt"],
      [deep, "a person's notes cannot be kept: they are nested too deeply"],
      [
        new Date(0),
        'a person\'s notes cannot be kept: as JSON they are "1970-01-01T00:00:00.000Z", not an object',
      ],
      [[1], "notes: got [1], expected an object such as { badge: 7 }"],
      ["text", 'notes: got "text", expected an object such as { badge: 7 }'],
      [7n, "notes: got 7n, expected an object such as { badge: 7 }"],
      [[7n], "notes: got [7n], expected an object such as { badge: 7 }"],
    ];
    for (const [notes, what] of refused) {
      const fault = expect.objectContaining({
        code: "CONFIG_INVALID",
        message: expect.stringContaining(what),
      });
      await expect(gallery.people.add(randomUUID(), { notes } as never)).rejects.toEqual(fault);
      await expect(gallery.people.update(id, { notes } as never)).rejects.toEqual(fault);
    }
    for (const said of [
      { consent: "yes" },
      { consent: { given: 2026, how: "x" } },
      { expiresAt: "2030-01-01" },
      { expiresAt: new Date(Number.NaN) },
      { notes: null },
    ]) {
      await expect(gallery.people.update(id, said as never)).rejects.toEqual(fails("CONFIG_INVALID"));
    }
    await expect(gallery.faces.add([{ ...face(id), quality: { at: 7n } }])).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: "the numbers of a face's quality cannot be kept: they hold a BigInt",
    });
    expect(await gallery.people.get(id)).toMatchObject({ notes: {}, faces: 0, version: 1 });
  });

  it("answers wrong orders with what is wrong", async () => {
    expect(await gallery.search(direction(random, MODEL.dimensions))).toEqual([]);
    const [a, b] = [await gallery.people.add(randomUUID()), await gallery.people.add(randomUUID())];
    await expect(gallery.people.update(a.id, { name: b.name })).rejects.toEqual(fails("PERSON_EXISTS"));
    expect((await gallery.people.update(a.id, { name: a.name })).name).toBe(a.name);
    await expect(gallery.people.merge(a.id, a.name)).rejects.toEqual(fails("CONFIG_INVALID"));
    await gallery.people.remove(a.id);
    await expect(gallery.people.remove(a.id)).rejects.toEqual(fails("PERSON_NOT_FOUND"));
    await expect(gallery.people.merge(a.id, b.id)).rejects.toEqual(fails("PERSON_NOT_FOUND"));
    await expect(gallery.faces.add([face(a.id)])).rejects.toEqual(fails("PERSON_NOT_FOUND"));
    await expect(gallery.faces.add([face("no id")])).rejects.toEqual(fails("PERSON_NOT_FOUND"));
    expect(await gallery.faces.of("no id")).toEqual([]);
    expect(await gallery.faces.add([])).toEqual([]);
  });

  it("keeps all changes of a transaction, or none", async () => {
    const [kept, lost] = [randomUUID(), randomUUID()];
    await gallery.transaction(async (inner) => {
      const { id } = await inner.people.add(kept);
      await inner.faces.add([face(id)]);
    });
    expect(await gallery.people.get(kept)).toMatchObject({ faces: 1 });
    const work = gallery.transaction(async (inner) => {
      await inner.people.add(lost);
      await inner.people.add(kept);
    });
    await expect(work).rejects.toEqual(fails("PERSON_EXISTS"));
    expect(await gallery.people.named(lost)).toBeUndefined();
  });

  it("keeps nothing of a transaction in which a statement failed, also where its work goes on", async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    const swallowing = gallery.transaction(async (inner) => {
      await inner.people.add(first);
      await inner.people.add(first).catch(() => undefined);
      await inner.people.add(second).catch(() => undefined);
      return "kept";
    });
    await expect(swallowing).rejects.toMatchObject({
      code: expect.stringMatching(/^(23505|PERSON_EXISTS)$/),
    });
    for (const name of [first, second]) expect(await gallery.people.named(name)).toBeUndefined();
    await gallery.people.add(second);
  });

  it("has the right centroid after many writers at once", async () => {
    const { id } = await gallery.people.add(randomUUID());
    const faces = Array.from({ length: 24 }, () => face(id));
    await Promise.all(faces.map((each) => gallery.faces.add([each])));
    const sum = faces[0]!.embedding.map((_, i) => faces.reduce((all, each) => all + each.embedding[i]!, 0));
    const length = Math.hypot(...sum);
    const found = (
      await gallery.search(
        sum.map((value) => value / length),
        1,
      )
    )[0]!;
    expect(found.personId).toBe(id);
    const worst = Math.max(...found.embedding.map((value, i) => Math.abs(value - sum[i]! / length)));
    expect(worst).toBeLessThan(1e-5);
  });

  it("removes a person once when several ask at the same time", async () => {
    const { id } = await gallery.people.add(randomUUID());
    const results = await Promise.allSettled([1, 2, 3].map(() => gallery.people.remove(id)));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await gallery.eventsOf(id)).map(({ action }) => action)).toEqual(["enrolled", "deleted"]);
  });

  it("compares with nobody whose consent has ended", async () => {
    const before = await gallery.comparisons();
    const ann = await gallery.people.add(randomUUID(), { expiresAt: new Date(Date.now() + 60_000) });
    const own = face(ann.id);
    await gallery.faces.add([own]);
    expect(await gallery.comparisons()).toBe(before + 1);
    await gallery.people.update(ann.id, { expiresAt: new Date(Date.now() - 1000) });
    expect(await gallery.comparisons()).toBe(before);
    expect((await gallery.search(own.embedding)).map(({ personId }) => personId)).not.toContain(ann.id);
    await gallery.people.update(ann.id, { expiresAt: null });
    expect((await gallery.search(own.embedding))[0]).toMatchObject({ personId: ann.id });
  });

  it("tells what happened to those who were merged into a person, and which searches found the person", async () => {
    const [a, b] = [await gallery.people.add(randomUUID()), await gallery.people.add(randomUUID())];
    await gallery.recordSearch(2, [b.id]);
    await gallery.people.merge(a.id, b.id);
    const actions = async (searches: boolean) =>
      (await gallery.eventsOf(b.id, { searches })).map(({ action }) => action);
    expect(await actions(false)).toEqual(["enrolled", "enrolled", "merged"]);
    expect(await actions(true)).toEqual(["enrolled", "enrolled", "searched", "merged"]);
  });

  it.skipIf(store === "PGlite")(
    "goes on after the server has ended a connection in a transaction",
    async () => {
      await using other = await openDatabase(address);
      const name = randomUUID();
      const broken = gallery.transaction(async (inner) => {
        await inner.people.add(name);
        await other.rows(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE state = 'idle in transaction' AND application_name = 'faceid' AND pid <> pg_backend_pid()
           AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'faceid_people'::regclass)`,
        );
        await inner.people.named(name);
      });
      await expect(broken).rejects.toEqual(fails("GALLERY_UNAVAILABLE"));
      expect(await gallery.people.named(name)).toBeUndefined();
    },
  );

  it.skipIf(store === "PGlite")("reads what it may not write, and says so for changes", async () => {
    await using other = await Gallery.open(`${address}%20-c%20default_transaction_read_only%3Don`);
    expect(await other.people.list()).not.toEqual([]);
    await other.recordSearch(1, []);
    await expect(other.people.add(randomUUID())).rejects.toEqual(fails("GALLERY_UNAVAILABLE"));
  });
});

describe("a gallery whose files nobody may write to", () => {
  it("is read from a copy, which takes no changes", async () => {
    const address = join(await temporaryFolder(), "people");
    const embedding = direction(random, MODEL.dimensions);
    {
      await using gallery = await Gallery.open(address, { create: MODEL });
      const { id } = await gallery.people.add("Ann");
      await gallery.faces.add([face(id, embedding)]);
    }
    const all = [
      address,
      ...readdirSync(address, { recursive: true }).map((name) => join(address, String(name))),
    ];
    const modes = all.map((path) => [path, statSync(path).mode] as const);
    for (const [path, mode] of modes.toReversed()) chmodSync(path, mode & ~0o222);
    try {
      await using gallery = await Gallery.open(address);
      expect((await gallery.search(embedding))[0]).toMatchObject({ name: "Ann" });
      await expect(gallery.people.remove("Ann")).rejects.toEqual(fails("GALLERY_UNAVAILABLE"));
    } finally {
      for (const [path, mode] of modes) chmodSync(path, mode);
    }
    await using gallery = await Gallery.open(address);
    expect(await gallery.check()).toMatchObject({ people: 1, faces: 1 });
  });
});

describe("a gallery in a folder that is read-only", () => {
  const folder = join(tmpdir(), `faceid-read-only-${process.pid}`);
  mkdirSync(folder);
  const mount = (...args: string[]) => spawnSync("mount", args).status === 0;
  const isMounted = mount("-t", "tmpfs", "-o", "size=300m", "tmpfs", folder);
  afterAll(() => {
    if (isMounted) spawnSync("umount", [folder]);
    rmSync(folder, { recursive: true, force: true });
  });

  it.skipIf(!isMounted)("is read from a copy, which takes no changes and is removed", async () => {
    const address = join(folder, "people");
    const embedding = direction(random, MODEL.dimensions);
    {
      await using gallery = await Gallery.open(address, { create: MODEL });
      const { id } = await gallery.people.add("Ann");
      await gallery.faces.add([face(id, embedding)]);
      mount("-o", "remount,ro", folder);
      await expect(Gallery.open(address)).rejects.toEqual(fails("GALLERY_UNAVAILABLE"));
      mount("-o", "remount,rw", folder);
    }
    mount("-o", "remount,ro", folder);
    const copies = () => readdirSync(tmpdir()).filter((name) => name.startsWith("faceid-gallery-"));
    const before = copies();
    {
      await using gallery = await Gallery.open(address);
      expect((await gallery.search(embedding))[0]).toMatchObject({ name: "Ann" });
      await gallery.recordSearch(1, []);
      expect(await gallery.check()).toMatchObject({ people: 1, faces: 1 });
      await expect(gallery.people.remove("Ann")).rejects.toEqual(fails("GALLERY_UNAVAILABLE"));
    }
    expect(copies().filter((name) => !before.includes(name))).toEqual([]);
    await expect(Gallery.open(address, { create: MODEL })).rejects.toEqual(fails("GALLERY_UNAVAILABLE"));
    await expect(Gallery.open(join(folder, "new"), { create: MODEL })).rejects.toEqual(
      fails("GALLERY_UNAVAILABLE"),
    );
    await expect(Gallery.open(join(await temporaryFolder(), "none"))).rejects.toEqual(
      fails("GALLERY_NOT_FOUND"),
    );
  });
});
