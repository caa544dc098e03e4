/** @file Models in buckets of published emulators: moto for S3, gcp-storage-emulator for Google Cloud Storage. The server is a process of its own. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { makeVenv, orUnavailable } from "../support/python-venv.ts";
import { writeHalfPlusTwo } from "../support/saved-models.ts";
import { type ServerProcess, spawnServer } from "../support/server-process.ts";

const programs = await orUnavailable("emulators of storages", () =>
  makeVenv(join(import.meta.dirname, "storage")),
);
const isAbsent = typeof programs !== "string";

/** Bytes beside the model, so that a copy takes a while. */
const BALLAST = Buffer.alloc(3 * 2 ** 20, "ballast ");
const WAIT = { timeout: 120_000, interval: 100 };

const folder = mkdtempSync(join(tmpdir(), "faceid-storage-"));
const before = { ...process.env };
let server: ServerProcess | undefined;
let caches = 0;

afterEach(async () => {
  await server?.stop("SIGKILL");
  server = undefined;
});

afterAll(() => {
  process.env = before;
  rmSync(folder, { recursive: true, force: true });
});

/** The files of a version by their names. */
async function modelFiles(): Promise<Map<string, Buffer>> {
  const source = join(folder, "source/1");
  await writeHalfPlusTwo(source);
  const names = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(source, join(entry.parentPath, entry.name)));
  return new Map([
    ...names.map((name): [string, Buffer] => [name, readFileSync(join(source, name))]),
    ["assets.extra/ballast", BALLAST],
  ]);
}

const newCache = () => join(folder, `cache-${caches++}`);

async function start(basePath: string, cache = newCache()): Promise<ServerProcess> {
  server = await spawnServer([
    "--model_name=half",
    `--model_base_path=${basePath}`,
    `--model_cache_dir=${cache}`,
    "--remote_poll_wait_seconds=1",
    "--file_system_poll_wait_seconds=0.1",
    "--bind_address=127.0.0.1",
  ]);
  return server;
}

/** The versions that answer, each asked. */
async function available({ restPort }: ServerProcess): Promise<string[]> {
  const url = `http://127.0.0.1:${restPort}/v1/models/half`;
  const { model_version_status: all } = (await (await fetch(url)).json()) as {
    model_version_status: { version: string; state: string }[];
  };
  const versions = all.filter(({ state }) => state === "AVAILABLE").map(({ version }) => version);
  for (const version of versions) {
    const body = '{"instances": [2]}';
    const answered = await fetch(`${url}/versions/${version}:predict`, { method: "POST", body });
    expect(await answered.json()).toEqual({ predictions: [3] });
  }
  return versions;
}

/** What is in a cache: published versions, and copies in work. */
function cached(cache: string): { readonly whole: string[]; readonly inWork: string[] } {
  const inside = (path: string) => {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  };
  const names = inside(cache).flatMap((each) =>
    inside(join(cache, each)).map((name) => join(cache, each, name)),
  );
  return {
    whole: names.filter((name) => /\/\d+-[0-9a-f]{16}$/.test(name)),
    inWork: names.filter((name) => name.endsWith(".tmp")),
  };
}

/** An emulator on a port of its own. */
async function emulator(
  program: string,
  args: (port: number) => string[],
  env = {},
): Promise<[ChildProcess, string]> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  const child = spawn(join(String(programs), "python"), [join(String(programs), program), ...args(port)], {
    env: { ...process.env, ...env },
    stdio: "ignore",
  });
  const address = `http://127.0.0.1:${port}`;
  await vi.waitFor(async () => fetch(address), WAIT);
  return [child, address];
}

describe.skipIf(isAbsent)("models in a bucket of moto", () => {
  let moto: ChildProcess;
  let motoAddress: string;
  let client: S3Client;
  let files: Map<string, Buffer>;
  /** What a request for the ballast gets, in place of moto's answer. */
  let instead: ((response: ServerResponse) => void) | undefined;

  /** Stands between the server and moto. */
  const between = createServer((asked, response) => {
    if (instead !== undefined && asked.url!.includes("ballast") && !asked.url!.includes("list-type")) {
      instead(response);
      return;
    }
    const { hostname, port } = new URL(motoAddress);
    const options = { hostname, port, path: asked.url, method: asked.method, headers: asked.headers };
    asked.pipe(
      request(options, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      }),
    );
  });

  beforeAll(async () => {
    // A listing has two objects a page.
    [moto, motoAddress] = await emulator("moto_server", (port) => ["-H", "127.0.0.1", "-p", `${port}`], {
      MOTO_S3_DEFAULT_MAX_KEYS: "2",
    });
    between.listen(0, "127.0.0.1");
    await once(between, "listening");
    Object.assign(process.env, {
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(between.address() as AddressInfo).port}`,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "key-id",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_MAX_ATTEMPTS: "1",
    });
    client = new S3Client({ endpoint: motoAddress, forcePathStyle: true, region: "us-east-1" });
    await client.send(new CreateBucketCommand({ Bucket: "models" }));
    files = await modelFiles();
  });

  afterAll(async () => {
    moto.kill();
    between.closeAllConnections();
    between.close();
  });

  beforeEach(async () => {
    instead = undefined;
    await remove("team/half/");
    await publish(1);
  });

  async function publish(version: number): Promise<void> {
    // At once, so that no listing shows a part of it for long.
    const puts = [...files].map(([name, body]) => {
      const Key = `team/half/${version}/${name}`;
      return client.send(new PutObjectCommand({ Bucket: "models", Key, Body: body }));
    });
    await Promise.all(puts);
  }

  async function remove(prefix: string): Promise<void> {
    for (;;) {
      const { Contents = [] } = await client.send(
        new ListObjectsV2Command({ Bucket: "models", Prefix: prefix }),
      );
      if (Contents.length === 0) return;
      for (const { Key } of Contents) await client.send(new DeleteObjectCommand({ Bucket: "models", Key }));
    }
  }

  const PATH = "s3://models/team/half";
  const isServing = (running: ServerProcess, ...versions: string[]) =>
    vi.waitFor(async () => expect(await available(running)).toEqual(versions), WAIT);

  it("are served out of a listing of several pages, change with it, and go back when a version is deleted", async () => {
    const running = await start(PATH);
    await running.until("Exporting HTTP/REST API");
    expect(await available(running)).toEqual(["1"]);
    await publish(2);
    await isServing(running, "2");
    await remove("team/half/2/");
    await isServing(running, "1");
  });

  it("are said to be out of reach with a wrong key and in a wrong bucket", async () => {
    const noBucket = await start("s3://others/half");
    await noBucket.until("The specified bucket does not exist");
    expect(noBucket.log).toContain("s3://others/half/ cannot be read");
    expect(noBucket.isReady).toBe(false);
    await noBucket.stop("SIGKILL");
    // From here on moto checks who asks, and knows nobody.
    await fetch(`${motoAddress}/moto-api/reset-auth`, { method: "POST", body: "0" });
    try {
      const noKey = await start(PATH);
      await noKey.until("The AWS Access Key Id you provided does not exist");
      expect(noKey.isReady).toBe(false);
    } finally {
      await fetch(`${motoAddress}/moto-api/reset-auth`, { method: "POST", body: "Infinity" });
    }
  });

  it("are fetched again after a download that was cut, and not served before", async () => {
    let cuts = 0;
    instead = (response) => {
      cuts++;
      response.writeHead(200, { "content-length": BALLAST.length });
      response.write(BALLAST.subarray(0, 2 ** 20), () => response.destroy());
    };
    const cache = newCache();
    const running = await start(PATH, cache);
    await vi.waitFor(() => expect(cuts).toBeGreaterThan(1), WAIT);
    expect(cached(cache).whole).toEqual([]);
    expect(running.isReady).toBe(false);
    instead = undefined;
    await running.until("Exporting HTTP/REST API");
    expect(await available(running)).toEqual(["1"]);
  });

  it("are copied whole by the next process when one is killed in the middle", async () => {
    let isAsked = false;
    instead = (response) => {
      response.writeHead(200, { "content-length": BALLAST.length });
      response.write(BALLAST.subarray(0, 2 ** 20), () => {
        isAsked = true;
      });
    };
    const cache = newCache();
    const killed = await start(PATH, cache);
    await vi.waitFor(() => expect(isAsked && cached(cache).inWork.length === 1).toBe(true), WAIT);
    await delay(200);
    await killed.stop("SIGKILL");
    expect(cached(cache)).toMatchObject({ whole: [], inWork: [expect.any(String)] });
    instead = undefined;
    const next = await start(PATH, cache);
    await next.until("Exporting HTTP/REST API");
    expect(await available(next)).toEqual(["1"]);
    const [published] = cached(cache).whole;
    for (const [name, bytes] of files) expect(readFileSync(join(published!, name)).equals(bytes)).toBe(true);
  });

  it("wait for room on a full disk, and keep what is served", async (context) => {
    const cache = newCache();
    mkdirSync(cache);
    const mount = (...args: string[]) => spawnSync("mount", args).status === 0;
    if (!mount("-t", "tmpfs", "-o", "size=5m", "tmpfs", cache))
      context.skip("a small disk cannot be made here");
    try {
      const running = await start(PATH, cache);
      await running.until("Exporting HTTP/REST API");
      // Two versions do not fit.
      await publish(2);
      await running.until("no space is left on the disk");
      expect(await available(running)).toEqual(["1"]);
      expect(cached(cache)).toMatchObject({ whole: [expect.any(String)], inWork: [] });
      expect(mount("-o", "remount,size=50m", cache)).toBe(true);
      await isServing(running, "2");
      await running.stop("SIGKILL");
    } finally {
      spawnSync("umount", [cache]);
    }
  });

  it("are not looked for where the storage sends on to", async () => {
    instead = (response) => response.writeHead(307, { location: `${motoAddress}/models/elsewhere` }).end();
    const cache = newCache();
    const running = await start(PATH, cache);
    await running.until("is not as it was listed");
    expect(cached(cache).whole).toEqual([]);
    expect(running.isReady).toBe(false);
  });
});

describe.skipIf(isAbsent)("models in a bucket of Google's storage", () => {
  let child: ChildProcess;
  let address: string;

  beforeAll(async () => {
    const args = (port: number) => [
      "start",
      "--host=127.0.0.1",
      `--port=${port}`,
      "--in-memory",
      "--default-bucket=models",
    ];
    [child, address] = await emulator("gcp-storage-emulator", args);
    process.env.STORAGE_EMULATOR_HOST = address;
  });

  afterAll(() => {
    child.kill();
  });

  const objects = (name: string) => `/storage/v1/b/models/o${name && `/${encodeURIComponent(name)}`}`;

  async function publish(version: number): Promise<void> {
    for (const [name, bytes] of await modelFiles()) {
      const query = new URLSearchParams({ uploadType: "media", name: `team/half/${version}/${name}` });
      const answered = await fetch(`${address}/upload${objects("")}?${query}`, {
        method: "POST",
        headers: { "content-type": "application/octet-stream" },
        body: new Uint8Array(bytes),
      });
      expect(answered.status).toBe(200);
    }
  }

  it("are served, change with it, and go back when a version is deleted", async () => {
    await publish(1);
    const running = await start("gs://models/team/half");
    await running.until("Exporting HTTP/REST API");
    expect(await available(running)).toEqual(["1"]);
    await publish(2);
    await vi.waitFor(async () => expect(await available(running)).toEqual(["2"]), WAIT);
    for (const name of (await modelFiles()).keys()) {
      await fetch(`${address}${objects(`team/half/2/${name}`)}`, { method: "DELETE" });
    }
    await vi.waitFor(async () => expect(await available(running)).toEqual(["1"]), WAIT);
  });

  it("are said to be out of reach in a bucket that is not there", async () => {
    const running = await start("gs://others/half");
    await running.until("gs://others/half/ cannot be read");
    expect(running.isReady).toBe(false);
  });
});
