/** @file The port for administrators: what it answers over both protocols, what the other ports then leave out. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { type GrpcCaller, grpcCaller } from "../../test/support/grpc-client.ts";
import { loadProgram, type ModelFolder, modelFolder } from "../../test/support/servables.ts";
import { silentLog } from "../base/log.ts";
import { Health, HealthCheckRequestSchema } from "../proto/grpc/health/v1/health_pb.ts";
import { GetModelStatusRequestSchema } from "../proto/tensorflow_serving/model_pb.ts";
import { ModelService, ReloadConfigRequestSchema } from "../proto/tensorflow_serving/model_service_pb.ts";
import { newKey, writeKeys } from "./access/keys.ts";
import { singleModelConfig } from "./repository/model-config.ts";
import { type RunningServer, type ServerOptions, startServer } from "./server.ts";

const METRICS = "/monitoring/prometheus/metrics";
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;

let folder: ModelFolder;
let server: RunningServer | undefined;
const callers: GrpcCaller[] = [];

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 1, "half_plus_two");
  await folder.add("other", 1, "half_plus_two");
  return () => folder[Symbol.asyncDispose]();
});

afterEach(async () => {
  for (const caller of callers.splice(0)) caller[Symbol.dispose]();
  await server?.close(1000);
  server = undefined;
});

async function started(options: Partial<ServerOptions> = {}): Promise<RunningServer> {
  server = await startServer({
    models: singleModelConfig("half", join(folder.path, "half")),
    loader: loadProgram,
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
    adminPort: 0,
    metricsPath: METRICS,
    maxLoadRetries: 0,
    ...options,
  });
  return server;
}

const get = async (port: number, path: string, init: RequestInit = {}) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { status: response.status, text: await response.text() };
};

function callerOf(port: number): GrpcCaller {
  const caller = grpcCaller(`127.0.0.1:${port}`);
  callers.push(caller);
  return caller;
}

const { getModelStatus, handleReloadConfigRequest } = ModelService.method;
const reloadOf = (name: string) =>
  create(ReloadConfigRequestSchema, { config: singleModelConfig(name, join(folder.path, name)) });
const text = (name: string) =>
  `model_config_list { config { name: "${name}" base_path: "${folder.path}/${name}" model_platform: "tensorflow" } }`;

describe("the port for administrators", () => {
  it("has metrics and health, and the REST port has no metrics then", async () => {
    const { adminPort, restPort } = await started();
    expect((await get(adminPort!, METRICS)).text).toContain(":tensorflow:serving:request_count");
    expect(await get(adminPort!, `${METRICS}?x=1`)).toMatchObject({ status: 400 });
    expect(await get(adminPort!, "/healthz")).toEqual({ status: 200, text: "ok\n" });
    expect(await get(adminPort!, "/readyz")).toEqual({ status: 200, text: "ok\n" });
    expect(await get(adminPort!, "/v1/models/half")).toMatchObject({ status: 404 });
    expect(await get(restPort!, METRICS)).toMatchObject({ status: 404 });
    expect(await get(restPort!, "/v1/config:reload", { method: "POST", body: text("half") })).toMatchObject({
      status: 400,
    });
  });

  it("reloads over gRPC, which the gRPC port no longer does", async () => {
    const { adminPort, grpcPort } = await started();
    const inside = callerOf(adminPort!);
    const outside = callerOf(grpcPort!);
    await expect(outside.call(handleReloadConfigRequest, reloadOf("other"))).rejects.toMatchObject({
      code: UNIMPLEMENTED,
    });
    await inside.call(handleReloadConfigRequest, reloadOf("other"));
    const status = create(GetModelStatusRequestSchema, { modelSpec: { name: "other" } });
    const seen = await Promise.all([inside, outside].map((caller) => caller.call(getModelStatus, status)));
    for (const { modelVersionStatus } of seen) expect(modelVersionStatus).toHaveLength(1);
    expect(await inside.call(Health.method.check, create(HealthCheckRequestSchema, {}))).toMatchObject({
      status: 1,
    });
  });

  it("describes itself by reflection, which the gRPC port no longer does", async () => {
    const { adminPort, grpcPort } = await started();
    const reflect = async (port: number) => {
      const call = callerOf(port).client.makeBidiStreamRequest(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes.toString("latin1"),
      );
      call.write(Buffer.from([0x3a, 0x00]));
      call.end();
      const answer = await Promise.race([
        once(call, "data").then(([data]) => String(data)),
        once(call, "error").then(([error]) => (error as { code: number }).code),
      ]).catch((error: { code: number }) => error.code);
      call.on("error", () => undefined);
      return answer;
    };
    expect(await reflect(adminPort!)).toContain("tensorflow.serving.ModelService");
    expect(await reflect(grpcPort!)).toBe(UNIMPLEMENTED);
  });

  it("reloads over HTTP by the text of a configuration, and says what is wrong with others", async () => {
    const { adminPort, restPort } = await started();
    const post = (body: string) => get(adminPort!, "/v1/config:reload", { method: "POST", body });
    expect(await post(text("other"))).toEqual({ status: 200, text: "{}\n" });
    expect(await get(restPort!, "/v1/models/other")).toMatchObject({ status: 200 });
    for (const body of ["", "{", "model_config_list { nothing: 1 }", text("nobody")]) {
      const { status, text: answer } = await post(body);
      expect([400, 500], answer).toContain(status);
      expect(JSON.parse(answer)).toMatchObject({ error: expect.any(String), code: expect.any(String) });
    }
    expect(await post(" ".repeat(2 ** 20 + 1))).toMatchObject({ status: 413 });
    expect(await get(adminPort!, "/v1/config:reload")).toMatchObject({ status: 404 });
    const foreign = { method: "POST", body: text("half"), headers: { origin: "https://example.org" } };
    expect(await get(adminPort!, "/v1/config:reload", foreign)).toMatchObject({ status: 403 });
  });

  it("takes an administrator's key wherever keys are given", async () => {
    const { key, token } = newKey({ name: "on-call", scopes: ["admin"] }, new Date());
    const apiKeysFile = join(folder.path, "keys.json");
    writeFileSync(apiKeysFile, writeKeys([key]));
    const { adminPort } = await started({ apiKeysFile });
    const post = (headers: Record<string, string>) =>
      get(adminPort!, "/v1/config:reload", { method: "POST", body: text("half"), headers });
    expect(await post({})).toMatchObject({ status: 401 });
    expect(await post({ authorization: `Bearer ${token}` })).toMatchObject({ status: 200 });
    expect(await get(adminPort!, METRICS)).toMatchObject({ status: 200 });
    await expect(
      callerOf(adminPort!).call(handleReloadConfigRequest, reloadOf("half")),
    ).rejects.toMatchObject({ code: UNAUTHENTICATED });
  });

  it("listens on the loopback address, and takes requests that come byte by byte", async () => {
    const { adminPort } = await started();
    const socket = connect(adminPort!, "127.0.0.1");
    socket.setNoDelay(true);
    for (const character of "PUT /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") {
      socket.write(character);
      await new Promise((done) => setImmediate(done));
    }
    expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 200 /);
    const outside = connect(adminPort!, "::1");
    expect((await once(outside, "error").catch(() => ["refused"]))[0]).toBeDefined();
  });
});
