/** @file Downloads from a real server that is cut off, restarted, changed, damaged, silent, or ignores ranges. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type Answer, FileServer, type Sending, sendFile } from "../../test/support/file-server.ts";
import { temporaryFolder } from "../../test/support/photos.ts";
import { type DownloadOptions, downloadFile, mirrorAddress } from "./download.ts";

const CONTENT = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251));
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");

let server: FileServer | undefined;
afterEach(() => server?.[Symbol.asyncDispose]());

/** Starts a server whose n-th answer the test decides; returns what it was asked for and a target path. */
async function serving(answer: Answer) {
  const ranges: (string | undefined)[] = [];
  server = await FileServer.start((request, response, attempt) => {
    ranges.push(request.headers.range);
    answer(request, response, attempt);
  });
  const folder = await temporaryFolder();
  const path = join(folder, "deep/set.zip");
  part = `${path}.part`;
  const url = `${server.url}/set.zip`;
  const get = (options: Partial<DownloadOptions> = {}) =>
    downloadFile({ url, path, retryDelayMs: 1, ...options });
  return { ranges, path, folder, url, get };
}

/** The file that the test of the moment fills. */
let part = "";
const hasArrived = (bytes: number) => existsSync(part) && statSync(part).size >= bytes;

/** Sends the content as a well-behaved server does, unless told otherwise. */
const send = (
  request: IncomingMessage,
  response: ServerResponse,
  { content = CONTENT, ...sending }: Sending & { content?: Buffer } = {},
) => sendFile(request, response, content, { arrived: hasArrived, ...sending });

const content = (path: string) => readFileSync(path).equals(CONTENT);

describe("downloadFile", () => {
  it("writes the file, tells how far it is, and leaves nothing else", async () => {
    const { get, path } = await serving((request, response) => send(request, response));
    const seen: number[] = [];
    await get({
      sha256: SHA256,
      onProgress: ({ received, total }) => {
        seen.push(received);
        expect(total).toBe(CONTENT.length);
      },
    });
    expect(content(path)).toBe(true);
    expect(seen.at(-1)).toBe(CONTENT.length);
    expect(readdirSync(join(path, ".."))).toEqual(["set.zip"]);
  });

  it("goes on where the connection was cut, as often as it takes", async () => {
    const { get, path, ranges } = await serving((request, response, attempt) =>
      send(request, response, attempt < 8 ? { cutAt: 40_000 } : {}),
    );
    await get({ sha256: SHA256, attempts: 2 });
    expect(content(path)).toBe(true);
    expect(ranges).toHaveLength(8);
    expect(ranges[0]).toBeUndefined();
    expect(new Set(ranges.slice(1)).size).toBe(7);
    for (const range of ranges.slice(1)) expect(range).toMatch(/^bytes=\d+-$/);
  });

  it("goes on in the next run of the program", async () => {
    const { get, path, ranges } = await serving((request, response, attempt) =>
      send(request, response, attempt === 1 ? { cutAt: 100_000 } : {}),
    );
    await expect(get({ attempts: 1 })).rejects.toMatchObject({ code: "DOWNLOAD_FAILED" });
    expect(existsSync(path)).toBe(false);
    await get({ sha256: SHA256 });
    expect(content(path)).toBe(true);
    expect(ranges[1]).toMatch(/^bytes=[1-9]/);
  });

  it("begins again when the file has changed in between", async () => {
    const other = Buffer.alloc(200_000, 9);
    const { get, path } = await serving((request, response, attempt) =>
      attempt === 1
        ? send(request, response, { cutAt: 100_000, content: other, etag: '"v0"' })
        : send(request, response),
    );
    await get({ sha256: SHA256 });
    expect(content(path)).toBe(true);
  });

  it("begins again when the server ignores ranges, or has nothing to know the file by", async () => {
    const ignoring = await serving((request, response, attempt) =>
      send(request, response, { ignoreRange: true, ...(attempt === 1 ? { cutAt: 100_000 } : {}) }),
    );
    await ignoring.get({ sha256: SHA256 });
    expect(content(ignoring.path)).toBe(true);
    await server?.[Symbol.asyncDispose]();
    const nameless = await serving((request, response, attempt) =>
      send(request, response, { etag: 'W/"weak"', ...(attempt === 1 ? { cutAt: 100_000 } : {}) }),
    );
    await nameless.get({ sha256: SHA256 });
    expect(content(nameless.path)).toBe(true);
    expect(nameless.ranges).toEqual([undefined, undefined]);
  });

  it("notices a file that was whole already", async () => {
    const { get, path, ranges } = await serving((request, response, attempt) => {
      if (attempt === 1) return send(request, response, { cutAt: CONTENT.length });
      response.writeHead(416, { "content-range": `bytes */${CONTENT.length}` }).end();
    });
    await writeFile(join(path, "../../unrelated"), "");
    await get({ sha256: SHA256 });
    expect(content(path)).toBe(true);
    expect(ranges.length).toBeLessThanOrEqual(2);
  });

  it("refuses a part of the file that it did not ask for", async () => {
    const { get, path } = await serving((request, response, attempt) => {
      if (attempt === 1) return send(request, response, { cutAt: 50_000 });
      if (attempt > 2) return send(request, response);
      response.writeHead(206, { "content-range": "bytes 7-299999/300000" }).end(CONTENT.subarray(7));
    });
    await get({ sha256: SHA256 });
    expect(content(path)).toBe(true);
  });

  it("never hands over a file with another checksum, and keeps nothing of it", async () => {
    const damaged = Buffer.from(CONTENT);
    damaged[150_000] = damaged[150_000]! ^ 1;
    const { get, path } = await serving((request, response) => send(request, response, { content: damaged }));
    await expect(get({ sha256: SHA256 })).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      message: expect.stringContaining(`expected ${SHA256}`),
    });
    expect(readdirSync(join(path, ".."))).toEqual([]);
  });

  it("does not listen to a server that has another length there, or none and no end", async () => {
    const other = await serving((request, response) => send(request, response));
    await expect(other.get({ bytes: 299_999 })).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      message: expect.stringContaining("has 300000 bytes there, expected 299999"),
    });
    expect(other.ranges).toHaveLength(1);
    await server?.[Symbol.asyncDispose]();
    const endless = await serving((_, response) => {
      response.writeHead(200);
      const pour = () => {
        while (!response.destroyed && response.write(CONTENT));
      };
      response.on("drain", pour);
      pour();
    });
    await expect(endless.get({ bytes: 1_000_000 })).rejects.toMatchObject({ code: "DOWNLOAD_FAILED" });
    expect(readdirSync(join(endless.path, ".."))).toEqual([]);
  });

  it("goes on where a server that names no length broke off, when the length is known", async () => {
    const { get, path } = await serving((request, response, attempt) => {
      if (attempt > 1) return send(request, response);
      response.writeHead(200, { etag: '"v1"' }).end(CONTENT.subarray(0, 70_000));
    });
    await get({ bytes: CONTENT.length });
    expect(content(path)).toBe(true);
  });

  it.skipIf(process.platform === "win32")("says at once when it cannot write", async () => {
    const { get, ranges, folder } = await serving((request, response) => send(request, response));
    await writeFile(join(folder, "deep"), "a file where a folder is needed");
    await expect(get()).rejects.toMatchObject({ code: "FILE_INVALID" });
    expect(ranges).toHaveLength(0);
  });

  it("waits and tries again while the server is busy, but not when the file is not there", async () => {
    const busy = await serving((request, response, attempt) => {
      if (attempt < 3) response.writeHead(attempt === 1 ? 503 : 429).end("later");
      else send(request, response);
    });
    await busy.get();
    expect(content(busy.path)).toBe(true);
    await server?.[Symbol.asyncDispose]();
    const gone = await serving((_, response) => response.writeHead(404).end());
    await expect(gone.get({ advice: { refused: "ask elsewhere" } })).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      message: expect.stringContaining("404"),
      hint: "ask elsewhere",
    });
    expect(gone.ranges).toHaveLength(1);
  });

  it("gives up a connection that brings nothing", async () => {
    const { get, path } = await serving((request, response, attempt) => {
      if (attempt === 1) response.writeHead(200, { "content-length": 10 }).write("12345");
      else send(request, response);
    });
    await get({ stallMs: 150, sha256: SHA256 });
    expect(content(path)).toBe(true);
  });

  it("says when no server is there, or the disk is too small", async () => {
    const { get } = await serving((_, response) =>
      response.writeHead(200, { "content-length": 1e17 }).flushHeaders(),
    );
    await expect(get()).rejects.toMatchObject({ code: "DISK_FULL", hint: expect.stringContaining("free") });
    await expect(get({ url: "http://127.0.0.1:1/x", attempts: 2 })).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      message: expect.stringContaining("127.0.0.1:1"),
      hint: expect.stringContaining("it resumes"),
    });
  });

  it("stops while it waits for the next attempt", async () => {
    const { get } = await serving((_, response) => response.writeHead(503).end());
    const stop = new AbortController();
    const stopped = get({ signal: stop.signal, retryDelayMs: 3_600_000 });
    setTimeout(() => stop.abort(), 50);
    await expect(stopped).rejects.toMatchObject({ code: "INTERRUPTED" });
  });

  it("stops on a signal and keeps the part", async () => {
    const { get, path } = await serving((request, response) => {
      const { length } = CONTENT;
      response.writeHead(200, { etag: '"v1"', "content-length": length }).write(CONTENT.subarray(0, 60_000));
      request.on("close", () => response.destroy());
    });
    const stop = new AbortController();
    const stopped = get({ signal: stop.signal, onProgress: () => setTimeout(() => stop.abort(), 10) });
    await expect(stopped).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(readdirSync(join(path, "..")).sort()).toEqual(["set.zip.part", "set.zip.part.json"]);
  });
});

describe("mirrorAddress", () => {
  it("puts a file below the mirror's folder", () => {
    expect(mirrorAddress("https://host/sets", "a/b.zip")).toBe("https://host/sets/a/b.zip");
    expect(mirrorAddress("http://host:81/sets/", "b.zip")).toBe("http://host:81/sets/b.zip");
  });

  it.each(["my disk", "/mnt/mirror", "ftp://host", ""])("refuses %j", (mirror) => {
    expect(() => mirrorAddress(mirror, "b.zip")).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });
});
