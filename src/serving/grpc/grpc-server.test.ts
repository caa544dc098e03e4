/** @file The gRPC interface on a real socket: all services, every encoding, deadlines, TLS, reflection and health. */
import { once } from "node:events";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyUnpack, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Metadata } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GrpcCaller, grpcCaller } from "../../../test/support/grpc-client.ts";
import { loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import { silentLog } from "../../base/log.ts";
import { float32 } from "../../base/tensor.ts";
import { Health, HealthCheckRequestSchema } from "../../proto/grpc/health/v1/health_pb.ts";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../proto/grpc/reflection/v1/reflection_pb.ts";
import { DataType } from "../../proto/tensorflow/tensor_pb.ts";
import { GetModelStatusRequestSchema } from "../../proto/tensorflow_serving/model_pb.ts";
import {
  ModelServerConfigSchema,
  ModelService,
  ReloadConfigRequestSchema,
} from "../../proto/tensorflow_serving/model_service_pb.ts";
import {
  ClassificationRequestSchema,
  GetModelMetadataRequestSchema,
  MultiInferenceRequestSchema,
  PredictionService,
  PredictRequestSchema,
  RegressionRequestSchema,
  SignatureDefMapSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import { parseTextProto } from "../repository/text-proto.ts";
import { type RunningServer, startServer } from "../server.ts";

let folder: ModelFolder;
let server: RunningServer;
let caller: GrpcCaller;
const { method: predictions } = PredictionService;
const { method: models } = ModelService;

const config = (names: readonly string[]) =>
  parseTextProto(
    ModelServerConfigSchema,
    `model_config_list { ${names
      .map(
        (name) =>
          `config { name: "${name}" base_path: "${folder.path}/${name}" model_platform: "tensorflow" }`,
      )
      .join("\n")} }`,
  );

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 123, "half_plus_two");
  await folder.add("sleeper", 1, "sleeper");
  await folder.add("two", 1, "two_inputs");
  server = await startServer({
    models: config(["half", "sleeper"]),
    loader: loadProgram,
    log: silentLog,
    grpcPort: 0,
    grpcSocketPath: `${folder.path}/socket`,
    restPort: 0,
    metricsPath: "/metrics",
    enableGrpcHealth: true,
    maxLoadRetries: 0,
  });
  caller = grpcCaller(`localhost:${server.grpcPort}`);
});

afterAll(async () => {
  caller[Symbol.dispose]();
  await server.close();
  await folder[Symbol.asyncDispose]();
});

const example = (x: number) => ({
  features: { feature: { x: { kind: { case: "floatList" as const, value: { value: [x] } } } } },
});
const input = (...values: number[]) => ({
  kind: { case: "exampleList" as const, value: { examples: values.map(example) } },
});
const spec = (signatureName = "") => ({ name: "half", signatureName });

describe("PredictionService", () => {
  it("predicts, says which version answered, and computes only what is asked for", async () => {
    const request = create(PredictRequestSchema, {
      modelSpec: spec(),
      inputs: { x: tensorToProto(float32([2], [1, 2]), { asContent: true }) },
      outputFilter: ["y"],
    });
    const { outputs, modelSpec } = await caller.call(predictions.predict, request);
    expect(outputs.y).toMatchObject({ dtype: DataType.DT_FLOAT, floatVal: [2.5, 3] });
    expect(modelSpec).toMatchObject({
      name: "half",
      signatureName: "serving_default",
      versionChoice: { case: "version", value: { value: 123n } },
    });
  });

  it("answers with the request's id, the client's own where it gave one", async () => {
    const idOf = async (given?: string) => {
      const metadata = new Metadata();
      if (given !== undefined) metadata.set("x-request-id", given);
      const { name } = predictions.predict;
      const call = caller.client.makeUnaryRequest(
        `/tensorflow.serving.PredictionService/${name}`,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.alloc(0),
        metadata,
        () => undefined,
      );
      const [heading] = (await once(call, "metadata")) as [Metadata];
      return heading.get("x-request-id")[0];
    };
    expect(await idOf("order-7")).toBe("order-7");
    expect(await idOf()).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("classifies, regresses, and does both at once", async () => {
    const classified = await caller.call(
      predictions.classify,
      create(ClassificationRequestSchema, { modelSpec: spec("classify_x_to_y"), input: input(2) }),
    );
    expect(classified.result?.classifications).toMatchObject([{ classes: [{ label: "", score: 3 }] }]);
    const regressed = await caller.call(
      predictions.regress,
      create(RegressionRequestSchema, {
        modelSpec: spec("regress_x_to_y"),
        input: {
          kind: {
            case: "exampleListWithContext",
            value: { examples: [{}, example(4)], context: example(2) },
          },
        },
      }),
    );
    expect(regressed.result?.regressions).toMatchObject([{ value: 3 }, { value: 4 }]);
    const tasks = [
      { modelSpec: spec("classify_x_to_y"), methodName: "tensorflow/serving/classify" },
      { modelSpec: spec("regress_x_to_y"), methodName: "tensorflow/serving/regress" },
    ];
    const both = await caller.call(
      predictions.multiInference,
      create(MultiInferenceRequestSchema, { tasks, input: input(2) }),
    );
    expect(both.results.map(({ result }) => result.case)).toEqual([
      "classificationResult",
      "regressionResult",
    ]);
    const page = await (await fetch(`http://localhost:${server.restPort}/metrics`)).text();
    expect(page).toContain(':tensorflow:serving:request_example_count_total{model="half"} 1');
    expect(page).toContain(':tensorflow:serving:request_example_counts_count{model="half"} 1');
  });

  it("checks the fields of a metadata request before its model's name", async () => {
    const ask = (init: MessageInitShape<typeof GetModelMetadataRequestSchema>) =>
      caller.call(predictions.getModelMetadata, create(GetModelMetadataRequestSchema, init));
    await expect(ask({ metadataField: ["other"] })).rejects.toMatchObject({ details: "Missing ModelSpec" });
    await expect(ask({ modelSpec: {}, metadataField: ["other"] })).rejects.toMatchObject({
      details: "Metadata field other is not supported",
    });
    await expect(ask({ modelSpec: {}, metadataField: ["signature_def"] })).rejects.toMatchObject({
      details: "ModelSpec has no name specified.",
    });
  });

  it("describes signatures", async () => {
    const { metadata, modelSpec } = await caller.call(
      predictions.getModelMetadata,
      create(GetModelMetadataRequestSchema, { modelSpec: spec(), metadataField: ["signature_def"] }),
    );
    expect(modelSpec?.versionChoice).toMatchObject({ case: "version", value: { value: 123n } });
    expect(metadata.signature_def!.typeUrl).toBe("type.googleapis.com/tensorflow.serving.SignatureDefMap");
    const map = anyUnpack(metadata.signature_def!, SignatureDefMapSchema);
    expect(map?.signatureDef.serving_default?.inputs.x).toMatchObject({ dtype: DataType.DT_FLOAT });
  });

  const failing: [string, () => Promise<unknown>, number, string][] = [
    ["no spec", () => caller.call(predictions.predict, create(PredictRequestSchema)), 3, "Missing ModelSpec"],
    [
      "no name",
      () => caller.call(predictions.predict, create(PredictRequestSchema, { modelSpec: {} })),
      3,
      "ModelSpec has no name specified.",
    ],
    [
      "an unreadable tensor",
      () =>
        caller.call(
          predictions.predict,
          create(PredictRequestSchema, { modelSpec: spec(), inputs: { x: { dtype: DataType.DT_INVALID } } }),
        ),
      3,
      "tensor parsing error: x",
    ],
    [
      "an unknown output",
      () =>
        caller.call(
          predictions.predict,
          create(PredictRequestSchema, {
            modelSpec: spec(),
            inputs: { x: tensorToProto(float32([], [1])) },
            outputFilter: ["z"],
          }),
        ),
      3,
      "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
    ],
    [
      "an output named twice",
      () =>
        caller.call(
          predictions.predict,
          create(PredictRequestSchema, {
            modelSpec: spec(),
            inputs: { x: tensorToProto(float32([], [1])) },
            outputFilter: ["y", "y"],
          }),
        ),
      3,
      "duplicate output tensor alias: y",
    ],
    [
      "no examples",
      () =>
        caller.call(
          predictions.classify,
          create(ClassificationRequestSchema, { modelSpec: spec("classify_x_to_y") }),
        ),
      3,
      "Input is empty.",
    ],
    [
      "no field",
      () =>
        caller.call(
          predictions.getModelMetadata,
          create(GetModelMetadataRequestSchema, { modelSpec: spec() }),
        ),
      3,
      "GetModelMetadataRequest must specify at least one metadata_field",
    ],
    [
      "another field",
      () =>
        caller.call(
          predictions.getModelMetadata,
          create(GetModelMetadataRequestSchema, { modelSpec: spec(), metadataField: ["x"] }),
        ),
      3,
      "Metadata field x is not supported",
    ],
    [
      "another method",
      () =>
        caller.call(
          predictions.multiInference,
          create(MultiInferenceRequestSchema, {
            tasks: [{ modelSpec: spec("regress_x_to_y"), methodName: "x" }],
            input: input(1),
          }),
        ),
      12,
      "Unsupported signature method_name: x",
    ],
    [
      "a signature asked twice",
      () =>
        caller.call(
          predictions.multiInference,
          create(MultiInferenceRequestSchema, {
            tasks: [1, 2].map(() => ({
              modelSpec: spec("regress_x_to_y"),
              methodName: "tensorflow/serving/regress",
            })),
            input: input(1),
          }),
        ),
      3,
      "Duplicate evaluation of signature: regress_x_to_y",
    ],
  ];
  it.each(failing)("refuses %s", async (_, work, code, message) => {
    await expect(work()).rejects.toMatchObject({ code, details: expect.stringContaining(message) });
  });

  it("gives up at the client's deadline, and cuts long texts", async () => {
    const late = create(PredictRequestSchema, {
      modelSpec: { name: "sleeper" },
      inputs: { ms: tensorToProto(float32([], [400])) },
    });
    await expect(caller.call(predictions.predict, late, { deadline: Date.now() + 50 })).rejects.toMatchObject(
      { code: 4 },
    );
    const long = create(PredictRequestSchema, { modelSpec: { name: "n".repeat(5000) } });
    await expect(caller.call(predictions.predict, long)).rejects.toMatchObject({
      details: expect.stringMatching(/^.{1024}\.\.\.TRUNCATED$/),
    });
  });

  it("takes messages beyond four megabytes, and answers on a unix socket", async () => {
    const values = float32([2_000_000], new Float32Array(2_000_000).fill(4));
    using local = grpcCaller(`unix:${folder.path}/socket`);
    const request = create(PredictRequestSchema, {
      modelSpec: spec(),
      inputs: { x: tensorToProto(values, { asContent: true }) },
    });
    const { outputs } = await local.call(predictions.predict, request);
    expect(outputs.y?.floatVal.at(-1)).toBe(4);
  });
});

describe("ModelService", () => {
  it("tells how versions are doing", async () => {
    const ask = (name: string) =>
      caller.call(models.getModelStatus, create(GetModelStatusRequestSchema, { modelSpec: { name } }));
    expect((await ask("half")).modelVersionStatus).toMatchObject([
      { version: 123n, state: 30, status: { errorCode: 0, errorMessage: "" } },
    ]);
    await expect(ask("")).rejects.toMatchObject({
      code: 5,
      details: "Could not find any versions of model ",
    });
  });

  it("replaces the configuration", async () => {
    const reload = (names: readonly string[]) =>
      caller.call(
        models.handleReloadConfigRequest,
        create(ReloadConfigRequestSchema, { config: config(names) }),
      );
    expect((await reload(["half", "sleeper", "two"])).status).toMatchObject({ errorCode: 0 });
    await reload(["half", "sleeper"]);
    await expect(
      caller.call(models.handleReloadConfigRequest, create(ReloadConfigRequestSchema)),
    ).rejects.toMatchObject({ code: 3, details: expect.stringContaining("Only ModelConfigList") });
  });
});

describe("around the services", () => {
  it("reports health truthfully", async () => {
    const check = async (service: string) =>
      (await caller.call(Health.method.check, create(HealthCheckRequestSchema, { service }))).status;
    expect(await check("")).toBe(1);
    expect(await check("PredictionService")).toBe(1);
    await expect(check("x")).rejects.toMatchObject({ code: 5 });
    await server.reload(config([]));
    expect(await check("tensorflow.serving.PredictionService")).toBe(2);
    await server.reload(config(["half", "sleeper"]));
    expect(await check("")).toBe(1);
  });

  it.each(["v1", "v1alpha"])("describes itself by reflection %s", async (version) => {
    const stream = caller.client.makeBidiStreamRequest(
      `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      (message: ServerReflectionRequest) => Buffer.from(toBinary(ServerReflectionRequestSchema, message)),
      (bytes: Buffer) => fromBinary(ServerReflectionResponseSchema, bytes),
    );
    const ask = async (messageRequest: { case: "listServices" | "fileContainingSymbol"; value: string }) => {
      stream.write(create(ServerReflectionRequestSchema, { messageRequest }));
      const [answer] = (await once(stream, "data")) as [ServerReflectionResponse];
      return answer.messageResponse;
    };
    const list = await ask({ case: "listServices", value: "" });
    expect(list.case === "listServicesResponse" && list.value.service.map(({ name }) => name)).toContain(
      "tensorflow.serving.PredictionService",
    );
    const file = await ask({
      case: "fileContainingSymbol",
      value: "tensorflow.serving.PredictionService.Predict",
    });
    const files =
      file.case === "fileDescriptorResponse"
        ? file.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
        : [];
    const names = files.map(({ name }) => name);
    expect(names[0]).toBe("tensorflow_serving/prediction_service.proto");
    for (const { dependency } of files) expect(names).toEqual(expect.arrayContaining(dependency));
    expect((await ask({ case: "fileContainingSymbol", value: "no.Such" })).case).toBe("errorResponse");
    stream.end();
  });
});
