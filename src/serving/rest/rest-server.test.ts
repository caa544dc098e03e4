/** @file The REST interface on a real socket: routes, headers, limits and the status of every error. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { deflateSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import { silentLog } from "../../base/log.ts";
import { ModelServerConfigSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { JsonCodec } from "../json/codec.ts";
import { UNBOUNDED } from "../memory-budget.ts";
import { ServerMetrics } from "../metrics.ts";
import { ModelSwitch } from "../open-inference/models.ts";
import { Repository } from "../repository/repository.ts";
import { parseTextProto } from "../repository/text-proto.ts";
import type { RestOptions } from "./handler.ts";
import { type RestServer, type RestServerOptions, startRest } from "./rest-server.ts";

const LIMITS = {
  maxBodyBytes: 1 << 20,
  maxTotalBodyBytes: 4 << 20,
  requestTimeoutMs: 2000,
  maxConnections: 100,
};

let folder: ModelFolder;
let models: Repository;
let codec: JsonCodec;
const servers: RestServer[] = [];

async function serve(
  options: Partial<RestOptions> = {},
  more: Partial<RestServerOptions> = {},
): Promise<number> {
  const context = {
    catalog: models,
    modelSwitch: new ModelSwitch(models),
    codec,
    metrics: new ServerMetrics(),
    log: silentLog,
    options: { timeoutMs: 200, enableCors: false, listModels: true, acceptBinary: false, ...options },
  };
  const server = await startRest(context, { limits: LIMITS, budget: UNBOUNDED, ...more }, 0);
  servers.push(server);
  return server.port;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

/** A request whose target goes out exactly as it is written. */
async function ask(
  port: number,
  method: string,
  path: string,
  body?: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const request = httpRequest({ port, method, path, headers, agent: false });
  request.end(body);
  const [response] = await once(request, "response");
  return { status: response.statusCode, headers: response.headers, body: await textOf(response) };
}

const error = (message: string) => `{\n    "error": ${JSON.stringify(message)}\n}`;
let port: number;

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 123, "half_plus_two");
  await folder.add("two", 1, "two_inputs");
  await folder.add("sleeper", 1, "sleeper");
  models = new Repository({
    loader: loadProgram,
    log: silentLog,
    pollWaitSeconds: 0,
    maxLoadRetries: 0,
    loadRetryIntervalMs: 1,
    loadThreads: 0,
    allowLabelsForUnavailable: true,
  });
  const entries = ["half", "two", "sleeper"].map((name) => {
    const labels = name === "half" ? 'version_labels { key: "stable" value: 123 }' : "";
    return `config { name: "${name}" base_path: "${folder.path}/${name}" model_platform: "tensorflow" ${labels} }`;
  });
  await models.start(parseTextProto(ModelServerConfigSchema, `model_config_list { ${entries.join("\n")} }`));
  codec = new JsonCodec({ workers: 1, maxQueued: 4 });
  port = await serve();
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.close(100)));
  await codec[Symbol.asyncDispose]();
  await models[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

describe("predict", () => {
  it.each([
    "/v1/models/half:predict",
    "/V1/Models/half:PREDICT",
    "/v1/models/half/versions/123:predict",
    "/v1/models/half/versions/000123:predict",
    "/v1/models/half/labels/stable:predict",
    "/v1/models/%68alf/labels/st%61ble:predict",
  ])("POST %s", async (path) => {
    const answer = await ask(port, "POST", path, '{"instances": [1.0, 2.0, 5.0]}');
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(answer.body).toBe('{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}');
  });

  it("never looks at the content type", async () => {
    for (const type of ["image/png", "multipart/form-data", "nonsense", "application/json; charset=x"]) {
      const answer = await ask(port, "POST", "/v1/models/half:predict", '{"inputs": 1}', {
        "content-type": type,
      });
      expect(answer.body).toBe('{\n    "outputs": 2.5\n}');
    }
  });

  it("classifies and regresses examples", async () => {
    const examples = '{"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}], "context": {"z": [1]}}';
    expect((await ask(port, "POST", "/v1/models/half:classify", examples)).body).toBe(
      '{\n    "results": [[["", 3.0]]\n    ]\n}',
    );
    const regress = '{"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}, {"x": [4.0]}]}';
    expect((await ask(port, "POST", "/v1/models/half:regress", regress)).body).toBe(
      '{\n    "results": [3.0, 4.0]\n}',
    );
  });

  it.each<[string, string, number, string]>([
    ["half:predict", "", 400, "JSON Parse error: The document is empty"],
    ["nobody:predict", "", 400, "JSON Parse error: The document is empty"],
    ["nobody:predict", "{}", 404, "Servable not found for request: Latest(nobody)"],
    ["half/versions/7:predict", "{}", 404, "Servable not found for request: Specific(half, 7)"],
    ["half/labels/x:predict", "{}", 400, "Unrecognized servable version label: x"],
    [
      "half:predict",
      '{"signature_name": "no"}',
      400,
      'Serving signature name: "no" not found in signature def',
    ],
    ["half:predict", "{}", 400, "Missing 'inputs' or 'instances' key"],
    [
      "half:regress",
      '{"examples": [{}]}',
      400,
      "No regression inputs found in SignatureDef: inputs {x} outputs {y}",
    ],
    [
      "half:classify",
      '{"signature_name": "no", "examples": [{}]}',
      400,
      "No signature was found with the name: no",
    ],
    [
      "half:classify",
      "{}",
      400,
      "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
    ],
    [
      "half:regress",
      '{"examples": [{"x": [1, 2.5]}]}',
      400,
      "Unexpected element type in feature: x expecting type: int64",
    ],
    [
      "half:regress",
      '{"examples": [{"x": null}]}',
      400,
      "Feature: x has element with unexpected JSON type: Null",
    ],
    ["sleeper:predict", '{"inputs": 5000}', 504, "Timed out waiting for notification"],
  ])("POST %s %s: %i", async (path, body, status, message) => {
    const answer = await ask(port, "POST", `/v1/models/${path}`, body);
    expect(answer.body).toBe(error(message));
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toBe("application/json");
  });
});

describe("request ids", () => {
  const idFor = async (headers: Record<string, string>) =>
    (await ask(port, "POST", "/v1/models/half:predict", "{", headers)).headers["x-request-id"];

  it("are the client's own where they are usable, and made otherwise", async () => {
    expect(await idFor({ "x-request-id": "order-7" })).toBe("order-7");
    const made = [await idFor({}), await idFor({ "x-request-id": "two words" }), await idFor({})];
    for (const id of made) expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(new Set(made).size).toBe(3);
  });
});

describe("request lines", () => {
  it.each([
    ["GET", "/v1/models/half:predict"],
    ["POST", "/v1/models/half"],
    ["POST", "/v1/models/half:predict?x=1"],
    ["POST", "/v1/models/half:predict/"],
    ["POST", "/v1/models/half:explode"],
    ["POST", "/v1/models/half/version/1:predict"],
    ["POST", "/v1/models/half/versions/one:predict"],
    ["POST", "/v1/models/half/versions/1/labels/x:predict"],
    ["PUT", "/v1/models/half"],
    ["DELETE", "/v1/models/half"],
    ["PATCH", "/v1/anything"],
    ["GET", "/v1/"],
    ["GET", "/v1/models/half/"],
  ])("%s %s is malformed", async (method, path) => {
    const hasBody = !["GET", "DELETE"].includes(method);
    const answer = await ask(port, method, path, hasBody ? "{}" : undefined);
    expect(answer.body).toBe(error(`Malformed request: ${method} ${path}`));
    expect(answer.status).toBe(400);
  });

  it("answers HEAD like any wrong verb, without a body", async () => {
    expect(await ask(port, "HEAD", "/v1/models/half")).toMatchObject({ status: 400, body: "" });
  });

  it("answers a version that no number holds with an empty 400", async () => {
    const path = "/v1/models/half/versions/9223372036854775808";
    expect(await ask(port, "POST", `${path}:predict`, "{}")).toMatchObject({ status: 400, body: "" });
    expect(await ask(port, "GET", path)).toMatchObject({ status: 400, body: "" });
  });

  it("answers what is no URI with an HTML 400", async () => {
    for (const path of ["/v1/models/%zz:predict", "/%", '/v1/models/"a"', "/v1/models/{half}"]) {
      const answer = await ask(port, "GET", path);
      expect(answer.status).toBe(400);
      expect(answer.headers["content-type"]).toBe("text/html");
    }
  });

  it("decodes names byte by byte", async () => {
    const reserved = "%21%23%24%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D";
    expect((await ask(port, "POST", `/v1/models/${reserved}:predict`, "{}")).body).toBe(
      error("Servable not found for request: Latest(!#$&'()*+,/:;=?@[])"),
    );
    expect(await ask(port, "POST", "/v1/models/%ff:predict", "{}")).toMatchObject({
      status: 404,
      body: error("Servable not found for request: Latest(\ufffd)"),
    });
  });

  it("wants a model's name before a version or a label", async () => {
    for (const path of ["/v1/models/versions/1", "/v1/models/labels/stable/metadata"]) {
      expect(await ask(port, "GET", path)).toMatchObject({
        status: 400,
        body: error("Missing model name in request."),
      });
    }
  });

  it("answers everything outside /v1/ and /v2 with an HTML 404", async () => {
    for (const path of ["/", "/v1", "/v3/models", "/monitoring/prometheus/metrics", "/%20"]) {
      const answer = await ask(port, "GET", path);
      expect(answer.status).toBe(404);
      expect(answer.headers["content-type"]).toBe("text/html");
    }
  });

  it("answers preflights by their origin", async () => {
    const withOrigin = await ask(port, "OPTIONS", "/v1/models/half", undefined, { origin: "http://a" });
    expect(withOrigin).toMatchObject({ status: 200, body: "" });
    expect(withOrigin.headers["access-control-allow-origin"]).toBeUndefined();
    expect((await ask(port, "OPTIONS", "/v1/models/half")).status).toBe(400);
    const open = await serve({ enableCors: true });
    expect((await ask(open, "GET", "/v1/models/nobody")).headers).toMatchObject({
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "POST, GET",
      "access-control-allow-headers": "Content-Type",
    });
  });
});

describe("status and metadata", () => {
  it("tells how versions are doing", async () => {
    const answer = await ask(port, "GET", "/v1/models/half");
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(answer.body).toBe(
      `${JSON.stringify(
        {
          model_version_status: [
            { version: "123", state: "AVAILABLE", status: { error_code: "OK", error_message: "" } },
          ],
        },
        null,
        1,
      )}\n`,
    );
    expect((await ask(port, "GET", "/v1/models/half/labels/unknown")).status).toBe(200);
    expect((await ask(port, "GET", "/v1/models/half/versions/1")).body).toBe(
      error("Could not find version 1 of model half"),
    );
    expect(await ask(port, "GET", "/v1/models/nobody")).toMatchObject({
      status: 404,
      body: error("Could not find any versions of model nobody"),
    });
  });

  it("describes signatures", async () => {
    const answer = await ask(port, "GET", "/v1/models/half/metadata");
    const parsed = JSON.parse(answer.body);
    expect(parsed.model_spec).toEqual({ name: "half", signature_name: "", version: "123" });
    expect(parsed.metadata.signature_def.signature_def.serving_default).toEqual({
      inputs: {
        x: {
          dtype: "DT_FLOAT",
          tensor_shape: {
            dim: [
              { size: "-1", name: "" },
              { size: "1", name: "" },
            ],
            unknown_rank: false,
          },
          name: "x:0",
        },
      },
      outputs: { y: expect.anything() },
      method_name: "tensorflow/serving/predict",
      defaults: {},
    });
    expect((await ask(port, "GET", "/v1/models/half/labels/no/metadata")).status).toBe(400);
    expect((await ask(port, "GET", "/v1/models/half/versions/9/metadata")).body).toBe(
      error("Servable not found for request: Specific(half, 9)"),
    );
  });

  it("lists models, unless told to be strict", async () => {
    expect(JSON.parse((await ask(port, "GET", "/v1/models")).body).models).toHaveLength(3);
    const strict = await serve({ listModels: false });
    expect((await ask(strict, "GET", "/v1/models")).body).toBe(error("Missing model name in request."));
  });

  it("says whether it lives and whether it is ready", async () => {
    expect((await ask(port, "GET", "/healthz")).body).toBe("ok\n");
    expect((await ask(port, "GET", "/readyz")).status).toBe(200);
  });

  it("shows metrics at their path, with TensorFlow Serving's names", async () => {
    const watched = await serve({}, { metricsPath: "/monitoring/prometheus/metrics" });
    await ask(watched, "POST", "/v1/models/half:predict", '{"inputs": 1}');
    await ask(watched, "GET", "/v1/nonsense");
    const page = await ask(watched, "GET", "/monitoring/prometheus/metrics");
    expect(page.headers["content-type"]).toMatch("text/plain");
    expect(page.body).toContain("# TYPE :tensorflow:serving:request_count counter\n");
    expect(page.body).toContain(':tensorflow:serving:request_count{model_name="half",status="OK"} 1\n');
    expect(page.body).toContain(
      ':tensorflow:serving:request_count{model_name="",status="INVALID_ARGUMENT"} 1\n',
    );
    expect(page.body).toContain(
      ':tensorflow:serving:request_latency_count{model_name="half",API="predict",entrypoint="REST"} 1\n',
    );
    const asked = await ask(watched, "GET", "/monitoring/prometheus/metrics?x");
    expect(asked).toMatchObject({
      status: 400,
      body: "Unexpected path: /monitoring/prometheus/metrics?x. Should be /monitoring/prometheus/metrics",
    });
  });
});

describe("bodies", () => {
  const gzip = { "content-encoding": "x-gzip" };
  const path = "/v1/models/half:predict";

  it("inflates gzip; whatever is not gzip, or too large, counts as empty", async () => {
    const good = await ask(port, "POST", path, gzipSync('{"inputs": 1}'), gzip);
    expect(good.body).toBe('{\n    "outputs": 2.5\n}');
    const bomb = gzipSync(Buffer.alloc(104_857_601, 32));
    for (const body of ["nonsense", bomb, bomb.subarray(0, 1000)]) {
      expect((await ask(port, "POST", path, body, gzip)).body).toBe(
        error("JSON Parse error: The document is empty"),
      );
    }
  });

  it("takes gzip with more behind its end for empty, and looks at no other encoding, as TensorFlow Serving does", async () => {
    const packed = gzipSync('{"inputs": 1}');
    const empty = error("JSON Parse error: The document is empty");
    for (const body of [
      Buffer.concat([packed, Buffer.from("more")]),
      packed.subarray(0, packed.length - 4),
    ]) {
      expect(await ask(port, "POST", path, body, gzip)).toMatchObject({ status: 400, body: empty });
    }
    const deflate = { "content-encoding": "deflate" };
    expect((await ask(port, "POST", path, '{"inputs": 1}', deflate)).status).toBe(200);
    expect((await ask(port, "POST", path, deflateSync('{"inputs": 1}'), deflate)).status).toBe(400);
    // Of values for one key, it takes the first.
    expect((await ask(port, "POST", path, '{"inputs": 1, "inputs": 9}')).body).toBe(
      '{\n    "outputs": 2.5\n}',
    );
  });

  it.each([
    "/v1/models/half:verify",
    "/v1/models/half:detect",
    "/v1/models/half:embed",
    "/v2/models/half/infer",
  ])("of %s that are not encoded as they say are refused with the reason", async (own) => {
    const packed = gzipSync("{}");
    const wrong = [
      Buffer.from("nonsense"),
      packed.subarray(0, packed.length - 4),
      packed.subarray(0, 12),
      Buffer.concat([packed, Buffer.from("more")]),
    ];
    for (const body of wrong) {
      const answer = await ask(port, "POST", own, body, gzip);
      expect(answer.status).toBe(400);
      expect(answer.body).toContain("the header Content-Encoding: gzip, but its bytes are no gzip");
    }
    for (const encoding of ["deflate", "br", "x".repeat(5000)]) {
      const answer = await ask(port, "POST", own, "{}", { "content-encoding": encoding });
      expect(answer.status).toBe(400);
      expect(answer.body).toContain(
        `Content-Encoding: ${encoding.slice(0, 40)}; send gzip, or the body as it is`,
      );
    }
    const good = await ask(port, "POST", own, packed, gzip);
    expect(good.body).not.toContain("Content-Encoding");
    // Clients send the header with an empty body too.
    const none = await ask(port, "POST", own, "", gzip);
    expect(none.body).not.toContain("Content-Encoding");
    expect((await ask(port, "POST", own, "{}", { "content-encoding": "identity" })).body).toBe(good.body);
  });

  it("reads large bodies in a thread, and answers errors from there alike", async () => {
    const numbers = Array.from({ length: 20_000 }, (_, i) => i / 7);
    const answer = await ask(port, "POST", path, JSON.stringify({ inputs: numbers }));
    expect(JSON.parse(answer.body).outputs).toHaveLength(20_000);
    expect(JSON.parse(answer.body).outputs[7]).toBeCloseTo(2.5);
    const wrong = `{"inputs": [${"1,".repeat(20_000)}"x"]}`;
    expect((await ask(port, "POST", path, wrong)).body).toBe(
      error('JSON Value: "x" Type: String is not of expected type: float'),
    );
  });

  it("refuses a body beyond the limit, announced or not", async () => {
    const large = Buffer.alloc(LIMITS.maxBodyBytes + 1, 32);
    const message = error(`The request body is larger than the limit of ${LIMITS.maxBodyBytes} bytes.`);
    expect(await ask(port, "POST", path, large)).toMatchObject({ status: 413, body: message });
    const chunked = await ask(port, "POST", path, large, { "transfer-encoding": "chunked" });
    expect(chunked).toMatchObject({ status: 413, body: message });
  });

  it("drops the work of a client that leaves, and closes on one that never finishes", async () => {
    const gone = connect(port, "localhost");
    await once(gone, "connect");
    gone.write(
      'POST /v1/models/sleeper:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{"inputs": 5000}',
    );
    gone.destroy();
    const slow = connect(port, "localhost");
    slow.write("POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{");
    slow.resume();
    slow.on("error", () => undefined);
    expect((await ask(port, "POST", path, '{"inputs": 1}')).status).toBe(200);
    slow.destroy();
  });
});

describe("forms", () => {
  it("takes raw tensors and forms where that is switched on", async () => {
    const binary = await serve({ acceptBinary: true });
    const floats = new Uint8Array(Float32Array.of(1, 2).buffer);
    const raw = await ask(binary, "POST", "/v1/models/half:predict", floats, {
      "content-type": "application/octet-stream",
    });
    expect(JSON.parse(raw.body)).toEqual({ predictions: [[2.5], [3]] });
    const form = new FormData();
    form.set("a", new Blob([floats]), "a");
    form.set("b", new Blob([floats]), "b");
    const response = await fetch(`http://localhost:${binary}/v1/models/two:predict`, {
      method: "POST",
      body: form,
    });
    expect(await response.json()).toEqual({
      predictions: [
        { sum: 2, product: 1 },
        { sum: 4, product: 4 },
      ],
    });
    const image = await ask(binary, "POST", "/v1/models/half:predict", "abc", {
      "content-type": "image/png",
    });
    expect(image.body).toBe(error('"x" takes rows of 1 elements, the body holds 0.75 elements'));
  });
});
