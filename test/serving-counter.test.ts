/** @file Variables that live on the server: TensorFlow Serving's counter, read, incremented and reset by its signatures. */
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import {
  PredictionService,
  PredictRequestSchema,
} from "../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { singleModelConfig } from "../src/serving/repository/model-config.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { type GrpcCaller, grpcCaller } from "./support/grpc-client.ts";
import { temporaryFolder } from "./support/photos.ts";
import { writeCounter } from "./support/saved-models.ts";

let server: RunningServer;
let caller: GrpcCaller;
const warned: string[] = [];

beforeAll(async () => {
  const folder = await temporaryFolder();
  await writeCounter(join(folder, "1"));
  server = await startServer({
    models: singleModelConfig("counter", folder),
    loader: savedModelLoader({ sessions: 2 }),
    log: { ...silentLog, warn: (line) => warned.push(line) },
    grpcPort: 0,
    restPort: 0,
  });
  caller = grpcCaller(`localhost:${server.grpcPort}`);
});

afterAll(async () => {
  caller[Symbol.dispose]();
  await server.close();
});

/** Over REST, which answers signatures without inputs as TensorFlow Serving does: not at all. */
async function ask(signature_name: string, inputs: unknown): Promise<unknown> {
  const response = await fetch(`http://localhost:${server.restPort}/v1/models/counter:predict`, {
    method: "POST",
    body: JSON.stringify({ signature_name, inputs }),
  });
  const body = (await response.json()) as { outputs?: unknown; error?: string };
  return body.outputs ?? body.error;
}

async function call(signatureName: string): Promise<number> {
  const request = create(PredictRequestSchema, { modelSpec: { name: "counter", signatureName } });
  const { outputs } = await caller.call(PredictionService.method.predict, request);
  return outputs.output!.floatVal[0]!;
}

describe("a variable of a served model", () => {
  it("keeps its value from request to request, for all signatures", async () => {
    expect(await call("get_counter")).toBe(0);
    expect(await call("incr_counter")).toBe(1);
    expect(await call("incr_counter")).toBe(2);
    expect(await ask("incr_counter_by", { delta: 4.5 })).toBe(6.5);
    expect(await ask("incr_counter_by", 3)).toBe(9.5);
    expect(await call("get_counter")).toBe(9.5);
    expect(await call("reset_counter")).toBe(0);
    expect(await call("get_counter")).toBe(0);
  });

  it("loses no increment of many at once", async () => {
    await call("reset_counter");
    const values = await Promise.all(Array.from({ length: 40 }, () => call("incr_counter")));
    expect(new Set(values).size).toBe(40);
    expect(await call("get_counter")).toBe(40);
  });

  it("takes no value of another shape", async () => {
    await call("reset_counter");
    expect(await ask("incr_counter_by", { delta: [1] })).toContain("delta");
    expect(await call("get_counter")).toBe(0);
  });

  it("is not changed in an order that cannot be read", async () => {
    await expect(call("hidden_change")).rejects.toMatchObject({ code: 12 });
    const text = expect.stringContaining(
      "signature hidden_change cannot run: incr (AssignAdd) changes a variable",
    );
    expect(warned).toEqual([text]);
    const status = await fetch(`http://localhost:${server.restPort}/v1/models/counter`);
    expect(await status.json()).toMatchObject({
      model_version_status: [{ state: "AVAILABLE", status: { error_code: "OK", error_message: text } }],
    });
    expect(await call("get_counter")).toBe(0);
  });
});
