/** @file Who watches a server's health over gRPC does not keep it from ending. */
import { once } from "node:events";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { grpcCaller } from "../../../test/support/grpc-client.ts";
import { loadProgram, modelFolder } from "../../../test/support/servables.ts";
import { silentLog } from "../../base/log.ts";
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from "../../proto/grpc/health/v1/health_pb.ts";
import { singleModelConfig } from "../repository/model-config.ts";
import { startServer } from "../server.ts";

it("tells those who watch its health that it ends, and does not wait for them", async () => {
  await using folder = await modelFolder();
  await folder.add("half", 1, "half_plus_two");
  const server = await startServer({
    models: singleModelConfig("half", `${folder.path}/half`),
    loader: loadProgram,
    log: silentLog,
    grpcPort: 0,
    restPort: undefined,
  });
  using watching = grpcCaller(`localhost:${server.grpcPort}`);
  const stream = watching.client.makeServerStreamRequest(
    "/grpc.health.v1.Health/Watch",
    (request: Uint8Array) => Buffer.from(request),
    (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes).status,
    toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema)),
    new Metadata(),
  );
  const said: number[] = [];
  stream.on("data", (status: number) => said.push(status));
  const ended = once(stream, "end");
  await once(stream, "data");
  // Longer than the test may take.
  await server.close(2 ** 31 - 1);
  await ended;
  expect(said).toEqual([1, 2]);
});
