/** @file The access log: a line for each request of both protocols, whatever clients send, and where it cannot be written. */
import { EventEmitter, once } from "node:events";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { grpcCaller } from "../../../test/support/grpc-client.ts";
import { loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import { silentLog } from "../../base/log.ts";
import { float32, floats } from "../../base/tensor.ts";
import {
  PredictionService,
  PredictRequestSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import { newKey, writeKeys } from "../access/keys.ts";
import type { ModelLoader } from "../engine/servable.ts";
import { singleModelConfig } from "../repository/model-config.ts";
import { type RunningServer, type ServerOptions, startServer } from "../server.ts";
import { AccessLog, accessLine } from "./access-log.ts";
import { traceOf, traceText } from "./trace.ts";

let folder: ModelFolder;
let server: RunningServer | undefined;
let file: string;
let count = 0;

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 1, "half_plus_two");
  await folder.add("sleeper", 1, "sleeper");
  return () => folder[Symbol.asyncDispose]();
});

afterEach(async () => {
  await server?.close(1000);
  server = undefined;
});

async function started(options: Partial<ServerOptions> = {}, model = "half"): Promise<RunningServer> {
  file = join(folder.path, `access-${count++}.log`);
  server = await startServer({
    models: singleModelConfig(model, join(folder.path, model)),
    loader: loadProgram,
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
    bindAddress: "127.0.0.1",
    maxLoadRetries: 0,
    accessLog: file,
    ...options,
  });
  return server;
}

/** The lines when the server has closed. */
async function lines(): Promise<Record<string, unknown>[]> {
  await server?.close(1000);
  server = undefined;
  const text = readFileSync(file, "utf8");
  expect(text).toMatch(/^(?:[\x20-\x7e]+\n)*$/);
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const post = (path: string, headers: Record<string, string> = {}, body = '{"instances": [1]}') =>
  fetch(`http://127.0.0.1:${server!.restPort}${path}`, { method: "POST", headers, body });

const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("the access log", () => {
  it("has a line for each request, with key, trace and sizes, and no secret", async () => {
    const { key, token } = newKey({ name: "app", scopes: ["predict"] }, new Date());
    const apiKeysFile = join(folder.path, "keys.json");
    writeFileSync(apiKeysFile, writeKeys([key]));
    const { grpcPort } = await started({ apiKeysFile, requireApiKey: true });
    const authorization = `Bearer ${token}`;
    const answer = await post("/v1/models/half:predict", {
      authorization,
      traceparent: TRACE,
      "x-request-id": "a-1",
    });
    expect(answer.headers.get("traceparent")).toMatch(
      /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad)[0-9a-f]{16}-01$/,
    );
    await answer.text();
    await (await post(`/v1/models/half:predict?api_key=${token}`)).text();
    using caller = grpcCaller(`127.0.0.1:${grpcPort}`);
    const request = create(PredictRequestSchema, {
      modelSpec: { name: "half" },
      inputs: { x: tensorToProto(float32([1], [2])) },
    });
    await expect(caller.call(PredictionService.method.predict, request)).rejects.toMatchObject({ code: 16 });
    const metadata = new Metadata();
    metadata.set("authorization", authorization);
    metadata.set("traceparent", TRACE);
    await new Promise<void>((done) => {
      caller.client.makeUnaryRequest(
        "/tensorflow.serving.PredictionService/Predict",
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.from([0x0a, 0x06, 0x0a, 0x04, ...Buffer.from("half")]),
        metadata,
        () => done(),
      );
    });
    const written = await lines();
    expect(JSON.stringify(written)).not.toContain(token);
    const trace = "0af7651916cd43dd8448eb211c80319c";
    const common = {
      client: "127.0.0.1",
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      ms: expect.any(Number),
    };
    expect(written).toEqual([
      {
        ...common,
        protocol: "REST",
        method: "POST",
        route: "/v1/models/{model}:predict",
        model: "half",
        status: 200,
        bytesIn: 18,
        bytesOut: expect.any(Number),
        key: key.id,
        request: "a-1",
        trace,
      },
      expect.objectContaining({ route: "/v1/models/half:predict", status: 401 }),
      expect.objectContaining({ protocol: "gRPC", method: "Predict", status: 16, client: "127.0.0.1" }),
      expect.objectContaining({ method: "Predict", status: 3, model: "half", key: key.id, trace }),
    ]);
    expect(written[0]!.bytesOut).toBeGreaterThan(10);
    expect(written[1]).not.toHaveProperty("key");
  });

  it.each([
    ["ends of lines", "%0d%0a%7b%22status%22%3a200%7d"],
    ["terminal sequences", "%1b%5b2J%1b%5d0;x%07"],
    ["separators and directions", "%e2%80%a8%e2%80%ae%c2%9b"],
    ["what is no UTF-8", "%ff%fe%00"],
    ["many characters", "a".repeat(5000)],
  ])("stays one line of printable ASCII for names with %s", async (_, name) => {
    await started();
    await (await post(`/v1/models/${name}:predict`)).text();
    const [line, ...others] = await lines();
    expect(others).toEqual([]);
    expect(line).toMatchObject({ status: 404, route: "/v1/models/{model}:predict" });
    expect(String(line!.model).length).toBeLessThanOrEqual(257);
  });

  it.each([
    ["a trusted proxy names it", ["127.0.0.0/8"], "198.51.100.7"],
    ["nobody is trusted", undefined, "127.0.0.1"],
    ["another proxy is trusted", ["192.0.2.1"], "127.0.0.1"],
  ])(
    "has the client's address where %s, over both protocols, and rates count by it",
    async (_, networks, client) => {
      const trustedProxies = networks && ({ networks, header: "x-forwarded-for" } as const);
      const { grpcPort } = await started({
        trustedProxies,
        rateLimit: 1,
        rateWindows: { requests: 3600, burst: 3600 },
      });
      const from = (address: string) =>
        post("/v1/models/half:predict", { "x-forwarded-for": `1.1.1.1, ${address}` }).then(
          (answer) => answer.status,
        );
      const metadata = new Metadata();
      metadata.set("x-forwarded-for", "1.1.1.1, 198.51.100.7");
      using caller = grpcCaller(`127.0.0.1:${grpcPort}`);
      const bytes = (message: Buffer) => message;
      const path = "/tensorflow.serving.ModelService/GetModelStatus";
      await new Promise<void>((done) => {
        caller.client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), metadata, () => done());
      });
      const others = ["198.51.100.8", "198.51.100.9", "198.51.100.10", "198.51.100.11"];
      const codes = await Promise.all(others.map(from));
      expect(codes.filter((code) => code === 429).length > 0).toBe(client === "127.0.0.1");
      const [first, ...rest] = await lines();
      expect(first).toMatchObject({ protocol: "gRPC", client });
      expect(new Set(rest.map((line) => line.client))).toEqual(
        new Set(client === "127.0.0.1" ? [client] : others),
      );
    },
  );

  it("has a line for a client that leaves before the answer", async () => {
    const events = new EventEmitter();
    const begun = once(events, "begun");
    // Answers when the line is there, however long that takes; the first run of a new model is none of a client.
    const loader: ModelLoader = async (place, id) => ({
      ...(await loadProgram(place, id)),
      run: async (_, inputs) => {
        if (floats(inputs.get("ms")!)[0] !== 500) return inputs;
        events.emit("begun");
        await once(events, "written");
        return inputs;
      },
    });
    await started({ loader }, "sleeper");
    const socket = connect(server!.restPort!, "127.0.0.1");
    const body = '{"signature_name": "serving_default", "inputs": 500}';
    socket.write(
      `POST /v1/models/sleeper:predict HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await begun;
    // A connection that is closed in order may be one whose client still waits for the answer.
    socket.resetAndDestroy();
    await vi.waitFor(() => expect(readFileSync(file, "utf8")).not.toBe(""), 60_000);
    events.emit("written");
    expect(await lines()).toEqual([expect.objectContaining({ status: 499, model: "sleeper" })]);
  });

  it("goes on in a new file when the one before was moved away", async () => {
    await started();
    await (await post("/v1/models/half:predict")).text();
    await vi.waitFor(() => expect(readFileSync(file, "utf8")).not.toBe(""), 10_000);
    renameSync(file, `${file}.1`);
    await (await post("/v1/models/half:predict")).text();
    expect(await lines()).toHaveLength(1);
    expect(existsSync(`${file}.1`)).toBe(true);
  });
});

const REQUEST = {
  at: 0,
  protocol: "REST",
  method: "GET",
  route: "/",
  model: "",
  status: 200,
  ms: 1,
  bytesIn: 0,
  bytesOut: 0,
  address: "",
  requestId: "r",
} as const;

describe("AccessLog", () => {
  it("refuses at the start what cannot be written", async () => {
    const place = join(folder.path, "a-folder");
    mkdirSync(place);
    await expect(AccessLog.open(place, silentLog)).rejects.toMatchObject({ code: "FILE_INVALID" });
    await expect(AccessLog.open(join(folder.path, "none/a.log"), silentLog)).rejects.toThrow(/cannot write/);
  });

  it.skipIf(!existsSync("/dev/full"))(
    "loses lines on a full disk, says so once, and never fails",
    async () => {
      const error = vi.fn();
      const log = await AccessLog.open("/dev/full", { ...silentLog, error });
      for (let i = 0; i < 3; i++) {
        log.add(REQUEST);
        await new Promise((done) => setTimeout(done, 250));
      }
      await log.close();
      expect(error).toHaveBeenCalledTimes(1);
      expect(JSON.stringify(error.mock.calls)).toContain("ENOSPC");
    },
  );

  it("writes what waits when it closes, in order", async () => {
    const place = join(folder.path, "closing.log");
    const log = await AccessLog.open(place, silentLog);
    for (let i = 0; i < 1000; i++) log.add({ ...REQUEST, status: i });
    await log.close();
    const statuses = readFileSync(place, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).status);
    expect(statuses).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it("escapes every character that is not printable ASCII", () => {
    const model = Array.from({ length: 0x3000 }, (_, i) => String.fromCharCode(i)).join("");
    for (let i = 0; i < model.length; i += 200) {
      const part = model.slice(i, i + 200);
      const line = accessLine({ ...REQUEST, model: part });
      expect(line).toMatch(/^[\x20-\x7e]+$/);
      expect(JSON.parse(line).model).toBe(part);
    }
  });
});

describe("traceOf", () => {
  it("passes a trace on with a span of its own", () => {
    const trace = traceOf(TRACE)!;
    expect(trace).toMatchObject({
      traceId: "0af7651916cd43dd8448eb211c80319c",
      parentId: "b7ad6b7169203331",
    });
    expect(traceText(trace)).toBe(`00-${trace.traceId}-${trace.spanId}-01`);
  });
  it.each([
    undefined,
    "",
    TRACE.toUpperCase(),
    TRACE.replace("00-", "ff-"),
    `${TRACE}-more`,
    TRACE.slice(0, -1),
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${"0".repeat(16)}-01`,
    `${TRACE}\n`,
  ])("refuses %j", (text) => expect(traceOf(text)).toBeUndefined());
  it("takes what a later version adds", () => {
    expect(traceOf(`${TRACE.replace("00-", "01-")}-more`)).toBeDefined();
  });
});
