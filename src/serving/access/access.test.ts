/** @file Who gets through: keys that are missing, wrong, revoked, expired, for other things, and too many requests, over both protocols. */
import { once } from "node:events";
import { appendFileSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { create, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type GrpcCaller, grpcCaller } from "../../../test/support/grpc-client.ts";
import { loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import type { Log } from "../../base/log.ts";
import { silentLog } from "../../base/log.ts";
import { Health, HealthCheckRequestSchema } from "../../proto/grpc/health/v1/health_pb.ts";
import { GetModelStatusRequestSchema } from "../../proto/tensorflow_serving/model_pb.ts";
import { ModelService, ReloadConfigRequestSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { singleModelConfig } from "../repository/model-config.ts";
import { type RunningServer, type ServerOptions, startServer } from "../server.ts";
import { authorise, KeyRing } from "./access.ts";
import { type KeyWish, newKey, readKeyFile, SCOPES, type Scope, writeKeys } from "./keys.ts";
import { networkOf } from "./rates.ts";

function readKeys(path: string) {
  return existsSync(path) ? readKeyFile(path) : [];
}

function addKey(path: string, wish: KeyWish): { readonly token: string } {
  const { key, token } = newKey(wish, new Date());
  writeFileSync(path, writeKeys([...readKeys(path), key]));
  return { token };
}

function revokeKey(path: string, name: string): void {
  const revoked = new Date().toISOString();
  writeFileSync(
    path,
    writeKeys(readKeys(path).map((key) => (key.name === name ? { ...key, revoked } : key))),
  );
}

let folder: ModelFolder;
let file: string;
const tokens: Record<string, string> = {};
const bearer = (name: string) => `Bearer ${tokens[name]}`;

function add(name: string, scopes: readonly Scope[], more: object = {}): void {
  tokens[name] = addKey(file, { name, scopes, ...more }).token;
}

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 1, "half_plus_two");
  file = join(folder.path, "keys.json");
  for (const scope of SCOPES) add(scope, [scope]);
  add("staff", ["enrol", "read"], { galleries: ["staff"] });
  add("chief", ["admin"], { galleries: ["staff"] });
  add("old", ["admin"], { expires: new Date(Date.now() - 1).toISOString() });
  add("revoked", ["admin"]);
  revokeKey(file, "revoked");
});

afterAll(() => folder[Symbol.asyncDispose]());

describe("KeyRing", () => {
  it.each([
    undefined,
    "",
    "Bearer",
    "Bearer ",
    "Bearer fid_",
    `Bearer fid_${"A".repeat(43)}`,
    `Bearer fid_${"A".repeat(1e6)}`,
    "Basic dXNlcjpwYXNz",
  ])("finds no key for %.40j", async (authorization) => {
    const ring = await KeyRing.open(file);
    expect(ring.find(authorization)).toBeUndefined();
    expect(() => authorise(ring, authorization, "read")).toThrow(
      expect.objectContaining({ code: "UNAUTHENTICATED", status: "UNAUTHENTICATED" }),
    );
  });

  it("finds a key however its scheme is written, and only whole and alone", async () => {
    const ring = await KeyRing.open(file);
    const token = tokens.read!;
    expect(ring.find(`bearer  ${token}`)).toMatchObject({ name: "read", scopes: ["read"] });
    const wrong = [
      token,
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token}, Bearer ${token}`,
    ];
    for (const each of [...wrong, bearer("old"), bearer("revoked")]) expect(ring.find(each)).toBeUndefined();
    ring.close();
    expect(ring.find(`Bearer ${token}`)).toBeUndefined();
  });

  it("sees keys that are added, revoked and expire from the next search on", async () => {
    const own = join(folder.path, "changing.json");
    const first = addKey(own, { name: "first", scopes: ["read"] });
    const ring = await KeyRing.open(own);
    const find = ({ token }: { token: string }) => ring.find(`Bearer ${token}`)?.name;
    expect(find(first)).toBe("first");
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    const expires = new Date(Date.now() + 100).toISOString();
    const second = addKey(own, { name: "second", scopes: ["read"], expires });
    expect(find(second)).toBe("second");
    revokeKey(own, "first");
    expect(find(first)).toBeUndefined();
    vi.advanceTimersByTime(99);
    expect(find(second)).toBe("second");
    vi.advanceTimersByTime(1);
    expect(find(second)).toBeUndefined();
  });

  it("keeps the keys of a file that breaks or goes, says so once, and reads it when it is whole again", async () => {
    const own = join(folder.path, "breaking.json");
    const { token } = addKey(own, { name: "app", scopes: ["read"] });
    const error = vi.fn();
    const ring = await KeyRing.open(own, { ...silentLog, error } satisfies Log);
    const find = () => ring.find(`Bearer ${token}`)?.name;
    appendFileSync(own, "x");
    expect([find(), find()]).toEqual(["app", "app"]);
    expect(error).toHaveBeenCalledTimes(1);
    rmSync(own);
    expect([find(), find()]).toEqual(["app", "app"]);
    expect(error).toHaveBeenCalledTimes(2);
    expect(JSON.stringify(error.mock.calls)).not.toContain(token);
    writeFileSync(own, '{"keys": []}');
    expect(find()).toBeUndefined();
  });
});

describe("authorise", () => {
  it.each(SCOPES)("a key of scope %s does what it says, admin everything", async (scope) => {
    const ring = await KeyRing.open(file);
    expect(authorise(ring, bearer(scope), scope).name).toBe(scope);
    expect(authorise(ring, bearer("admin"), scope, "any").name).toBe("admin");
    for (const other of SCOPES.filter((each) => each !== scope && scope !== "admin")) {
      expect(() => authorise(ring, bearer(scope), other)).toThrow(
        expect.objectContaining({ code: "PERMISSION_DENIED", status: "PERMISSION_DENIED" }),
      );
    }
  });

  it("a key of a gallery opens no other, and does not administer the server", async () => {
    const ring = await KeyRing.open(file);
    expect(authorise(ring, bearer("staff"), "enrol", "staff").galleries).toEqual(["staff"]);
    expect(authorise(ring, bearer("staff"), "read").galleries).toEqual(["staff"]);
    expect(authorise(ring, bearer("chief"), "admin", "staff").name).toBe("chief");
    for (const name of ["staff", "chief"]) {
      expect(() => authorise(ring, bearer(name), "read", "Staff")).toThrow(/not for the gallery "Staff"/);
    }
    expect(() => authorise(ring, bearer("chief"), "admin")).toThrow(/takes one for the server/);
  });
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

let server: RunningServer;
let caller: GrpcCaller;

async function started(options: Partial<ServerOptions>): Promise<void> {
  server = await startServer({
    models: singleModelConfig("half", join(folder.path, "half")),
    loader: loadProgram,
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
    metricsPath: "/metrics",
    maxLoadRetries: 0,
    bindAddress: "127.0.0.1",
    ...options,
  });
  caller = grpcCaller(`127.0.0.1:${server.grpcPort}`);
}

async function stopped(): Promise<void> {
  caller[Symbol.dispose]();
  await server.close(1000);
}

async function ask(
  method: string,
  path: string,
  authorization?: string | string[],
  body = "",
  agent: Agent | false = false,
): Promise<Answer> {
  const headers = authorization === undefined ? {} : { authorization: authorization as string };
  const request = httpRequest({
    host: "127.0.0.1",
    port: server.restPort,
    method,
    path,
    headers,
    agent,
  });
  request.end(body);
  const [response] = await once(request, "response");
  return { status: response.statusCode, headers: response.headers, body: await textOf(response) };
}

const predict = (authorization?: string) =>
  ask("POST", "/v1/models/half:predict", authorization, '{"instances": [1]}');

function metadataOf(...authorization: string[]): Metadata {
  const metadata = new Metadata();
  for (const each of authorization) metadata.add("authorization", each);
  return metadata;
}

/** The code of a gRPC call's answer, and its metadata. */
function callRaw(
  name: string,
  bytes: Uint8Array,
  authorization: readonly string[],
): Promise<{ code: number; metadata?: Metadata }> {
  return new Promise((resolve) => {
    caller.client.makeUnaryRequest(
      `/${ModelService.typeName}/${name}`,
      (message: Buffer) => message,
      (message: Buffer) => message,
      Buffer.from(bytes),
      metadataOf(...authorization),
      (error) => resolve(error ?? { code: 0 }),
    );
  });
}

const STATUS_BYTES = toBinary(
  GetModelStatusRequestSchema,
  create(GetModelStatusRequestSchema, { modelSpec: { name: "half" } }),
);
const status = (...authorization: string[]) => callRaw("GetModelStatus", STATUS_BYTES, authorization);

async function reload(...authorization: string[]): Promise<number> {
  const config = singleModelConfig("half", join(folder.path, "half"));
  const bytes = toBinary(ReloadConfigRequestSchema, create(ReloadConfigRequestSchema, { config }));
  return (await callRaw("HandleReloadConfigRequest", bytes, authorization)).code;
}

const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNAUTHENTICATED = 16;

describe("a server with keys", () => {
  beforeAll(() => started({ apiKeysFile: file }));
  afterAll(stopped);

  it("answers TensorFlow Serving's own calls to anybody", async () => {
    expect(await predict()).toMatchObject({ status: 200 });
    expect(await predict("Bearer of something else")).toMatchObject({ status: 200 });
    expect(await status()).toEqual({ code: 0 });
    expect(await ask("GET", "/metrics")).toMatchObject({ status: 200 });
  });

  it.each(["verify", "detect", "embed", "VERIFY"])("wants a key for :%s", async (verb) => {
    const path = `/v1/models/half:${verb}`;
    const none = await ask("POST", path, undefined, "{}");
    expect(none).toMatchObject({ status: 401, headers: { "www-authenticate": "Bearer" } });
    expect(JSON.parse(none.body)).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(await ask("POST", path, bearer("read"), "{}")).toMatchObject({ status: 403 });
    expect((await ask("POST", path, bearer("predict"), "{}")).status).toBe(400);
  });

  it("wants an administrator's key for a reload", async () => {
    expect(await reload()).toBe(UNAUTHENTICATED);
    expect(await reload(bearer("predict"))).toBe(PERMISSION_DENIED);
    expect(await reload(bearer("chief"))).toBe(PERMISSION_DENIED);
    expect(await reload(bearer("admin"))).toBe(0);
    expect(await reload(`${bearer("admin")}, ${bearer("admin")}`)).toBe(UNAUTHENTICATED);
  });
});

/** No count begins anew while a test runs. */
const rateWindows = { wrongKeys: 3600, requests: 3600, burst: 3600 };

describe("a server whose every request takes a key", () => {
  beforeAll(() => started({ apiKeysFile: file, requireApiKey: true, rateWindows }));
  afterAll(stopped);

  it("answers with a key, refuses without", async () => {
    expect(await predict(bearer("predict"))).toMatchObject({ status: 200 });
    expect(await predict(bearer("admin"))).toMatchObject({ status: 200 });
    expect(await predict(bearer("read"))).toMatchObject({ status: 403 });
    for (const wrong of [undefined, bearer("revoked"), bearer("old")]) {
      expect(await predict(wrong)).toMatchObject({ status: 401 });
    }
    expect(await status(bearer("predict"))).toEqual({ code: 0 });
    expect(await status(bearer("enrol"))).toMatchObject({ code: PERMISSION_DENIED });
    const refused = await status();
    expect(refused.code).toBe(UNAUTHENTICATED);
    expect(refused.metadata?.get("www-authenticate")).toEqual(["Bearer"]);
    expect(await reload()).toBe(UNAUTHENTICATED);
  });

  it.each([
    ["GET", "/v1/models", "predict"],
    ["GET", "/v1/models/half", "predict"],
    ["GET", "/v1/models/half/metadata", "predict"],
    ["POST", "/v1/models/half:classify", "predict"],
    ["GET", "/metrics", "read"],
    ["GET", "/v1/nothing", "predict"],
    ["PUT", "/v1/models/half:predict", "predict"],
  ])("%s %s", async (method, path, scope) => {
    expect((await ask(method, path)).status).toBe(401);
    expect((await ask(method, path, bearer(scope))).status).not.toBe(401);
  });

  it("leaves health open", async () => {
    expect(await ask("GET", "/healthz")).toMatchObject({ status: 200 });
    expect(await ask("GET", "/readyz")).toMatchObject({ status: 200 });
    const health = create(HealthCheckRequestSchema, {});
    expect(await caller.call(Health.method.check, health)).toMatchObject({ status: 1 });
  });

  it("takes no key from the address, and none of two", async () => {
    for (const name of ["api_key", "key", "access_token", "authorization"]) {
      const path = `/v1/models/half?${name}=${tokens.admin}`;
      expect(await ask("GET", path)).toMatchObject({ status: 401 });
    }
    const two = await ask("GET", "/v1/models/half", [bearer("predict"), bearer("admin")]);
    expect(two).toMatchObject({ status: 401 });
    expect(await status(`${bearer("predict")}, ${bearer("predict")}`)).toMatchObject({
      code: UNAUTHENTICATED,
    });
  });

  it.each([
    ["twice, in two spellings", "authorization: %\r\nAuthorization: %\r\n"],
    ["folded over two lines", "authorization: Bearer\r\n %\r\n"],
    ["behind another header's name", "x\r\nauthorization : %\r\n"],
    ["with a control character", "authorization: %\u0001\r\n"],
  ])("takes no key that comes %s", async (_, lines) => {
    const socket = connect(server.restPort!, "127.0.0.1");
    const heading = lines.replaceAll("%", bearer("admin"));
    socket.write(`GET /v1/models/half HTTP/1.1\r\nhost: x\r\n${heading}connection: close\r\n\r\n`);
    expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 40[01] /);
  });

  it("answers a large body without a key before it is read", async () => {
    const socket = connect(server.restPort!, "127.0.0.1");
    socket.write("POST /v1/models/half:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n[");
    const [first] = (await once(socket, "data")) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
  });

  it("refuses 10,000 wrong keys in bounded memory, and answers right keys of the same address all the while", async () => {
    const wrong = (i: number) => `Bearer fid_${String(i).padStart(43, "0")}`;
    const before = process.memoryUsage().heapUsed;
    const codes = new Map<number, number>();
    const agent = new Agent({ keepAlive: true });
    for (let i = 0; i < 10_000; i += 100) {
      const group = Array.from({ length: 100 }, (_, j) =>
        (i + j) % 2 === 0
          ? ask("GET", "/v1/models/half", wrong(i + j), "", agent).then((answer) => answer.status)
          : status(wrong(i + j)).then(({ code }) => code),
      );
      for (const code of await Promise.all(group)) codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    const known = (codes.get(401) ?? 0) + (codes.get(UNAUTHENTICATED) ?? 0);
    const limited = codes.get(429)! + codes.get(RESOURCE_EXHAUSTED)!;
    expect(known).toBeLessThanOrEqual(20);
    agent.destroy();
    expect(known + limited).toBe(10_000);
    expect(await predict(bearer("predict"))).toMatchObject({ status: 200 });
    expect((await ask("GET", "/v1/models/half", wrong(1))).headers["retry-after"]).toMatch(/^[1-9]\d*$/);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 2 ** 20);
  });
});

describe("a server with a rate limit", () => {
  beforeEach(() => started({ apiKeysFile: file, rateLimit: 3, rateWindows }));

  it("limits each key and each address by itself, over both protocols together, and not health", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => predict(bearer("predict"))));
    const refused = answers.filter((answer) => answer.status === 429);
    // Three, and three once more.
    expect(answers.length - refused.length).toBe(6);
    for (const { headers } of refused) expect(Number(headers["retry-after"])).toBeGreaterThan(0);
    expect((await predict(bearer("admin"))).status).toBe(200);
    expect((await predict()).status).toBe(200);
    const calls = await Promise.all(Array.from({ length: 20 }, () => status(bearer("enrol"))));
    const late = calls.find(({ code }) => code === RESOURCE_EXHAUSTED);
    expect(Number(late?.metadata?.get("grpc-retry-pushback-ms")[0])).toBeGreaterThan(0);
    expect((await ask("GET", "/healthz")).status).toBe(200);
    await stopped();
  });
});

describe("networkOf", () => {
  it.each([
    ["10.0.0.1", "10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::ffff:c633:6401", "198.51.100.1"],
    ["0:0:0:0:0:FFFF:C633:6401", "198.51.100.1"],
    ["::ffff:1%eth0", "0:0:0:0"],
    ["::ffff:0:1", "0.0.0.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:0DB8:0001:2::6", "2001:db8:1:2"],
    ["2001:db8::", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
    ["fe80::1%eth0", "fe80:0:0:0"],
    ["", ""],
  ])("%s is of %s", (address, network) => expect(networkOf(address)).toBe(network));
});
