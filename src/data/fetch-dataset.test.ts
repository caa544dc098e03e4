/** @file Fetching whole datasets from a real server: licences, parts, layouts, going on, damage. */
import { existsSync, readdirSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { tarOf, zipOf } from "../../test/support/archives.ts";
import { plain, temporaryFolder } from "../../test/support/photos.ts";
import { encodePng } from "../image/decode.ts";
import { chooseParts, REMOTE_DATASETS, type RemoteDataset, remoteDataset } from "./catalogue.ts";
import { openDataset } from "./dataset.ts";
import { type FetchEvent, fetchDataset } from "./fetch-dataset.ts";
import { countImages } from "./identity.ts";

let server: Server;
let mirror: string;
let asked: string[];
/** What the server holds, by path. */
const held = new Map<string, Buffer>();

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.url!);
    const content = held.get(request.url!);
    if (content === undefined) response.writeHead(404).end();
    else response.writeHead(200, { etag: '"1"', "content-length": content.length }).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sets`;
});

beforeEach(() => {
  asked = [];
  held.clear();
});

afterAll(() => {
  server.close();
});

const image = () => encodePng(plain(8, [1, 2, 3]), 8, 8);

/** A catalogue entry without checksums, since the archives are ours. */
const unchecked = (dataset: RemoteDataset): RemoteDataset => ({
  ...dataset,
  parts: dataset.parts.map((part) => ({
    ...part,
    files: part.files.map(({ name, url }) => ({ name, url })),
  })),
});

const digiface = remoteDataset("digiface");
const first = chooseParts(digiface, ["1"]);

describe("fetchDataset", () => {
  it("brings DigiFace into the layout that openDataset reads, whatever folder the archive puts it in", async () => {
    const content = await image();
    const files = [5, 17].flatMap((id) =>
      [0, 1, 2].map((n) => ({ path: `subjects/${id}/${n}.png`, content })),
    );
    held.set(
      "/sets/subjects_0-1999_72_imgs.zip",
      zipOf([...files, { path: "subjects/licence.txt", content: "x" }]),
    );
    const output = await temporaryFolder();
    const events: FetchEvent[] = [];
    expect(
      await fetchDataset(digiface, first, { output, mirror, onEvent: (event) => events.push(event) }),
    ).toBe(6);
    const dataset = await openDataset({ path: output, idFrom: 0, idTo: 1999 });
    expect(dataset.kind).toBe("digiface");
    expect(dataset.identities.map(({ name, images }) => [name, images.length])).toEqual([
      ["5", 3],
      ["17", 3],
    ]);
    expect(readdirSync(output).sort()).toEqual([".faceid-download.json", "17", "5"]);
    expect(new Set(events.map(({ kind }) => kind))).toEqual(new Set(["downloading", "unpacking", "done"]));
    await fetchDataset(digiface, first, { output, mirror, onEvent: (event) => events.push(event) });
    expect(events.at(-1)).toEqual({ kind: "present", file: "subjects_0-1999_72_imgs.zip" });
    expect(asked).toHaveLength(1);
  });

  it("brings LFW with its pairs", async () => {
    const content = await image();
    const paths = [
      "lfw_funneled/Ann_Lee/Ann_Lee_0001.jpg",
      "lfw_funneled/Bo/Bo_0001.jpg",
      "lfw_funneled/list.txt",
    ];
    held.set("/sets/lfw-funneled.tgz", gzipSync(tarOf(paths.map((path) => ({ path, content })))));
    for (const name of ["pairs", "pairsDevTrain", "pairsDevTest"])
      held.set(`/sets/${name}.txt`, Buffer.from("1\n"));
    const output = await temporaryFolder();
    const lfw = unchecked(remoteDataset("lfw"));
    await fetchDataset(lfw, chooseParts(lfw, []), { output, mirror: `${mirror}/`, keepArchives: true });
    const dataset = await openDataset({ path: output });
    expect([dataset.kind, countImages(dataset.identities)]).toEqual(["lfw", 2]);
    expect(existsSync(join(output, "pairs.txt"))).toBe(true);
    expect(existsSync(join(output, "lfw-funneled.tgz"))).toBe(true);
  });

  it("refuses files that are not the catalogue's", async () => {
    const lfw = remoteDataset("lfw");
    held.set("/sets/pairs.txt", Buffer.from("something else"));
    const options = { output: await temporaryFolder(), mirror, retryDelayMs: 1 };
    await expect(fetchDataset(lfw, chooseParts(lfw, ["pairs"]), options)).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      message: expect.stringContaining("SHA-256"),
    });
  });

  it("fetches a damaged archive anew, and goes on with one that was interrupted", async () => {
    const good = zipOf([{ path: "5/0.png", content: await image() }]);
    const name = "/sets/subjects_0-1999_72_imgs.zip";
    const output = await temporaryFolder();
    const fetch = (signal?: AbortSignal) =>
      fetchDataset(digiface, first, { output, mirror, ...(signal === undefined ? {} : { signal }) });
    held.set(name, good.subarray(0, good.length - 9));
    await expect(fetch()).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
    held.set(name, zipOf([{ path: "notes.txt", content: "no faces" }]));
    await expect(fetch()).rejects.toMatchObject({
      code: "ARCHIVE_INVALID",
      message: expect.stringContaining("no images"),
    });
    held.set(name, good);
    const stop = new AbortController();
    const stopped = fetchDataset(digiface, first, {
      output,
      mirror,
      signal: stop.signal,
      onEvent: ({ kind }) => kind === "downloading" && setImmediate(() => stop.abort()),
    });
    await stopped.catch(() => undefined);
    expect(await fetch()).toBe(1);
    expect(asked.length).toBeLessThanOrEqual(4);
  });

  it("says what a mirror is", async () => {
    const options = { output: await temporaryFolder(), mirror: "my disk" };
    await expect(fetchDataset(digiface, first, options)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe("the catalogue", () => {
  it("states a licence for every dataset, and has names that can be asked for", () => {
    for (const dataset of Object.values(REMOTE_DATASETS)) {
      expect(dataset.licence.join(" ")).toMatch(/research/);
      expect(chooseParts(dataset, [])).toHaveLength(dataset.usual.length);
      expect(chooseParts(dataset, ["all"])).toHaveLength(dataset.parts.length);
      for (const { name, files } of dataset.parts) {
        expect(chooseParts(dataset, [name])).toHaveLength(1);
        for (const { url } of files) expect(URL.canParse(url)).toBe(true);
      }
    }
  });

  it("lists its choices when asked for something else", () => {
    expect(() => remoteDataset("ms1m")).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", hint: "choose digiface or lfw" }),
    );
    expect(() => chooseParts(digiface, ["9"])).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        hint: expect.stringContaining("8: people 166666 to 199998"),
      }),
    );
  });
});
