/** @file A gallery on PGlite and on PostgreSQL (TEST_POSTGRES=postgres://…): the same SQL under the same tests. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { direction, STORES } from "../../test/support/gallery-stores.ts";
import { madeBy, requireOrigin } from "../artifact/embedding-origin.ts";
import { Random } from "../base/random.ts";
import { type Database, databaseError, printableAddress } from "./database.ts";
import { vectorText } from "./faces.ts";
import { Gallery, type GalleryModel, listGalleries } from "./gallery.ts";
import { openDatabase } from "./open-database.ts";
import { migrate, SCHEMA_VERSION } from "./schema.ts";

const MODEL: GalleryModel = {
  name: "test-model",
  digest: "a".repeat(64),
  dimensions: 16,
  template: "centroid",
};
const OTHER: GalleryModel = { name: "other-model", digest: "b".repeat(64), dimensions: 8, template: "best" };
const KEY = "11".repeat(32);

/** A face near a direction. */
function near(centre: Float32Array, random: Random, spread = 0.05): Float32Array {
  const values = centre.map((value) => value + spread * random.between(-1, 1));
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

const face = (embedding: Float32Array, photoDigest: string = randomUUID()) => ({ embedding, photoDigest });

it.skipIf(STORES.length > 1)("runs on PostgreSQL too where TEST_POSTGRES names one", ({ skip }) =>
  skip("TEST_POSTGRES is not set"),
);

describe.each(STORES)("a gallery on $store", ({ store, make }) => {
  let address: string;
  let gallery: Gallery;
  let name: string;
  const random = new Random(5);

  beforeAll(async () => {
    address = await make();
    gallery = await Gallery.open(address, { name: "first", create: MODEL, actor: "tester", photoKey: KEY });
  });
  afterAll(async () => {
    await gallery[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    name = `Ann ${randomUUID()}`;
  });
  afterEach(async () => {
    for (const { id } of await gallery.people.list({ limit: 1000 })) await gallery.people.remove(id);
  });

  it("keeps what is said of a person, and finds the person by name and id", async () => {
    const expiresAt = new Date("2999-01-01T00:00:00Z");
    const consent = { given: "2026-11-01", how: "signed form" };
    const person = await gallery.people.add(name, {
      notes: { badge: 7, "quote'\"": "ü" },
      consent,
      expiresAt,
    });
    expect(person).toMatchObject({
      name,
      notes: { badge: 7, "quote'\"": "ü" },
      consent,
      expiresAt,
      version: 1,
      faces: 0,
    });
    expect(await gallery.people.get(person.id)).toEqual(person);
    expect(await gallery.people.get(name)).toEqual(person);
    expect(await gallery.people.named("nobody")).toBeUndefined();
  });

  it("takes composed and decomposed spellings of a name for one", async () => {
    const person = await gallery.people.add(" Zoe\u0308 ");
    expect(person.name).toBe("Zoë");
    expect((await gallery.people.get("Zoe\u0308")).id).toBe(person.id);
    await expect(gallery.people.add("Zoë")).rejects.toMatchObject({ code: "PERSON_EXISTS" });
  });

  it.each(["", "  ", "a\u0000b", "a\nb", "\u202eevil", "x".repeat(201)])(
    "refuses the name %j",
    async (bad) => {
      await expect(gallery.people.add(bad)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    },
  );

  it("takes SQL, paths and HTML for what they are: names", async () => {
    for (const text of [
      "'; DROP TABLE faceid_people; --",
      "../../etc/passwd",
      "<script>alert(1)</script>",
      "%_\\",
    ]) {
      const person = await gallery.people.add(text);
      expect((await gallery.people.get(text)).id).toBe(person.id);
      expect((await gallery.people.list({ search: text })).map((each) => each.id)).toEqual([person.id]);
    }
  });

  it("lists people page by page in the order of names", async () => {
    for (const each of ["b", "a", "C", "é", "z"]) await gallery.people.add(each);
    const first = await gallery.people.list({ limit: 3 });
    expect(first.map((person) => person.name)).toEqual(["C", "a", "b"]);
    const rest = await gallery.people.list({ limit: 3, after: "b" });
    expect(rest.map((person) => person.name)).toEqual(["z", "é"]);
    expect((await gallery.people.list({ search: "c" })).map((person) => person.name)).toEqual(["C"]);
  });

  it("changes only what is named, and refuses a change of what somebody else changed", async () => {
    const person = await gallery.people.add(name, { notes: { a: 1 } });
    const renamed = await gallery.people.update(name, { name: `${name} Lee` }, person.version);
    expect(renamed).toMatchObject({ id: person.id, notes: { a: 1 }, version: 2 });
    await expect(gallery.people.update(person.id, { notes: {} }, 1)).rejects.toMatchObject({
      code: "PERSON_CHANGED",
    });
    const cleared = await gallery.people.update(person.id, {
      notes: {},
      consent: { given: "2026", how: "x" },
    });
    expect(await gallery.people.update(person.id, { consent: null })).toMatchObject({
      consent: null,
      version: 4,
    });
    expect(cleared.notes).toEqual({});
    await expect(gallery.people.update("nobody", {})).rejects.toMatchObject({ code: "PERSON_NOT_FOUND" });
  });

  it("finds the nearest people, each by the nearest face", async () => {
    const centres = Array.from({ length: 20 }, () => direction(random));
    const people = await Promise.all(centres.map((_, i) => gallery.people.add(`person ${i}`)));
    await gallery.faces.add(
      centres.flatMap((centre, i) =>
        [0, 1, 2].map(() => ({ ...face(near(centre, random)), personId: people[i]!.id })),
      ),
    );
    expect(await gallery.comparisons()).toBe(20);
    const probe = near(centres[7]!, random);
    const found = await gallery.search(probe, 3);
    expect(found).toHaveLength(3);
    expect(new Set(found.map(({ personId }) => personId)).size).toBe(3);
    expect(found[0]).toMatchObject({ personId: people[7]!.id, name: "person 7" });
    const distance = (a: Float32Array) => Math.hypot(...a.map((value, i) => value - probe[i]!));
    const distances = found.map(({ embedding }) => distance(embedding));
    expect(distances).toEqual(distances.toSorted((a, b) => a - b));
  });

  it("compares with the centroid of a person's faces, whatever is added, removed or merged", async () => {
    const [a, b] = [await gallery.people.add("a"), await gallery.people.add("b")];
    const unit = (at: number) =>
      Float32Array.from({ length: MODEL.dimensions }, (_, i) => (i === at ? 1 : 0));
    const [first] = await gallery.faces.add([
      { ...face(unit(0)), personId: a.id },
      { ...face(unit(1)), personId: a.id },
      { ...face(unit(2)), personId: b.id },
    ]);
    const centroidOf = async (id: string) =>
      (await gallery.search(unit(0), 5)).find(({ personId }) => personId === id)?.embedding;
    const half = Math.fround(Math.SQRT1_2);
    expect((await centroidOf(a.id))!.slice(0, 3)).toEqual(Float32Array.of(half, half, 0));
    await gallery.faces.remove(a.id, first!);
    expect(await centroidOf(a.id)).toEqual(unit(1));
    await gallery.people.merge(b.id, a.id);
    expect((await centroidOf(a.id))!.slice(0, 3)).toEqual(Float32Array.of(0, half, half));
    for (const { id } of await gallery.faces.of(a.id)) await gallery.faces.remove(a.id, id);
    expect(await gallery.search(unit(0))).toEqual([]);
    expect(await gallery.comparisons()).toBe(0);
  });

  it("gives back the embedding of one face to a rounding", async () => {
    const person = await gallery.people.add(name);
    const embedding = direction(random);
    await gallery.faces.add([{ ...face(embedding), personId: person.id }]);
    const [found] = await gallery.search(embedding, 1);
    expect(Math.max(...found!.embedding.map((value, i) => Math.abs(value - embedding[i]!)))).toBeLessThan(
      1e-7,
    );
  });

  it("keeps a photograph of a person once", async () => {
    const person = await gallery.people.add(name);
    const twice = { ...face(direction(random), "digest"), personId: person.id };
    const [first, second] = await gallery.faces.add([twice, twice]);
    expect(first).toBeTypeOf("string");
    expect(second).toBeUndefined();
    expect(await gallery.faces.digestsOf(person.id)).toEqual(new Set(["digest"]));
  });

  it("adds all faces of a call or none", async () => {
    const person = await gallery.people.add(name);
    const good = { ...face(direction(random)), personId: person.id };
    await expect(gallery.faces.add([good, { ...good, personId: randomUUID() }])).rejects.toThrow();
    await expect(
      gallery.faces.add([good, { ...good, embedding: new Float32Array(3) }]),
    ).rejects.toMatchObject({
      code: "GALLERY_MISMATCH",
    });
    await expect(
      gallery.faces.add([{ ...good, embedding: good.embedding.map(() => Number.NaN) }]),
    ).rejects.toMatchObject({ code: "GALLERY_MISMATCH" });
    // The nearest are found by distance, which takes length 1.
    const long = good.embedding.map((value) => 2 * value);
    const wrong = { code: "GALLERY_MISMATCH", message: expect.stringContaining("of length 2.000 came") };
    await expect(gallery.faces.add([{ ...good, embedding: long }])).rejects.toMatchObject(wrong);
    await expect(gallery.search(long)).rejects.toMatchObject(wrong);
    expect(await gallery.faces.of(person.id)).toEqual([]);
  });

  it("no longer finds a person whose consent has expired", async () => {
    const person = await gallery.people.add(name, { expiresAt: new Date(Date.now() - 1000) });
    const embedding = direction(random);
    await gallery.faces.add([{ ...face(embedding), personId: person.id }]);
    expect(await gallery.search(embedding)).toEqual([]);
    expect(await gallery.check()).toMatchObject({ people: 1, faces: 1, expired: 1, withoutFaces: 0 });
  });

  it("merges two people, and keeps a photograph of both once", async () => {
    const [ann, anne] = [await gallery.people.add(name), await gallery.people.add(`${name} 2`)];
    await gallery.faces.add([
      { ...face(direction(random), "both"), personId: ann.id },
      { ...face(direction(random), "both"), personId: anne.id },
      { ...face(direction(random), "one"), personId: anne.id },
    ]);
    const merged = await gallery.people.merge(anne.name, ann.name);
    expect(merged).toMatchObject({ id: ann.id, faces: 2 });
    await expect(gallery.people.get(anne.id)).rejects.toMatchObject({ code: "PERSON_NOT_FOUND" });
    await expect(gallery.people.merge(ann.id, ann.name)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("removes a person with faces and photographs, and says so without the name", async () => {
    const person = await gallery.people.add(name);
    const photo = Buffer.from("a photograph");
    const embedding = direction(random);
    const [faceId] = await gallery.faces.add([{ ...face(embedding), photo, personId: person.id }]);
    expect(await gallery.faces.photo(faceId!)).toEqual(photo);
    await gallery.people.remove(name);
    expect(await gallery.search(embedding)).toEqual([]);
    expect(await gallery.faces.photo(faceId!)).toBeUndefined();
    expect(await gallery.check()).toMatchObject({ people: 0, faces: 0, photos: 0 });
    const events = await gallery.events({ limit: 100_000 });
    const own = events.filter(({ personId }) => personId === person.id);
    expect(own.map(({ action, actor }) => `${action} by ${actor}`)).toEqual([
      "enrolled by tester",
      "added by tester",
      "deleted by tester",
    ]);
    expect(JSON.stringify(own)).not.toContain(name);
  });

  it("stores photographs encrypted, and opens them with their key only", async () => {
    const person = await gallery.people.add(name);
    const photo = Buffer.from("a photograph that is kept");
    const [faceId] = await gallery.faces.add([{ ...face(direction(random)), photo, personId: person.id }]);
    if (store === "PGlite") return;
    const database = await openDatabase(address);
    const [row] = await database.rows<{ bytes: Uint8Array }>("SELECT bytes FROM faceid_photos");
    await database[Symbol.asyncDispose]();
    expect(Buffer.from(row!.bytes).includes("photograph")).toBe(false);
    for (const photoKey of ["22".repeat(32), undefined]) {
      const other = await Gallery.open(address, {
        name: "first",
        ...(photoKey === undefined ? {} : { photoKey }),
      });
      await expect(other.faces.photo(faceId!)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
      await other[Symbol.asyncDispose]();
    }
  });

  it("removes one face of a person", async () => {
    const person = await gallery.people.add(name);
    const [one, two] = await gallery.faces.add([
      { ...face(direction(random)), personId: person.id },
      { ...face(direction(random)), personId: person.id },
    ]);
    await gallery.faces.remove(person.id, one!);
    expect((await gallery.faces.of(person.id)).map(({ id }) => id)).toEqual([two]);
    await expect(gallery.faces.remove(person.id, one!)).rejects.toMatchObject({ code: "PERSON_NOT_FOUND" });
    await expect(gallery.faces.remove(person.id, "no id")).rejects.toMatchObject({
      code: "PERSON_NOT_FOUND",
    });
  });

  it("refuses numbers that are none of a page, a limit or a version", async () => {
    const person = await gallery.people.add(name);
    for (const wrong of [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, "3"] as never[]) {
      for (const call of [
        () => gallery.people.list({ limit: wrong }),
        () => gallery.people.update(name, {}, wrong),
        () => gallery.people.remove(name, wrong),
        () => gallery.search(direction(random), wrong),
        () => gallery.events({ limit: wrong }),
        () => gallery.events({ after: wrong }),
        () => gallery.index(wrong),
        () => gallery.changeModel({ ...OTHER, dimensions: wrong }),
      ])
        await expect(call()).rejects.toMatchObject({
          code: "CONFIG_INVALID",
          message: expect.stringContaining("got"),
        });
    }
    await expect(gallery.people.list({ limit: 10_001 })).rejects.toThrow(
      "limit: got 10001, expected at most 10000",
    );
    // What a server asks for that shows pages of 1,000.
    expect(await gallery.people.list({ limit: 1001 })).toHaveLength(1);
    expect(await gallery.people.get(name)).toMatchObject({ id: person.id, version: 1 });
  });

  it("refuses embeddings that another model is known to have made", async () => {
    const person = await gallery.people.add(name);
    const add = (embedding: Float32Array) => gallery.faces.add([{ ...face(embedding), personId: person.id }]);
    const values = direction(random);
    const foreign = madeBy(values.slice(), { name: "pack-fast", digest: `${MODEL.digest}-fast` });
    const refused = {
      code: "GALLERY_MISMATCH",
      message: "the gallery: pack-fast made an embedding, expected one of test-model",
    };
    await expect(gallery.search(foreign)).rejects.toMatchObject(refused);
    await expect(add(foreign)).rejects.toMatchObject(refused);
    const [id] = await add(madeBy(values, MODEL));
    await expect(gallery.faces.replace({ id: id!, personId: person.id }, foreign)).rejects.toMatchObject(
      refused,
    );
    const [found] = await gallery.search(values.slice());
    expect(found).toMatchObject({ personId: person.id });
    // What a gallery gives carries its model on.
    expect(() => requireOrigin("here", found!.embedding, { name: "x", digest: "x" })).toThrow("test-model");
  });

  it("refuses another model, and takes its embeddings after a change of model", async () => {
    expect(() => gallery.requireModel(OTHER)).toThrow(/test-model/);
    const person = await gallery.people.add(name);
    const [faceId] = await gallery.faces.add([{ ...face(direction(random)), personId: person.id }]);
    const changed = await gallery.changeModel(OTHER);
    expect(await changed.check()).toMatchObject({ stale: 1, faces: 1 });
    const embedding = direction(random, OTHER.dimensions);
    expect(await changed.search(embedding)).toEqual([]);
    expect((await changed.faces.stale("", 10)).map(({ id }) => id)).toEqual([faceId]);
    await changed.faces.replace({ id: faceId!, personId: person.id }, embedding);
    expect(await changed.comparisons()).toBe(1);
    expect((await changed.search(embedding))[0]).toMatchObject({ personId: person.id });
    await changed.changeModel(MODEL);
  });

  it("finds the same people by the index", async () => {
    const centres = Array.from({ length: 60 }, () => direction(random));
    const people = await Promise.all(centres.map((_, i) => gallery.people.add(`person ${i}`)));
    await gallery.faces.add(
      centres.flatMap((centre, i) =>
        [0, 1].map(() => ({ ...face(near(centre, random)), personId: people[i]!.id })),
      ),
    );
    const probes = centres.map((centre) => near(centre, random));
    const exact = await Promise.all(probes.map((probe) => gallery.search(probe, 1)));
    expect(await gallery.index(1000)).toBe(false);
    expect(await gallery.indexUse()).toBeUndefined();
    expect(await gallery.index(50)).toBe(true);
    expect(await gallery.indexUse()).toMatchObject({
      used: true,
      recall: 1,
      candidates: 400,
      comparisons: 60,
    });
    const indexed = await Promise.all(probes.map((probe) => gallery.search(probe, 1)));
    expect(indexed.map((found) => found[0]!.personId)).toEqual(exact.map((found) => found[0]!.personId));
    expect(await gallery.check()).toMatchObject({
      recall: 1,
      index: { used: true, low: expect.closeTo(0.99, 2) },
    });
  });

  it("keeps the galleries of one database apart", async () => {
    const embedding = direction(random);
    const person = await gallery.people.add(name);
    await gallery.faces.add([{ ...face(embedding), personId: person.id }]);
    // One process may open a folder once.
    if (store === "PGlite") return;
    await using second = await Gallery.open(address, { name: "second", create: MODEL });
    expect(await second.search(embedding)).toEqual([]);
    expect(await second.people.list()).toEqual([]);
    await expect(second.people.get(person.id)).rejects.toMatchObject({ code: "PERSON_NOT_FOUND" });
    await expect(second.people.remove(person.id)).rejects.toMatchObject({ code: "PERSON_NOT_FOUND" });
    expect(await second.faces.of(person.id)).toEqual([]);
    await second.people.add(name);
    const database = await openDatabase(address);
    expect((await listGalleries(database)).map((each) => each.name)).toEqual(["first", "second"]);
    await database[Symbol.asyncDispose]();
  });
});

describe.each(STORES)("a gallery's schema on $store", ({ make }) => {
  it("is brought up to date with its rows, and a newer one is refused", async () => {
    const address = await make();
    const database = await openDatabase(address, { fill: async () => {} });
    await migrate(database, 1);
    await database.rows(
      "INSERT INTO faceid_galleries (name, model, model_digest, dimensions) VALUES ('old', 'm', $1, 3)",
      [MODEL.digest],
    );
    await database.rows("INSERT INTO faceid_people (id, gallery_id, name) VALUES ($1, 1, 'Ann')", [
      randomUUID(),
    ]);
    await database.rows(
      `INSERT INTO faceid_faces (id, gallery_id, person_id, embedding, model_digest, photo_digest)
       SELECT $1, 1, id, $2::vector, $3, 'd' FROM faceid_people`,
      [randomUUID(), vectorText(Float32Array.of(1, 0, 0)), MODEL.digest],
    );
    await migrate(database);
    await migrate(database);
    await database[Symbol.asyncDispose]();
    {
      await using gallery = await Gallery.open(address, { name: "old" });
      expect((await gallery.search(Float32Array.of(1, 0, 0)))[0]).toMatchObject({ name: "Ann" });
    }
    const again = await openDatabase(address);
    await again.rows("UPDATE faceid_schema SET version = $1", [SCHEMA_VERSION + 1]);
    await expect(migrate(again)).rejects.toMatchObject({ code: "GALLERY_INVALID" });
    await again[Symbol.asyncDispose]();
  });
});

describe.each(STORES)("an index on $store", ({ make }) => {
  const DIMENSIONS = 64;
  const model: GalleryModel = { ...MODEL, dimensions: DIMENSIONS };
  const random = new Random(23);
  const index = "faceid_nearest_1";
  /** A graph with so few links does not lead to most of thousands of people. */
  const BAD = `CREATE INDEX ${index} ON faceid_people USING hnsw ((centroid::vector(${DIMENSIONS})) vector_l2_ops)
     WITH (m = 2, ef_construction = 4) WHERE gallery_id = 1 AND centroid IS NOT NULL`;

  async function enrolMany(database: Database, count: number): Promise<Float32Array[]> {
    const people = Array.from({ length: count }, () => direction(random, DIMENSIONS));
    await database.rows(
      `INSERT INTO faceid_people (id, gallery_id, name, centroid)
       SELECT gen_random_uuid(), 1, 'person ' || nr, v::vector FROM unnest($1::text[]) WITH ORDINALITY AS new (v, nr)`,
      [people.map(vectorText)],
    );
    await database.run("ANALYZE faceid_people");
    return people;
  }
  const hasIndex = async (database: Database) => {
    const [row] = await database.rows<{ oid: unknown }>("SELECT to_regclass($1) AS oid", [index]);
    return row!.oid !== null;
  };

  it("that misses people is not used, is dropped, and is not built again", async () => {
    const address = await make();
    await (await Gallery.open(address, { create: model }))[Symbol.asyncDispose]();
    let people: Float32Array[];
    {
      await using database = await openDatabase(address);
      people = await enrolMany(database, 12_000);
      await database.run(BAD);
    }
    {
      await using gallery = await Gallery.open(address);
      expect(await gallery.index(1)).toBe(false);
      const use = (await gallery.indexUse())!;
      expect(use).toMatchObject({ used: false, candidates: 1000, comparisons: 12_000 });
      expect(use.recall).toBeLessThan(0.9);
      expect(use.high).toBeLessThan(0.95);
      for (const i of [0, 1234, 11_999]) {
        expect((await gallery.search(near(people[i]!, random), 1))[0]).toMatchObject({
          name: `person ${i + 1}`,
        });
      }
      expect(await gallery.index(1)).toBe(false);
    }
    {
      await using database = await openDatabase(address);
      expect(await hasIndex(database)).toBe(false);
    }
    await using again = await Gallery.open(address);
    expect(await again.index(1)).toBe(false);
    const { recall, index: kept } = await again.check();
    expect(recall).toBeUndefined();
    expect(kept).toMatchObject({ used: false, candidates: 1000 });
  }, 600_000);

  it("of an earlier program is not used before it is measured", async () => {
    const address = await make();
    {
      await using database = await openDatabase(address, { fill: async () => {} });
      await migrate(database, 2);
      await database.rows(
        "INSERT INTO faceid_galleries (name, model, model_digest, dimensions, indexed) VALUES ('default', 'm', $1, $2, true)",
        [MODEL.digest, DIMENSIONS],
      );
      await enrolMany(database, 100);
      await database.run(BAD.replace("WITH (m = 2, ef_construction = 4)", ""));
    }
    await using gallery = await Gallery.open(address);
    expect(await gallery.indexUse()).toBeUndefined();
    expect(await gallery.check()).toMatchObject({ recall: 1, index: { used: true, comparisons: 100 } });
    expect(await gallery.index(1)).toBe(true);
  });
});

describe("opening a gallery", () => {
  it("says that there is none", async () => {
    const folder = await mkdtemp(join(tmpdir(), "faceid-gallery-"));
    for (const path of [folder, join(folder, "none")]) {
      await expect(Gallery.open(path)).rejects.toMatchObject({ code: "GALLERY_NOT_FOUND" });
    }
    expect(await readdir(folder)).toEqual([]);
    await rm(folder, { recursive: true });
  });

  it("leaves a folder of other files as it is", async () => {
    const folder = await mkdtemp(join(tmpdir(), "faceid-gallery-"));
    await writeFile(join(folder, "thesis.txt"), "years of work");
    await expect(Gallery.open(folder, { create: MODEL })).rejects.toMatchObject({ code: "GALLERY_INVALID" });
    expect(await readdir(folder)).toEqual(["thesis.txt"]);
    await expect(Gallery.open(join(folder, "thesis.txt"), { create: MODEL })).rejects.toMatchObject({
      code: "GALLERY_UNAVAILABLE",
    });
    await rm(folder, { recursive: true });
  });

  it.each(["", "../x", "a b", "x".repeat(64), "'"])("refuses the name %j", async (name) => {
    await expect(Gallery.open("nowhere", { name })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("refuses a server that does not answer, without printing the password", async () => {
    const failure = await Gallery.open("postgres://ann:secret@127.0.0.1:9/people").catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: "GALLERY_UNAVAILABLE" });
    expect(String(failure)).not.toContain("secret");
  });

  it.each([
    ["hangs up", Buffer.alloc(0), ""],
    ["has no TLS", Buffer.from("N"), "?sslmode=require"],
    ["wants a password, and none is given", Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]), ""],
    ["speaks another protocol", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), ""],
  ])("refuses a server that %s", async (_, answer, parameters) => {
    await using server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(answer));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await expect(Gallery.open(`postgres://ann@127.0.0.1:${port}/people${parameters}`)).rejects.toMatchObject({
      code: "GALLERY_UNAVAILABLE",
    });
  });

  it("prints addresses without passwords", () => {
    expect(printableAddress("postgres://ann:a@b:c@host:5/db?password=x")).toBe("postgres://host:5/db");
    expect(printableAddress("postgres://ann:sec/ret?@host/db")).toBe("postgres://host/db");
    expect(printableAddress("postgres://ann:sec?ret@host/db?sslmode=require")).toBe("postgres://host/db");
    expect(printableAddress("./people")).toBe("./people");
  });

  it("knows a full disk by the system's code and by PostgreSQL's", () => {
    for (const code of ["53100", "ENOSPC"]) {
      expect(databaseError("people", Object.assign(new Error("x"), { code }))).toMatchObject({
        code: "DISK_FULL",
      });
    }
  });
});
