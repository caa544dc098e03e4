/** @file The client against a server that records what it is asked: addresses in all spellings, and which verb. */
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import { type AddressInfo, createServer as createTcp, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { FaceError } from "../base/errors.ts";
import { decodeInto, encodePng } from "../image/decode.ts";
import { GalleryClient } from "./gallery-client.ts";
import { request } from "./request.ts";

const folder = await temporaryFolder();
const images = [join(folder, "a.png"), join(folder, "b.png")] as const;
const halves = (width: number, height: number) =>
  Uint8Array.from({ length: width * height * 3 }, (_, i) => ((i / 3) % width < width / 2 ? 0 : 255));
for (const path of images) writeFileSync(path, await encodePng(halves(8, 8), 8, 8));

interface Asked {
  readonly path: string;
  readonly body: string;
  readonly authorization: string | undefined;
}
let asked: Asked[] = [];

const dim = [-1, 8, 8, 3].map((size) => ({ size: String(size) }));
const input = { tensor_shape: { dim } };
const SIGNATURES = { serving_default: { inputs: { anchor_img: input, verification_img: input } } };

const server = createServer((incoming, answer) => {
  const chunks: Buffer[] = [];
  incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
  incoming.on("end", () => {
    const path = incoming.url ?? "";
    asked.push({
      path,
      body: Buffer.concat(chunks).toString(),
      authorization: incoming.headers.authorization,
    });
    const signatures = path.includes("/pack") ? {} : SIGNATURES;
    if (path.endsWith("/metadata"))
      answer.end(JSON.stringify({ metadata: { signature_def: { signature_def: signatures } } }));
    else if (path.endsWith(":verify")) answer.end('{"same": true, "similarity": 0.7}');
    else answer.end('{"predictions": [[0.5]]}');
  });
});
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
const { port } = server.address() as AddressInfo;

beforeEach(() => {
  asked = [];
});
afterAll(() => server.close());

describe("request", () => {
  it.each([
    [`http://127.0.0.1:${port}`, ""],
    [`127.0.0.1:${port}`, ""],
    [`127.0.0.1:${port}/`, ""],
    [`http://127.0.0.1:${port}/faces`, "/faces"],
    [`127.0.0.1:${port}/a/b/`, "/a/b"],
    [`HTTP://127.0.0.1:${port}/faces/v1/models/other`, "/faces"],
    [`http://127.0.0.1:${port}/v1`, ""],
  ])("asks %s under its path", async (url, prefix) => {
    expect(await request({ url }, images)).toMatchObject({ isError: false, probability: 0.5 });
    expect(asked.map(({ path }) => path)).toEqual([
      `${prefix}/v1/models/faceid/metadata`,
      `${prefix}/v1/models/faceid:predict`,
    ]);
  });

  it("warns of pictures that hardly are crops as the model takes them, by size and shape", async () => {
    const picture = async (width: number, height: number) => {
      const path = join(folder, `${width}x${height}.png`);
      writeFileSync(path, await encodePng(halves(width, height), width, height));
      return path;
    };
    const url = `127.0.0.1:${port}`;
    const text = '{"predictions": [[0.5]]}';
    for (const size of [8, 4, 16]) {
      const crop = await picture(size, size);
      expect(await request({ url }, [images[0], crop])).toEqual({ text, isError: false, probability: 0.5 });
    }
    for (const [width, height] of [
      [17, 17],
      [16, 12],
      [6, 8],
    ] as const) {
      const whole = await picture(width, height);
      const { warnings, ...answer } = await request({ url }, [images[0], whole]);
      expect(answer).toEqual({ text, isError: false, probability: 0.5 });
      expect(warnings).toEqual([
        `${whole} has ${width}x${height} pixels and was sent whole, scaled to 8x8; the model compares crops of a face, and no face was looked for`,
      ]);
    }
    const tiny = await picture(1, 2);
    expect((await request({ url }, [images[0], tiny])).warnings).toEqual([
      expect.stringMatching(/1x2\.png (has 1x2 pixels, enlarged to 8x8|is of one colour)/),
    ]);
    expect((await request({ url, verify: {} }, [images[0], await picture(16, 12)])).warnings).toBeUndefined();
  });

  it("sends a name and password of the address as a header", async () => {
    await request({ url: `http://me:p%40ss@127.0.0.1:${port}` }, images);
    expect(asked[0]!.authorization).toBe(`Basic ${Buffer.from("me:p@ss").toString("base64")}`);
  });

  it("names no password of an address in an error", async () => {
    for (const [url, message] of [
      ["http://me:secret@127.0.0.1:2", "no server answers at http://127.0.0.1:2: "],
      ["http://me:sec%zzret@example.org", '"http://example.org" is no address'],
      ["me:sec/ret@example.org", '"example.org" is no address'],
      ["ftp://me:secret@example.org/a@b", '"ftp://example.org/a@b" is no address'],
    ] as const) {
      const error = await request({ url }, images).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(FaceError);
      expect((error as FaceError).message).toContain(message);
    }
    const client = (options: { url?: string; key?: string }) => () =>
      new GalleryClient({ url: "http://localhost", gallery: "people", ...options });
    expect(client({ key: "secret\n" })).toThrow("GalleryClient: key: it has characters that no key has");
    expect(client({ url: "http://me:secret@localhost" })).toThrow("an address without name and password");
  });

  it("asks a model without signatures by :verify, and any other where that is wanted", async () => {
    expect(await request({ url: `127.0.0.1:${port}`, model: "pack" }, images)).toMatchObject({ same: true });
    expect(asked.map(({ path }) => path)).toEqual(["/v1/models/pack/metadata", "/v1/models/pack:verify"]);
    asked = [];
    await request({ url: `127.0.0.1:${port}`, verify: { far: 0.01, face: "only" } }, images);
    expect(asked.map(({ path }) => path)).toEqual(["/v1/models/faceid:verify"]);
    const body = JSON.parse(asked[0]!.body);
    expect(body).toMatchObject({ far: 0.01, face: "only", anchor: { b64: expect.any(String) } });
  });

  it.each([
    [{ url: "ftp://example.org" }, images, /"ftp:\/\/example.org" is no address/],
    [{ url: "http://" }, images, /is no address/],
    [{ url: "x", address: "y" }, images, /one of url and address/],
    [{}, images, /one of url and address/],
    [{ url: "x", modle: "m" }, images, /modle \(got "m"\), did you mean model/],
    [{ url: "x", verify: { far: 2 } }, images, /verify\.far: got 2/],
    [{ url: "x" }, ["a.jpg"], /the images: got \["a.jpg"\]/],
    [{ address: "x", verify: {} }, images, /REST only/],
  ])("refuses %j", async (target, pair, message) => {
    await expect(request(target as never, pair as never)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(message),
    });
  });

  it("sends pixels over REST that are read as the floats that gRPC sends", async () => {
    const path = join(folder, "noise.png");
    // Larger than the model's images, so that pixels lie between the 256 tones.
    writeFileSync(
      path,
      await encodePng(
        Uint8Array.from({ length: 19 * 19 * 3 }, (_, i) => (i * 37) % 256),
        19,
        19,
      ),
    );
    const expected = new Float32Array(8 * 8 * 3);
    await decodeInto(path, { height: 8, width: 8, channels: 3 }, expected, 0);
    await request({ url: `127.0.0.1:${port}` }, [path, path]);
    const { instances } = JSON.parse(asked.at(-1)!.body);
    const sent: number[] = instances[0].anchor_img.flat(2);
    expect(Float32Array.from(sent)).toEqual(expected);
  });

  it("says where no server answers", async () => {
    const closed = createServer();
    await new Promise<void>((done) => closed.listen(0, "127.0.0.1", done));
    const { port: free } = closed.address() as AddressInfo;
    await new Promise((done) => closed.close(done));
    await expect(request({ url: `localhost:${free}` }, images)).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringMatching(/localhost:\d+: ECONNREFUSED, the connection was refused/),
      // The address was given already; the line has its port.
      hint: `check that the server runs and that the address is right, or start one:\n  faceid serve --pack opencv-sface --model_name faceid --rest_api_port ${free}`,
    });
  });
});

describe("a port that speaks something else", () => {
  const listen = async (other: Server) => {
    await new Promise<void>((done) => other.listen(0, "127.0.0.1", done));
    open.push(other);
    return (other.address() as AddressInfo).port;
  };
  const open: Server[] = [];
  afterAll(() => {
    for (const each of open) each.close();
  });

  it("is said to be gRPC's, REST's, or one with or without a certificate", async () => {
    const http2 = await listen(createHttp2());
    // As a server with a certificate does on plain text.
    const closing = await listen(createTcp((socket) => socket.once("data", () => socket.destroy())));
    const code = "SERVER_UNREACHABLE";
    const rest = async (url: string) => await request({ url }, images);
    for (const each of [http2, closing]) {
      await expect(rest(`http://127.0.0.1:${each}`)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(/no REST interface answers at .*speaks no HTTP, or only https$/),
        hint: expect.stringContaining("--grpc HOST:PORT"),
      });
    }
    await expect(rest(`https://127.0.0.1:${port}`)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/it speaks no TLS$/),
      hint: expect.stringContaining("http://"),
    });
    for (const each of [port, closing]) {
      await expect(
        request({ address: `127.0.0.1:${each}`, timeoutMs: 10_000 }, images),
      ).rejects.toMatchObject({
        code,
        message: `no gRPC interface answers at 127.0.0.1:${each}`,
        hint: expect.stringContaining("REST's port takes --url"),
      });
    }
    await expect(request({ address: "127.0.0.1:1" }, images)).rejects.toMatchObject({
      message: "no server answers at 127.0.0.1:1: ECONNREFUSED, the connection was refused",
      hint: expect.stringMatching(
        /^check that the server runs .*\n {2}faceid serve --model_name faceid --model_base_path \S*models\/default --port 1$/,
      ),
    });
  });

  /** Sends some bytes of an answer, then resets the connection. */
  const resetting = async (sent: string | Buffer) =>
    await listen(
      createTcp((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", () => socket.write(sent, () => setTimeout(() => socket.resetAndDestroy(), 20)));
      }),
    );

  it("is not asked over HTTP where the port is one that HTTP never has", async () => {
    await expect(request({ url: "http://127.0.0.1:9" }, images)).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringContaining("http://127.0.0.1:9 has a port that HTTP clients do not connect to"),
    });
  });

  it("differs from a connection that is reset, within the headers too", async () => {
    const code = "SERVER_UNREACHABLE";
    const wasReset = (url: string) => ({ code, message: `${url} reset the connection before it answered` });
    const cutOff = (url: string) => ({
      code,
      message: `${url} closed the connection before its answer was complete`,
    });
    const atOnce = await listen(createTcp((socket) => socket.once("data", () => socket.resetAndDestroy())));
    const places = [atOnce, await resetting("HTTP/1.1 200 OK\r\nContent-Ty"), await resetting("HT")];
    for (const each of places) {
      const url = `http://127.0.0.1:${each}`;
      await expect(request({ url }, images)).rejects.toMatchObject(wasReset(url));
      await expect(new GalleryClient({ url, gallery: "people" }).people()).rejects.toMatchObject({
        code,
        message: expect.stringMatching(/reset the connection before it answered$/),
      });
    }
    const inBody = `http://127.0.0.1:${await resetting("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")}`;
    await expect(request({ url: inBody }, images)).rejects.toMatchObject(cutOff(inBody));
    const grpc = `127.0.0.1:${atOnce}`;
    await expect(request({ address: grpc }, images)).rejects.toMatchObject(wasReset(grpc));
    // Empty SETTINGS, with which HTTP/2 begins.
    const settings = Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0);
    const begun = `127.0.0.1:${await resetting(settings)}`;
    await expect(request({ address: begun }, images)).rejects.toMatchObject(cutOff(begun));
    const plain = await listen(createTcp((socket) => socket.once("data", () => socket.end())));
    const https = `https://127.0.0.1:${plain}`;
    await expect(request({ url: https }, images)).rejects.toMatchObject({
      code,
      message: `${https} closed the connection before TLS was agreed on`,
      hint: expect.stringContaining("http://"),
    });
  });
});
