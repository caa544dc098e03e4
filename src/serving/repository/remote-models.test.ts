/** @file Models in a bucket, against a small server that answers as S3 does: listed in pages, changed, cut off, refused. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join, relative } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { type RunningServer, startServer } from "../server.ts";
import { singleModelConfig } from "./model-config.ts";
import type { ObjectStore, StoredObject } from "./object-store.ts";
import { RemoteModels } from "./remote-models.ts";
import { openS3Store } from "./s3-store.ts";

interface Stored {
  readonly bytes: Buffer;
  readonly modified: Date;
  /** What the listing says, where it lies. */
  readonly listedEtag?: string;
}

const OLD = new Date("2026-01-01T00:00:00Z");
const MOST_A_PAGE = 2;
const bucket = new Map<string, Stored>();
const asked: string[] = [];
/** Bytes after which an answer ends, where it is cut off. */
let cutAt: number | undefined;
let isEndless = false;
/** Where every request is sent on to. */
let sentOnTo: string | undefined;

const etagOf = (bytes: Buffer) => `"${createHash("md5").update(bytes).digest("hex")}"`;

function listing({ searchParams }: URL): string {
  if (isEndless) {
    return `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken></ListBucketResult>`;
  }
  const prefix = searchParams.get("prefix") ?? "";
  const after = searchParams.get("continuation-token") ?? "";
  const keys = [...bucket.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, MOST_A_PAGE);
  const contents = page.map((key) => {
    const { bytes, modified, listedEtag } = bucket.get(key)!;
    const etag = (listedEtag ?? etagOf(bytes)).replaceAll('"', "&quot;");
    return `<Contents><Key>${key}</Key><LastModified>${modified.toISOString()}</LastModified><ETag>${etag}</ETag><Size>${bytes.length}</Size></Contents>`;
  });
  const isCut = keys.length > page.length;
  const next = isCut ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : "";
  return `<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>${isCut}</IsTruncated>${next}${contents.join("")}</ListBucketResult>`;
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url!, "http://x");
  asked.push(url.pathname);
  if (sentOnTo !== undefined) {
    response.writeHead(307, { location: sentOnTo }).end();
    return;
  }
  if (!request.headers.authorization?.startsWith("AWS4-HMAC-SHA256 Credential=key-id/")) {
    response.writeHead(403).end("<Error><Code>AccessDenied</Code></Error>");
    return;
  }
  if (url.searchParams.get("list-type") === "2") {
    response.writeHead(200, { "content-type": "application/xml" }).end(listing(url));
    return;
  }
  const stored = bucket.get(decodeURIComponent(url.pathname.replace(/^\/models\//, "")));
  if (stored === undefined) response.writeHead(404).end("<Error><Code>NoSuchKey</Code></Error>");
  else if (request.headers["if-match"] !== (stored.listedEtag ?? etagOf(stored.bytes))) {
    response.writeHead(412).end("<Error><Code>PreconditionFailed</Code></Error>");
  } else {
    response.writeHead(200, { etag: etagOf(stored.bytes), "content-length": stored.bytes.length });
    response.write(stored.bytes.subarray(0, cutAt));
    if (cutAt === undefined) response.end();
    else response.destroy();
  }
}

const server = createServer(answer);
let folder: ModelFolder;
let store: ObjectStore;
let caches = 0;
const PATH = "s3://models/team/half";
const before = { ...process.env };

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    AWS_ACCESS_KEY_ID: "key-id",
    AWS_SECRET_ACCESS_KEY: "secret",
    AWS_MAX_ATTEMPTS: "1",
  });
  folder = await modelFolder();
  store = await openS3Store();
});

afterAll(async () => {
  process.env = before;
  server.close();
  await folder[Symbol.asyncDispose]();
});

beforeEach(() => {
  bucket.clear();
  asked.length = 0;
  cutAt = undefined;
  isEndless = false;
  sentOnTo = undefined;
});

const put = (key: string, text: string, more: Partial<Stored> = {}) =>
  bucket.set(`team/half/${key}`, { bytes: Buffer.from(text), modified: OLD, ...more });

function models(pollWaitSeconds = 30, log: Log = silentLog) {
  const cacheDir = join(folder.path, `cache-${caches++}`);
  return { cacheDir, remote: new RemoteModels({ cacheDir, pollWaitSeconds }, log) };
}

/** The files of a folder, with what they hold. */
function filesIn(path: string, top = path): Record<string, string> {
  return Object.fromEntries(
    readdirSync(path, { withFileTypes: true }).flatMap((entry): [string, string][] => {
      const inside = join(path, entry.name);
      if (entry.isDirectory()) return Object.entries(filesIn(inside, top));
      return [[relative(top, inside).replaceAll("\\", "/"), readFileSync(inside, "utf8")]];
    }),
  );
}

describe("RemoteModels", () => {
  it("copies the wanted version whole, out of a listing of several pages, once", async () => {
    put("1/saved_model.pb", "old");
    put("2/saved_model.pb", "graph");
    put("2/variables/variables.index", "index");
    put("2/variables/", "");
    put("2/variables/with space & more", "odd");
    put("notes.txt", "no version");
    put("v3/saved_model.pb", "no number");
    put("9223372036854775808/saved_model.pb", "no version: beyond 64 bits");
    bucket.set("team/half-other/9/saved_model.pb", { bytes: Buffer.from("not ours"), modified: OLD });
    const { remote } = models();
    const { folders } = await remote.scan(PATH, undefined);
    expect([...folders.keys()]).toEqual([2n]);
    expect(filesIn(folders.get(2n)!)).toEqual({
      "saved_model.pb": "graph",
      "variables/variables.index": "index",
      "variables/with space & more": "odd",
    });
    const { length } = asked;
    expect((await remote.scan(PATH, undefined)).folders).toEqual(folders);
    expect(asked).toHaveLength(length);
  });

  it("takes what is here already, without asking for it again", async () => {
    put("1/saved_model.pb", "graph");
    const { cacheDir, remote } = models();
    const { folders } = await remote.scan(PATH, undefined);
    const { length } = asked;
    const again = new RemoteModels({ cacheDir, pollWaitSeconds: 30 }, silentLog);
    expect((await again.scan(PATH, undefined)).folders).toEqual(folders);
    // One listing, and nothing else.
    expect(asked).toHaveLength(length + 1);
  });

  it("leaves a version that is still being written until it has not changed between two listings", async () => {
    put("1/saved_model.pb", "graph");
    put("2/saved_model.pb", "half", { modified: new Date(Date.now() + 60_000) });
    const { remote } = models(0.01);
    const scan = async () => {
      await new Promise((done) => setTimeout(done, 15));
      return await remote.scan(PATH, undefined);
    };
    expect(await scan()).toMatchObject({
      folders: new Map([[1n, expect.any(String)]]),
      notes: ["Version 2 is still being written"],
    });
    put("2/variables", "rest", { modified: new Date(Date.now() + 60_000) });
    expect([...(await scan()).folders.keys()]).toEqual([1n]);
    const { folders } = await scan();
    expect(filesIn(folders.get(2n)!)).toEqual({ "saved_model.pb": "half", variables: "rest" });
  });

  it.each<[string, () => void]>([
    ["was cut off", () => (cutAt = 3)],
    [
      "has other bytes than its MD5",
      () => put("1/saved_model.pb", "graph", { listedEtag: `"${"0".repeat(32)}"` }),
    ],
  ])("keeps nothing of a version with an object that %s", async (_, spoil) => {
    put("1/saved_model.pb", "graph");
    spoil();
    const { cacheDir, remote } = models();
    await expect(remote.scan(PATH, undefined)).rejects.toThrow();
    const kept = existsSync(cacheDir)
      ? readdirSync(cacheDir).flatMap((name) => readdirSync(join(cacheDir, name)))
      : [];
    expect(kept).toEqual([]);
    const { length } = asked;
    await expect(remote.scan(PATH, undefined)).rejects.toThrow();
    expect(asked).toHaveLength(length);
  });

  it.each([
    ["AWS_ENDPOINT_URL_S3", "Region is missing", /^set AWS_REGION to the region of the bucket/],
    ["AWS_ACCESS_KEY_ID", "Could not load credentials", /^set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/],
  ])("without %s says what to set", async (name, message, hint) => {
    const nowhere = { AWS_CONFIG_FILE: "/nowhere", AWS_SHARED_CREDENTIALS_FILE: "/nowhere" };
    for (const [key, value] of Object.entries({ ...nowhere, AWS_EC2_METADATA_DISABLED: "true" }))
      vi.stubEnv(key, value);
    vi.stubEnv("AWS_REGION", undefined);
    vi.stubEnv(name, undefined);
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    try {
      await expect(models().remote.scan(PATH, undefined)).rejects.toMatchObject({
        code: "DOWNLOAD_FAILED",
        message: expect.stringContaining(message),
        hint: expect.stringMatching(hint),
      });
      // Of the client about the version of Node, which it supports.
      expect(warned).not.toHaveBeenCalled();
    } finally {
      vi.unstubAllEnvs();
      vi.restoreAllMocks();
    }
  });

  it("ends a listing that goes on without objects", async () => {
    isEndless = true;
    await expect(models().remote.scan(PATH, undefined)).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      message: expect.stringContaining("does not end"),
    });
  });

  it.each(["/elsewhere", "http://127.0.0.1:9/"])(
    "does not follow a storage that sends on to %s",
    async (location) => {
      put("1/saved_model.pb", "graph");
      sentOnTo = location;
      await expect(models().remote.scan(PATH, undefined)).rejects.toMatchObject({ code: "DOWNLOAD_FAILED" });
      expect(asked).not.toContain("/elsewhere");
    },
  );

  it("removes what a process that was killed has left, but nothing that another one is writing", async () => {
    put("1/saved_model.pb", "graph");
    const { remote } = models(0.001);
    const folder = dirname((await remote.scan(PATH, undefined)).folders.get(1n)!);
    const [old, current] = ["old", "current"].map((name, i) =>
      join(folder, `.1-${name}.${i + 1}-00000000.tmp`),
    );
    for (const path of [old!, current!]) {
      mkdirSync(join(path, "variables"), { recursive: true });
      writeFileSync(join(path, "variables/half"), "x");
    }
    const long = new Date(Date.now() - 2 * 3_600_000);
    for (const path of [old!, join(old!, "variables"), join(old!, "variables/half"), current!])
      utimesSync(path, long, long);
    await new Promise((done) => setTimeout(done, 5));
    await remote.scan(PATH, undefined);
    expect(existsSync(old!)).toBe(false);
    expect(existsSync(current!)).toBe(true);
  });

  it("refuses an object that was replaced since the listing", async () => {
    put("1/saved_model.pb", "graph");
    const [object] = await store.list("models", "team/half/", new AbortController().signal);
    put("1/saved_model.pb", "other");
    const file = join(folder.path, "replaced");
    await expect(
      store.copy("models", object as StoredObject, file, new AbortController().signal),
    ).rejects.toMatchObject({ code: "DOWNLOAD_FAILED" });
    expect(existsSync(file)).toBe(false);
  });

  it.each(["../../up", "a/../b", "C:x", "back\\slash", "//x", "."])(
    "refuses an object called %s",
    async (name) => {
      put(`1/${name}`, "x");
      const { remote } = models();
      await expect(remote.scan(PATH, undefined)).rejects.toMatchObject({ code: "MODEL_INVALID" });
    },
  );

  it("removes copies that nobody wants any more", async () => {
    put("1/saved_model.pb", "one");
    const { remote } = models(0.001);
    const first = (await remote.scan(PATH, undefined)).folders.get(1n)!;
    put("2/saved_model.pb", "two");
    for (let i = 0; i < 3; i++) {
      await new Promise((done) => setTimeout(done, 5));
      await remote.scan(PATH, undefined);
    }
    expect(existsSync(first)).toBe(false);
  });
});

describe("a server with a model in a bucket", () => {
  let running: RunningServer | undefined;
  afterEach(async () => {
    await running?.close(0);
    running = undefined;
  });

  const started = (basePath: string, log: Log = silentLog) =>
    startServer({
      models: singleModelConfig("half", basePath),
      loader: loadProgram,
      log,
      grpcPort: undefined,
      restPort: 0,
      bindAddress: "127.0.0.1",
      maxLoadRetries: 0,
      pollWaitSeconds: 0.05,
      modelCacheDir: join(folder.path, `served-${caches++}`),
      remotePollWaitSeconds: 0.05,
    });

  async function publish(version: number): Promise<void> {
    const path = await folder.add(`source-${version}`, version, "half_plus_two");
    for (const [name, text] of Object.entries(filesIn(path))) put(`${version}/${name}`, text);
  }

  it("serves it, and the next version when it comes", async () => {
    await publish(1);
    running = await started(PATH);
    const status = async () => {
      const answered = await fetch(`http://127.0.0.1:${running!.restPort}/v1/models/half`);
      const { model_version_status: versions } = (await answered.json()) as {
        model_version_status: { version: string; state: string }[];
      };
      return versions.filter(({ state }) => state === "AVAILABLE").map(({ version }) => version);
    };
    expect(await status()).toEqual(["1"]);
    const predicted = await fetch(`http://127.0.0.1:${running.restPort}/v1/models/half:predict`, {
      method: "POST",
      body: '{"instances": [2]}',
    });
    expect(await predicted.json()).toEqual({ predictions: [3] });
    await publish(2);
    await vi.waitFor(async () => expect(await status()).toEqual(["2"]), { timeout: 30_000, interval: 50 });
  });

  it.each([
    ["gs://models", /name a folder, s3:\/\/BUCKET\/PREFIX or gs:\/\/BUCKET\/PREFIX/],
    ["gs://-models/half", /Models cannot be read/],
    ["s3://models", /name a folder, s3:\/\/BUCKET\/PREFIX or gs/],
    ["s3://models/", /name a folder, s3/],
    ["hdfs://models/half", /Models cannot be read from hdfs/],
    ["s3://UPPER/half", /Models cannot be read/],
  ])("refuses %s at the start", async (path, message) => {
    await expect(started(path)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(message),
    });
  });
});
