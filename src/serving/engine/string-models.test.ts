/** @file Models of strings that TensorFlow wrote, over both protocols: tables from a file and from constants. */
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grpcCaller } from "../../../test/support/grpc-client.ts";
import { textsOf } from "../../../test/support/recorded-cases.ts";
import { silentLog } from "../../base/log.ts";
import { tensor } from "../../base/tensor.ts";
import { ModelServerConfigSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import {
  PredictionService,
  PredictRequestSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorFromProto, tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import { savedModelLoader } from "../repository/loader.ts";
import { type RunningServer, startServer } from "../server.ts";

const GOLDEN = join(import.meta.dirname, "../../../test/golden/tensorflow");
const NAMES = ["file_tables", "string_lookup", "string_lookup_known"];
const encode = (text: string) => new TextEncoder().encode(text);

let server: RunningServer;
beforeAll(async () => {
  const config = NAMES.map((name) => ({ name, basePath: join(GOLDEN, name), modelPlatform: "tensorflow" }));
  server = await startServer({
    models: create(ModelServerConfigSchema, {
      config: { case: "modelConfigList", value: { config } },
    }),
    loader: savedModelLoader({ sessions: 1 }),
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
  });
});
afterAll(() => server.close());

async function ask(name: string, body: object): Promise<unknown> {
  const response = await fetch(`http://localhost:${server.restPort}/v1/models/${name}:predict`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return response.json();
}

describe("a model of strings", () => {
  it("takes and gives strings over REST, as text and as base64", async () => {
    expect(await ask("file_tables", { inputs: { word: ["c", "x"], line: [1, -5] } })).toEqual({
      outputs: { number: [123456789012, -7], text: ["b -2", "none"], float: [-1, 2.5], size: [3, 3] },
    });
    const b64 = Buffer.from("äpfel").toString("base64");
    expect(await ask("string_lookup", { instances: [["pear"], [{ b64 }], ["nothing"], [""]] })).toEqual({
      predictions: [[3], [5], [1], [0]],
    });
  });

  it("takes and gives strings over gRPC", async () => {
    using caller = grpcCaller(`localhost:${server.grpcPort}`);
    const word = tensorToProto(tensor("string", [2], ["a", "?"].map(encode)));
    const line = tensorToProto(tensor("int64", [2], BigInt64Array.of(0n, 9n)));
    const request = create(PredictRequestSchema, {
      modelSpec: { name: "file_tables" },
      inputs: { word, line },
    });
    const { outputs } = await caller.call(PredictionService.method.predict, request);
    expect(textsOf(tensorFromProto(outputs.text!))).toEqual(["a 4", "none"]);
    expect(tensorFromProto(outputs.number!)).toEqual(tensor("int64", [2], BigInt64Array.of(4n, -7n)));
  });

  it("refuses words outside of a vocabulary that has no index for them", async () => {
    expect(await ask("string_lookup_known", { instances: [["pear"]] })).toEqual({ predictions: [[1]] });
    expect(await ask("string_lookup_known", { instances: [["pear"], ["nothing"]] })).toMatchObject({
      error: expect.stringContaining("The model cannot run on these inputs"),
    });
  });

  it("refuses strings that the engine would read as others", async () => {
    const b64 = Buffer.of(0xe4).toString("base64");
    expect(await ask("string_lookup", { instances: [[{ b64 }]] })).toEqual({
      error: "The model cannot run on these inputs: string 0 is not UTF-8",
    });
    expect(await ask("string_lookup", { instances: [["pear\0"]] })).toEqual({
      error: "The model cannot run on these inputs: string 0 holds a zero byte",
    });
  });
});
