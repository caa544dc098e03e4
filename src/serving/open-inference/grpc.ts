/** @file The calls of the Open Inference Protocol over gRPC. */
import { create } from "@bufbuild/protobuf";
import {
  type ModelMetadataRequest,
  ModelMetadataResponseSchema,
  type ModelReadyRequest,
  ModelReadyResponseSchema,
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
import type { RunOptions } from "../engine/servable.ts";
import { bytesOfAll, type PredictionContext } from "../grpc/prediction-service.ts";
import { predict } from "../predict.ts";
import type { Catalog } from "../repository/catalog.ts";
import { RequestMemory } from "../request-memory.ts";
import { invalidArgument } from "../status.ts";
import { readInferMessage } from "./messages.ts";
import { areAllReady, isReady, type ModelSwitch, modelMetadata, SERVER, versionNamed } from "./models.ts";
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

/** @param bytes must not be used afterwards. */
export async function modelInferRpc(
  { models, codec, limits }: InferenceContext,
  bytes: Uint8Array,
  options: RunOptions,
): Promise<Uint8Array> {
  const memory = options.memory ?? new RequestMemory();
  const { head, plans, isRaw } = readInferMessage(bytes, limits);
  const { modelName, modelVersion, id, parameters } = head;
  if (modelName === "") throw invalidArgument("model_name is missing");
  checkParameters([parameters, ...head.outputs.map((output) => output.parameters)].flatMap(Object.keys));
  const signature = parameters.signature_name?.parameterChoice;
  const { outputs, ...answered } = await predict(
    models,
    {
      model: { name: modelName, version: versionNamed(modelVersion) },
      signatureName: signature?.case === "stringParam" ? signature.value : "",
      inputs: () => codec.readTensors(bytes, plans, { memory, ...options }),
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
