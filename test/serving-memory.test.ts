/** @file Requests' tensors in memory that is used again: nobody writes to it while a run still reads it. */
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { float32, floats, type Tensor } from "../src/base/tensor.ts";
import { input, mul } from "../src/graph/build.ts";
import {
  PredictionService,
  type PredictRequest,
  PredictRequestSchema,
} from "../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorFromProto, tensorToProto } from "../src/savedmodel/format/tensor-proto.ts";
import { writeSavedModel } from "../src/savedmodel/write/write.ts";
import { defaultBatchOptions } from "../src/serving/batching/options.ts";
import type { ModelLoader } from "../src/serving/engine/servable.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { singleModelConfig } from "../src/serving/repository/model-config.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { grpcCaller } from "./support/grpc-client.ts";
import { temporaryFolder } from "./support/photos.ts";
import { halfPlusTwo, modelFolder } from "./support/servables.ts";

const WIDTH = 1500;

function row(first: number): Tensor {
  return float32(
    [1, WIDTH],
    Array.from({ length: WIDTH }, (_, i) => first + i),
  );
}

const json = (first: number) => JSON.stringify({ inputs: { x: [[...floats(row(first))]] } });

function message(first: number, alias = "x"): PredictRequest {
  return create(PredictRequestSchema, {
    modelSpec: { name: "m" },
    inputs: { [alias]: tensorToProto(row(first), { asContent: true }) },
  });
}

function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** y = x / 2 + 2 as ever, but rows that begin with 1000 wait at a gate and are looked at again behind it. */
function gated() {
  const gate = withResolvers<void>();
  const entered = withResolvers<void>();
  const looked = withResolvers<boolean>();
  const places = new Set<ArrayBufferLike>();
  const loader: ModelLoader = async (_folder, id) => {
    const model = halfPlusTwo(id);
    return {
      ...model,
      run: async (signature, inputs, outputs) => {
        const x = floats(inputs.get("x")!);
        places.add(x.buffer);
        if (x[0] === 1000) {
          entered.resolve();
          await gate.promise;
          looked.resolve(x.every((value, i) => value === 1000 + i));
        }
        return model.run(signature, inputs, outputs);
      },
    };
  };
  return { gate, entered: entered.promise, looked: looked.promise, places, loader };
}

type Leave = (server: RunningServer, entered: Promise<void>) => Promise<void>;

const post = (port: number, body: string) =>
  fetch(`http://localhost:${port}/v1/models/m:predict`, { method: "POST", body });

/** Ways to be gone while the run goes on. */
const LEAVING: readonly (readonly [string, Leave])[] = [
  [
    "a REST request whose time is over",
    async ({ restPort }) => {
      expect((await post(restPort!, json(1000))).status).toBe(504);
    },
  ],
  [
    "a REST client that hangs up",
    async ({ restPort }, entered) => {
      const request = httpRequest({
        port: restPort,
        method: "POST",
        path: "/v1/models/m:predict",
        agent: false,
      });
      request.on("error", () => undefined);
      request.end(json(1000));
      await entered;
      request.destroy();
      await new Promise((resolve) => request.once("close", resolve));
    },
  ],
  [
    "a gRPC call whose deadline is over",
    async ({ grpcPort }) => {
      using caller = grpcCaller(`localhost:${grpcPort}`);
      const options = { deadline: Date.now() + 500 };
      const { method } = PredictionService;
      await expect(caller.call(method.predict, message(1000), options)).rejects.toMatchObject({ code: 4 });
    },
  ],
];

describe.each([["in batches", { ...defaultBatchOptions(2) }] as const, ["one by one", false] as const])(
  "memory of requests run %s",
  (_, batching) => {
    it.each(LEAVING)("stays as it is for %s", async (__, leave) => {
      await using folder = await modelFolder();
      await folder.add("m", 1, "half_plus_two");
      const { gate, entered, looked, places, loader } = gated();
      await using server = await startServer({
        models: singleModelConfig("m", join(folder.path, "m")),
        loader,
        log: silentLog,
        grpcPort: 0,
        restPort: 0,
        rest: { timeoutMs: 1000 },
        batching,
        warmup: false,
        maxLoadRetries: 0,
      });
      await leave(server, entered);
      await entered;
      using caller = grpcCaller(`localhost:${server.grpcPort}`);
      for (let i = 0; i < 8; i++) {
        const body = (await (await post(server.restPort!, json(i))).json()) as { outputs: number[][] };
        expect(body.outputs[0]).toEqual([...floats(row(i))].map((value) => value / 2 + 2));
        const { outputs } = await caller.call(PredictionService.method.predict, message(i));
        const told = floats(tensorFromProto(outputs.y!));
        expect([...told]).toEqual([...floats(row(i))].map((value) => value / 2 + 2));
      }
      gate.resolve();
      expect(await looked).toBe(true);
      // One piece for the request that left, one for all the others.
      expect([...places].every((place) => place instanceof SharedArrayBuffer)).toBe(true);
      expect(places.size).toBe(2);
    });
  },
);

describe("the engine's threads", () => {
  it("read each request's own numbers, together or alone, and JSON of many rows comes out whole", async () => {
    const root = await temporaryFolder();
    const x = input("x", ["batch", WIDTH]);
    const signatures = { serving_default: { inputs: { x }, outputs: { square: mul(x, x), same: x } } };
    await writeSavedModel(join(root, "m/1"), { signatures, parameters: new Map() });
    await using server = await startServer({
      models: singleModelConfig("m", join(root, "m")),
      loader: savedModelLoader({ sessions: 2 }),
      log: silentLog,
      grpcPort: 0,
      restPort: 0,
      maxLoadRetries: 0,
    });
    using caller = grpcCaller(`localhost:${server.grpcPort}`);
    const ask = async (first: number) => {
      const { outputs } = await caller.call(PredictionService.method.predict, message(first));
      return [floats(tensorFromProto(outputs.square!)), floats(tensorFromProto(outputs.same!))] as const;
    };
    const clients = Array.from({ length: 12 }, async (_, client) => {
      for (let turn = 0; turn < 10; turn++) {
        const [square, same] = await ask(client * 10 + turn);
        const wanted = floats(row(client * 10 + turn));
        expect(same).toEqual(wanted);
        expect(square).toEqual(wanted.map((value) => value * value));
      }
    });
    await Promise.all(clients);
    const rows = Array.from({ length: 20 }, (_, i) => ({ x: [...floats(row(i))] }));
    const answer = await post(server.restPort!, JSON.stringify({ instances: rows }));
    const { predictions } = (await answer.json()) as { predictions: { same: number[] }[] };
    expect(predictions.map(({ same }) => same)).toEqual(rows.map((each) => each.x));
  });
});
