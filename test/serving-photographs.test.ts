/** @file Whole photographs to the real server: a pack served itself, and models whose faces its detector finds. */
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CalibrationRecord } from "../src/artifact/calibration.ts";
import type { ExportedModel } from "../src/artifact/description.ts";
import { silentLog } from "../src/base/log.ts";
import { decodeImage, decodePixels, encodePng } from "../src/image/decode.ts";
import { models, type RunningServer, serve } from "../src/index.ts";
import { NO_MODELS } from "../src/serving/repository/model-config.ts";
import { startServer } from "../src/serving/server.ts";
import { writeFaceModel } from "./support/face-model.ts";
import { hugePng } from "./support/huge-png.ts";
import { plain, temporaryFolder } from "./support/photos.ts";
import { serve as serveByCommand } from "./support/server-process.ts";

const SHARED = join(import.meta.dirname, "../../shared");
const PACK_FILES = join(SHARED, "models/opencv");
const LFW = join(SHARED, "datasets/lfw");
const isThere = existsSync(PACK_FILES) && existsSync(LFW);
const note = isThere ? "" : ` (not tested: there is no ${SHARED} with models/opencv and datasets/lfw)`;

const PACK = "opencv-sface";
const read = (name: string, number: number): Uint8Array => {
  const path = join(LFW, name, `${name}_${String(number).padStart(4, "0")}.jpg`);
  return isThere ? readFileSync(path) : new Uint8Array();
};
const ONE = read("Aaron_Peirsol", 1);
const TWO = read("Aaron_Peirsol", 2);
const OTHER = read("Abba_Eban", 1);

interface FaceAnswer {
  readonly box: readonly number[];
  readonly landmarks: readonly (readonly number[])[];
  readonly score: number;
  readonly quality: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
  readonly number?: number;
  readonly found?: number;
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly similarity?: number;
    readonly faces?: Readonly<Record<string, FaceAnswer>> & Iterable<FaceAnswer>;
    readonly embedding?: readonly number[];
    readonly face?: FaceAnswer;
    readonly error?: string;
    readonly code?: string;
    readonly [field: string]: unknown;
  };
}

type Fields = Readonly<Record<string, string | Uint8Array>>;

function formOf(fields: Fields): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === "string") form.set(name, value);
    else form.set(name, new Blob([new Uint8Array(value)]), `${name}.jpg`);
  }
  return form;
}

const b64 = (file: Uint8Array) => Buffer.from(file).toString("base64");
const dataUrl = (file: Uint8Array) => `data:image/jpeg;base64,${b64(file)}`;
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

/** Posts to a verb: a form, an image file, or anything else as JSON. */
async function post(
  server: Pick<RunningServer, "restPort">,
  path: string,
  body: FormData | Uint8Array | string | object,
): Promise<Answer> {
  const sent = body instanceof FormData || typeof body === "string" ? body : undefined;
  const isFile = body instanceof Uint8Array;
  const response = await fetch(`http://localhost:${server.restPort}/v1/models/${path}`, {
    method: "POST",
    body: sent ?? (isFile ? new Uint8Array(body) : JSON.stringify(body)),
    ...(isFile && { headers: { "content-type": "image/jpeg" } }),
  });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

async function get(server: RunningServer, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://localhost:${server.restPort}${path}`);
  return { status: response.status, text: await response.text() };
}

/** Two pictures of one size beside each other. */
async function besideEachOther(left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
  const [a, b] = await Promise.all([decodePixels(left), decodePixels(right)]);
  const row = a.width * 3;
  const data = new Uint8Array(a.data.length * 2);
  for (let y = 0; y < a.height; y++) {
    data.set(a.data.subarray(y * row, (y + 1) * row), y * row * 2);
    data.set(b.data.subarray(y * row, (y + 1) * row), y * row * 2 + row);
  }
  return encodePng(data, a.width * 2, a.height);
}

/** The same picture with a side of so many pixels. */
async function shrunk(file: Uint8Array, side: number): Promise<Uint8Array> {
  return encodePng(await decodeImage(file, { height: side, width: side, channels: 3 }), side, side);
}

const BLANK = await encodePng(plain(200, [120, 130, 140]), 200, 200);

/** Starts a server with the pack, on a free port. */
const start = (options: Partial<Parameters<typeof serve>[0]>) =>
  serve({ restPort: 0, grpcPort: false, log: silentLog, ...options });

let usual: string | undefined;
beforeAll(async () => {
  usual = process.env.FACEID_MODELS_DIR;
  if (!isThere) return;
  process.env.FACEID_MODELS_DIR = await temporaryFolder();
  await models.add(PACK, { from: PACK_FILES });
});
afterAll(() => {
  if (usual === undefined) delete process.env.FACEID_MODELS_DIR;
  else process.env.FACEID_MODELS_DIR = usual;
});

describe.skipIf(!isThere)(`a pack as a model${note}`, () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await start({ modelName: "face", pack: PACK, metricsPath: "/metrics" });
  });
  afterAll(() => server?.close());
  const ask = (verb: string, body: Parameters<typeof post>[2]) => post(server, `face:${verb}`, body);

  it("compares the faces of two photographs", async () => {
    const same = await ask("verify", formOf({ a: ONE, b: TWO }));
    const different = await ask("verify", formOf({ a: ONE, b: OTHER }));
    expect(same).toMatchObject({ status: 200, body: { model: "face", version: "1" } });
    expect(same.body.similarity).toBeGreaterThan(0.4);
    expect(different.body.similarity).toBeLessThan(0.3);
    for (const { body } of [same, different]) {
      expect(body.same).toBe(body.similarity! >= (body.threshold as number));
      expect(body.far).toBeLessThanOrEqual(0.0011);
    }
    expect([same.body.same, different.body.same]).toEqual([true, false]);
    const { anchor, verification } = same.body.faces!;
    for (const face of [anchor!, verification!]) {
      const [x, y, width, height] = face.box as [number, number, number, number];
      // Photographs of LFW have the face in the middle of 250 pixels.
      expect(Math.abs(x + width / 2 - 125)).toBeLessThan(20);
      expect(Math.abs(y + height / 2 - 125)).toBeLessThan(30);
      expect(face.landmarks).toHaveLength(5);
      expect(face.score).toBeGreaterThan(0.8);
      expect(face.quality.sharpness).toBeGreaterThan(0);
      expect(face.found).toBeGreaterThanOrEqual(1);
    }
    expect(anchor!.box).not.toEqual(verification!.box);
  });

  it("gives the same answer to a form, to JSON and to data URLs, in the order of the names", async () => {
    const form = await ask("verify", formOf({ anchor: ONE, verification: TWO }));
    expect(form.status).toBe(200);
    const bodies = [
      formOf({ verification: TWO, anchor: ONE }),
      { anchor: { b64: b64(ONE) }, verification: { b64: b64(TWO) } },
      { verification: dataUrl(TWO), anchor: dataUrl(ONE).replace("data:image/jpeg", "data:") },
    ];
    for (const body of bodies) expect(await ask("verify", body)).toEqual(form);
  });

  it("finds faces, and none on a blank picture", async () => {
    const { status, body } = await ask("detect", formOf({ image: await besideEachOther(ONE, OTHER) }));
    expect(status).toBe(200);
    const centres = [...body.faces!].map(({ box }) => box[0]! + box[2]! / 2).toSorted((a, b) => a - b);
    expect(centres).toHaveLength(2);
    expect(centres[0]).toBeLessThan(250);
    expect(centres[1]).toBeGreaterThan(250);
    expect(Object.keys([...body.faces!][0]!)).toEqual(["box", "landmarks", "score", "quality", "warnings"]);
    expect(await ask("detect", BLANK)).toEqual({ status: 200, body: { faces: [] } });
    expect(await ask("detect", { image: { b64: b64(BLANK) } })).toEqual({ status: 200, body: { faces: [] } });
  });

  it("embeds the face that is meant; the cosine of two embeddings is their similarity", async () => {
    const [one, two] = [await ask("embed", ONE), await ask("embed", { image: dataUrl(TWO) })];
    const compared = await ask("verify", formOf({ anchor: ONE, verification: TWO }));
    expect(one).toMatchObject({ status: 200, body: { model: "face", version: "1" } });
    expect(one.body.embedding).toHaveLength(128);
    expect(dot(one.body.embedding!, one.body.embedding!)).toBeCloseTo(1, 5);
    expect(dot(one.body.embedding!, two.body.embedding!)).toBeCloseTo(compared.body.similarity!, 5);
    expect(one.body.face).toEqual(compared.body.faces!.anchor);
    const wide = formOf({ image: await besideEachOther(ONE, OTHER), face: "central" });
    expect((await ask("embed", wide)).body.face?.found).toBe(2);
  });

  it("compares the face of a number as :detect lists it, in one photograph or both", async () => {
    const both = await besideEachOther(OTHER, TWO);
    const { faces } = (await ask("detect", formOf({ image: both }))).body;
    const right = 1 + [...faces!].findIndex(({ box }) => box[0]! > 250);
    const wishes = [
      formOf({ anchor: ONE, verification: both, face: `1,${right}` }),
      { anchor: { b64: b64(ONE) }, verification: { b64: b64(both) }, face: ["largest", right] },
    ];
    for (const wish of wishes) {
      expect(await ask("verify", wish)).toMatchObject({
        status: 200,
        body: {
          same: true,
          faces: { anchor: { number: 1, found: 1 }, verification: { number: right, found: 2, warnings: [] } },
        },
      });
    }
    const other = formOf({ anchor: ONE, verification: both, face: `1,${3 - right}` });
    expect((await ask("verify", other)).body.same).toBe(false);
    expect((await ask("embed", formOf({ image: both, face: String(right) }))).body.face?.number).toBe(right);
    for (const face of ["0", "1,2,3", "smallest"]) {
      const { status, body } = await ask("verify", formOf({ anchor: ONE, verification: both, face }));
      expect(status).toBe(400);
      expect(body.error).toContain("face is one of largest, central, only, or the number of a face");
    }
    expect(await ask("verify", formOf({ anchor: ONE, verification: both, face: "3" }))).toMatchObject({
      status: 422,
      body: {
        code: "FACE_NOT_FOUND",
        error: expect.stringContaining("there is no face 3 in the anchor: 1 face was found"),
      },
    });
  });

  it("says which photograph shows no face, several, or one unfit to be compared", async () => {
    const both = await besideEachOther(ONE, OTHER);
    const small = await shrunk(ONE, 60);
    const cases = [
      [{ anchor: ONE, verification: BLANK }, "FACE_NOT_FOUND", "no face was found in the verification"],
      [
        { anchor: BLANK, verification: BLANK },
        "FACE_NOT_FOUND",
        "no face was found in the anchor; no face was found in the verification",
      ],
      [
        { anchor: both, verification: ONE, face: "only" },
        "SEVERAL_FACES",
        "2 faces were found in the anchor",
      ],
      [
        { anchor: ONE, verification: small, strict: "true" },
        "FACE_UNFIT",
        "the verification: the face is small",
      ],
    ] as const;
    for (const [fields, code, message] of cases) {
      const { status, body } = await ask("verify", formOf(fields));
      expect({ status, code: body.code }).toEqual({ status: 422, code });
      expect(body.error).toContain(message);
    }
    const warned = await ask("verify", formOf({ anchor: ONE, verification: small }));
    expect(warned.status).toBe(200);
    expect(warned.body.faces!.verification!.warnings).toContainEqual(
      expect.stringMatching(/^the face is small: /),
    );
    expect((await ask("embed", { image: { b64: b64(BLANK) } })).body.code).toBe("FACE_NOT_FOUND");
  });

  it("refuses bodies that are no photographs", async () => {
    const bomb = new Uint8Array(hugePng(60_000));
    for (const [file, message] of [
      [bomb, "cannot read the anchor: "],
      [new Uint8Array(0), "cannot read the anchor: the file is empty"],
      [Buffer.from("no photograph"), "cannot read the anchor: not an image"],
      [ONE.subarray(0, ONE.length / 2), "cannot read the anchor: "],
    ] as const) {
      const { status, body } = await ask("verify", {
        anchor: { b64: b64(file) },
        verification: { b64: b64(ONE) },
      });
      expect({ status, code: body.code }).toEqual({ status: 400, code: "IMAGE_UNREADABLE" });
      expect(body.error).toContain(message);
    }
  });

  it("refuses bodies that do not say what is wanted", async () => {
    const pair = { anchor: { b64: b64(ONE) }, verification: { b64: b64(ONE) } };
    const cases: readonly (readonly [string, object | string, string])[] = [
      ["verify", "{", "neither a form nor JSON: send multipart/form-data, or a JSON object"],
      ["detect", "{", "or the file itself with its type, such as image/jpeg"],
      ["verify", "[".repeat(1_000_000), "neither a form nor JSON"],
      ["verify", "[1]", "must be a JSON object"],
      ["verify", { anchor: pair.anchor }, 'no "verification"'],
      ["verify", { ...pair, anchor: 5 }, '"anchor" must be an image file'],
      ["verify", { ...pair, anchor: { b64: "a", and: 1 } }, '"anchor" must be an image file'],
      ["verify", { ...pair, anchor: { b64: "a*" } }, '"anchor" is not base64'],
      ["verify", { ...pair, anchor: "https://example.org/a.jpg" }, '"anchor" must be an image file'],
      ["verify", { ...pair, anchor: "data:image/jpeg,abc" }, '"anchor" must be an image file'],
      ["verify", { ...pair, framing: "none" }, 'a field "framing"'],
      ["verify", { ...pair, far: 2 }, "far is a rate"],
      ["verify", { ...pair, far: "0.1" }, "far is a rate"],
      ["verify", { ...pair, face: "best" }, "face is one of"],
      ["verify", { ...pair, strict: "yes" }, "strict is true or false"],
      ["verify", { ...pair, anchor: { url: "https://example.org/a.jpg" } }, "start it with --image_urls"],
      ["detect", { image: { url: "https://example.org/a.jpg" } }, "start it with --image_urls"],
      ["verify", formOf({ a: ONE, b: ONE, fra: "0.1" }), 'a field "fra"'],
      ["verify", formOf({ a: ONE }), "verify takes two image files, got 1"],
      ["verify", formOf({ a: ONE, b: ONE, c: ONE }), "verify takes two image files, got 3"],
      ["verify", formOf({ a: ONE, b: ONE, strict: "yes" }), "strict is true or false"],
      ["verify", ONE, "verify takes two image files"],
      ["detect", formOf({ a: ONE, b: ONE }), "got 2 files"],
      ["detect", { image: { b64: b64(ONE) }, face: "only" }, 'a field "face"'],
      ["embed", formOf({ image: ONE, far: "0.1" }), 'a field "far"'],
    ];
    for (const [verb, body, message] of cases) {
      const answer = await ask(verb, body);
      expect(answer).toMatchObject({ status: 400, body: { code: "INVALID_ARGUMENT" } });
      expect(answer.body.error).toContain(message);
    }
  });

  it("fetches photographs by URL from the places that it was started with", async () => {
    const origin = createServer((_, response) => response.end(ONE));
    await new Promise<void>((done) => origin.listen(0, "127.0.0.1", done));
    const base = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    await using other = await start({ modelName: "face", pack: PACK, imageUrls: [`${base}/`] });
    const byUrl = { anchor: { url: `${base}/a.jpg` }, verification: dataUrl(TWO) };
    const [fetched, sent] = [
      await post(other, "face:verify", byUrl),
      await post(other, "face:verify", { ...byUrl, anchor: dataUrl(ONE) }),
    ];
    expect(fetched.status).toBe(200);
    expect(fetched.body).toEqual(sent.body);
    expect((await post(other, "face:embed", { image: { url: `${base}/a.jpg` } })).status).toBe(200);
    const elsewhere = await post(other, "face:detect", { image: { url: "http://127.0.0.1:1/a.jpg" } });
    expect(elsewhere).toMatchObject({ status: 400, body: { code: "INVALID_ARGUMENT" } });
    origin.close();
    await expect(start({ pack: PACK, imageUrls: ["photos"] })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });

  it("is a model like others: status, metadata, versions, figures", async () => {
    const status = JSON.parse((await get(server, "/v1/models/face")).text);
    expect(status).toMatchObject({ model_version_status: [{ version: "1", state: "AVAILABLE" }] });
    expect((await get(server, "/v1/models/face/metadata")).status).toBe(200);
    expect((await get(server, "/readyz")).status).toBe(200);
    expect((await post(server, "face/versions/1:detect", BLANK)).status).toBe(200);
    expect((await post(server, "face/versions/2:detect", BLANK)).status).toBe(404);
    expect((await post(server, "nobody:detect", BLANK)).status).toBe(404);
    const predicted = await ask("predict", { instances: [1] });
    expect(predicted).toEqual({
      status: 400,
      body: {
        error: expect.stringMatching(
          /^Serving signature name: "serving_default" not found in signature def\b.*:verify, :detect and :embed/,
        ),
      },
    });
    const page = (await get(server, "/metrics")).text;
    for (const verb of ["verify", "detect", "embed"]) {
      expect(page).toContain(`request_latency_count{model_name="face",API="${verb}",entrypoint="REST"}`);
    }
  });

  it("answers others while it looks at photographs, and goes on after a client has left", async () => {
    const order: string[] = [];
    const detections = Array.from({ length: 4 }, () => ask("detect", TWO).then(() => order.push("detected")));
    await get(server, "/healthz");
    order.push("healthy");
    await Promise.all(detections);
    expect(order.indexOf("healthy")).toBeLessThan(order.length - 1);
    const gone = new AbortController();
    const left = Array.from({ length: 4 }, () =>
      fetch(`http://localhost:${server.restPort}/v1/models/face:detect`, {
        method: "POST",
        body: formOf({ image: TWO }),
        signal: gone.signal,
      }).catch((error: Error) => error.name),
    );
    gone.abort();
    expect(await Promise.all(left)).toEqual(Array(4).fill("AbortError"));
    expect((await ask("detect", ONE)).status).toBe(200);
  });
});

describe.skipIf(!isThere)(`a calibrated pack${note}`, () => {
  const rate = { value: 0.5, interval: [0.4, 0.6] } satisfies CalibrationRecord["measuredTar"];
  const point = (far: number, threshold: number) => ({
    far,
    threshold,
    measuredFar: { value: far, interval: [far / 2, far * 2] as [number, number] },
    measuredTar: rate,
  });
  const [detector, embedding] = [
    "face_detection_yunet_2023mar_int8bq",
    "face_recognition_sface_2021dec_int8bq",
  ].map((name) => join(PACK_FILES, `${name}.onnx`)) as [string, string];

  it("decides at one stranger in a thousand, or at the rate that is asked for", async () => {
    await using server = await startServer({
      models: NO_MODELS,
      loader: () => Promise.reject(new Error("there are no folders to load")),
      log: silentLog,
      grpcPort: undefined,
      restPort: 0,
      pack: {
        files: { detector, embedding },
        model: {
          name: "face",
          calibration: {
            threshold: 0.01,
            operatingPoints: [point(0.1, 0.02), point(0.001, 0.3), point(0.0001, 0.99)],
            data: { dataset: "drawn", people: "none", positives: 1, negatives: 1 },
          },
        },
      },
    });
    const ask = (far?: number) =>
      post(server, "face:verify", { anchor: dataUrl(ONE), verification: dataUrl(TWO), ...(far && { far }) });
    expect((await ask()).body).toMatchObject({
      same: true,
      threshold: 0.3,
      far: 0.001,
      farInterval: [0.0005, 0.002],
      falseAcceptRate: { estimate: 0.001, low: 0.0005, high: 0.002 },
    });
    expect((await ask(0.2)).body).toMatchObject({ same: true, threshold: 0.02 });
    expect((await ask(0.0001)).body).toMatchObject({ same: false, threshold: 0.99 });
    expect((await ask(0.00001)).body).toMatchObject({ code: "FAILED_PRECONDITION" });
  });
});

describe.skipIf(!isThere)(`faceid serve --pack${note}`, () => {
  it("serves the pack under the name of the model, without an export", async () => {
    await using server = await serveByCommand(["--model_name=face", `--pack=${PACK}`]);
    const answer = await post(server, "face:verify", formOf({ a: ONE, b: OTHER }));
    expect(answer).toMatchObject({
      status: 200,
      body: { model: "face", faces: { anchor: {}, verification: {} } },
    });
    expect(answer.body.similarity).toBeLessThan(0.3);
    expect(await server.stop()).toBe(0);
  });
});

describe.skipIf(!isThere)(`models whose faces a pack's detector finds${note}`, () => {
  const SIDE = 96;
  let folder: string;
  const servers: RunningServer[] = [];
  beforeAll(async () => {
    folder = await temporaryFolder();
    const write = (name: string, framing: ExportedModel["framing"]) =>
      writeFaceModel(join(folder, name, "1"), {
        side: SIDE,
        description: framing === undefined ? {} : { framing },
      });
    await write("centred", { kind: "centred", enlarge: 1.5 });
    await write("aligned", { kind: "aligned", template: "arcface", side: SIDE });
    await write("foreign", { kind: "aligned", template: "other", side: SIDE });
    await write("none", { kind: "none" });
  });
  afterAll(() => Promise.all(servers.map((server) => server.close())));

  async function serving(name: string, pack: string | undefined): Promise<RunningServer> {
    const modelPath = join(folder, name);
    const server = await start({ modelName: "m", modelPath, sessions: 1, ...(pack && { pack }) });
    servers.push(server);
    return server;
  }

  it.each(["centred", "aligned"])("cuts faces out for a model with framing %s", async (name) => {
    const whole = await serving(name, PACK);
    const { status, body } = await post(whole, "m:verify", formOf({ a: ONE, b: OTHER }));
    expect(status).toBe(200);
    expect(Object.keys(body.faces!)).toEqual(["anchor", "verification"]);
    const asCrops = await post(await serving(name, undefined), "m:verify", formOf({ a: ONE, b: OTHER }));
    expect(asCrops.body.faces).toBeUndefined();
    expect(asCrops.body.similarity).not.toBeCloseTo(body.similarity!, 7);
    const embedded = await post(whole, "m:embed", ONE);
    expect(embedded.status).toBe(200);
    expect(embedded.body.embedding!.some((value) => value !== 0)).toBe(true);
    expect(embedded.body.face).toEqual(body.faces!.anchor);
    expect((await post(whole, "m:verify", formOf({ a: ONE, b: BLANK }))).body.code).toBe("FACE_NOT_FOUND");
    // Compared by the model's own signature, the embeddings give the same probability.
    const other = await post(whole, "m:embed", OTHER);
    const compared = await post(whole, "m:predict", {
      signature_name: "compare",
      instances: [
        { anchor_embedding: embedded.body.embedding, verification_embedding: other.body.embedding },
      ],
    });
    const [[probability]] = compared.body.predictions as [[number]];
    expect(probability).toBeCloseTo(body.similarity!, 5);
  });

  it("compares the images of a model without a framing as a server without a pack does", async () => {
    const [withPack, without] = [await serving("none", PACK), await serving("none", undefined)];
    const form = () => formOf({ a: ONE, b: OTHER });
    const answer = await post(withPack, "m:verify", form());
    expect(answer.status).toBe(200);
    expect(answer).toEqual(await post(without, "m:verify", form()));
    const json = { anchor: { b64: b64(ONE) }, verification: { b64: b64(OTHER) } };
    expect(await post(without, "m:verify", json)).toEqual(answer);
    expect((await post(withPack, "m:verify", { ...json, face: "only" })).body.error).toContain("leave face");
    expect((await post(withPack, "m:embed", ONE)).body).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect((await post(withPack, "m:detect", ONE)).body.faces).toHaveLength(1);
    for (const verb of ["detect", "embed"]) {
      const { status, body } = await post(without, `m:${verb}`, ONE);
      expect({ status, code: body.code }).toEqual({ status: 400, code: "FAILED_PRECONDITION" });
      expect(body.error).toContain("--pack");
    }
  });

  it("refuses a framing that it cannot make", async () => {
    const answer = await post(await serving("foreign", PACK), "m:verify", formOf({ a: ONE, b: TWO }));
    expect(answer).toMatchObject({ status: 400, body: { code: "FAILED_PRECONDITION" } });
    expect(answer.body.error).toContain("the template other");
  });
});

describe("serve", () => {
  it("needs a model or a pack, and knows only packs of the catalogue", async () => {
    await expect(start({})).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(start({ pack: "nobody" })).rejects.toMatchObject({ code: "PACK_UNKNOWN" });
  });
});
