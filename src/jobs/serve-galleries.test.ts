/** @file Galleries over REST with faces by a formula: answers held against the OpenAPI document, and what is tried to break in. */

import { writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { openApiDocument } from "../api/openapi.ts";
import { OPERATION_IDS, operationOf } from "../api/operations.ts";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { FaceError } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { GalleryClient } from "../client/gallery-client.ts";
import { cosineSimilarity } from "../faces/cosine.ts";
import { Gallery } from "../gallery/gallery.ts";
import { KeyRing } from "../serving/access/access.ts";
import { Gate } from "../serving/access/gate.ts";
import { newKey, writeKeys } from "../serving/access/keys.ts";
import { keyAccess, loopbackAccess } from "../serving/galleries/access.ts";
import { GalleryService, type ServedModel } from "../serving/galleries/service.ts";
import { JsonCodec } from "../serving/json/codec.ts";
import { UNBOUNDED } from "../serving/memory-budget.ts";
import { ServerMetrics } from "../serving/metrics.ts";
import type { ModelSwitch } from "../serving/open-inference/models.ts";
import type { Photograph, PhotoThreads } from "../serving/photos/photo-threads.ts";
import type { Catalog } from "../serving/repository/catalog.ts";
import { type RestServer, startRest } from "../serving/rest/rest-server.ts";

const DIMENSIONS = 16;
const RATE = { value: 0.9, interval: [0.8, 1] } satisfies CalibrationRecord["measuredTar"];
const pointAt = (far: number, threshold: number) => ({
  far,
  threshold,
  measuredFar: { value: far, interval: [far / 2, far * 2] as [number, number] },
  measuredTar: RATE,
});
const CALIBRATION: CalibrationRecord = {
  threshold: 0.5,
  operatingPoints: [pointAt(0.1, 0.4), pointAt(0.001, 0.6)],
  data: { dataset: "drawn", people: "10 people", positives: 100, negatives: 100 },
};
const MODEL: ServedModel = {
  name: "a-model",
  measure: "cosine",
  licence: "MIT",
  trainedOn: "formulas",
  note: "none",
  calibration: null,
  files: { detector: { sha256: "d".repeat(64), bytes: 3 }, embedding: { sha256: "e".repeat(64), bytes: 9 } },
  report: true,
};
const FACE = {
  box: [1, 2, 30, 40] as const,
  landmarks: [
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 8],
    [9, 10],
  ] as const,
  score: 0.9,
  quality: {
    score: 0.9,
    eyeDistance: 30,
    yaw: 0,
    pitch: 0,
    roll: 0,
    sharpness: 0.5,
    brightness: 0.5,
    contrast: 0.2,
    inside: 1,
  },
  warnings: [],
};

/** `face 3 a` shows person 3 in the photograph a; photographs of one person differ a little. */
function embeddingOf({ file }: Photograph): Float32Array {
  const said = Buffer.from(file).toString();
  const [, seed, picture] = /^face (\d+) (\w+)$/.exec(said) ?? [];
  if (said === "nobody") throw new FaceError("FACE_NOT_FOUND", "no face was found in the photograph");
  if (seed === undefined) throw new FaceError("IMAGE_UNREADABLE", "cannot read the photograph: no image");
  const [own, noise] = [new Random(Number(seed)), new Random(picture!.charCodeAt(0))];
  const values = Float32Array.from(
    { length: DIMENSIONS },
    () => own.between(-1, 1) + 0.05 * noise.between(-1, 1),
  );
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

const photos = {
  embedding: async (photograph: Photograph) => ({
    face: FACE,
    number: 1,
    found: 1,
    embedding: embeddingOf(photograph),
  }),
  embeddings: async (photograph: Photograph) =>
    Buffer.from(photograph.file).toString() === "nobody"
      ? []
      : [{ face: FACE, embedding: embeddingOf(photograph) }],
} as unknown as PhotoThreads;

/** Keys by name: what each may do, in one gallery or in all. */
const ALL = ["predict", "read", "enrol", "identify", "admin"] as const;
const KEYS = {
  all: { scopes: ALL },
  reader: { scopes: ["predict", "read"] },
  enroller: { scopes: ["enrol"] },
  elsewhere: { scopes: ALL, galleries: ["other"] },
} as const;
const made = Object.entries(KEYS).map(([name, wish]) => newKey({ name, ...wish }, new Date()));
const tokens = new Map(made.map(({ key, token }) => [key.name, token]));

const document = openApiDocument("1.2.3") as {
  paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
};
const ajv = new Ajv2020({ strict: false, allErrors: true });
(ajvFormats as unknown as (ajv: Ajv2020) => void)(ajv);
ajv.addSchema(document, "openapi");

const pointerPart = (text: string) => encodeURIComponent(text.replaceAll("~", "~0").replaceAll("/", "~1"));

/** What the document says against an answer. */
function complaints(method: string, target: string, status: number, type: string, body: string): unknown {
  const path = target.split("?")[0]!;
  const template = Object.keys(document.paths).find(
    (each) =>
      new RegExp(`^${each.replaceAll(/\{\w+\}/g, "[^/:]+")}$`).test(path) &&
      document.paths[each]![method.toLowerCase()] !== undefined,
  );
  if (template === undefined) return undefined;
  const { responses } = document.paths[template]![method.toLowerCase()]!;
  const known = String(status) in responses ? String(status) : "default";
  if (known === "default" && status < 400) return `status ${status} is not in the document`;
  if (!type.startsWith("application/json")) return undefined;
  const place = ["paths", template, method.toLowerCase(), "responses", known, "content", "application/json"];
  const validate = ajv.getSchema(`openapi#/${[...place, "schema"].map(pointerPart).join("/")}`)!;
  return validate(JSON.parse(body)) ? undefined : validate.errors;
}

const ADDRESS = await temporaryFolder();
const PACK_FILE = join(await temporaryFolder(), "pack.onnx");
await writeFile(PACK_FILE, "abc");
const metrics = new ServerMetrics();
let gallery: Gallery;
let codec: JsonCodec;
const servers: RestServer[] = [];
let open: string;
let locked: string;

async function serve(keys?: KeyRing): Promise<string> {
  const access = keys === undefined ? loopbackAccess : keyAccess;
  const service = new GalleryService(
    {
      open: new Map([["people", gallery]]),
      matcher: { measure: "cosine", calibration: CALIBRATION, similarity: cosineSimilarity },
      model: MODEL,
      files: new Map([["d".repeat(64), PACK_FILE]]),
      // A file that is there; what it says is not looked at.
      report: keys === undefined ? PACK_FILE : undefined,
    },
    { access, photos, metrics, log: silentLog },
  );
  const context = {
    catalog: { names: () => [], versions: () => [] } as unknown as Catalog,
    modelSwitch: {} as ModelSwitch,
    codec,
    metrics,
    log: silentLog,
    options: { timeoutMs: 5000, enableCors: true, listModels: true, acceptBinary: false },
  };
  const limits = { maxBodyBytes: 1 << 22, requestTimeoutMs: 5000, maxConnections: 100 };
  const options = {
    limits,
    budget: UNBOUNDED,
    galleries: service,
    bindAddress: "127.0.0.1",
    gate: new Gate({ keys, requireKey: false }),
  };
  const server = await startRest(context, options, 0);
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

interface Sent {
  readonly json?: unknown;
  readonly form?: Readonly<Record<string, string | Uint8Array>>;
  readonly raw?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks, and holds the answer against the document. */
async function ask(method: string, target: string, { json, form, raw, headers = {} }: Sent = {}, url = open) {
  const data = new FormData();
  for (const [name, value] of Object.entries(form ?? {})) {
    if (typeof value === "string") data.set(name, value);
    else data.set(name, new Blob([new Uint8Array(value)]), "photo.jpg");
  }
  const body = form !== undefined ? data : json !== undefined ? JSON.stringify(json) : (raw ?? null);
  const response = await fetch(`${url}${target}`, {
    method,
    headers: { ...(json === undefined ? {} : { "content-type": "application/json" }), ...headers },
    body: body instanceof Uint8Array ? new Uint8Array(body) : body,
  });
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  expect(complaints(method, target, response.status, type, text), `${method} ${target}: ${text}`).toBe(
    undefined,
  );
  // biome-ignore lint/suspicious/noExplicitAny: answers of any operation
  const answer = (type.startsWith("application/json") ? JSON.parse(text) : {}) as any;
  return { status: response.status, headers: response.headers, text, answer };
}

const photo = (said: string) => new TextEncoder().encode(said);
const PEOPLE = "/v1/galleries/people/people";
const enrolled = async (name: string, ...said: string[]): Promise<string> => {
  const { answer } = await ask("POST", PEOPLE, { json: { name } });
  for (const each of said) {
    expect((await ask("POST", `${PEOPLE}/${answer.id}/faces`, { form: { image: photo(each) } })).status).toBe(
      201,
    );
  }
  return answer.id;
};

beforeAll(async () => {
  const model = {
    name: "a-model",
    digest: "a".repeat(64),
    dimensions: DIMENSIONS,
    template: "centroid",
  } as const;
  gallery = await Gallery.open(ADDRESS, { create: model });
  const file = join(await temporaryFolder(), "keys.json");
  await writeFile(file, writeKeys(made.map(({ key }) => key)));
  codec = new JsonCodec({ workers: 1, maxQueued: 4 });
  [open, locked] = [await serve(), await serve(await KeyRing.open(file))];
});
afterAll(async () => {
  for (const server of servers) await server.close(0);
  await codec[Symbol.asyncDispose]();
  await gallery[Symbol.asyncDispose]();
});

describe("the document", () => {
  it("is OpenAPI 3.1, and has every operation", async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect(errors).toBe(undefined);
    expect(valid).toBe(true);
    const served = await ask("GET", "/v1/openapi.json");
    expect(Object.keys(served.answer.paths)).toEqual(Object.keys(document.paths));
    const described = Object.values(document.paths).flatMap((path) => Object.keys(path));
    expect(described).toHaveLength(OPERATION_IDS.length);
  });

  it("sends the pack's files by their digests, and no other", async () => {
    const path = (digest: string) => `/v1/service/files/${digest.repeat(64)}`;
    const { status, text, headers } = await ask("GET", path("d"));
    expect([status, text]).toEqual([200, "abc"]);
    expect(headers.get("cache-control")).toBe("private, max-age=31536000, immutable");
    for (const other of [path("e"), "/v1/service/files/..%2fpack.onnx", "/v1/service/files/constructor"]) {
      expect((await ask("GET", other)).status, other).toBe(404);
    }
    expect((await ask("GET", path("d"), {}, locked)).status).toBe(401);
  });

  it("sends the model's report page as a page without programs, where there is one", async () => {
    const { status, text, headers } = await ask("GET", "/v1/service/report");
    expect([status, text]).toEqual([200, "abc"]);
    expect(headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(headers.get("content-security-policy")).toMatch(/^default-src 'none'; .*; sandbox$/);
    expect((await ask("GET", "/v1/service/report", {}, locked)).status).toBe(401);
    const none = await ask(
      "GET",
      "/v1/service/report",
      { headers: { authorization: `Bearer ${tokens.get("all")}` } },
      locked,
    );
    expect([none.status, none.answer.error.code]).toEqual([404, "NOT_FOUND"]);
  });

  it("says which scope each operation needs", () => {
    const scopes = OPERATION_IDS.map((id) => `${operationOf(id).method} ${operationOf(id).scope}`);
    expect(scopes.filter((each) => /^(PUT|DELETE) /.test(each) && !each.endsWith("enrol"))).toEqual([]);
  });
});

describe("people over REST", () => {
  it("are added, read, changed and removed, each with its event", async () => {
    const added = await ask("POST", PEOPLE, {
      json: {
        name: "Ann Lee",
        notes: { team: ["a", 1, null] },
        consent: { given: "2026-01-02", how: "form" },
      },
    });
    expect(added).toMatchObject({ status: 201, answer: { name: "Ann Lee", faces: 0, version: 1 } });
    const path = added.headers.get("location")!;
    expect((await ask("GET", path)).answer).toEqual(added.answer);
    expect((await ask("GET", `${PEOPLE}/Ann%20Lee`)).answer).toEqual(added.answer);
    const changed = await ask("PUT", path, { json: { name: "Ann Li", expiresAt: "2030-12-31" } });
    expect(changed.answer).toMatchObject({
      name: "Ann Li",
      notes: {},
      consent: null,
      expiresAt: "2030-12-31T00:00:00.000Z",
      version: 2,
    });
    expect((await ask("DELETE", path)).status).toBe(204);
    expect(await ask("GET", path)).toMatchObject({
      status: 404,
      answer: { error: { code: "PERSON_NOT_FOUND" } },
    });
    expect((await ask("DELETE", path)).status).toBe(404);
    const { answer } = await ask("GET", "/v1/galleries/people/events?limit=1000");
    const actions = answer.events
      .filter(({ personId }: { personId: string }) => personId === added.answer.id)
      .map(({ action, actor }: { action: string; actor: string }) => `${action} by ${actor}`);
    expect(actions).toEqual(["enrolled by loopback", "changed by loopback", "deleted by loopback"]);
  });

  it("are enrolled once where several ask for one name at the same time", async () => {
    const name = "Everybody at once";
    const asked = await Promise.all(Array.from({ length: 8 }, () => ask("POST", PEOPLE, { json: { name } })));
    expect(asked.map(({ status }) => status).toSorted()).toEqual([201, ...Array(7).fill(409)]);
    for (const { status, answer } of asked) {
      if (status === 409) expect(answer.error.code).toBe("PERSON_EXISTS");
    }
    const { id } = asked.find(({ status }) => status === 201)!.answer;
    const { answer } = await ask("GET", `${PEOPLE}?search=${encodeURIComponent(name)}`);
    expect(answer.people.map((each: { id: string }) => each.id)).toEqual([id]);
    // The same photograph of the person, and another one.
    const said = ["face 77 a", "face 77 a", "face 77 a", "face 77 b"];
    const faces = await Promise.all(
      said.map((each) => ask("POST", `${PEOPLE}/${id}/faces`, { form: { image: photo(each) } })),
    );
    expect(faces.map(({ status }) => status < 300)).toEqual(said.map(() => true));
    expect(faces.filter(({ answer: { isNew } }) => isNew === true)).toHaveLength(2);
    expect((await ask("GET", `${PEOPLE}/${id}`)).answer.faces).toBe(2);
    const { answer: log } = await ask("GET", "/v1/galleries/people/events?limit=1000");
    const actions = log.events
      .filter(({ personId }: { personId: string }) => personId === id)
      .map(({ action }: { action: string }) => action);
    expect(actions).toEqual(["enrolled", "added", "added"]);
    expect((await ask("DELETE", `${PEOPLE}/${id}`)).status).toBe(204);
  });

  it("come in pages, and by a part of the name", async () => {
    const names = Array.from({ length: 7 }, (_, i) => `Page ${String.fromCharCode(65 + i)} é`);
    for (const name of names) await ask("POST", PEOPLE, { json: { name } });
    const seen: string[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const next = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const { answer } = await ask("GET", `${PEOPLE}?limit=3&search=PAGE${next}`);
      seen.push(...answer.people.map(({ name }: { name: string }) => name));
      cursor = answer.next;
      pages++;
    } while (cursor !== null);
    expect(seen).toEqual(names);
    expect(pages).toBe(3);
    const page = await ask("GET", `${PEOPLE}?limit=3&search=PAGE`);
    const events = await ask("GET", "/v1/galleries/people/events?limit=1");
    for (const query of [
      `limit=3&cursor=${page.answer.next}`,
      `limit=3&search=other&cursor=${page.answer.next}`,
      `cursor=${events.answer.next}`,
      `search=PAGE&cursor=${page.answer.next}x`,
      `cursor=${Buffer.from("Page C").toString("base64url")}`,
      "cursor=",
    ]) {
      const { status, answer } = await ask("GET", `${PEOPLE}?${query}`);
      expect(status, query).toBe(400);
      expect(answer.error.message).toContain("leave it out to begin with the first page");
    }
    for (const query of [
      "limit=0",
      "limit=x",
      "limit=1e9",
      "cursor=%F0%9F",
      "cursor=!!",
      "limit=1&limit=2",
      "page=1",
    ]) {
      expect((await ask("GET", `${PEOPLE}?${query}`)).status, query).toBe(400);
    }
  });

  it("come in pages while people are added and removed", async () => {
    const name = (letter: string) => `Moving ${letter}`;
    for (const letter of "BDFH") await ask("POST", PEOPLE, { json: { name: name(letter) } });
    const first = await ask("GET", `${PEOPLE}?limit=2&search=moving`);
    await ask("DELETE", `${PEOPLE}/${encodeURIComponent(name("D"))}`);
    for (const letter of "AE") await ask("POST", PEOPLE, { json: { name: name(letter) } });
    const second = await ask("GET", `${PEOPLE}?limit=9&search=moving&cursor=${first.answer.next}`);
    const names = (answer: { people: { name: string }[] }) => answer.people.map((each) => each.name.at(-1));
    expect([names(first.answer), names(second.answer)]).toEqual([
      ["B", "D"],
      ["E", "F", "H"],
    ]);
  });

  it("are given what is kept of them", async () => {
    const id = await enrolled("Asking", "face 77 a");
    const { status, headers, text } = await ask("GET", `${PEOPLE}/Asking:export`);
    expect([status, headers.get("content-type")]).toEqual([200, "application/x-ndjson"]);
    const [head, person, end] = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(head).toMatchObject({ format: "faceid-gallery" });
    expect(person).toMatchObject({ id, name: "Asking" });
    expect(end).toEqual({ end: true, people: 1, faces: person.faces.length });
    expect(person.events.map(({ action }: { action: string }) => action)).toContain("enrolled");
    expect((await ask("GET", `${PEOPLE}/Nobody:export`)).status).toBe(404);
  });

  it("are not overwritten by who read an older version", async () => {
    const id = await enrolled("Tagged");
    const first = await ask("GET", `${PEOPLE}/${id}`);
    const etag = first.headers.get("etag")!;
    const unchanged = await ask("GET", `${PEOPLE}/${id}`, { headers: { "if-none-match": `W/"x", ${etag}` } });
    expect(unchanged).toMatchObject({ status: 304, text: "" });
    const other = await ask("PUT", `${PEOPLE}/${id}`, {
      json: { name: "Tagged 2" },
      headers: { "if-match": etag },
    });
    expect(other.status).toBe(200);
    for (const method of ["PUT", "DELETE"]) {
      const late = await ask(method, `${PEOPLE}/${id}`, {
        ...(method === "PUT" && { json: { name: "Late" } }),
        headers: { "if-match": etag },
      });
      expect(late).toMatchObject({ status: 412, answer: { error: { code: "PERSON_CHANGED" } } });
    }
    const current = other.headers.get("etag")!;
    expect(current).toBe((await ask("GET", `${PEOPLE}/${id}`)).headers.get("etag"));
    const weak = await ask("DELETE", `${PEOPLE}/${id}`, { headers: { "if-match": `W/${current}` } });
    expect(weak.status).toBe(412);
    const removed = await ask("DELETE", `${PEOPLE}/${id}`, { headers: { "if-match": `"a", ${current}` } });
    expect(removed.status).toBe(204);
  });

  it("are added once, however often the request comes", async () => {
    const headers = { "idempotency-key": "first-try" };
    const sent = Array.from({ length: 5 }, () => ask("POST", PEOPLE, { json: { name: "Once" }, headers }));
    const answers = await Promise.all(sent);
    expect(new Set(answers.map(({ answer }) => answer.id)).size).toBe(1);
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    const other = await ask("POST", PEOPLE, { json: { name: "Twice" }, headers });
    expect(other).toMatchObject({ status: 400, answer: { error: { code: "FAILED_PRECONDITION" } } });
    expect((await ask("POST", PEOPLE, { json: { name: "Once" } })).status).toBe(409);
    const long = { "idempotency-key": "k".repeat(300) };
    expect((await ask("POST", PEOPLE, { json: { name: "Long" }, headers: long })).status).toBe(400);
    // A form has another boundary each time.
    const [id] = answers.map(({ answer }) => answer.id);
    const face = async () =>
      await ask("POST", `${PEOPLE}/${id}/faces`, {
        form: { image: photo("face 77 a") },
        headers: { "idempotency-key": "face" },
      });
    expect((await face()).answer).toEqual((await face()).answer);
  });

  it.each<[string, unknown]>([
    ["no name", {}],
    ["an empty name", { name: "" }],
    ["a name of spaces", { name: "  " }],
    ["a name with a line break", { name: "a\nb" }],
    ["a name that turns text around", { name: "a\u202eb" }],
    ["a long name", { name: "x".repeat(201) }],
    ["an unknown field", { name: "A", nmae: "B" }],
    ["notes that are none", { name: "A", notes: [1] }],
    ["a character that no database keeps", { name: "A", notes: { a: "\u0000" } }],
    ["half a character", { name: "A", notes: { a: "\ud800" } }],
    ["a date that is none", { name: "A", expiresAt: "2030-02-31" }],
    ["consent without how", { name: "A", consent: { given: "2026-01-01" } }],
    ["consent of the future", { name: "A", consent: { given: "2999-01-01", how: "form" } }],
    ["an end that is over", { name: "A", expiresAt: "2001-01-01" }],
    ["a list", [{ name: "A" }]],
    ["null", null],
  ])("are refused with %s", async (_, json) => {
    const { status, answer } = await ask("POST", PEOPLE, { json });
    expect({ status, code: answer.error.code }).toEqual({ status: 400, code: "INVALID_ARGUMENT" });
  });

  it("keep SQL, paths and HTML in names as the letters they are", async () => {
    const names = [
      "'; DROP TABLE faceid_people; --",
      "../../etc/passwd",
      "<img src=x onerror=alert(1)>",
      "a/b?c#d:merge",
    ];
    for (const name of names) {
      const { answer } = await ask("POST", PEOPLE, { json: { name } });
      expect(answer.name).toBe(name);
      expect((await ask("GET", `${PEOPLE}/${encodeURIComponent(name)}`)).answer.id).toBe(answer.id);
      const { headers } = await ask("GET", PEOPLE);
      expect(headers.get("content-type")).toBe("application/json");
      expect((await ask("DELETE", `${PEOPLE}/${encodeURIComponent(name)}`)).status).toBe(204);
    }
    expect(
      (await ask("GET", `${PEOPLE}?search=${encodeURIComponent("%' OR 1=1 --")}`)).answer.people,
    ).toEqual([]);
  });

  it("are found by their id, whatever others are called", async () => {
    const id = await enrolled("Somebody");
    await enrolled(id);
    expect((await ask("GET", `${PEOPLE}/${id}`)).answer.name).toBe("Somebody");
  });

  it("are merged", async () => {
    const [from, into] = [await enrolled("From", "face 51 a"), await enrolled("Into", "face 51 b")];
    const { answer } = await ask("POST", `${PEOPLE}/${from}:merge`, { json: { into } });
    expect(answer).toMatchObject({ name: "Into", faces: 2 });
    expect((await ask("GET", `${PEOPLE}/${from}`)).status).toBe(404);
    expect((await ask("POST", `${PEOPLE}/${into}:merge`, { json: { into } })).status).toBe(400);
  });
});

describe("faces over REST", () => {
  it("are enrolled by a form, by JSON and by a file, listed, shown and removed", async () => {
    const id = await enrolled("Faces");
    const faces = `${PEOPLE}/${id}/faces`;
    const form = await ask("POST", faces, {
      form: { image: photo("face 61 a"), source: "a.jpg", keepPhoto: "true", strict: "false" },
    });
    expect(form).toMatchObject({
      status: 201,
      answer: { isNew: true, face: { source: "a.jpg", hasPhoto: true } },
    });
    const b64 = Buffer.from("face 61 b").toString("base64");
    expect((await ask("POST", faces, { json: { image: { b64 }, face: "only" } })).status).toBe(201);
    const raw = { raw: photo("face 61 c"), headers: { "content-type": "image/jpeg" } };
    expect((await ask("POST", faces, raw)).status).toBe(201);
    expect(await ask("POST", faces, raw)).toMatchObject({ status: 200, answer: { isNew: false } });
    const { answer } = await ask("GET", faces);
    expect(answer.faces).toHaveLength(3);
    const one = `${faces}/${form.answer.face.id}`;
    expect((await ask("GET", one)).answer).toEqual(form.answer.face);
    const kept = await ask("GET", `${one}/photo`);
    expect(kept.text).toBe("face 61 a");
    expect(kept.headers.get("content-type")).toBe("application/octet-stream");
    expect(kept.headers.get("content-security-policy")).toContain("sandbox");
    expect((await ask("GET", `${faces}/${answer.faces[1].id}/photo`)).status).toBe(404);
    expect((await ask("DELETE", one)).status).toBe(204);
    expect((await ask("GET", `${one}/photo`)).status).toBe(404);
    expect((await ask("DELETE", one)).status).toBe(404);
    expect(
      (await ask("GET", `${PEOPLE}/${await enrolled("Another")}/faces/${answer.faces[1].id}`)).status,
    ).toBe(404);
  });

  it("say who else they look like", async () => {
    await enrolled("First name", "face 71 a");
    const id = await enrolled("Second name");
    const { answer } = await ask("POST", `${PEOPLE}/${id}/faces`, { form: { image: photo("face 71 b") } });
    expect(answer.resembles).toMatchObject({ person: "First name" });
  });

  it.each<[string, number, string, Sent]>([
    ["no face", 422, "FACE_NOT_FOUND", { form: { image: photo("nobody") } }],
    ["no image", 400, "IMAGE_UNREADABLE", { form: { image: photo("text") } }],
    ["an empty file", 400, "IMAGE_UNREADABLE", { raw: "", headers: { "content-type": "image/png" } }],
    ["two files", 400, "INVALID_ARGUMENT", { form: { image: photo("face 1 a"), other: photo("face 1 b") } }],
    ["no file", 400, "INVALID_ARGUMENT", { form: { face: "only" } }],
    [
      "a choice that is none",
      400,
      "INVALID_ARGUMENT",
      { form: { image: photo("face 1 a"), face: "nicest" } },
    ],
    ["strict that is none", 400, "INVALID_ARGUMENT", { form: { image: photo("face 1 a"), strict: "maybe" } }],
    ["an unknown field", 400, "INVALID_ARGUMENT", { form: { image: photo("face 1 a"), keep: "true" } }],
    ["a URL", 400, "INVALID_ARGUMENT", { json: { image: { url: "http://127.0.0.1/a.jpg" } } }],
    ["no base64", 400, "INVALID_ARGUMENT", { json: { image: { b64: "%%%" } } }],
  ])("are refused with %s", async (_, status, code, sent) => {
    const id = (await ask("POST", PEOPLE, { json: { name: `Refused ${_}` } })).answer.id;
    const refused = await ask("POST", `${PEOPLE}/${id}/faces`, sent);
    expect({ status: refused.status, code: refused.answer.error.code }).toEqual({ status, code });
    expect((await ask("GET", `${PEOPLE}/${id}`)).answer.faces).toBe(0);
  });
});

describe("who is this, over REST", () => {
  it("names who is enrolled and nobody else, and counts it", async () => {
    const id = await enrolled("Known", "face 81 a", "face 81 b");
    const known = await ask("POST", "/v1/galleries/people:identify", {
      form: { image: photo("face 81 c"), fpir: "0.05", candidates: "2" },
    });
    expect(known.answer.faces[0]).toMatchObject({ match: true, fpir: { estimate: 0.05 } });
    expect(known.answer.faces[0].candidates).toHaveLength(2);
    expect(known.answer.faces[0].candidates[0]).toMatchObject({ person: "Known", id });
    const stranger = await ask("POST", "/v1/galleries/people:identify", {
      form: { image: photo("face 999 a") },
    });
    expect(stranger.answer.faces[0].match).toBe(false);
    expect(
      (await ask("POST", "/v1/galleries/people:identify", { form: { image: photo("nobody") } })).answer.faces,
    ).toEqual([]);
    const verify = async (said: string, more = {}) =>
      (await ask("POST", `${PEOPLE}/${id}:verify`, { form: { image: photo(said), ...more } })).answer;
    expect(await verify("face 81 d")).toMatchObject({
      same: true,
      threshold: 0.6,
      person: { id, name: "Known" },
    });
    expect(await verify("face 999 a")).toMatchObject({ same: false });
    expect(await verify("face 81 d", { far: "0.1" })).toMatchObject({ threshold: 0.4 });
    expect((await verify("face 81 d", { far: "0.00001" })).error.message).toContain(
      "is not calibrated for a false accept rate of 0.00001: the lowest that it supports is 0.001",
    );
    expect(
      (
        await ask("POST", `${PEOPLE}/${await enrolled("Empty")}:verify`, {
          form: { image: photo("face 1 a") },
        })
      ).status,
    ).toBe(400);
    const page = metrics.page();
    expect(page).toMatch(/:faceid:gallery:search_count\{gallery="people"\} 2/);
    expect(page).toMatch(/:faceid:gallery:match_count\{gallery="people"\} 1/);
    expect(page).toMatch(/search_latency_count\{gallery="people",people="\d+"\}/);
    expect(page).toMatch(/:faceid:gallery:refused_count\{gallery="people",code="FACE_NOT_FOUND"\}/);
    const { answer } = await ask("GET", "/v1/galleries/people");
    expect(answer).toMatchObject({ name: "people", stale: 0 });
  });

  it("answers several photographs one by one, in their order, and one as before", async () => {
    const target = "/v1/galleries/people:identify";
    const id = await enrolled("Of several", "face 4071 a");
    const one = (await ask("POST", target, { form: { image: photo("face 4071 b") } })).answer;
    expect(Object.keys(one)).toEqual(["people", "faces"]);
    const formOf = (name: string, ...said: string[]) => {
      const form = new FormData();
      for (const [i, each] of said.entries()) form.append(name, new Blob([photo(each)]), `${i}.jpg`);
      form.set("fpir", "0.05");
      return form;
    };
    const post = async (form: FormData) => {
      const { headers, body } = new Request("http://x", { method: "POST", body: form });
      const raw = new Uint8Array(await new Response(body).arrayBuffer());
      return await ask("POST", target, { raw, headers: { "content-type": headers.get("content-type")! } });
    };
    const said = ["face 4071 b", "no image", "nobody", "face 998 a"];
    const b64 = said.map((each) => ({ b64: Buffer.from(each).toString("base64") }));
    const answers = [
      await post(formOf("images", ...said)),
      await post(formOf("image", ...said)),
      await ask("POST", target, { json: { images: b64, fpir: 0.05 } }),
    ];
    for (const [i, { status, answer }] of answers.entries()) {
      expect(status).toBe(200);
      expect(answer.people).toBe(one.people);
      const name = (n: number) => (i < 2 ? `${n}.jpg` : `photograph ${n + 1}`);
      const [known, broken, empty, stranger] = answer.photographs;
      expect(answer.photographs).toHaveLength(said.length);
      expect(known).toMatchObject({ image: name(0), faces: [{ match: true, fpir: { estimate: 0.05 } }] });
      expect(known.faces[0].candidates).toEqual(one.faces[0].candidates);
      expect(known.faces[0].candidates[0].id).toBe(id);
      expect(broken).toEqual({
        image: name(1),
        error: {
          code: "IMAGE_UNREADABLE",
          message: expect.stringContaining("the photograph"),
          hint: expect.stringContaining("JPEG"),
        },
      });
      expect(empty).toEqual({ image: name(2), faces: [] });
      expect(stranger).toMatchObject({ image: name(3), faces: [{ match: false }] });
    }
    const list = await post(formOf("images", "face 4071 b"));
    expect(list.answer.photographs).toHaveLength(1);
  });

  it("takes a bounded number of photographs", async () => {
    const target = "/v1/galleries/people:identify";
    const images = (count: number) =>
      Array.from({ length: count }, () => ({ b64: Buffer.from("nobody").toString("base64") }));
    const most = await ask("POST", target, { json: { images: images(16) } });
    expect(most.answer.photographs).toHaveLength(16);
    for (const wrong of [images(17), [], "x", [{}], ["face"]]) {
      const refused = await ask("POST", target, { json: { images: wrong } });
      expect(refused, JSON.stringify(wrong)).toMatchObject({ status: 400 });
      expect(refused.answer.error.message).toContain('"images');
    }
    const both = await ask("POST", target, { json: { images: images(1), image: images(1)[0] } });
    expect(both).toMatchObject({ status: 400, answer: { error: { code: "INVALID_ARGUMENT" } } });
    const elsewhere = await ask("POST", `${PEOPLE}/x/faces`, { json: { images: images(1) } });
    expect(elsewhere.status).toBe(400);
  });

  it("does not find whose consent has ended", async () => {
    const id = await enrolled("Expired", "face 91 a");
    await ask("PUT", `${PEOPLE}/${id}`, { json: { name: "Expired", expiresAt: "2001-01-01" } });
    const found = await ask("POST", "/v1/galleries/people:identify", { form: { image: photo("face 91 b") } });
    expect(found.answer.faces[0].candidates.map(({ person }: { person: string }) => person)).not.toContain(
      "Expired",
    );
    expect(
      (await ask("POST", `${PEOPLE}/${id}:verify`, { form: { image: photo("face 91 b") } })).status,
    ).toBe(404);
  });
});

describe("who may ask", () => {
  const bearer = (name: string) => ({ headers: { authorization: `Bearer ${tokens.get(name) ?? name}` } });

  it("is decided by the key, before the body is read", async () => {
    expect(await ask("GET", PEOPLE, {}, locked)).toMatchObject({
      status: 401,
      answer: { error: { code: "UNAUTHENTICATED", hint: expect.stringContaining("Bearer") } },
    });
    const refused = await ask("POST", PEOPLE, { raw: "x".repeat(1 << 20), ...bearer("wrong") }, locked);
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    expect(refused.headers.get("connection")).toBe("close");
    expect((await ask("GET", PEOPLE, bearer("reader"), locked)).status).toBe(200);
    expect((await ask("GET", "/v1/openapi.json", bearer("enroller"), locked)).status).toBe(200);
    expect((await ask("GET", "/v1/openapi.json", {}, locked)).status).toBe(401);
    for (const [method, target] of [
      ["POST", PEOPLE],
      ["DELETE", `${PEOPLE}/Ann`],
      ["POST", "/v1/galleries/people:identify"],
      ["GET", "/v1/galleries/people/events"],
    ] as const) {
      expect((await ask(method, target, bearer("reader"), locked)).status, target).toBe(403);
      expect((await ask(method, target, bearer("elsewhere"), locked)).status, target).toBe(403);
    }
    expect((await ask("GET", "/v1/galleries", bearer("elsewhere"), locked)).answer).toEqual({
      galleries: [],
    });
    expect((await ask("GET", "/v1/galleries/nowhere", bearer("all"), locked)).status).toBe(404);
    await ask(
      "POST",
      PEOPLE,
      {
        json: { name: "By key" },
        ...{ headers: { ...bearer("all").headers, "content-type": "application/json" } },
      },
      locked,
    );
    const { answer } = await ask("GET", "/v1/galleries/people/events?limit=1000", bearer("all"), locked);
    expect(answer.events.at(-1)).toMatchObject({ action: "enrolled", actor: made[0]!.key.id });
  });

  it.each<[string, Readonly<Record<string, string>>]>([
    ["another name for this machine", { host: "faces.example.org" }],
    ["a name that begins alike", { host: "localhost.example.org" }],
    ["no name", { host: "" }],
    ["the page of another site", { origin: "https://example.org" }],
    ["a page without an address", { origin: "null" }],
    ["a page of another port", { origin: "http://127.0.0.1:1" }],
    ["an image in another page", { "sec-fetch-site": "cross-site" }],
    ["a proxy", { "x-forwarded-for": "10.0.0.1" }],
  ])("is nobody without keys who comes by %s", async (_, given) => {
    const { port, host } = new URL(open);
    const headers = { host, ...given };
    const sent = httpRequest({ host: "127.0.0.1", port, path: PEOPLE, headers, setHost: false });
    const status = await new Promise<number>((resolve, reject) => {
      sent.on("error", reject).on("response", async (response) => {
        await textOf(response);
        resolve(response.statusCode!);
      });
      sent.end();
    });
    expect(status).toBe(403);
  });

  it("has no other paths, methods and kinds of body", async () => {
    for (const target of [
      "/v1/galleries/people/people/..%2f..%2f",
      "/v1/galleries/people/cats",
      "/v1/galleries/people:drop",
      "/v1/galleries//people",
    ]) {
      expect((await ask("GET", target)).status, target).toBe(404);
    }
    const wrong = await ask("PUT", PEOPLE, { json: {} });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toBe("GET, POST");
    expect(
      (await ask("POST", PEOPLE, { raw: "name=A", headers: { "content-type": "text/plain" } })).status,
    ).toBe(400);
    expect(
      (await ask("POST", PEOPLE, { json: { name: "A", notes: { a: "x".repeat(2 ** 20) } } })).status,
    ).toBe(400);
    expect((await ask("POST", PEOPLE, { raw: new Uint8Array(1 << 23) })).status).toBe(413);
    expect((await ask("GET", `${PEOPLE}/%E0%A4%A`)).status).toBe(400);
  });
});

describe("the client", () => {
  it("does it all", async () => {
    const client = new GalleryClient({ url: `${open}/`, gallery: "people" });
    expect((await client.service()).model.name).toBe("a-model");
    expect(await client.galleries()).toEqual([{ name: "people", model: "a-model" }]);
    const { id } = await client.addPerson({ name: "Client / side" }, { idempotencyKey: "c1" });
    const enrolment = await client.addFace(id, photo("face 95 a"), { keepPhoto: true });
    expect(enrolment.isNew).toBe(true);
    expect(await (await client.photo(id, enrolment.face.id)).text()).toBe("face 95 a");
    const { person, tag } = await client.person("Client / side");
    expect(person.faces).toBe(1);
    const renamed = await client.replacePerson(id, { name: "Renamed" }, { ifMatch: tag });
    expect(renamed.name).toBe("Renamed");
    await expect(client.removePerson(id, { ifMatch: tag })).rejects.toMatchObject({
      code: "SERVER_ERROR",
      httpStatus: 412,
      serverCode: "PERSON_CHANGED",
    });
    expect((await client.identify(photo("face 95 b"))).faces[0]!.candidates[0]!.person).toBe("Renamed");
    const { photographs } = await client.identifyPhotos(
      [photo("face 95 b"), new Blob(["no image"]), new File([photo("nobody")], "no one.jpg")],
      { candidates: 1 },
    );
    expect(photographs).toMatchObject([
      { image: "photograph 1", faces: [{ candidates: [{ person: "Renamed" }] }] },
      { image: "photograph 2", error: { code: "IMAGE_UNREADABLE" } },
      { image: "no one.jpg", faces: [] },
    ]);
    await expect(client.identifyPhotos([])).rejects.toMatchObject({ httpStatus: 400 });
    expect((await client.verify(id, photo("face 95 b"))).same).toBe(true);
    const names: string[] = [];
    for await (const each of client.allPeople("renamed")) names.push(each.name);
    expect(names).toEqual(["Renamed"]);
    await client.removeFace(id, (await client.faces(id))[0]!.id);
    await client.removePerson(id);
    await expect(client.person(id)).rejects.toThrow(/nobody called/);
    expect((await client.events({ limit: 2 })).events).toHaveLength(2);
    const nowhere = new GalleryClient({ url: "http://127.0.0.1:1", gallery: "x" });
    await expect(nowhere.gallery()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
  });
});
