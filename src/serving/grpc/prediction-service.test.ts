/** @file What a gRPC request leaves in memory while its model runs. */
import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { halfPlusTwo } from "../../../test/support/servables.ts";
import { float32 } from "../../base/tensor.ts";
import { PredictRequestSchema } from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorFromProto, tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import type { Servable } from "../engine/servable.ts";
import { predictRpc } from "./prediction-service.ts";

it("a request's tensors lie in memory once while the model runs", async () => {
  const x = float32(
    [3000],
    Array.from({ length: 3000 }, (_, i) => i),
  );
  const request = create(PredictRequestSchema, {
    modelSpec: { name: "m" },
    inputs: { x: tensorToProto(x, { asContent: true }) },
  });
  const model = halfPlusTwo({ name: "m", version: 1n });
  const kept: string[][] = [];
  const servable: Servable = {
    ...model,
    run: (...given) => {
      kept.push(Object.keys(request.inputs));
      return model.run(...given);
    },
  };
  const models = { acquire: () => ({ servable, [Symbol.dispose]: () => undefined }) };
  const answer = await predictRpc({ models, asTensorContent: true, limits: {} }, request, {});
  expect(kept).toEqual([[]]);
  expect(request.modelSpec?.name).toBe("m");
  expect(tensorFromProto(answer.outputs.y!).data).toEqual(x.data.map((value) => value / 2 + 2));
});
