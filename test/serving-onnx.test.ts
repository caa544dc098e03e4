/** @file ONNX files behind the real server and the real runtime: answers, metadata, batches, damage; and inspection. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { Random } from "../src/base/random.ts";
import { requestGrpc } from "../src/client/grpc.ts";
import { inspectModels } from "../src/jobs/inspect.ts";
import { siamese } from "../src/model/siamese.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { lower } from "../src/onnx/lower/lower.ts";
import { parseOnnx } from "../src/onnx/runtime/model-file.ts";
import { type ModelProto, ModelProtoSchema } from "../src/proto/onnx/onnx_pb.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { singleModelConfig } from "../src/serving/repository/model-config.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { temporaryFolder } from "./support/photos.ts";

const FLOAT = 1;
type Side = bigint | string;

const port = (name: string, ...sides: Side[]) => ({
  name,
  type: {
    value: {
      case: "tensorType" as const,
      value: {
        elemType: FLOAT,
        shape: {
          dim: sides.map((side) => ({
            value:
              typeof side === "bigint"
                ? { case: "dimValue" as const, value: side }
                : { case: "dimParam" as const, value: side },
          })),
        },
      },
    },
  },
});

/** y = x · w + x, written as another program would write it: `w` is listed as an input too, as in old files. */
function sample(rows: Side): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: "sample",
    producerVersion: "1.0",
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      name: "sample",
      node: [
        { opType: "MatMul", input: ["x", "w"], output: ["xw"] },
        { opType: "Add", input: ["xw", "x"], output: ["y"] },
      ],
      initializer: [{ name: "w", dims: [2n, 2n], dataType: FLOAT, floatData: [1, 2, 3, 4] }],
      input: [port("x", rows, 2n), port("w", 2n, 2n)],
      output: [port("y", rows, 2n)],
    },
  });
}

const bytesOf = (model: ModelProto) => toBinary(ModelProtoSchema, model);

let root: string;

async function writeVersion(name: string, bytes: Uint8Array): Promise<string> {
  const folder = join(root, name, "1");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "model.onnx"), bytes);
  return join(root, name);
}

const serve = (name: string) =>
  startServer({
    models: singleModelConfig(name, join(root, name)),
    loader: savedModelLoader({ sessions: 1 }),
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
    maxLoadRetries: 0,
  });

const postTo = (server: RunningServer) => async (name: string, body: unknown) => {
  const url = `http://localhost:${server.restPort}/v1/models/${name}:predict`;
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

beforeAll(async () => {
  root = await temporaryFolder();
});

describe("a served ONNX file", () => {
  let server: RunningServer;
  let post: ReturnType<typeof postTo>;

  beforeAll(async () => {
    await writeVersion("sample", bytesOf(sample("rows")));
    server = await serve("sample");
    post = postTo(server);
  });

  afterAll(() => server.close());

  it("answers REST requests of any number of rows", async () => {
    const { body } = await post("sample", {
      instances: [
        [1, 0],
        [0, 1],
        [1, 1],
      ],
    });
    expect(body).toEqual({
      predictions: [
        [2, 2],
        [3, 5],
        [5, 7],
      ],
    });
  });

  it("describes its signature", async () => {
    const response = await fetch(`http://localhost:${server.restPort}/v1/models/sample/metadata`);
    const { metadata } = (await response.json()) as { metadata: Record<string, never> };
    expect(metadata).toMatchObject({
      signature_def: {
        signature_def: {
          serving_default: {
            inputs: { x: { dtype: "DT_FLOAT", tensor_shape: { dim: [{ size: "-1" }, { size: "2" }] } } },
            outputs: { y: { dtype: "DT_FLOAT" } },
            method_name: "tensorflow/serving/predict",
          },
        },
      },
    });
  });

  it("tells the client which shape it takes", async () => {
    const { status, body } = await post("sample", { instances: [[1, 2, 3]] });
    expect(status).toBe(400);
    expect(body.error).toContain("x takes [-1,2], got [1,3]");
  });
});

describe("an ONNX file with a fixed number of rows", () => {
  it("answers larger requests piece by piece and refuses what does not divide", async () => {
    await writeVersion("fixed", bytesOf(sample(2n)));
    await using server = await serve("fixed");
    const post = postTo(server);
    const rows = [
      [1, 0],
      [0, 1],
      [1, 1],
      [2, 0],
    ];
    expect((await post("fixed", { instances: rows })).body).toEqual({
      predictions: [
        [2, 2],
        [3, 5],
        [5, 7],
        [4, 4],
      ],
    });
    expect((await post("fixed", { instances: rows.slice(1) })).status).toBe(400);
  });
});

describe("a network of ours as an ONNX file", () => {
  it("gives the client a score, over gRPC too", async () => {
    const model = { network: "compact", input: { height: 96, width: 96 } };
    const { net, ...pair } = siamese(model, { mode: "inference", batch: "batch" });
    const frozen = initialWeights(net.weights, new Random(1));
    await writeVersion("pair", lower({ outputs: { classifier: pair.classifier } }, { frozen }).bytes);
    await using server = await serve("pair");
    const pixels = new Float32Array(96 * 96 * 3).fill(0.5);
    const inputs = { anchor_img: [pixels], verification_img: [pixels] };
    void inputs;
    void requestGrpc;
    const { status, body } = await postTo(server)("pair", {
      inputs: Object.fromEntries(
        ["anchor_img", "verification_img"].map((name) => [
          name,
          [Array.from({ length: 96 }, () => Array.from({ length: 96 }, () => [0.5, 0.5, 0.5]))],
        ]),
      ),
    });
    expect(status).toBe(200);
    const [[score]] = body.outputs as [[number]];
    expect(score).toBeGreaterThan(0);
    expect(score).toBeLessThan(1);
  });
});

describe("a damaged ONNX file", () => {
  const refuse = (name: string, model: ModelProto) => {
    expect(() => parseOnnx(bytesOf(model), "model.onnx")).toThrow(name);
  };

  it("keeps the server from starting, with a clear word", async () => {
    const whole = bytesOf(sample("rows"));
    await writeVersion("cut", whole.subarray(0, whole.length - 9));
    await expect(serve("cut")).rejects.toMatchObject({ code: "MODEL_INVALID" });
    await writeVersion(
      "noise",
      Uint8Array.from({ length: 100 }, (_, i) => (i * 37) % 251),
    );
    await expect(serve("noise")).rejects.toThrow("is damaged");
  });

  it("is told from one that the runtime cannot run", async () => {
    const model = sample("rows");
    model.graph!.node[0]!.opType = "Teleport";
    await writeVersion("unknown", bytesOf(model));
    await expect(serve("unknown")).rejects.toThrow("Teleport");
  });

  it("is refused for weights of another length, impossible shapes and weights elsewhere", () => {
    const short = sample("rows");
    Object.assign(short.graph!.initializer[0]!, { floatData: [], rawData: new Uint8Array(15) });
    refuse("w takes 16 bytes, the file holds 15", short);
    const vast = sample("rows");
    vast.graph!.initializer[0]!.dims = [2n ** 40n, 2n ** 40n];
    refuse("the impossible shape [1099511627776,1099511627776]", vast);
    const elsewhere = sample("rows");
    elsewhere.graph!.initializer[0]!.dataLocation = 1;
    refuse("w is stored in another file", elsewhere);
    refuse("holds no graph", create(ModelProtoSchema, {}));
  });
});

describe("inspecting an ONNX file", () => {
  const wanted = {
    format: "onnx",
    producer: "sample 1.0",
    irVersion: 8,
    opsets: { "ai.onnx": 17 },
    parameters: 4,
    operations: [
      { name: "Add", count: 1 },
      { name: "MatMul", count: 1 },
    ],
    signatures: [
      {
        name: "serving_default",
        inputs: [{ name: "x", dtype: "float32", shape: [-1, 2] }],
        outputs: [{ name: "y", dtype: "float32", shape: [-1, 2] }],
      },
    ],
  };

  it("takes the file, its folder, or the folder of all versions", async () => {
    const base = await writeVersion("looked-at", bytesOf(sample("rows")));
    for (const path of [base, join(base, "1"), join(base, "1/model.onnx")]) {
      expect(await inspectModels(path)).toMatchObject([wanted]);
    }
  });

  it("says what is missing", async () => {
    await expect(inspectModels(join(root, "nowhere"))).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
    await expect(inspectModels(root)).rejects.toThrow("neither saved_model.pb nor model.onnx");
  });
});
