/** @file The Open Inference Protocol by its published Python clients, of KServe and of Triton. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { silentLog } from "../../src/base/log.ts";
import { singleModelConfig } from "../../src/serving/repository/model-config.ts";
import { type RunningServer, startServer } from "../../src/serving/server.ts";
import { makeVenv, orUnavailable } from "../support/python-venv.ts";
import { loadProgram, type ModelFolder, modelFolder } from "../support/servables.ts";

const HERE = join(import.meta.dirname, "inference");
const execute = promisify(execFile);
const programs = await orUnavailable("KServe's and Triton's clients", () => makeVenv(HERE));

let folder: ModelFolder;
let server: RunningServer;

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 3, "half_plus_two");
  server = await startServer({
    models: singleModelConfig("half", `${folder.path}/half`),
    loader: loadProgram,
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
  });
});

afterAll(async () => {
  await server.close();
  await folder[Symbol.asyncDispose]();
});

async function ask(script: string): Promise<unknown> {
  const addresses = [server.restPort, server.grpcPort].map((port) => `localhost:${port}`);
  const { stdout } = await execute(`${programs}/python`, [join(HERE, script), ...addresses, "half"]);
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

const ALL_READY = [true, true, true];
/** Rows, runs and requests, and whether they took time. */
const COUNTS = [
  [2, 1, 1, true],
  [2, 1, 1, true],
];
const VALUES = [[2.5], [3]];

it.skipIf(typeof programs !== "string")("answers tritonclient over HTTP and gRPC", async () => {
  const told = { ready: ALL_READY, infer: VALUES, unloaded: false };
  expect(await ask("triton_client.py")).toEqual({
    http: { ...told, refused: "[404] Servable not found for request: Latest(none)" },
    json: VALUES,
    index: [{ name: "half", version: "3", state: "READY", reason: "" }],
    metadata: {
      name: "half",
      versions: ["3"],
      platform: "tensorflow_savedmodel",
      inputs: [{ name: "x", datatype: "FP32", shape: [-1, 1] }],
      outputs: [{ name: "y", datatype: "FP32", shape: [-1, 1] }],
    },
    config: [
      {
        name: "half",
        platform: "tensorflow_savedmodel",
        version_policy: { latest: { num_versions: 1 } },
        max_batch_size: 64,
        input: [{ name: "x", data_type: "TYPE_FP32", dims: [1] }],
        output: [{ name: "y", data_type: "TYPE_FP32", dims: [1] }],
        dynamic_batching: { preferred_batch_size: [], max_queue_delay_microseconds: 0 },
      },
      {
        name: "half",
        platform: "tensorflow_savedmodel",
        version_policy: { latest: { num_versions: 1 } },
        max_batch_size: 64,
        input: [{ name: "x", data_type: "TYPE_FP32", dims: ["1"] }],
        output: [{ name: "y", data_type: "TYPE_FP32", dims: ["1"] }],
        dynamic_batching: {},
      },
    ],
    counts: COUNTS,
    grpc: { ...told, refused: "[StatusCode.NOT_FOUND] Servable not found for request: Latest(none)" },
  });
});

it.skipIf(typeof programs !== "string")("answers kserve over HTTP and gRPC", async () => {
  const told = {
    ready: ALL_READY,
    infer: [
      ["9", VALUES],
      ["9", VALUES],
    ],
  };
  expect(await ask("kserve_client.py")).toEqual({ http: told, grpc: told });
});
