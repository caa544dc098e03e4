/** @file What is compared: the engine with no server around it, and the server by each of its doors. */
import { availableParallelism } from "node:os";
import { float32 } from "../../src/base/tensor.ts";
import { defaultBatchOptions } from "../../src/serving/batch-options.ts";
import { BatchedServable } from "../../src/serving/batched-servable.ts";
import { BatchThreads } from "../../src/serving/batching.ts";
import { savedModelLoader } from "../../src/serving/loader.ts";
import type { ServerProcess } from "../../test/support/server-process.ts";
import { type BenchClient, restClient } from "./clients.ts";
import { grpcClient } from "./grpc-client.ts";
import { MODEL, type Requests, SIDE } from "./requests.ts";

/** One way to have a pair judged. */
export interface Subject {
  readonly name: string;
  /** The process whose time and memory count. */
  readonly pid: number;
  client(): Promise<BenchClient>;
}

/** The engine with the server's own batching and as many lanes, in this process. */
export async function engineSubject(
  folder: string,
  { floats }: Requests,
): Promise<Subject & AsyncDisposable> {
  const servable = await savedModelLoader()(folder, { name: MODEL, version: 1n });
  const cores = availableParallelism();
  const batched = new BatchedServable(servable, defaultBatchOptions(cores), new BatchThreads(cores));
  const shape = [1, SIDE, SIDE, 3];
  const inputs = new Map([
    ["anchor_img", float32(shape, floats[0])],
    ["verification_img", float32(shape, floats[1])],
  ]);
  return {
    name: "engine alone",
    pid: process.pid,
    client: async () => ({
      ask: async () => {
        await batched.run("serving_default", inputs, ["classifier"]);
      },
      [Symbol.dispose]: () => undefined,
    }),
    [Symbol.asyncDispose]: () => batched.close(),
  };
}

/** The server by each of its doors. */
export function serverSubjects({ pid, grpcPort, restPort }: ServerProcess, requests: Requests): Subject[] {
  return [
    { name: "gRPC, float tensors", pid, client: () => grpcClient(grpcPort, requests.grpc) },
    { name: "REST, JSON floats", pid, client: () => restClient(restPort, requests.json) },
    { name: "REST, two JPEGs in a form", pid, client: () => restClient(restPort, requests.form) },
    { name: "REST, two JPEGs as base64", pid, client: () => restClient(restPort, requests.base64) },
  ];
}
