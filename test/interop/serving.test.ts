/** @file TensorFlow Serving's official Python client, and curl, against our running server with models TensorFlow wrote. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerProcess, serve } from "../support/server-process.ts";
import { type Conversation, openPython, temporaryFolder } from "./python-environment.ts";
import { CHOICES, ENCODINGS, EXAMPLES, INFERENCES, TENSORFLOW2, TYPES } from "./serving-cases.ts";
import { answer, type Call, type Case, failure, float, predict, spec, x } from "./serving-requests.ts";

const python = await openPython();
const execute = promisify(execFile);
const work = temporaryFolder("serving");
const models = join(work, "models");

let server: ServerProcess;
let client: Conversation;

const entry = (name: string, more = "") =>
  `config { name: "${name}" base_path: "${models}/${name}" model_platform: "tensorflow" ${more} }`;

beforeAll(async () => {
  if ("unavailable" in python) return;
  client = python.talk("serving_client.py");
  await client.ask({ write: models });
  const names = ["half_plus_two", "half_plus_three", "variables", "tensorflow2", "types", "slow"];
  const config = join(work, "models.config");
  writeFileSync(config, `model_config_list { ${names.map((name) => entry(name)).join("\n")} }`);
  const monitoring = join(work, "monitoring.config");
  writeFileSync(monitoring, "prometheus_config { enable: true }");
  server = await serve([
    `--model_config_file=${config}`,
    `--monitoring_config_file=${monitoring}`,
    `--grpc_socket_path=${join(work, "socket")}`,
    "--max_num_load_retries=0",
  ]);
});

afterAll(async () => {
  await client?.end();
  await server?.stop();
});

async function askAll(calls: readonly Call[], address = `localhost:${server.grpcPort}`): Promise<unknown[]> {
  const complete = calls.map((call) => ({ request: {}, ...call }));
  return (await client.ask({ address, calls: complete })) as unknown[];
}

const error = (message: string) => `{\n    "error": ${JSON.stringify(message)}\n}`;

/** Runs every case with one start of Python; each is then a test of its own. */
function cases(title: string, list: readonly Case[]): void {
  describe(title, () => {
    let outcomes: unknown[];
    beforeAll(async () => {
      outcomes = await askAll(list.map(([, call]) => call));
    });
    it.each(list.map(([what, , expected], index) => ({ what, expected, index })))("$what", (each) => {
      expect(outcomes[each.index]).toEqual(each.expected);
    });
  });
}

describe.skipIf("unavailable" in python)("the official client", () => {
  cases("predicts from every encoding of a tensor", ENCODINGS);
  cases("passes every element type through, as a list and as TensorFlow itself writes it", TYPES);
  cases("chooses outputs and versions", CHOICES);
  cases("classifies and regresses", EXAMPLES);
  cases("infers several things at once", INFERENCES);
  cases("asks a model as TensorFlow 2 saves it", TENSORFLOW2);

  it("reads metadata, status, health and reflection", async () => {
    const [metadata, status, ...others] = await askAll([
      { rpc: "GetModelMetadata", request: { ...spec("half_plus_two"), metadataField: ["signature_def"] } },
      { rpc: "GetModelStatus", request: spec("half_plus_two") },
      { rpc: "GetModelMetadata", request: spec("half_plus_two") },
      { rpc: "GetModelStatus", request: spec("nobody") },
      { rpc: "GetModelStatus", request: spec("half_plus_two", "", { version: "5" }) },
      { rpc: "Check" },
      { rpc: "Check", request: { service: "PredictionService" } },
      { rpc: "Check", request: { service: "nobody" } },
      { rpc: "reflect" },
    ]);
    expect(metadata).toMatchObject({
      response: {
        modelSpec: { name: "half_plus_two", version: "123" },
        metadata: {
          signature_def: {
            "@type": "type.googleapis.com/tensorflow.serving.SignatureDefMap",
            signatureDef: {
              regress_x_to_y: {
                inputs: {
                  inputs: { name: "tf_example:0", dtype: "DT_STRING", tensorShape: { unknownRank: true } },
                },
                outputs: { outputs: { name: "y:0", dtype: "DT_FLOAT" } },
                methodName: "tensorflow/serving/regress",
              },
            },
          },
        },
      },
    });
    expect(status).toEqual({
      response: { model_version_status: [{ version: "123", state: "AVAILABLE", status: {} }] },
    });
    expect(others).toEqual([
      failure("INVALID_ARGUMENT", "GetModelMetadataRequest must specify at least one metadata_field"),
      failure("NOT_FOUND", "Could not find any versions of model nobody"),
      failure("NOT_FOUND", "Could not find version 5 of model half_plus_two"),
      { response: { status: "SERVING" } },
      { response: { status: "SERVING" } },
      failure("NOT_FOUND", "unknown service"),
      {
        services: [
          "grpc.health.v1.Health",
          "grpc.reflection.v1.ServerReflection",
          "grpc.reflection.v1alpha.ServerReflection",
          "inference.GRPCInferenceService",
          "tensorflow.serving.ModelService",
          "tensorflow.serving.PredictionService",
        ],
        methods: ["Classify", "Regress", "Predict", "MultiInference", "GetModelMetadata"],
      },
    ]);
  });

  it("sends and gets large messages, and answers on a unix socket", async () => {
    const million = 4_000_000;
    const [large] = await askAll([predict(spec("half_plus_two"), { random: { x: [million, 1] } })]);
    expect(large).toEqual(answer({ y: { dtype: "float32", shape: [million, 1], values: null } }));
    const [local] = await askAll([predict(x({ floatVal: [2] }))], `unix:${join(work, "socket")}`);
    expect(local).toEqual(answer({ y: float([3], []) }));
  });

  it("gives up at a deadline and goes on with the next request", async () => {
    const count = 16 * 1024;
    const rows = { x: { dtype: "float32", shape: [count, 1], values: Array(count).fill(1) } };
    const [late, next] = await askAll([
      // Long enough to reach a busy server, and far shorter than the work.
      { ...predict(spec("slow"), { made: rows }), timeout: 0.5 },
      predict(spec("slow"), { made: { x: { ...rows.x, shape: [1, 1], values: [0] } } }),
    ]);
    expect(late).toMatchObject({ code: "DEADLINE_EXCEEDED" });
    expect(next).toMatchObject({ arrays: { y: { shape: [1, 1024] } } });
    // The server hears of it from its own clock or from the client, whichever is first.
    await expect
      .poll(() => curl("/monitoring/prometheus/metrics"), { timeout: 60_000 })
      .toMatch(
        /:tensorflow:serving:request_count\{model_name="slow",status="(DEADLINE_EXCEEDED|CANCELLED)"\} 1\n/,
      );
  });

  it.each<[string, string[], string]>([
    [
      "/v1/models/half_plus_two:predict",
      ["-d", '{"instances": [1.0, 2.0, 5.0]}'],
      '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}\n200',
    ],
    [
      "/v1/models/half_plus_three/versions/123:predict",
      ["-d", '{"inputs": {"x": [[1.0], [2.0]]}}'],
      `{
    "outputs": [
        [
            3.5
        ],
        [
            4.0
        ]
    ]
}
200`,
    ],
    [
      "/v1/models/half_plus_two:regress",
      ["-d", '{"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}, {"x": [4.0]}]}'],
      '{\n    "results": [3.0, 4.0]\n}\n200',
    ],
    [
      "/v1/models/half_plus_three:classify",
      ["-d", '{"signature_name": "classify_x_to_both", "context": {"x": 2.0}, "examples": [{}]}'],
      '{\n    "results": [[["", 4.0], ["", 5.0]]\n    ]\n}\n200',
    ],
    [
      "/v1/models/types:predict",
      ["-d", '{"signature_name": "float64", "inputs": [NaN, -Infinity, 0.1, 1e300, -0.0, 3]}'],
      `{
    "outputs": [
        NaN,
        -Infinity,
        0.1,
        1e+300,
        -0.0,
        3.0
    ]
}
200`,
    ],
    [
      "/v1/models/half_plus_two:predict",
      ["-d", ""],
      `${error("JSON Parse error: The document is empty")}\n400`,
    ],
    [
      "/v1/models/nobody:predict",
      ["-d", '{"instances": [1]}'],
      `${error("Servable not found for request: Latest(nobody)")}\n404`,
    ],
    [
      "/v1/models/half_plus_two:predict",
      [],
      `${error("Malformed request: GET /v1/models/half_plus_two:predict")}\n400`,
    ],
    ["/v1/models/half_plus_two", ["-I"], "\n400"],
    ["/v1/models/half_plus_two", ["-X", "OPTIONS", "-H", "Origin: http://elsewhere"], "\n200"],
  ])("curl %s %j", async (path, args, expected) => {
    const said = await curl(path, ...args);
    expect(args.includes("-I") ? said.slice(said.lastIndexOf("\n")) : said).toBe(expected);
  });

  it("curl shows status and metadata as TensorFlow Serving writes them", async () => {
    expect(await curl("/v1/models/half_plus_two")).toBe(`{
 "model_version_status": [
  {
   "version": "123",
   "state": "AVAILABLE",
   "status": {
    "error_code": "OK",
    "error_message": ""
   }
  }
 ]
}

200`);
    const metadata = await curl("/v1/models/half_plus_two/metadata");
    expect(JSON.parse(metadata.slice(0, metadata.lastIndexOf("\n")))).toMatchObject({
      model_spec: { name: "half_plus_two", signature_name: "", version: "123" },
      metadata: {
        signature_def: {
          signature_def: {
            classify_x_to_y: {
              inputs: {
                inputs: {
                  dtype: "DT_STRING",
                  tensor_shape: { dim: [], unknown_rank: true },
                  name: "tf_example:0",
                },
              },
              method_name: "tensorflow/serving/classify",
              defaults: {},
            },
          },
        },
      },
    });
  });

  /** Changes which models are served, so it comes last. */
  it("reloads the configuration", async () => {
    const config = (...configs: object[]): Call => ({
      rpc: "HandleReloadConfigRequest",
      request: { config: { modelConfigList: { config: configs } } },
    });
    const model = (name: string, more: object = {}) => ({
      name,
      basePath: `${models}/half_plus_two`,
      modelPlatform: "tensorflow",
      ...more,
    });
    const labelled = (label: string): Call =>
      predict({
        ...spec("half_plus_two", "", { versionLabel: label }),
        inputs: { x: { dtype: "DT_FLOAT", floatVal: [2] } },
      });
    const outcomes = await askAll([
      config(model("half_plus_two", { versionLabels: { stable: "123" } }), model("again")),
      labelled("stable"),
      labelled("canary"),
      predict({ ...spec("again"), inputs: { x: { dtype: "DT_FLOAT", floatVal: [2] } } }),
      predict(spec("types")),
      config(model("half_plus_two", { versionLabels: { stable: "7" } })),
      config(model("twice"), model("twice")),
      { rpc: "HandleReloadConfigRequest", request: { config: {} } },
      config(model("broken", { basePath: "relative" })),
      labelled("stable"),
    ]);
    expect(outcomes).toEqual([
      { response: { status: {} } },
      answer({ y: float([3], []) }),
      failure("INVALID_ARGUMENT", "Unrecognized servable version label: canary"),
      answer({ y: float([3], []) }, "again"),
      failure("NOT_FOUND", "Servable not found for request: Latest(types)"),
      failure(
        "FAILED_PRECONDITION",
        "Request to assign label to version 7 of model half_plus_two, which is not currently available for inference",
      ),
      failure("INVALID_ARGUMENT", "Illegal to list model twice multiple times in config list"),
      failure(
        "INVALID_ARGUMENT",
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported",
      ),
      failure(
        "INVALID_ARGUMENT",
        "Expected model broken to have an absolute path or URI; got base_path()=relative",
      ),
      answer({ y: float([3], []) }),
    ]);
  });
});

/** Runs curl; the answer's status stands at the end, on a line of its own. */
async function curl(path: string, ...args: string[]): Promise<string> {
  const url = `http://localhost:${server.restPort}${path}`;
  const { stdout } = await execute("curl", ["--silent", "--write-out", "\n%{http_code}", ...args, url]);
  return stdout;
}
