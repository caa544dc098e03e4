/** @file Recorded requests answered before a version is served, and what happens when one of them fails. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { halfPlusTwo } from "../../../test/support/servables.ts";
import { float32 } from "../../base/tensor.ts";
import { PredictionLogSchema } from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import { writeRecords } from "../../savedmodel/format/tfrecord.ts";
import type { Servable } from "../engine/servable.ts";
import { warmUp } from "./warmup.ts";

let folder: string;
let asked: string[];
let model: Servable;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faceid-warmup-"));
  await mkdir(join(folder, "assets.extra"));
  asked = [];
  const inner = halfPlusTwo({ name: "half", version: 1n });
  model = {
    ...inner,
    run: (signature, inputs, outputs) => {
      asked.push(signature);
      return inner.run(signature, inputs, outputs);
    },
  };
});

afterEach(() => rm(folder, { recursive: true }));

async function record(...logs: MessageInitShape<typeof PredictionLogSchema>["logType"][]): Promise<void> {
  const records = logs.map((logType) =>
    toBinary(PredictionLogSchema, create(PredictionLogSchema, { logType: logType! })),
  );
  await writeFile(join(folder, "assets.extra/tf_serving_warmup_requests"), writeRecords(records));
}

const modelSpec = { name: "another", signatureName: "" };
const predictLog = {
  case: "predictLog" as const,
  value: { request: { modelSpec, inputs: { x: tensorToProto(float32([1], [1])) } } },
};
const examples = { kind: { case: "exampleList" as const, value: { examples: [{}] } } };

describe("warmUp", () => {
  it("sends what was recorded, whatever model it names, as often as told", async () => {
    await record(
      predictLog,
      { case: undefined },
      {
        case: "regressLog",
        value: { request: { modelSpec: { ...modelSpec, signatureName: "regress_x_to_y" }, input: examples } },
      },
      {
        case: "multiInferenceLog",
        value: {
          request: {
            tasks: [
              {
                modelSpec: { ...modelSpec, signatureName: "classify_x_to_y" },
                methodName: "tensorflow/serving/classify",
              },
            ],
            input: examples,
          },
        },
      },
    );
    expect(await warmUp(model, folder, { iterations: 2 })).toBe(4);
    expect(asked).toEqual(
      ["serving_default", "regress_x_to_y", "classify_x_to_y"].flatMap((name) => [name, name]),
    );
  });

  it("sends a blank request where nothing was recorded", async () => {
    expect(await warmUp(model, folder, { iterations: 0 })).toBe(1);
    expect(asked).toEqual(["serving_default"]);
  });

  it("fails with the request that fails", async () => {
    await record({ case: "predictLog", value: { request: { modelSpec, inputs: {} } } });
    await expect(warmUp(model, folder, { iterations: 0 })).rejects.toThrow("input size does not match");
    await record({ case: "sessionRunLog", value: {} });
    await expect(warmUp(model, folder, { iterations: 0 })).rejects.toMatchObject({ status: "UNIMPLEMENTED" });
    await writeFile(join(folder, "assets.extra/tf_serving_warmup_requests"), "no records");
    await expect(warmUp(model, folder, { iterations: 0 })).rejects.toThrow(
      "Please verify your warmup data is in TFRecord format.",
    );
    await record(...Array.from({ length: 1001 }, () => predictLog));
    await expect(warmUp(model, folder, { iterations: 0 })).rejects.toThrow(
      "Number of warmup records exceeds the maximum (1000)",
    );
  });
});
