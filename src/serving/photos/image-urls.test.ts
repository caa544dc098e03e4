/** @file Photographs by URL: only from the list, only from public addresses, within limits, and only images. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { encodePng } from "../../image/decode.ts";
import { ImageUrls, isPublic } from "./image-urls.ts";

const PNG = await encodePng(new Uint8Array(8 * 8 * 3), 8, 8);
const servers: ReturnType<typeof createServer>[] = [];
/** Requests of all servers by host and path. */
const asked: string[] = [];

async function start(handle: (request: IncomingMessage, answer: ServerResponse) => void): Promise<number> {
  const server = createServer((request, answer) => {
    asked.push(`${request.headers.host}${request.url}`);
    handle(request, answer);
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}

const secret = await start((_, answer) => answer.end(PNG));
const port = await start((request, answer) => {
  const { pathname, search } = new URL(request.url ?? "", "http://x");
  const to = (location: string) => answer.writeHead(302, { location }).end();
  const answers: Record<string, () => unknown> = {
    "/a.png": () => answer.writeHead(200, { "content-type": "image/png" }).end(PNG),
    "/b.png": () => answer.end(PNG),
    "/faces/a.png": () => answer.end(PNG),
    "/moved": () => to("/faces/a.png"),
    "/elsewhere": () => to(`http://localhost:${secret}/a.png`),
    "/metadata": () => to("http://169.254.169.254/latest/meta-data/"),
    "/file": () => to("file:///etc/passwd"),
    "/loop": () => to("/loop"),
    "/page": () => answer.writeHead(200, { "content-type": "text/html" }).end(PNG),
    "/text": () => answer.writeHead(200, { "content-type": "image/png" }).end("no image"),
    "/gzip": () => answer.writeHead(200, { "content-encoding": "gzip" }).end(PNG),
    "/large": () => answer.writeHead(200, { "content-length": "99999999" }).write(PNG),
    "/endless": () => {
      const timer = setInterval(() => answer.write(Buffer.alloc(4096)), 1);
      answer.on("close", () => clearInterval(timer));
    },
    "/slow": () => answer.writeHead(200, { "content-type": "image/png" }).write(PNG.subarray(0, 9)),
    "/silent": () => undefined,
    "/empty": () => answer.end(),
    "/query": () => answer.end(search === "?token=1" ? PNG : ""),
  };
  (answers[pathname] ?? (() => answer.writeHead(404).end()))();
});
const base = `http://127.0.0.1:${port}`;

afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const resolving =
  (...addresses: string[]) =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));

const never = new AbortController().signal;
const SMALL = { maxBytes: 50_000, timeoutMs: 600 };
const fetched = (url: string, allowed: readonly string[] = [`${base}/`], limits: object = SMALL) =>
  new ImageUrls(allowed, limits).fetch(url, "anchor", never);

describe("a photograph by URL", () => {
  it.each(["/a.png", "/b.png", "/moved", "/query?token=1"])("%s is fetched", async (path) => {
    expect(Buffer.from(await fetched(base + path))).toEqual(Buffer.from(PNG));
  });

  it.each([
    ["/elsewhere", /localhost:\d+\/a\.png, to which it is redirected, is not in this server's list/],
    ["/metadata", /169\.254\.169\.254/],
    ["/file", /is not in this server's list/],
    ["/loop", /more than 3 redirects/],
    ["/page", /sent text\/html, not an image/],
    ["/text", /sent no image file/],
    ["/empty", /sent no image file/],
    ["/gzip", /compressed/],
    ["/large", /more than 50000 bytes/],
    ["/endless", /more than 50000 bytes/],
    ["/nothing", /status 404/],
  ])("%s is refused", async (path, message) => {
    await expect(fetched(base + path)).rejects.toMatchObject({
      status: "INVALID_ARGUMENT",
      message: expect.stringMatching(message),
    });
    expect(asked.some((each) => each.startsWith("localhost"))).toBe(false);
  });

  it.each(["/slow", "/silent"])("%s does not hold a request for long", async (path) => {
    await expect(fetched(base + path)).rejects.toMatchObject({
      status: "UNAVAILABLE",
      message: expect.stringContaining("did not arrive in time"),
    });
  });

  it("ends with its request", async () => {
    const leaving = new AbortController();
    const call = new ImageUrls([`${base}/`]).fetch(`${base}/silent`, "anchor", leaving.signal);
    leaving.abort(new Error("the client has left"));
    await expect(call).rejects.toThrow();
  });

  it.each([
    ["another port", `http://127.0.0.1:${secret}/a.png`],
    ["another scheme", base.replace("http:", "https:")],
    ["a name in front", `http://127.0.0.1:${port}@localhost:${secret}/a.png`],
    ["a password", `http://me:me@127.0.0.1:${port}/a.png`],
    ["a file", "file:///etc/passwd"],
    ["nothing", ""],
    ["a longer host", `http://127.0.0.1.example.org:${port}/a.png`],
  ])("outside the list by %s is refused", async (_, url) => {
    await expect(fetched(url)).rejects.toMatchObject({ status: "INVALID_ARGUMENT" });
  });

  it("stays within the path of the list, whatever dots and codes it holds", async () => {
    const allowed = [`${base}/faces`];
    expect((await fetched(`${base}/faces/a.png`, allowed)).length).toBe(PNG.length);
    for (const path of [
      "/facesX/a.png",
      "/faces/../a.png",
      "/faces/%2e%2e/a.png",
      "/faces/..%2fa.png",
      "/a.png",
    ])
      await expect(fetched(base + path, allowed), path).rejects.toMatchObject({ status: "INVALID_ARGUMENT" });
  });

  it("comes from no private address, unless the list names it", async () => {
    const host = `http://photos.example.com:${port}`;
    const private_ = { ...SMALL, resolve: resolving("127.0.0.1") };
    await expect(fetched(`${host}/a.png`, [host], private_)).rejects.toThrow(/not a public address/);
    expect((await fetched(`${host}/a.png`, [host, "http://127.0.0.1/"], private_)).length).toBe(PNG.length);
    for (const others of [["93.184.216.34", "10.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]])
      await expect(
        fetched(`${host}/a.png`, [host], { ...SMALL, resolve: resolving(...others) }),
      ).rejects.toThrow(/not a public address/);
  });

  it("is connected to at the address that was checked, which is looked up once", async () => {
    let looked = 0;
    const resolve = async () => [{ address: ++looked === 1 ? "127.0.0.1" : "10.0.0.1", family: 4 }];
    const host = `http://rebind.example.com:${port}`;
    await fetched(`${host}/a.png`, [host, "http://127.0.0.1/"], { ...SMALL, resolve });
    expect(looked).toBe(1);
    expect(asked.at(-1)).toBe(`rebind.example.com:${port}/a.png`);
  });

  it("may name an address in any spelling, of which only public ones pass", async () => {
    for (const host of ["2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:7f00:1]", "0.0.0.0"]) {
      const url = `http://${host}:${port}`;
      const call = new ImageUrls([`http://example.org:${port}`]).fetch(`${url}/a.png`, "anchor", never);
      await expect(call, host).rejects.toMatchObject({ status: "INVALID_ARGUMENT" });
    }
  });
});

describe("public addresses", () => {
  it.each(["8.8.8.8", "93.184.216.34", "2606:4700::1111"])("%s is one", (address) => {
    expect(isPublic(address)).toBe(true);
  });
  it.each([
    ..."0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 172.31.255.255".split(" "),
    ..."192.168.1.1 198.18.0.1 224.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:10.0.0.1".split(" "),
    ..."64:ff9b::7f00:1 2002:7f00:1:: fc00::1 fd12::1 fe80::1 ff02::1 2001:db8::1 photos.example.com".split(
      " ",
    ),
  ])("%s is none", (address) => {
    expect(isPublic(address)).toBe(false);
  });
});

describe("the list", () => {
  it.each([
    "photos.example.com",
    "ftp://x.org/",
    "https://*.example.com/",
    "https://a:b@x.org/",
    "https://x.org/?q=1",
  ])("refuses %s", (text) => {
    expect(() => new ImageUrls([text])).toThrow(/`imageUrls`/);
  });
});
