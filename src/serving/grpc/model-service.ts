/** @file ModelService and the health check as functions from request message to response message. */
import { create } from "@bufbuild/protobuf";
import {
  HealthCheckResponse_ServingStatus as Health,
  type HealthCheckRequest,
} from "../../proto/grpc/health/v1/health_pb.ts";
import {
  type GetModelStatusRequest,
  type GetModelStatusResponse,
  GetModelStatusResponseSchema,
  ModelVersionStatus_State,
} from "../../proto/tensorflow_serving/model_pb.ts";
import {
  type ReloadConfigRequest,
  type ReloadConfigResponse,
  ReloadConfigResponseSchema,
} from "../../proto/tensorflow_serving/model_service_pb.ts";
import { type Catalog, isAvailable, statusOf } from "../repository/catalog.ts";
import { invalidArgument, STATUS, StatusError } from "../status.ts";

export function modelStatusRpc(catalog: Catalog, request: GetModelStatusRequest): GetModelStatusResponse {
  const { modelSpec } = request;
  if (modelSpec === undefined) throw invalidArgument("Missing ModelSpec");
  const { versionChoice } = modelSpec;
  const version = versionChoice.case === "version" ? versionChoice.value.value : undefined;
  return create(GetModelStatusResponseSchema, {
    modelVersionStatus: statusOf(catalog, modelSpec.name, version).map((status) => ({
      version: status.version,
      state: ModelVersionStatus_State[status.state],
      status: {
        errorCode: STATUS[status.error?.status ?? "OK"].grpc,
        errorMessage: status.error?.message ?? "",
      },
    })),
  });
}

export async function reloadRpc(
  catalog: Catalog,
  request: ReloadConfigRequest,
): Promise<ReloadConfigResponse> {
  const { config } = request;
  if (config?.config.case !== "modelConfigList") {
    throw invalidArgument(
      "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported",
    );
  }
  await catalog.reload(config);
  return create(ReloadConfigResponseSchema, { status: {} });
}

/** The server as a whole, and the services whose health follows that of the models. */
const HEALTH_SERVICES: ReadonlySet<string> = new Set([
  "",
  "ModelService",
  "PredictionService",
  "tensorflow.serving.ModelService",
  "tensorflow.serving.PredictionService",
]);

/** SERVING only while at least one model answers; `undefined` for a service that is not here. */
export function healthOf(catalog: Catalog, { service }: HealthCheckRequest): Health | undefined {
  if (!HEALTH_SERVICES.has(service)) return undefined;
  const isServing = catalog.names().some((name) => isAvailable(catalog, name));
  return isServing ? Health.SERVING : Health.NOT_SERVING;
}

/** As `healthOf`, for a single question. */
export function checkedHealth(catalog: Catalog, request: HealthCheckRequest): Health {
  const health = healthOf(catalog, request);
  if (health === undefined) throw new StatusError("NOT_FOUND", "unknown service");
  return health;
}
