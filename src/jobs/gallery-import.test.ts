/** @file A gallery's file: what is moved, what is refused, and that a refused file changes nothing. */
import { createHash, randomUUID } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { direction, galleryName, STORES } from "../../test/support/gallery-stores.ts";
import { temporaryFolder } from "../../test/support/photos.ts";
import { Random } from "../base/random.ts";
import { Gallery, type GalleryModel } from "../gallery/gallery.ts";
import { exportLines } from "../gallery/gallery-file.ts";
import { importGallery } from "./gallery-import.ts";

const MODEL: GalleryModel = { name: "m", digest: "d".repeat(64), dimensions: 16, template: "centroid" };
const PHOTO = Buffer.from("a photograph");
const random = new Random(3);
const face = (personId: string) => ({
  personId,
  embedding: direction(random, MODEL.dimensions),
  photoDigest: randomUUID(),
});

async function linesOf(gallery: Gallery, who?: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of exportLines(gallery, who)) lines.push(line);
  return lines;
}

/** A line with a change. */
function changed(line: string, change: (value: Record<string, never>) => object): string {
  const value = JSON.parse(line) as Record<string, never>;
  return JSON.stringify({ ...value, ...change(value) });
}

/** Ann with two faces, one with its photograph, and Bob with one, as an export writes them. */
async function exported() {
  await using source = await Gallery.open(join(await temporaryFolder(), "source"), {
    create: MODEL,
    actor: "tester",
  });
  const { id: ann } = await source.people.add("Ann", {
    notes: { a: 1 },
    consent: { given: "2026", how: "form" },
  });
  const { id: bob } = await source.people.add("Bob", { expiresAt: new Date("2027-01-01T00:00:00Z") });
  await source.faces.add([
    { ...face(ann), box: [1, 2.5, 3, 4], source: "a.jpg" },
    { ...face(ann), photo: PHOTO, photoDigest: createHash("sha256").update(PHOTO).digest("hex") },
    face(bob),
  ]);
  return { lines: await linesOf(source), ann, bob };
}

const example = exported();

describe("a gallery's file", () => {
  const refusals: [string, (all: readonly string[]) => string[] | Buffer, string, RegExp?][] = [
    ["an empty file", () => [], "FILE_INVALID", /empty/],
    ["another file", () => ["something else"], "FILE_INVALID", /line 1 of .*no JSON/],
    ["another JSON file", (all) => [all[1]!], "FILE_INVALID", /no gallery's file/],
    [
      "a newer version",
      (all) => [changed(all[0]!, () => ({ version: 99 })), ...all.slice(1)],
      "FILE_INVALID",
      /version 99/,
    ],
    ["no model", (all) => [changed(all[0]!, () => ({ model: undefined }))], "FILE_INVALID", /model/],
    [
      "a file cut in a line",
      (all) => Buffer.from(all.join("\n")).subarray(0, 900),
      "FILE_INVALID",
      /cut, damaged/,
    ],
    ["a file cut between lines", (all) => all.slice(0, 2), "FILE_INVALID", /cut/],
    [
      "a file without its last person",
      (all) => [...all.slice(0, 2), all[3]!],
      "FILE_INVALID",
      /lines are missing/,
    ],
    ["a person behind the end", (all) => [...all, all[1]!], "FILE_INVALID", /behind the last line/],
    ["two files in one", (all) => [...all, ...all], "FILE_INVALID"],
    [
      "bytes that are no UTF-8",
      (all) => Buffer.concat([Buffer.from(`${all[0]}\n`), Buffer.from([0xff, 0x0a])]),
      "FILE_INVALID",
    ],
    [
      "a person without a name",
      (all) => [...all.slice(0, 2), changed(all[2]!, () => ({ name: "" })), all[3]!],
      "FILE_INVALID",
      /line 3/,
    ],
    [
      "a name that is a number",
      (all) => [...all.slice(0, 2), changed(all[2]!, () => ({ name: 5 })), all[3]!],
      "FILE_INVALID",
      /name: got 5/,
    ],
    [
      "an id that is none",
      (all) => [...all.slice(0, 2), changed(all[2]!, () => ({ id: "7" })), all[3]!],
      "FILE_INVALID",
      /id: got "7"/,
    ],
    [
      "a date that is none",
      (all) => [...all.slice(0, 2), changed(all[2]!, () => ({ expiresAt: "soon" })), all[3]!],
      "FILE_INVALID",
      /expiresAt/,
    ],
    [
      "a shortened embedding",
      (all) => withEmbedding(all, (text) => text.slice(0, 40)),
      "FILE_INVALID",
      /line 3 .*face 1/,
    ],
    [
      "a damaged embedding",
      (all) => withEmbedding(all, (text) => `f39/f39/${text.slice(8)}`),
      "FILE_INVALID",
      /damaged/,
    ],
    ["no base64", (all) => withEmbedding(all, () => "ä"), "FILE_INVALID", /embedding/],
    [
      "a changed photograph",
      (all) => [all[0]!, all[1]!.replace(PHOTO.toString("base64"), "AAAA"), ...all.slice(2)],
      "FILE_INVALID",
      /photograph is damaged/,
    ],
    [
      "faces of another model",
      (all) => all.map((line, i) => (i === 2 ? line.replaceAll(MODEL.digest, "e".repeat(64)) : line)),
      "GALLERY_MISMATCH",
    ],
  ];
  const withEmbedding = (all: readonly string[], change: (text: string) => string) => {
    const person = JSON.parse(all[2]!) as { faces: { embedding: string }[] };
    person.faces[0]!.embedding = change(person.faces[0]!.embedding);
    return [...all.slice(0, 2), JSON.stringify(person), all[3]!];
  };
  it.each(refusals)("refuses %s, and changes nothing", async (_, change, code, text = /./) => {
    const folder = await temporaryFolder();
    const [path, address] = [join(folder, "file.jsonl"), join(folder, "people")];
    const lines = change((await example).lines);
    writeFileSync(path, Buffer.isBuffer(lines) ? lines : lines.map((line) => `${line}\n`).join(""));
    const failure = await importGallery(address, path).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code });
    expect(String(failure)).toMatch(text);
    expect(String(failure)).not.toMatch(/Unexpected|position \d/);
    expect(readdirSync(folder)).toEqual(["file.jsonl"]);
  });

  it("says what is wrong with a path", async () => {
    const folder = await temporaryFolder();
    for (const path of [join(folder, "none.jsonl"), folder]) {
      await expect(importGallery(join(folder, "people"), path)).rejects.toMatchObject({
        code: "FILE_INVALID",
        message: expect.stringMatching(/there is no such file|it is a folder/),
      });
    }
  });
});

describe.each(STORES)("a gallery's file, imported on $store", ({ make }) => {
  let folder: string;
  let lines: string[];
  let [address, name] = ["", ""];
  let [ann, bob] = ["", ""];

  /** Imports these lines. */
  const take = async (text: readonly string[] | Buffer, to = name) => {
    const path = join(folder, "file.jsonl");
    writeFileSync(path, Buffer.isBuffer(text) ? text : text.map((line) => `${line}\n`).join(""));
    return await importGallery(address, path, { name: to });
  };
  const people = async (to = name) => {
    await using gallery = await Gallery.open(address, { name: to, create: MODEL });
    return (await gallery.people.list()).map(({ name: each, faces }) => `${each} ${faces}`);
  };

  beforeAll(async () => {
    folder = await temporaryFolder();
    address = await make();
  });
  beforeEach(async () => {
    name = galleryName();
    const made = await example;
    // Other tests have these people in the same database.
    [ann, bob] = [randomUUID(), randomUUID()];
    lines = made.lines.map((line) => line.replaceAll(made.ann, ann).replaceAll(made.bob, bob));
  });

  it("moves people with ids, faces and what is said of them, and counts new, changed and unchanged ones", async () => {
    expect(await take(lines)).toEqual({ people: 2, added: 2, changed: 0, unchanged: 0, faces: 3 });
    expect(await take(lines)).toEqual({ people: 2, added: 0, changed: 0, unchanged: 2, faces: 0 });
    await using gallery = await Gallery.open(address, { name });
    const moved = await linesOf(gallery);
    const said = (line: string) => changed(line, () => ({ events: 0, createdAt: 0, updatedAt: 0 }));
    expect(JSON.parse(moved[1]!).events).toHaveLength(3);
    const sorted = (line: string) => {
      const { faces, ...rest } = JSON.parse(said(line)) as { faces: { photoDigest: string }[] };
      return { ...rest, faces: faces.toSorted((a, b) => (a.photoDigest < b.photoDigest ? -1 : 1)) };
    };
    expect(moved.slice(1, 3).map(sorted)).toEqual(lines.slice(1, 3).map(sorted));
  });

  it("takes the faces that are missing", async () => {
    await take(lines);
    {
      await using gallery = await Gallery.open(address, { name });
      const [one] = await gallery.faces.of(ann);
      await gallery.faces.remove(ann, one!.id);
    }
    expect(await take(lines)).toEqual({ people: 2, added: 0, changed: 1, unchanged: 1, faces: 1 });
  });

  it("refuses a file of another model than the gallery's", async () => {
    await take(lines);
    const other = changed(lines[0]!, () => ({ model: { ...MODEL, digest: "e".repeat(64) } }));
    const rest = lines.slice(1).map((line) => line.replaceAll(MODEL.digest, "e".repeat(64)));
    await expect(take([other, ...rest])).rejects.toMatchObject({ code: "GALLERY_MISMATCH" });
    expect(await people()).toEqual(["Ann 2", "Bob 1"]);
  });

  it.each([
    { name: "Robert" },
    { notes: { b: 2 } },
    { consent: { given: "2027", how: "form" } },
    { expiresAt: null },
  ])("refuses a person of the same id of whom %j is said, and takes nobody", async (change) => {
    await take([
      lines[0]!,
      changed(lines[2]!, () => change),
      changed(lines[3]!, () => ({ people: 1, faces: 1 })),
    ]);
    const before = await people();
    await expect(take(lines)).rejects.toMatchObject({
      code: "PERSON_CHANGED",
      message: expect.stringContaining("line 3"),
    });
    expect(await people()).toEqual(before);
  });

  it("gives the faces to a person of the same name, and leaves what the gallery says of that person", async () => {
    {
      await using gallery = await Gallery.open(address, { name, create: MODEL });
      await gallery.people.add("Ann", { notes: { mine: true } });
    }
    expect(await take(lines)).toEqual({ people: 2, added: 1, changed: 1, unchanged: 0, faces: 3 });
    await using gallery = await Gallery.open(address, { name });
    const person = await gallery.people.get("Ann");
    expect(person).toMatchObject({ notes: { mine: true }, faces: 2 });
    expect(person.id).not.toBe(ann);
  });

  it("takes nobody where the store refuses one", async () => {
    const bad = changed(lines[2]!, () => ({ notes: { a: "\u0000" } }));
    await expect(take([lines[0]!, lines[1]!, bad, lines[3]!])).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
    expect(await people()).toEqual([]);
  });

  it("copies a gallery beside the first in one database, with new ids", async () => {
    await take(lines);
    const second = galleryName();
    expect(await take(lines, second)).toMatchObject({ added: 2, faces: 3 });
    expect(await people(second)).toEqual(["Ann 2", "Bob 1"]);
  });

  it("takes a person in several lines for one, and files of version 1", async () => {
    const [head, first] = lines as [string, string];
    const one = (at: number) =>
      changed(first, ({ faces }) => ({ faces: [(faces as unknown as object[])[at]!] }));
    const end = JSON.stringify({ end: true, people: 1, faces: 2 });
    expect(await take([head, one(0), one(1), end])).toEqual({
      people: 1,
      added: 1,
      changed: 0,
      unchanged: 0,
      faces: 2,
    });
    const old = changed(head, () => ({ version: 1 }));
    expect(await take([`\ufeff${old}`, lines[2]!])).toMatchObject({ people: 1, added: 1 });
  });

  it("gives one person everything that is kept, and says which searches found the person", async () => {
    await take(lines);
    await using gallery = await Gallery.open(address, { name });
    await gallery.recordSearch(1, [bob]);
    await gallery.recordSearch(1, [ann]);
    const { id } = await gallery.people.get("Bob");
    expect(id).toBe(bob);
    const text = await linesOf(gallery, "Bob");
    expect(text).toHaveLength(3);
    const events = (JSON.parse(text[1]!) as { events: { action: string }[] }).events;
    expect(events.map(({ action }) => action)).toEqual(["enrolled", "added", "searched"]);
    expect(JSON.parse(text[2]!)).toEqual({ end: true, people: 1, faces: 1 });
  });
});
