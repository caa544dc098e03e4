/** @file The systems under load: the engine without a server, and the server by each protocol and format. */
import { availableParallelism } from "node:os";
import { float32, type TensorMap, tensor } from "../../src/base/tensor.ts";
import { BatchedServable } from "../../src/serving/batching/batched-servable.ts";
import { BatchThreads } from "../../src/serving/batching/batcher.ts";
import { defaultBatchOptions } from "../../src/serving/batching/options.ts";
import { savedModelLoader } from "../../src/serving/repository/loader.ts";
import type { ServerProcess } from "../../test/support/server-process.ts";
import { type BenchClient, restClient } from "./clients.ts";
import { grpcClient } from "./grpc-client.ts";
import { MODEL, type Requests, SIDE } from "./requests.ts";

/** One way to verify a pair. */
export interface Subject {
  readonly name: string;
  /** Whether the pair is sent as image files, so that decoding is part of the model's work. */
  readonly isEncoded: boolean;
  /** The process whose time and memory count. */
  readonly pid: number;
  client(): Promise<BenchClient>;
}

/** The engine in this process, on floats and on files. */
export interface EngineSubjects extends AsyncDisposable {
  readonly floats: Subject;
  readonly files: Subject;
}

/** The engine in this process, with the server's batching and as many sessions. */
export async function engineSubjects(folder: string, { floats, files }: Requests): Promise<EngineSubjects> {
  const servable = await savedModelLoader()(folder, { name: MODEL, version: 1n });
  const cores = availableParallelism();
  const batched = new BatchedServable(servable, defaultBatchOptions(cores), new BatchThreads(cores));
  const shape = [1, SIDE, SIDE, 3];
  const pixels = new Map([
    ["anchor_img", float32(shape, floats[0])],
    ["verification_img", float32(shape, floats[1])],
  ]);
  const bytes = new Map([
    ["anchor_bytes", tensor("string", [1], [files[0]])],
    ["verification_bytes", tensor("string", [1], [files[1]])],
  ]);
  const subject = (name: string, isEncoded: boolean, signature: string, inputs: TensorMap): Subject => ({
    name,
    isEncoded,
    pid: process.pid,
    client: async () => ({
      ask: async () => {
        await batched.run(signature, inputs, ["classifier"]);
      },
      [Symbol.dispose]: () => undefined,
    }),
  });
  return {
    floats: subject("engine alone", false, "serving_default", pixels),
    files: subject("engine alone, two JPEGs", true, "verify_encoded", bytes),
    [Symbol.asyncDispose]: () => batched.close(),
  };
}

/** The server by each protocol and format. */
export function serverSubjects({ pid, grpcPort, restPort }: ServerProcess, requests: Requests): Subject[] {
  const rest = (name: string, isEncoded: boolean, request: Buffer): Subject => ({
    name,
    isEncoded,
    pid,
    client: () => restClient(restPort, request),
  });
  return [
    { name: "gRPC, float tensors", isEncoded: false, pid, client: () => grpcClient(grpcPort, requests.grpc) },
    rest("REST, JSON floats", false, requests.json),
    rest("REST, two JPEGs in a form", true, requests.form),
    rest("REST, two JPEGs as base64", true, requests.base64),
  ];
}
