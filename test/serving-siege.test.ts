/** @file One client against all: each request that once hurt a server, with the bound that it now keeps. Loopback only. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataType } from "../src/proto/tensorflow/tensor_pb.ts";
import {
  ModelServerConfigSchema,
  ModelService,
  ReloadConfigRequestSchema,
} from "../src/proto/tensorflow_serving/model_service_pb.ts";
import {
  askGrpc,
  askRest,
  contentOf,
  examplesOf,
  GZIP,
  manyStrings,
  packedList,
  predictOf,
  spaces,
} from "./support/attacks.ts";
import { grpcCaller } from "./support/grpc-client.ts";
import { temporaryFolder } from "./support/photos.ts";
import { writeHalfPlusTwo } from "./support/saved-models.ts";
import { type ServerProcess, serve, spawnServer } from "./support/server-process.ts";

const MEGABYTE = 2 ** 20;
const PREDICT = "PredictionService/Predict";
const PATH = "/v1/models/half:predict";
const EXHAUSTED = 8;
const METRICS = "/metrics";

let folder: string;
let server: ServerProcess;

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeHalfPlusTwo(join(folder, "half/1"));
  writeFileSync(join(folder, "monitoring"), `prometheus_config { enable: true path: "${METRICS}" }`);
  server = await serve([
    "--model_name=half",
    `--model_base_path=${join(folder, "half")}`,
    `--monitoring_config_file=${join(folder, "monitoring")}`,
    "--bind_address=127.0.0.1",
  ]);
});

afterAll(() => server[Symbol.asyncDispose]());

async function expectHealthy(): Promise<void> {
  expect(await askRest(server.restPort, PATH, '{"instances": [[2]]}')).toMatchObject({ status: 200 });
  const example = predictOf("half", contentOf(DataType.DT_FLOAT, [1, 1], 4));
  expect(await askGrpc(server.grpcPort, PREDICT, example)).toMatchObject({ status: 0 });
}

describe("messages over gRPC", () => {
  it.each([
    ["bool_val", DataType.DT_BOOL, 11, 30],
    ["int64_val", DataType.DT_INT64, 10, 30],
    ["int_val of a model that is not there", DataType.DT_INT32, 7, 30],
    ["a list of another type", DataType.DT_FLOAT, 16, 30],
  ])(
    "of a list of millions of values in some kilobytes are read in little memory: %s",
    async (_, dtype, list, millions) => {
      const message = gzipSync(predictOf("half", packedList(dtype, list, millions * 1_000_000)));
      const { status } = await askGrpc(server.grpcPort, PREDICT, message, { isGzip: true });
      expect([0, 3]).toContain(status);
      await expectHealthy();
    },
  );

  it("that inflate beyond the limit are refused", async () => {
    const message = gzipSync(Buffer.alloc(300 * MEGABYTE), { level: 1 });
    const told = await askGrpc(server.grpcPort, PREDICT, message, { isGzip: true });
    expect(told).toMatchObject({
      status: EXHAUSTED,
      message: expect.stringContaining("decompresses to a size"),
    });
    await expectHealthy();
  });

  it("without tensors may be 64 KB", async () => {
    const name = predictOf("n".repeat(70_000), Buffer.alloc(0));
    for (const method of ["PredictionService/GetModelMetadata", "ModelService/GetModelStatus"]) {
      expect(await askGrpc(server.grpcPort, method, name)).toMatchObject({ status: EXHAUSTED });
    }
  });

  it("of very many examples are answered, or refused when they hold millions of values", async () => {
    const regress = (count: number) =>
      askGrpc(server.grpcPort, "PredictionService/Regress", examplesOf("half", "regress_x_to_y", count));
    expect(await regress(50_000)).toMatchObject({ status: 0 });
    expect(await regress(600_000)).toMatchObject({ status: EXHAUSTED });
    await expectHealthy();
  });

  it("with long names of models leave one label in the metrics", async () => {
    for (let i = 0; i < 5; i++) {
      const name = predictOf(`${i}${"n".repeat(500_000)}`, contentOf(DataType.DT_FLOAT, [1, 1], 4));
      expect(await askGrpc(server.grpcPort, PREDICT, name)).toMatchObject({ status: 5 });
      expect((await askRest(server.restPort, `/v1/models/other${i}:predict`, "{}")).status).toBe(404);
    }
    const page = await (await fetch(`http://127.0.0.1:${server.restPort}${METRICS}`)).text();
    expect(page).toContain('model_name="(unknown)",status="NOT_FOUND"} 10');
    expect(page).not.toContain("other1");
    expect(page.length).toBeLessThan(50_000);
  });
});

describe("bodies over REST", () => {
  it("that inflate are held within the budget of all requests; others are answered", async () => {
    const body = spaces(100);
    const bombs = Promise.all(Array.from({ length: 20 }, () => askRest(server.restPort, PATH, body, GZIP)));
    for (let i = 0; i < 20; i++) await expectHealthy();
    const statuses = (await bombs).map(({ status }) => status);
    expect(statuses.filter((status) => status !== 400 && status !== 503)).toEqual([]);
    expect(statuses).toContain(503);
  });

  it.each([
    ["strings", manyStrings(600_000), 429, "more than 524288 strings"],
    ["lists in lists", gzipSync(Buffer.alloc(3_000_000, "[")), 429, "nests more than"],
    [
      "a name",
      gzipSync(`{"signature_name": "${"n".repeat(5_000_000)}", "instances": [1]}`),
      400,
      "TRUNCATED",
    ],
  ])("of %s are refused in a few words", async (_, body, status, text) => {
    const told = await askRest(server.restPort, PATH, body, GZIP);
    expect(told.status).toBe(status);
    expect(told.body).toContain(text);
    expect(told.body.length).toBeLessThan(20_000);
    await expectHealthy();
  });
});

const request = (body: string) =>
  `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

describe("connections", () => {
  it("whose client has closed its side are answered", async () => {
    const socket = connect({ port: server.restPort, host: "127.0.0.1", allowHalfOpen: true });
    socket.end(request('{"instances": [[2]]}'));
    expect(await textOf(socket)).toMatch(/^HTTP\/1.1 200 OK.*"predictions": \[\[3.0\]/s);
  });

  it("may carry fifty requests at once, without a warning", async () => {
    const socket = connect(server.restPort, "127.0.0.1");
    socket.write(request('{"instances": [[2]]}').repeat(50));
    let told = "";
    for await (const chunk of socket) {
      told += String(chunk);
      if (told.split("HTTP/1.1 200").length > 50) break;
    }
    expect(server.log).not.toContain("Warning");
  });
});

it.skipIf(process.platform !== "linux")("all of the above took a bounded amount of memory", () => {
  const [, kilobytes] = /^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))!;
  expect(Number(kilobytes) / 1024).toBeLessThan(1536);
});

describe("configurations", () => {
  it("that name a wrong folder are answered with that, and the next one is applied", async () => {
    using caller = grpcCaller(`127.0.0.1:${server.grpcPort}`);
    const reload = (models: Record<string, string>) =>
      caller.call(
        ModelService.method.handleReloadConfigRequest,
        create(ReloadConfigRequestSchema, {
          config: create(ModelServerConfigSchema, {
            config: {
              case: "modelConfigList",
              value: {
                config: Object.entries(models).map(([name, path]) => ({
                  name,
                  basePath: join(folder, path),
                  modelPlatform: "tensorflow",
                })),
              },
            },
          }),
        }),
      );
    mkdirSync(join(folder, "empty"));
    await expect(reload({ half: "half", wrong: "nowhere" })).rejects.toThrow("Could not find base path");
    await expect(reload({ half: "half", wrong: "empty" })).rejects.toThrow("version of servable wrong");
    await expect(reload({ half: "half", more: "half" })).resolves.toBeDefined();
    expect((await askRest(server.restPort, "/v1/models/more:predict", '{"instances": [[2]]}')).status).toBe(
      200,
    );
    await expectHealthy();
  });

  it("are read again while the first one waits for a folder", async () => {
    const file = join(folder, "models.config");
    const config = (path: string) =>
      `model_config_list { config { name: "half" base_path: "${join(folder, path)}" model_platform: "tensorflow" } }`;
    writeFileSync(file, config("nowhere"));
    await using late = await spawnServer([
      `--model_config_file=${file}`,
      "--model_config_file_poll_wait_seconds=1",
    ]);
    await late.until("Could not find base path");
    writeFileSync(file, config("half"));
    await late.until("Exporting HTTP/REST API");
  });
});

describe.skipIf(process.platform === "win32")("the folder of a model", () => {
  it.each([
    ["saved_model.pb", "pipe"],
    ["saved_model.pb", "/dev/zero"],
    ["assets.extra/faceid.json", "pipe"],
    ["assets.extra/tf_serving_warmup_requests", "/dev/zero"],
    ["model.onnx", "pipe"],
  ])("may not hold pipes and devices: %s as %s", async (name, what) => {
    const place = await temporaryFolder();
    mkdirSync(join(place, "m/1/assets.extra"), { recursive: true });
    if (name.startsWith("assets")) await writeHalfPlusTwo(join(place, "m/1"));
    const path = join(place, "m/1", name);
    if (what === "pipe") execFileSync("mkfifo", [path]);
    else symlinkSync(what, path);
    await using refused = await spawnServer([
      "--model_name=m",
      `--model_base_path=${join(place, "m")}`,
      "--max_num_load_retries=0",
    ]);
    expect(await refused.ended).not.toBe(0);
    expect(refused.log).toContain("it is a pipe or a device, a regular file is wanted");
  });
});

it.each(["text", "json"])("a reader of the log that ends does not end the server: %s", async (format) => {
  const bin = join(import.meta.dirname, "../bin/faceid.js");
  const flags = ["--model_name=half", `--model_base_path=${join(folder, "half")}`, `--log_format=${format}`];
  const ports = ["--port=0", `--rest_api_port=${server.restPort + 1000}`];
  const child = spawn(process.execPath, [bin, "serve", ...flags, ...ports], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, FACEID_DEBUG: "1" },
  });
  const ended = once(child, "exit");
  let log = "";
  for await (const chunk of child.stderr) {
    log += String(chunk);
    if (log.includes("Exporting")) break;
  }
  child.stderr.destroy();
  for (let i = 0; i < 5; i++) {
    expect((await askRest(server.restPort + 1000, PATH, '{"instances": [[2]]}')).status).toBe(200);
  }
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
});
