/** @file A server whose world fails: threads that die, clients that leave, signals while requests are under way. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { float32 } from "../src/base/tensor.ts";
import { BatchingParametersSchema } from "../src/proto/tensorflow_serving/model_service_pb.ts";
import {
  PredictionService,
  PredictRequestSchema,
} from "../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorToProto } from "../src/savedmodel/format/tensor-proto.ts";
import { batchOptions } from "../src/serving/batching/options.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { singleModelConfig } from "../src/serving/repository/model-config.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { writeFaceModel } from "./support/face-model.ts";
import { grpcCaller } from "./support/grpc-client.ts";
import { temporaryFolder } from "./support/photos.ts";
import { loadProgram, type ModelFolder, modelFolder } from "./support/servables.ts";
import { serve } from "./support/server-process.ts";

interface Asked {
  readonly status: number;
  readonly body: string;
}

async function ask(port: number, body: string, model: string): Promise<Asked> {
  const request = httpRequest({ port, method: "POST", path: `/v1/models/${model}:predict`, agent: false });
  request.end(body);
  const [response] = await once(request, "response");
  return { status: response.statusCode, body: await textOf(response) };
}

describe("a thread that dies", () => {
  it("costs the requests it had; the others and later ones are answered", async () => {
    const workers: Worker[] = [];
    const notice = (worker: Worker) => workers.push(worker);
    process.on("worker", notice);
    const folder = await temporaryFolder();
    await writeFaceModel(join(folder, "face/1"));
    await using server = await startServer({
      models: singleModelConfig("face", join(folder, "face")),
      loader: savedModelLoader({ sessions: 2 }),
      log: silentLog,
      grpcPort: undefined,
      restPort: 0,
      batching: false,
    });
    process.off("worker", notice);
    const image = Array.from({ length: 96 }, () => Array.from({ length: 96 }, () => [0.5, 0.25, 0]));
    const body = JSON.stringify({ instances: [{ anchor_img: image, verification_img: image }] });
    const port = server.restPort!;
    const before = await ask(port, body, "face");
    expect(before.status).toBe(200);
    const answers = Array.from({ length: 12 }, () => ask(port, body, "face"));
    // The first answer says that both threads have work.
    await Promise.race(answers);
    const exit = new Promise((resolve) => workers[0]!.once("exit", resolve));
    // What no request is: the thread throws over it, between two runs. Ended within one, it would take the process along.
    workers[0]!.postMessage(undefined);
    await exit;
    const outcomes = await Promise.all(answers);
    const failed = outcomes.filter(({ status }) => status !== 200);
    expect(failed.length).toBeLessThan(12);
    for (const { status, body: text } of failed) {
      expect(status).toBe(500);
      expect(text).toBe('{\n    "error": "Internal error; the server\'s log says why."\n}');
    }
    const after = await Promise.all(Array.from({ length: 4 }, () => ask(port, body, "face")));
    expect(after).toEqual([before, before, before, before]);
  });
});

describe("a model that is busy", () => {
  let folder: ModelFolder;

  beforeAll(async () => {
    folder = await modelFolder();
    await folder.add("sleeper", 1, "sleeper");
  });

  afterAll(() => folder[Symbol.asyncDispose]());

  /** One request at a time, the next ones in a queue. */
  const busy = (maxEnqueuedBatches: number, timeoutMs = 30_000) =>
    startServer({
      models: singleModelConfig("sleeper", join(folder.path, "sleeper")),
      loader: loadProgram,
      log: silentLog,
      grpcPort: 0,
      restPort: 0,
      rest: { timeoutMs },
      metricsPath: "/metrics",
      batching: {
        ...batchOptions(create(BatchingParametersSchema, { maxBatchSize: 1n })),
        threads: 1,
        maxEnqueuedBatches,
      },
    });

  const page = async ({ restPort }: RunningServer) =>
    (await fetch(`http://localhost:${restPort}/metrics`)).text();

  async function untilRunning(server: RunningServer): Promise<void> {
    while (!(await page(server)).includes("wrapped_run_count{} 1\n")) await delay(5);
  }

  it("drops the work of a client that leaves", async () => {
    await using server = await busy(10);
    const port = server.restPort!;
    // Longer than a busy machine takes to send the next request and to give it up.
    const first = ask(port, '{"inputs": [3000]}', "sleeper");
    await untilRunning(server);
    const text = '{"inputs": [60000]}';
    const leaving = connect(port, "localhost");
    leaving.write(
      `POST /v1/models/sleeper:predict HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    while (!(await page(server)).includes('queue_depth{model_name="sleeper",version="1"} 1\n'))
      await delay(5);
    // A connection that is closed together with its request is half-closed: the client still waits.
    await delay(50);
    leaving.destroy();
    const last = ask(port, '{"inputs": [1]}', "sleeper");
    // Were the work of the one who left still done, the last one would wait for a minute and time out.
    expect((await Promise.all([first, last])).map(({ status }) => status)).toEqual([200, 200]);
    expect(await page(server)).toContain("wrapped_run_count{} 2\n");
  });

  it("says so at either door when its queue is full", async () => {
    await using server = await busy(1);
    const port = server.restPort!;
    const first = ask(port, '{"inputs": [600]}', "sleeper");
    await untilRunning(server);
    const second = ask(port, '{"inputs": [1]}', "sleeper");
    while (!(await page(server)).includes('queue_depth{model_name="sleeper",version="1"} 1\n'))
      await delay(5);
    const full =
      "The batch scheduling queue to which this task was submitted is full; currently 1 batches enqueued and " +
      "max_enqueued_batches is 1";
    expect(await ask(port, '{"inputs": [1]}', "sleeper")).toEqual({
      status: 503,
      body: `{\n    "error": "${full}"\n}`,
    });
    using caller = grpcCaller(`localhost:${server.grpcPort}`);
    const request = create(PredictRequestSchema, {
      modelSpec: { name: "sleeper" },
      inputs: { ms: tensorToProto(float32([1], [1])) },
    });
    await expect(caller.call(PredictionService.method.predict, request)).rejects.toMatchObject({
      code: 14,
      details: full,
    });
    expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200]);
  });

  it("tells who ran out of time in the queue from who ran out of it at work", async () => {
    await using server = await busy(10, 300);
    const port = server.restPort!;
    const first = ask(port, '{"inputs": [900]}', "sleeper");
    await untilRunning(server);
    const second = ask(port, '{"inputs": [1]}', "sleeper");
    expect(await Promise.all([first, second])).toEqual([
      { status: 504, body: '{\n    "error": "Timed out waiting for notification"\n}' },
      { status: 429, body: '{\n    "error": "Run() timeout exceeded while waiting in batching queue"\n}' },
    ]);
  });
});

describe.skipIf(process.platform === "win32")("a signal to faceid serve", () => {
  let flags: string[];

  beforeAll(async () => {
    const folder = await temporaryFolder();
    // Large enough that a request is still under way when the signal comes.
    await writeFaceModel(join(folder, "face/1"), { network: "faceid", side: 112 });
    flags = ["--model_name=face", `--model_base_path=${join(folder, "face")}`, "--lanes=1"];
  });

  /** A request of many pairs, and the moment its body has been sent. */
  async function largeRequest(port: number): Promise<{ answer: Promise<Asked> }> {
    const image = Array.from({ length: 112 }, () => Array.from({ length: 112 }, () => [0, 1, 0]));
    const row = JSON.stringify({ anchor_img: image, verification_img: image });
    const request = httpRequest({ port, method: "POST", path: "/v1/models/face:predict", agent: false });
    request.on("error", () => undefined);
    request.end(`{"instances": [${Array.from({ length: 40 }, () => row).join(",")}]}`);
    await once(request, "finish");
    const answer = once(request, "response").then(async ([response]) => ({
      status: response.statusCode,
      body: await textOf(response),
    }));
    return { answer };
  }

  it("lets it answer what is in flight, and end with 0", async () => {
    await using server = await serve(flags);
    const { answer } = await largeRequest(server.restPort);
    const exit = server.stop("SIGTERM");
    await server.until("finishing the requests in progress");
    // Nobody new is let in meanwhile.
    await expect(fetch(`http://localhost:${server.restPort}/healthz`)).rejects.toThrow();
    const { status, body } = await answer;
    expect(status).toBe(200);
    expect((JSON.parse(body) as { predictions: number[][] }).predictions).toHaveLength(40);
    expect(await exit).toBe(0);
  });

  it("ends it at once when it comes twice", async () => {
    await using server = await serve(flags);
    const { answer } = await largeRequest(server.restPort);
    const lost = answer.catch(() => "lost");
    const exit = server.stop("SIGTERM");
    await server.until("finishing the requests in progress");
    void server.stop("SIGTERM");
    expect(await exit).toBe(143);
    expect(await lost).toBe("lost");
  });
});

describe("the log of faceid serve", () => {
  it("is one JSON object a line where asked for, with the request's id", async () => {
    const folder = await temporaryFolder();
    await writeFaceModel(join(folder, "face/1"));
    process.env.FACEID_DEBUG = "1";
    await using server = await serve([
      "--model_name=face",
      `--model_base_path=${join(folder, "face")}`,
      "--log_format=json",
    ]);
    delete process.env.FACEID_DEBUG;
    const response = await fetch(`http://localhost:${server.restPort}/v1/models/face:predict`, {
      method: "POST",
      headers: { "x-request-id": "order-7" },
      body: JSON.stringify({ instances: [{ anchor_img: [1], verification_img: [1] }] }),
    });
    expect(response.status).toBe(400);
    expect(response.headers.get("x-request-id")).toBe("order-7");
    await server.until("a request failed");
    await server.stop();
    const lines = server.log
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.find(({ msg }) => msg === "a request failed")).toMatchObject({
      level: "debug",
      requestId: "order-7",
      target: "/v1/models/face:predict",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
  });
});
