/** @file Models at gs://, against a small server that answers as Google Cloud Storage does, with an account and without. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { silentLog } from "../../base/log.ts";
import { crc32c } from "../../savedmodel/format/crc32c.ts";
import { openGoogleStore } from "./google-store.ts";
import { optionalClient } from "./object-store.ts";
import { RemoteModels } from "./remote-models.ts";

interface Stored {
  readonly bytes: Buffer;
  readonly generation: number;
  /** More fields of its listing, or others. */
  readonly listed?: Record<string, unknown>;
}

const MOST_A_PAGE = 2;
const bucket = new Map<string, Stored>();
const asked: string[] = [];
/** The header before the answers. */
let inFront: ((url: URL, response: ServerResponse) => boolean) | undefined;
/** Whether requests must have the token of the account. */
let isGuarded = false;

const crcOf = (bytes: Buffer) => {
  const four = Buffer.alloc(4);
  four.writeUInt32BE(crc32c(bytes));
  return four.toString("base64");
};

const json = (response: ServerResponse, status: number, value: unknown) =>
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));

const refusal = (code: number, message: string) => ({ error: { code, message, errors: [] } });

function listing({ searchParams }: URL): unknown {
  const prefix = searchParams.get("prefix")!;
  const after = searchParams.get("pageToken") ?? "";
  const keys = [...bucket.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, MOST_A_PAGE);
  const items = page.map((name) => {
    const { bytes, generation, listed } = bucket.get(name)!;
    const md5Hash = createHash("md5").update(bytes).digest("base64");
    const updated = "2026-01-01T00:00:00.000Z";
    return {
      name,
      size: `${bytes.length}`,
      generation: `${generation}`,
      updated,
      md5Hash,
      crc32c: crcOf(bytes),
      ...listed,
    };
  });
  // A page without objects has no list of them.
  return {
    ...(items.length > 0 && { items }),
    ...(keys.length > page.length && { nextPageToken: page.at(-1) }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url!, "http://x");
  asked.push(url.pathname);
  if (url.pathname === "/token") {
    const scope = new URLSearchParams(await text(request)).get("scope")!;
    json(response, 200, { access_token: scope.split("/").at(-1), expires_in: 3600, token_type: "Bearer" });
    return;
  }
  if (inFront?.(url, response)) return;
  if (isGuarded !== (request.headers.authorization === "Bearer devstorage.read_only")) {
    json(response, 401, refusal(401, "Anonymous caller does not have storage.objects.list access."));
    return;
  }
  const [, name, key] = /^\/storage\/v1\/b\/([^/]+)\/o(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
  const stored = bucket.get(decodeURIComponent(key ?? ""));
  if (name !== "models") json(response, 404, refusal(404, "The specified bucket does not exist."));
  else if (key === undefined) json(response, 200, listing(url));
  else if (stored === undefined) json(response, 404, refusal(404, `No such object: ${key}`));
  else if (url.searchParams.get("ifGenerationMatch") !== `${stored.generation}`) {
    json(response, 412, refusal(412, "At least one of the pre-conditions you specified did not hold."));
  } else response.writeHead(200, { "content-length": stored.bytes.length }).end(stored.bytes);
}

const server = createServer((request, response) => void answer(request, response));
const PATH = "gs://models/team/half";
const before = { ...process.env };
let address: string;
let folder: string;
let generation = 1;
let caches = 0;

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  folder = await mkdtemp(join(tmpdir(), "faceid-google-"));
});

afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  bucket.clear();
  asked.length = 0;
  inFront = undefined;
  isGuarded = false;
  process.env.STORAGE_EMULATOR_HOST = address.replace("http://", "");
  // No address of a machine's account is tried.
  process.env.METADATA_SERVER_DETECTION = "none";
  process.env.HOME = folder;
});

afterEach(() => {
  process.env = { ...before };
});

const put = (key: string, content: string, listed: Stored["listed"] = {}) =>
  bucket.set(`team/half/${key}`, { bytes: Buffer.from(content), generation: generation++, listed });

function models() {
  const cacheDir = join(folder, `cache-${caches++}`);
  return { cacheDir, remote: new RemoteModels({ cacheDir, pollWaitSeconds: 0.001 }, silentLog) };
}

it("a client that is not installed is named with the command that installs it", async () => {
  const missing = "a-client-that-nobody-has";
  await expect(optionalClient("gs", `${missing}@1.2.3`, () => import(missing))).rejects.toMatchObject({
    status: "FAILED_PRECONDITION",
    message:
      "Models at gs:// take a package that is not installed here: npm install a-client-that-nobody-has@1.2.3",
  });
});

describe("models at gs://", () => {
  it("are copied out of a listing of several pages, with names of any kind", async () => {
    put("1/saved_model.pb", "old");
    put("2/saved_model.pb", "graph");
    put("2/variables/variables.index", "index");
    put("2/variables/with space & more", "odd");
    put("2/whole", "of several parts", { md5Hash: undefined });
    put("notes.txt", "no version");
    const { folders } = await models().remote.scan(PATH, undefined);
    expect([...folders.keys()]).toEqual([2n]);
    const read = (name: string) => readFileSync(join(folders.get(2n)!, name), "utf8");
    expect(read("saved_model.pb")).toBe("graph");
    expect(read("variables/with space & more")).toBe("odd");
    expect(read("whole")).toBe("of several parts");
  });

  it("have no versions where the prefix has no objects", async () => {
    expect((await models().remote.scan(PATH, undefined)).folders.size).toBe(0);
  });

  it.each<[string, () => void, RegExp]>([
    ["is cut off", () => (inFront = cut), /saved_model\.pb|aborted|closed|terminated|premature/i],
    [
      "has another CRC-32C",
      () => put("1/x", "y", { md5Hash: undefined, crc32c: "AAAAAA==" }),
      /CRC-32C is another/,
    ],
    ["has another MD5", () => put("1/x", "y", { md5Hash: "A".repeat(22).concat("==") }), /MD5 is another/],
    ["has more bytes than listed", () => put("1/x", "yyy", { size: "2" }), /more than 2 bytes/],
    ["has fewer bytes than listed", () => put("1/x", "yyy", { size: "9" }), /3 bytes came, 9 were listed/],
    ["was replaced since the listing", () => put("1/x", "y", { generation: "7" }), /pre-conditions/],
    ["is unpacked on the way", () => put("1/x", "y", { contentEncoding: "gzip" }), /stored as gzip/],
    ["is sent on to another host", () => (inFront = sendOn), /redirect/],
  ])("keep nothing of a version with an object that %s", async (_, spoil, message) => {
    put("1/saved_model.pb", "graph");
    spoil();
    const { cacheDir, remote } = models();
    await expect(remote.scan(PATH, undefined)).rejects.toThrow(message);
    const kept = existsSync(cacheDir)
      ? readdirSync(cacheDir).flatMap((name) => readdirSync(join(cacheDir, name)))
      : [];
    expect(kept).toEqual([]);
    expect(asked).not.toContain("/elsewhere");
  });

  it("name the bucket and the reason where it cannot be listed", async () => {
    await expect(models().remote.scan("gs://others/half", undefined)).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      message: expect.stringMatching(/gs:\/\/others\/half\/ cannot be read: .*bucket does not exist/),
    });
  });

  it("are asked for again where the storage is busy for a moment", async () => {
    put("1/saved_model.pb", "graph");
    let busy = 1;
    inFront = (_, response) => {
      if (busy-- <= 0) return false;
      json(response, 503, refusal(503, "Backend Error"));
      return true;
    };
    expect((await models().remote.scan(PATH, undefined)).folders.size).toBe(1);
  });

  it("are read as the account of the file of credentials, for reading alone", async () => {
    const subject = join(folder, "subject");
    writeFileSync(subject, "a token of another issuer");
    const key = {
      type: "external_account",
      audience: "//iam.googleapis.com/locations/global/workforcePools/pool/providers/ours",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: `${address}/token`,
      credential_source: { file: subject },
    };
    const file = join(folder, "account.json");
    writeFileSync(file, JSON.stringify(key));
    process.env.GOOGLE_APPLICATION_CREDENTIALS = file;
    delete process.env.STORAGE_EMULATOR_HOST;
    isGuarded = true;
    put("1/saved_model.pb", "graph");
    const store = await openGoogleStore(process.env, address);
    const { signal } = new AbortController();
    const [object] = await store.list("models", "team/half/", signal);
    await store.copy("models", object!, join(folder, "copied"), signal);
    expect(readFileSync(join(folder, "copied"), "utf8")).toBe("graph");
  });

  it.each([
    ["no credentials are there", undefined, /none can be used: Could not load the default credentials$/],
    ["their file is not there", "/nowhere/account.json", /none can be used: .*\/nowhere\/account\.json/],
  ])("are refused when %s", async (_, file, message) => {
    delete process.env.STORAGE_EMULATOR_HOST;
    if (file === undefined) delete process.env.GOOGLE_APPLICATION_CREDENTIALS;
    else process.env.GOOGLE_APPLICATION_CREDENTIALS = file;
    await expect(models().remote.storeOf(PATH)).rejects.toMatchObject({
      status: "FAILED_PRECONDITION",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/^set GOOGLE_APPLICATION_CREDENTIALS to a file/),
    });
  });
});

function cut({ searchParams }: URL, response: ServerResponse): boolean {
  if (searchParams.get("alt") !== "media") return false;
  response.writeHead(200, { "content-length": 5 });
  response.write("gra", () => response.destroy());
  return true;
}

function sendOn({ searchParams }: URL, response: ServerResponse): boolean {
  if (searchParams.get("alt") !== "media") return false;
  response.writeHead(302, { location: "/elsewhere" }).end();
  return true;
}
