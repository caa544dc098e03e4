/** @file The calls of the Open Inference Protocol over gRPC. */
import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import {
  type ModelConfigRequest,
  ModelConfigResponseSchema,
  type ModelMetadataRequest,
  ModelMetadataResponseSchema,
  type ModelReadyRequest,
  ModelReadyResponseSchema,
  type ModelStatisticsRequest,
  ModelStatisticsResponseSchema,
  type RepositoryIndexRequest,
  RepositoryIndexResponseSchema,
  type RepositoryModelLoadRequest,
  RepositoryModelLoadResponseSchema,
  type RepositoryModelUnloadRequest,
  RepositoryModelUnloadResponseSchema,
  ServerLiveResponseSchema,
  ServerMetadataResponseSchema,
  ServerReadyResponseSchema,
} from "../../proto/inference/grpc_service_pb.ts";
import { ModelConfigSchema } from "../../proto/inference/model_config_pb.ts";
import type { RunOptions } from "../engine/servable.ts";
import { bytesOfAll, type PredictionContext } from "../grpc/prediction-service.ts";
import type { RequestBytes } from "../grpc/request-bytes.ts";
import { predict } from "../predict.ts";
import type { Catalog } from "../repository/catalog.ts";
import { RequestMemory } from "../request-memory.ts";
import { invalidArgument } from "../status.ts";
import { readInferMessage } from "./messages.ts";
import { areAllReady, isReady, type ModelSwitch, modelMetadata, SERVER, versionNamed } from "./models.ts";
import { modelSettings } from "./settings.ts";
import { modelStatistics, type StatisticDuration } from "./statistics.ts";
import { checkParameters } from "./tensors.ts";

/** What the calls work with. */
export interface InferenceContext extends PredictionContext {
  readonly catalog: Catalog;
  readonly modelSwitch: ModelSwitch;
  /** Aborted when the server is about to stop. */
  readonly draining?: AbortSignal;
}

export const serverLiveRpc = () => create(ServerLiveResponseSchema, { live: true });

export const serverReadyRpc = ({ catalog, draining }: InferenceContext) =>
  create(ServerReadyResponseSchema, { ready: draining?.aborted !== true && areAllReady(catalog) });

export const serverMetadataRpc = () =>
  create(ServerMetadataResponseSchema, { ...SERVER, extensions: [...SERVER.extensions] });

export const modelReadyRpc = ({ catalog }: InferenceContext, { name, version }: ModelReadyRequest) =>
  create(ModelReadyResponseSchema, { ready: isReady(catalog, { name, version: versionNamed(version) }) });

export function modelMetadataRpc({ catalog }: InferenceContext, { name, version }: ModelMetadataRequest) {
  const metadata = modelMetadata(catalog, { name, version: versionNamed(version) });
  const wired = (tensors: typeof metadata.inputs) =>
    tensors.map(({ shape, ...rest }) => ({ ...rest, shape: shape.map(BigInt) }));
  return create(ModelMetadataResponseSchema, {
    name: metadata.name,
    versions: [...metadata.versions],
    platform: metadata.platform,
    inputs: wired(metadata.inputs),
    outputs: wired(metadata.outputs),
  });
}

export function modelConfigRpc({ catalog }: InferenceContext, { name, version }: ModelConfigRequest) {
  const settings = modelSettings(catalog, { name, version: versionNamed(version) });
  return create(ModelConfigResponseSchema, {
    config: fromJson(ModelConfigSchema, settings as unknown as JsonObject),
  });
}

const wiredDuration = ({ count, ns }: StatisticDuration) => ({ count: BigInt(count), ns: BigInt(ns) });

export function modelStatisticsRpc({ catalog }: InferenceContext, { name, version }: ModelStatisticsRequest) {
  if (name === "" && version !== "") throw invalidArgument("a version takes the name of its model");
  const choice = name === "" ? undefined : { name, version: versionNamed(version) };
  return create(ModelStatisticsResponseSchema, {
    modelStats: modelStatistics(catalog, choice).map(({ inference_stats: stats, ...figures }) => ({
      name: figures.name,
      version: figures.version,
      lastInference: BigInt(figures.last_inference),
      inferenceCount: BigInt(figures.inference_count),
      executionCount: BigInt(figures.execution_count),
      inferenceStats: {
        success: wiredDuration(stats.success),
        fail: wiredDuration(stats.fail),
        queue: wiredDuration(stats.queue),
        computeInput: wiredDuration(stats.compute_input),
        computeInfer: wiredDuration(stats.compute_infer),
        computeOutput: wiredDuration(stats.compute_output),
      },
    })),
  });
}

/** @param bytes must not be used afterwards. */
export async function modelInferRpc(
  { models, codec, limits }: InferenceContext,
  sent: RequestBytes,
  options: RunOptions,
): Promise<Uint8Array> {
  const memory = options.memory ?? new RequestMemory();
  const { head, plans, isRaw } = readInferMessage(sent.bytes, limits);
  const { modelName, modelVersion, id, parameters } = head;
  if (modelName === "") throw invalidArgument("model_name is missing");
  checkParameters([parameters, ...head.outputs.map((output) => output.parameters)].flatMap(Object.keys));
  const signature = parameters.signature_name?.parameterChoice;
  const { outputs, ...answered } = await predict(
    models,
    {
      model: { name: modelName, version: versionNamed(modelVersion) },
      signatureName: signature?.case === "stringParam" ? signature.value : "",
      inputs: () => {
        const inputs = codec.readTensors(sent.bytes, plans, { memory, ...options });
        sent.letGo();
        return inputs;
      },
      outputFilter: head.outputs.map(({ name }) => name),
    },
    { ...options, memory },
  );
  memory.take(2 * bytesOfAll(outputs));
  return await codec.write("inferMessage", [outputs, answered, id, isRaw], options.signal);
}

export const repositoryIndexRpc = ({ modelSwitch }: InferenceContext, { ready }: RepositoryIndexRequest) =>
  create(RepositoryIndexResponseSchema, { models: modelSwitch.index(ready) });

/** KServe sends the name in the field that is the repository's in Triton. */
const nameIn = ({ modelName, repositoryName }: RepositoryModelLoadRequest | RepositoryModelUnloadRequest) =>
  modelName || repositoryName;

export async function loadRpc({ modelSwitch }: InferenceContext, request: RepositoryModelLoadRequest) {
  const modelName = nameIn(request);
  await modelSwitch.load(modelName);
  return create(RepositoryModelLoadResponseSchema, { modelName, isLoaded: true });
}

export async function unloadRpc({ modelSwitch }: InferenceContext, request: RepositoryModelUnloadRequest) {
  const modelName = nameIn(request);
  await modelSwitch.unload(modelName);
  return create(RepositoryModelUnloadResponseSchema, { modelName, isUnloaded: true });
}
