/** @file A model of ours answers one photograph in one way, however it comes in; what cannot be its input is refused. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { Random } from "../src/base/random.ts";
import { float32 } from "../src/base/tensor.ts";
import { requestGrpc } from "../src/client/grpc.ts";
import { requestRest } from "../src/client/rest.ts";
import { decodePixels, encodePng } from "../src/image/decode.ts";
import { loadSignatures } from "../src/jobs/signature-model.ts";
import {
  PredictionService,
  PredictRequestSchema,
} from "../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { singleModelConfig } from "../src/serving/repository/model-config.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { type FaceModel, loadModel } from "../src/verify/face-model.ts";
import { writeFaceModel } from "./support/face-model.ts";
import { type GrpcCaller, grpcCaller } from "./support/grpc-client.ts";
import { temporaryFolder } from "./support/photos.ts";

const SIDE = 96;
const [WIDTH, HEIGHT] = [150, 110];

let folder: string;
let server: RunningServer;
let foreign: RunningServer;
let library: FaceModel;
let caller: GrpcCaller;

beforeAll(async () => {
  folder = await temporaryFolder();
  const start = (name: string) =>
    startServer({
      models: singleModelConfig("faceid", join(folder, name)),
      loader: savedModelLoader({ sessions: 1 }),
      log: silentLog,
      grpcPort: 0,
      restPort: 0,
      rest: { acceptBinary: true },
    });
  await writeFaceModel(join(folder, "ours/1"), { side: SIDE, description: {} });
  await writeFaceModel(join(folder, "foreign/1"), { side: SIDE });
  [server, foreign] = [await start("ours"), await start("foreign")];
  library = await loadModel(join(folder, "ours/1"));
  caller = grpcCaller(`localhost:${server.grpcPort}`);
});

afterAll(async () => {
  caller[Symbol.dispose]();
  await library.close();
  await Promise.all([server.close(), foreign.close()]);
});

/** Smooth coloured shapes without any symmetry. */
function picture(seed: number) {
  const random = new Random(seed);
  const waves = Array.from({ length: 9 }, () => random.uniform() * 0.12);
  const data = Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => {
    const [x, y, channel] = [Math.floor(i / 3) % WIDTH, Math.floor(i / 3 / WIDTH), i % 3];
    const phase = waves[channel]! * x + waves[3 + channel]! * y + waves[6 + channel]! * 30;
    return 127 + 120 * Math.sin(phase) * (x / WIDTH);
  });
  return sharp(data, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
}

const plain = async () => await picture(5).png().toBuffer();

async function ask(action: string, body: unknown, to = server) {
  const response = await fetch(`http://localhost:${to.restPort}/v1/models/faceid${action}`, {
    method: "POST",
    body: body instanceof FormData ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, never> };
}

const b64 = (file: Uint8Array) => ({ b64: Buffer.from(file).toString("base64") });

async function encoded(a: Uint8Array, b: Uint8Array, to = server): Promise<number> {
  const instances = [{ anchor_bytes: b64(a), verification_bytes: b64(b) }];
  const { body } = await ask(":predict", { signature_name: "verify_encoded", instances }, to);
  return Number((body.predictions as unknown as number[][])[0]![0]);
}

/** The probability by every way in. */
async function everyWay(a: Uint8Array, b: Uint8Array): Promise<Record<string, number>> {
  const paths = [join(folder, "first"), join(folder, "second")] as const;
  await Promise.all([writeFile(paths[0], a), writeFile(paths[1], b)]);
  const form = () => {
    const parts = new FormData();
    for (const [name, file] of [["anchor_img", a] as const, ["verification_img", b] as const]) {
      parts.set(name, new Blob([new Uint8Array(file)], { type: "image/jpeg" }), name);
    }
    return parts;
  };
  const json = { anchor: b64(a), verification: b64(b) };
  const predicted = await ask(":predict", form());
  const url = `http://localhost:${server.restPort}`;
  const address = `localhost:${server.grpcPort}`;
  return {
    encoded: await encoded(a, b),
    verify: Number((await ask(":verify", form())).body.similarity),
    verifyJson: Number((await ask(":verify", json)).body.similarity),
    form: Number((predicted.body.predictions as unknown as number[][])[0]![0]),
    rest: (await requestRest({ url, model: "faceid" }, paths)).probability!,
    grpc: (await requestGrpc({ address, model: "faceid" }, paths)).probability!,
    library: (await library.verify(...paths)).probability,
  };
}

describe("a photograph", () => {
  const kinds: Record<string, () => Promise<Uint8Array>> = {
    "a JPEG with a profile of other colours": () =>
      picture(1).withIccProfile("p3").jpeg({ quality: 95 }).toBuffer(),
    "a CMYK JPEG": () => picture(2).toColourspace("cmyk").jpeg({ quality: 95 }).toBuffer(),
    "a grey JPEG": () => picture(3).greyscale().jpeg().toBuffer(),
    "a PNG of 16 bits": () => picture(4).toColourspace("rgb16").png().toBuffer(),
    "a PNG with transparency": () => picture(5).ensureAlpha(0.4).png().toBuffer(),
    "a grey PNG with transparency": () => picture(6).greyscale().ensureAlpha(0.4).png().toBuffer(),
    "a PNG with a palette": () => picture(7).png({ palette: true }).toBuffer(),
    "a progressive JPEG": () => picture(8).jpeg({ progressive: true }).toBuffer(),
    "a JPEG without its last two bytes": async () => (await picture(9).jpeg().toBuffer()).subarray(0, -2),
    "a JPEG without its last byte": async () => (await picture(9).jpeg().toBuffer()).subarray(0, -1),
    "a JPEG with bytes behind its end": async () =>
      Buffer.concat([await picture(10).jpeg().toBuffer(), Buffer.from("and more")]),
  };
  for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
    kinds[`a JPEG of orientation ${orientation}`] = () =>
      picture(11).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer();
    kinds[`a PNG of orientation ${orientation}`] = () =>
      picture(12).withMetadata({ orientation }).png().toBuffer();
  }

  it.each(Object.entries(kinds))("has one answer by every way: %s", async (_, make) => {
    const file = await make();
    const { data, width, height } = await decodePixels(file);
    const upright = await encoded(await encodePng(data, width, height), await plain());
    const answers = await everyWay(file, await plain());
    for (const [way, answer] of Object.entries(answers)) expect(answer, way).toBeCloseTo(upright, 6);
  });

  it("is read as TensorFlow reads it by a model without a description", async () => {
    const sideways = await picture(11).withMetadata({ orientation: 6 }).png().toBuffer();
    const stored = await picture(11).png().toBuffer();
    const other = await plain();
    expect(await encoded(sideways, other, foreign)).toBe(await encoded(stored, other, foreign));
    expect(Math.abs((await encoded(sideways, other)) - (await encoded(stored, other)))).toBeGreaterThan(1e-4);
  });

  it("is refused when pixels are missing", async () => {
    const file = (await picture(9).jpeg().toBuffer()).subarray(0, -300);
    const instances = [{ anchor_bytes: b64(file), verification_bytes: b64(await plain()) }];
    const { status, body } = await ask(":predict", { signature_name: "verify_encoded", instances });
    expect(status).toBe(400);
    expect(body.error).toMatch(/^cannot read the image: /);
  });
});

describe("an input that cannot be right", () => {
  const image = (value: number, side = SIDE, channels = 3) =>
    Array.from({ length: side }, () => Array.from({ length: side }, () => Array(channels).fill(value)));
  const over = (signature_name: string, inputs: Record<string, unknown>, to = server) =>
    ask(":predict", { signature_name, inputs }, to);
  const pairOf = (a: unknown, b: unknown = image(0.5)) => ({ anchor_img: [a], verification_img: [b] });

  const odd = (value: number) => {
    const pixels = image(0.5);
    pixels[3]![5]![1] = value;
    return pixels;
  };

  it.each([
    [
      "pixels of 0 to 255",
      pairOf(odd(200)),
      "anchor_img takes RGB in [0, 1], got 200 at [0, 3, 5, 1]; divide eight-bit pixels by 255",
    ],
    [
      "pixels of -1 to 1",
      pairOf(image(0.5), odd(-0.25)),
      "verification_img takes RGB in [0, 1], got -0.25 at [0, 3, 5, 1]",
    ],
    ["another side", pairOf(image(0.5, 112), image(0.5, 112)), /takes \[-1,96,96,3\], got \[1,112,112,3\]/],
    ["grey images", pairOf(image(0.5, SIDE, 1), image(0.5, SIDE, 1)), /got \[1,96,96,1\]/],
    ["four channels", pairOf(image(0.5, SIDE, 4), image(0.5, SIDE, 4)), /got \[1,96,96,4\]/],
    ["another rank", { anchor_img: image(0.5), verification_img: image(0.5) }, /got \[96,96,3\]/],
  ])("is refused: %s", async (_, inputs, message) => {
    const { status, body } = await over("serving_default", inputs);
    expect([status, body.error]).toEqual([
      400,
      message instanceof RegExp ? expect.stringMatching(message) : message,
    ]);
  });

  it("is taken within rounding", async () => {
    expect((await over("serving_default", pairOf(image(1.000001), image(-0.000001)))).status).toBe(200);
  });

  it("is refused in single images and embeddings too", async () => {
    const embedded = await over("embed", { input_image: [image(7)] });
    expect(embedded.body.error).toMatch(/^input_image takes RGB in \[0, 1\], got 7 at \[0, 0, 0, 0\]/);
    const short = await over("compare", { anchor_embedding: [[1, 2]], verification_embedding: [[1, 2]] });
    expect(short.status).toBe(400);
    expect(short.body.error).toMatch(/anchor_embedding takes \[-1,\d+\], got \[1,2\]/);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 255])("is refused over gRPC: %d", async (value) => {
    const shape = { dim: [1, SIDE, SIDE, 3].map((size) => ({ size: BigInt(size) })) };
    const values = new Float32Array(SIDE * SIDE * 3).fill(0.5);
    values[10] = value;
    const proto = (data: Float32Array) => ({
      dtype: 1,
      tensorShape: shape,
      tensorContent: new Uint8Array(data.buffer),
    });
    const inputs = { anchor_img: proto(new Float32Array(values.length)), verification_img: proto(values) };
    const request = create(PredictRequestSchema, { modelSpec: { name: "faceid" }, inputs });
    await expect(caller.call(PredictionService.method.predict, request)).rejects.toMatchObject({
      code: 3,
      details: expect.stringContaining(`verification_img takes RGB in [0, 1], got ${value} at [0, 0, 3, 1]`),
    });
  });

  it("is what the graph makes of it in a model without a description", async () => {
    expect((await over("serving_default", pairOf(image(255)), foreign)).status).toBe(200);
  });

  it("is refused by the library", async () => {
    const size = library.embeddingSize;
    const right = new Float32Array(size);
    await expect(library.compare(right.subarray(1), right)).rejects.toMatchObject({ code: "SHAPE_MISMATCH" });
    const wrong = new Float32Array(size).fill(Number.NaN);
    await expect(library.compare(right, wrong)).rejects.toThrow(
      "an embedding takes finite numbers, got NaN at [0]",
    );
    await using model = await loadSignatures(join(folder, "ours/1"));
    const pixels = (value: number) =>
      float32([1, SIDE, SIDE, 3], new Float32Array(SIDE * SIDE * 3).fill(value));
    await expect(model.run("embed", new Map([["input_image", pixels(200)]]))).rejects.toMatchObject({
      code: "SHAPE_MISMATCH",
      message: "input_image takes RGB in [0, 1], got 200 at [0, 0, 0, 0]; divide eight-bit pixels by 255",
    });
  });
});

describe("an upload", () => {
  const BOUNDARY = "Aa-b0undary";

  /** A form as bytes, each part with its own headers. */
  async function sendForm(
    action: string,
    parts: readonly (readonly [string, Uint8Array | string])[],
    type?: string,
  ) {
    const body = Buffer.concat([
      ...parts.flatMap(([headers, data]) => [
        Buffer.from(`--${BOUNDARY}\r\n${headers}\r\n\r\n`),
        Buffer.from(data),
        Buffer.from("\r\n"),
      ]),
      Buffer.from(`--${BOUNDARY}--\r\n`),
    ]);
    const response = await fetch(`http://localhost:${server.restPort}/v1/models/faceid:${action}`, {
      method: "POST",
      headers: { "content-type": type ?? `multipart/form-data; boundary=${BOUNDARY}` },
      body,
    });
    return (await response.json()) as { similarity?: number; predictions?: number[][]; error?: string };
  }

  const named = (name: string, more = "", headers = "") =>
    `Content-Disposition: form-data; name="${name}"${more}${headers === "" ? "" : `\r\n${headers}`}`;

  it.each<[string, string, string]>([
    ["without a file name", "", ""],
    ["with a type and no file name", "", "Content-Type: image/png"],
    ["with an empty file name", '; filename=""', ""],
    ["with a name in the form of RFC 5987", "; filename*=UTF-8''na%C3%AFve.png", ""],
    ["with both names", "; filename=\"n.png\"; filename*=UTF-8''na%C3%AFve.png", "Content-Type: image/png"],
    ["of an unknown type", '; filename="a"', "Content-Type: application/octet-stream"],
    ["of a type in upper case", '; FILENAME="a"', "CONTENT-TYPE: IMAGE/PNG"],
  ])("may hold image parts %s", async (_, more, headers) => {
    const files = [await picture(1).png().toBuffer(), await plain()] as const;
    const expected = await encoded(...files);
    const parts = (a: string, b: string) =>
      [
        [named(a, more, headers), files[0]],
        [named(b, more, headers), files[1]],
      ] as const;
    const verified = await sendForm("verify", parts("anchor", "verification"));
    expect(verified.similarity).toBeCloseTo(expected, 6);
    const predicted = await sendForm("predict", parts("anchor_img", "verification_img"));
    expect(predicted.predictions?.[0]?.[0]).toBeCloseTo(expected, 6);
  });

  it("may name its type in any case, and encode its parts in base64", async () => {
    const files = [await picture(1).png().toBuffer(), await plain()] as const;
    const coded = (file: Uint8Array) => Buffer.from(file).toString("base64").replace(/.{76}/g, "$&\r\n");
    const headers = "Content-Type: image/png\r\nContent-Transfer-Encoding: BASE64";
    const { similarity } = await sendForm(
      "verify",
      [
        [named("anchor", "", headers), coded(files[0])],
        [named("verification", "", headers), coded(files[1])],
      ],
      `Multipart/Form-Data; Boundary="${BOUNDARY}"; charset=utf-8`,
    );
    expect(similarity).toBeCloseTo(await encoded(...files), 6);
  });

  it.each(["gzip", "GZIP", "x-gzip", "X-GZip"])("may be encoded as %s", async (encoding) => {
    const files = [await picture(1).png().toBuffer(), await plain()] as const;
    const body = gzipSync(JSON.stringify({ anchor: b64(files[0]), verification: b64(files[1]) }));
    const response = await fetch(`http://localhost:${server.restPort}/v1/models/faceid:verify`, {
      method: "POST",
      headers: { "content-encoding": encoding, "content-type": "Application/JSON; Charset=UTF-8" },
      body,
    });
    const { similarity } = (await response.json()) as { similarity: number };
    expect(similarity).toBeCloseTo(await encoded(...files), 6);
  });
});

it("says where a model of crops is asked by a server that finds no faces", async () => {
  const framing = { kind: "aligned", template: "arcface", side: SIDE } as const;
  const base = join(await temporaryFolder(), "framed");
  await writeFaceModel(join(base, "1"), { side: SIDE, description: { framing } });
  const framed = await startServer({
    models: singleModelConfig("faceid", base),
    loader: savedModelLoader({ sessions: 1 }),
    log: silentLog,
    grpcPort: undefined,
    restPort: 0,
  });
  const pair = { anchor: b64(await plain()), verification: b64(await plain()) };
  const { body } = await ask(":verify", pair, framed);
  await framed.close();
  expect(body.warnings).toEqual([expect.stringContaining("without finding faces")]);
  expect((await ask(":verify", pair)).body.warnings).toBeUndefined();
});
