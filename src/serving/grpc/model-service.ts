/** @file The calls of ModelService and the health check as functions from request message to response message. */
import { create } from "@bufbuild/protobuf";
import {
  HealthCheckResponse_ServingStatus as Health,
  type HealthCheckRequest,
  HealthCheckResponseSchema,
} from "../../proto/grpc/health/v1/health_pb.ts";
import {
  type GetModelStatusRequest,
  GetModelStatusResponseSchema,
  ModelVersionStatus_State,
} from "../../proto/tensorflow_serving/model_pb.ts";
import type { ReloadConfigRequest } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { ReloadConfigResponseSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { type Catalog, isAvailable, statusOf } from "../repository/catalog.ts";
import { notAList } from "../repository/model-config.ts";
import { invalidArgument, STATUS, StatusError } from "../status.ts";

interface CatalogContext {
  readonly catalog: Catalog;
  /** Aborted when the server is about to stop. */
  readonly draining?: AbortSignal;
}

export function modelStatusRpc({ catalog }: CatalogContext, { modelSpec }: GetModelStatusRequest) {
  if (modelSpec === undefined) throw invalidArgument("Missing ModelSpec");
  const { versionChoice } = modelSpec;
  const version = versionChoice.case === "version" ? versionChoice.value.value : undefined;
  return create(GetModelStatusResponseSchema, {
    modelVersionStatus: statusOf(catalog, modelSpec.name, version).map((status) => ({
      version: status.version,
      state: ModelVersionStatus_State[status.state],
      status: {
        errorCode: STATUS[status.error?.status ?? "OK"].grpc,
        errorMessage: status.error?.message ?? status.note ?? "",
      },
    })),
  });
}

export async function reloadRpc({ catalog }: CatalogContext, { config }: ReloadConfigRequest) {
  if (config?.config.case !== "modelConfigList") throw notAList();
  await catalog.reload(config);
  return create(ReloadConfigResponseSchema, { status: {} });
}

/** The server as a whole (an empty name), and the services whose health is that of the models. */
const HEALTH_SERVICES: ReadonlySet<string> = new Set([
  "",
  "ModelService",
  "PredictionService",
  "tensorflow.serving.ModelService",
  "tensorflow.serving.PredictionService",
]);

/** SERVING while at least one model is available; `undefined` for an unknown service. */
export function healthOf(
  { catalog, draining }: CatalogContext,
  { service }: HealthCheckRequest,
): Health | undefined {
  if (!HEALTH_SERVICES.has(service)) return undefined;
  if (draining?.aborted) return Health.NOT_SERVING;
  const isServing = catalog.names().some((name) => isAvailable(catalog, name));
  return isServing ? Health.SERVING : Health.NOT_SERVING;
}

export function healthRpc(context: CatalogContext, request: HealthCheckRequest) {
  const status = healthOf(context, request);
  if (status === undefined) throw new StatusError("NOT_FOUND", "unknown service");
  return create(HealthCheckResponseSchema, { status });
}
