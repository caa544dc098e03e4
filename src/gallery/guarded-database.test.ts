/** @file Galleries that are used within their own transaction, after its end, or after they were closed. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { STORES } from "../../test/support/gallery-stores.ts";
import { Gallery, type GalleryModel } from "./gallery.ts";
import { openDatabase } from "./open-database.ts";
import { withVerifiedTls } from "./postgres.ts";

const MODEL: GalleryModel = { name: "m", digest: "f".repeat(64), dimensions: 16, template: "centroid" };

describe("an address of PostgreSQL", () => {
  it.each([
    ["postgres://a@b/c?sslmode=require", "postgres://a@b/c?sslmode=verify-full"],
    ["postgres://a@b/c?x=1&sslmode=prefer&y=2", "postgres://a@b/c?x=1&sslmode=verify-full&y=2"],
    [
      "postgres://a@b/c?sslmode=verify-ca&sslrootcert=ca.pem",
      "postgres://a@b/c?sslmode=verify-full&sslrootcert=ca.pem",
    ],
    ["postgres://a@b/c?sslmode=no-verify", "postgres://a@b/c?sslmode=no-verify"],
    ["postgres://a@b/c?sslmode=disable", "postgres://a@b/c?sslmode=disable"],
    [
      "postgres://a@b/c?sslmode=require&uselibpqcompat=true",
      "postgres://a@b/c?sslmode=require&uselibpqcompat=true",
    ],
    ["postgres://a:?sslmode=requires@b/c", "postgres://a:?sslmode=requires@b/c"],
  ])("%s verifies the certificate without a warning", (given, used) => {
    expect(withVerifiedTls(given)).toBe(used);
  });

  it("with sslmode=require is used without a warning of pg", async () => {
    const warned: string[] = [];
    const listen = ({ message }: Error) => warned.push(message);
    process.on("warning", listen);
    await expect(openDatabase("postgres://a@127.0.0.1:1/c?sslmode=require")).rejects.toMatchObject({
      code: "GALLERY_UNAVAILABLE",
    });
    // Warnings come in the next turn.
    await new Promise((done) => setImmediate(done));
    process.off("warning", listen);
    expect(warned).toEqual([]);
  });
});

describe.each(STORES)("a gallery on $store", ({ store, make }) => {
  let gallery: Gallery;
  let address: string;

  beforeAll(async () => {
    address = await make();
    gallery = await Gallery.open(address, { create: MODEL });
  });
  afterAll(async () => {
    await gallery[Symbol.asyncDispose]();
  });

  const WITHIN = expect.objectContaining({
    code: "CONFIG_INVALID",
    message: expect.stringMatching(
      /^the gallery .* is used within its own transaction, for which it would wait$/,
    ),
    hint: expect.stringContaining("inner.people.add"),
  });

  it("is refused within its own transaction, as every connection would wait for another one", async () => {
    const names = Array.from({ length: 12 }, () => randomUUID());
    const works = names.map((name) =>
      gallery.transaction(async (inner) => {
        await inner.people.add(name);
        await gallery.people.named(name);
      }),
    );
    const ended = await Promise.allSettled(works);
    expect(ended).toEqual(names.map(() => ({ status: "rejected", reason: WITHIN })));
    for (const name of names) expect(await gallery.people.named(name)).toBeUndefined();
    const others: (() => Promise<unknown>)[] = [
      () => gallery.as("another").people.list(),
      () => gallery.transaction(async () => {}),
      () => gallery.changeModel(MODEL),
    ];
    for (const other of others) await expect(gallery.transaction(() => other())).rejects.toEqual(WITHIN);
  });

  it("goes on where a transaction's own gallery is used, and in what it has left behind", async () => {
    const name = randomUUID();
    let later: Promise<unknown> | undefined;
    let release = () => {};
    const released = new Promise<void>((done) => {
      release = done;
    });
    const inner = await gallery.transaction(async (own) => {
      await own.transaction((innermost) => innermost.people.add(name));
      expect(await own.people.named(name)).toMatchObject({ name });
      expect(await own.search(new Float32Array(16).fill(0.25))).toEqual([]);
      later = released.then(() => gallery.people.named(name));
      return own;
    });
    release();
    expect(await later).toMatchObject({ name });
    await expect(inner.people.list()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/^a transaction of the gallery .* is used after its end$/),
    });
  });

  it("says whether opening made it", async () => {
    expect(gallery.isNew).toBe(true);
    expect(gallery.as("another").isNew).toBe(false);
    if (store === "PGlite") return;
    await using again = await Gallery.open(address, { create: MODEL });
    expect(again.isNew).toBe(false);
    await using next = await Gallery.open(address, { name: "next", create: MODEL });
    expect(next.isNew).toBe(true);
  });

  it("says that it is closed, and may be closed twice", async () => {
    const other = store === "PGlite" ? gallery : await Gallery.open(address);
    await other[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    const CLOSED = expect.objectContaining({
      code: "GALLERY_UNAVAILABLE",
      message: `the gallery ${other.address} is closed`,
      hint: expect.stringContaining("open it again"),
    });
    const calls = [
      () => other.people.list(),
      () => other.people.add("x"),
      () => other.transaction(async () => {}),
      () => other.changeModel(MODEL),
      () => other.check(),
    ];
    for (const call of calls) await expect(call()).rejects.toEqual(CLOSED);
  });
});
