/** @file Configuration files in protobuf's text format, in every spelling users write. */
import { describe, expect, it } from "vitest";
import {
  BatchingParametersSchema,
  ModelServerConfigSchema,
  MonitoringConfigSchema,
  SSLConfigSchema,
} from "../../proto/tensorflow_serving/model_service_pb.ts";
import { parseTextProto } from "./text-proto.ts";

describe("parseTextProto", () => {
  it("reads model lists with and without colons and commas, either quotes, comments", () => {
    const spellings = [
      `model_config_list { config { name: "a" base_path: "/m/a" model_platform: "tensorflow"
         model_version_policy { specific { versions: 42 versions: 43 } }
         version_labels { key: "stable" value: 42 } version_labels { key: 'canary', value: 43 } } }`,
      `# models
       model_config_list: { config: { name: 'a', base_path: '/m' "/a", model_platform: "tensorflow",
         model_version_policy: { specific: { versions: [42, 43] } },
         version_labels: { key: "stable", value: 42 }, version_labels: [{ key: "canary" value: 43 }], }, }`,
      `model_config_list < config < name: "a"; base_path: "/m\\x2fa"; model_platform: "tensor\\146low"
         model_version_policy < specific < versions: 0x2a versions: 43 > >
         version_labels < key: "stable" value: 42 > version_labels < key: "canary" value: 43 > > >`,
    ];
    for (const text of spellings) {
      const { config } = parseTextProto(ModelServerConfigSchema, text);
      expect(config.case).toBe("modelConfigList");
      const [model] = config.case === "modelConfigList" ? config.value.config : [];
      expect(model).toMatchObject({
        name: "a",
        basePath: "/m/a",
        modelPlatform: "tensorflow",
        modelVersionPolicy: { policyChoice: { case: "specific", value: { versions: [42n, 43n] } } },
        versionLabels: { stable: 42n, canary: 43n },
      });
    }
  });

  it("reads wrapped numbers, repeated numbers and booleans", () => {
    const parameters = parseTextProto(
      BatchingParametersSchema,
      `max_batch_size { value: 128 } batch_timeout_micros { } allowed_batch_sizes : 8 allowed_batch_sizes: 128
       pad_variable_length_inputs: true enable_large_batch_splitting { value: true } thread_pool_name: { value: "p" }`,
    );
    expect(parameters).toMatchObject({
      maxBatchSize: 128n,
      batchTimeoutMicros: 0n,
      allowedBatchSizes: [8n, 128n],
      padVariableLengthInputs: true,
      enableLargeBatchSplitting: true,
      threadPoolName: "p",
    });
    expect(parseTextProto(MonitoringConfigSchema, "prometheus_config { enable: true }")).toMatchObject({
      prometheusConfig: { enable: true, path: "" },
    });
    expect(parseTextProto(SSLConfigSchema, 'server_key: "a\\nb" client_verify: 1').serverKey).toBe("a\nb");
  });

  it.each([
    [String.raw`"caf\303\251"`, "café"],
    [String.raw`"caf\xc3\xa9"`, "café"],
    [String.raw`"caf\u00e9"`, "café"],
    [String.raw`"\U0001F600\ud83d\ude00"`, "😀😀"],
    [String.raw`'é\'\"\\\?\101\x41\X41\t'`, "é'\"\\?AAA\t"],
  ])("reads the escapes of %s", (text, value) => {
    expect(parseTextProto(SSLConfigSchema, `server_key: ${text}`).serverKey).toBe(value);
  });

  it.each([
    ["010", 8n],
    ["0", 0n],
    ["0x10", 16n],
    ["-017", -15n],
    ["9223372036854775807", 2n ** 63n - 1n],
    ["-9223372036854775808", -(2n ** 63n)],
  ])("reads the number %s", (text, value) => {
    expect(parseTextProto(BatchingParametersSchema, `max_batch_size { value: ${text} }`).maxBatchSize).toBe(
      value,
    );
  });

  it.each([
    ['model_config_list { config { name: "a\\q" } }', "1:36: Invalid escape sequence in string literal."],
    ['model_config_list { config { name: "\\u12" } }', "Invalid escape sequence in string literal."],
    ['model_config_list { config { name: "\\377" } }', 'String field "name" contains invalid UTF-8 data.'],
    ['model_config_list { config { version_labels { key: "a" value: 08 } } }', "Expected integer, got: 08"],
    [
      'model_config_list { config { version_labels { key: "a" value: 9223372036854775808 } } }',
      "Integer out of range (9223372036854775808)",
    ],
    [
      "model_config_list { config { model_version_policy { latest { num_versions: 4294967296 } } } }",
      "Integer out of range (4294967296)",
    ],
    [
      "model_config_list { config { model_version_policy { latest { num_versions: -1 } } } }",
      "Expected integer, got: -1",
    ],
    [
      "model_config_list { confg {} }",
      '1:21: Message type "tensorflow.serving.ModelConfigList" has no field',
    ],
    ['model_config_list {\n config { name "a" } }', '2:16: Expected ":"'],
    ["model_config_list {", "1:20: Expected identifier, got: end"],
    ["model_config_list { config { name: a } }", 'Expected string for field "name"'],
    ['model_config_list { config { name: "a" name: "b" } }', "specified multiple times"],
    ["model_config_list { config { model_type: NONE } }", "Unknown enumeration value"],
    ["\u0001", "Unexpected character"],
  ])("refuses %s", (text, message) => {
    expect(() => parseTextProto(ModelServerConfigSchema, text)).toThrow(message);
  });
});
