/** @file The list of models to serve: checks a configuration, alone and as the successor of another. */
import { isAbsolute, resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type ModelConfig,
  type ModelServerConfig,
  ModelServerConfigSchema,
  ModelType,
} from "../../proto/tensorflow_serving/model_service_pb.ts";
import { noRequestLog, type RequestLog } from "../observe/request-log.ts";
import { invalidArgument, StatusError } from "../status.ts";

const PLATFORM = "tensorflow";

/** Storages for objects that models are read from. */
export type RemoteScheme = "s3" | "gs";

/** Names of buckets: AWS' are shorter and have no underscores. */
const ADDRESSES: Readonly<Record<RemoteScheme, RegExp>> = {
  s3: /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/([^?#]*)$/,
  gs: /^gs:\/\/([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])\/([^?#]*)$/,
};

/** Whether a base path is an address in a storage for objects. */
export const isRemote = (basePath: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(basePath);

/** Where a remote model lies. */
export interface RemoteAddress {
  readonly scheme: RemoteScheme;
  readonly bucket: string;
  /** Ends in a slash. */
  readonly prefix: string;
}

/**
 * Storage, bucket and prefix of an address.
 * @throws StatusError `INVALID_ARGUMENT` for an address that is none, or of a storage that is not read.
 */
export function remoteAddress(basePath: string): RemoteAddress {
  const scheme: RemoteScheme = basePath.startsWith("gs:") ? "gs" : "s3";
  const [, bucket, path = ""] = ADDRESSES[scheme].exec(basePath) ?? [];
  const prefix = path.replace(/^\/+|\/+$/g, "");
  if (bucket !== undefined && prefix !== "") return { scheme, bucket, prefix: `${prefix}/` };
  throw invalidArgument(
    `Models cannot be read from ${basePath}; name a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX`,
  );
}

/** The configuration of a server that serves only its model pack. */
export const NO_MODELS: ModelServerConfig = create(ModelServerConfigSchema, {
  config: { case: "modelConfigList", value: { config: [] } },
});

/** The configuration of `--model_name` and `--model_base_path`. */
export function singleModelConfig(name: string, basePath: string): ModelServerConfig {
  return create(ModelServerConfigSchema, {
    config: { case: "modelConfigList", value: { config: [{ name, basePath, modelPlatform: PLATFORM }] } },
  });
}

function platformOf(model: ModelConfig): string {
  if (model.modelType === ModelType.TENSORFLOW) return PLATFORM;
  return model.modelPlatform || ModelType[model.modelType]!.toLowerCase();
}

function checkModel(model: ModelConfig, requestLog: RequestLog | undefined): void {
  const hasType = model.modelType !== ModelType.MODEL_TYPE_UNSPECIFIED;
  const hasPlatform = model.modelPlatform !== "";
  if (hasType === hasPlatform) {
    const [both, and] = hasType ? ["both", "and"] : ["neither", "nor"];
    throw invalidArgument(
      `Illegal setting ${both} ModelServerConfig::model_type (deprecated) ${and} ` +
        `ModelServerConfig::model_platform, model name is ${model.name}`,
    );
  }
  if (platformOf(model) !== PLATFORM) {
    throw invalidArgument(`Model ${model.name} requests unsupported platform ${platformOf(model)}`);
  }
  if (isRemote(model.basePath)) remoteAddress(model.basePath);
  else if (!isAbsolute(model.basePath)) {
    throw new StatusError(
      "INVALID_ARGUMENT",
      `Expected model ${model.name} to have an absolute path or URI; got base_path()=${model.basePath}`,
      {
        hint:
          model.basePath === ""
            ? `add base_path: "/path/to/${model.name}", the folder that holds the version folders`
            : `write the whole path, such as base_path: ${JSON.stringify(resolve(model.basePath))}`,
      },
    );
  }
  if (model.loggingConfig !== undefined && requestLog === undefined) throw noRequestLog();
  requestLog?.check(model);
}

/** The error for a configuration of another kind than a list of models. */
export const notAList = (): StatusError =>
  invalidArgument(
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported",
  );

/**
 * The models of a configuration.
 * @param requestLog where requests are recorded; without it a configuration that wants them recorded is refused.
 * @throws StatusError when the configuration is invalid.
 */
export function checkedModels(config: ModelServerConfig, requestLog?: RequestLog): readonly ModelConfig[] {
  if (config.config.case === "customModelConfig") throw notAList();
  const models = config.config.value?.config ?? [];
  const names = new Set<string>();
  for (const model of models) {
    if (names.has(model.name)) {
      throw invalidArgument(`Illegal to list model ${model.name} multiple times in config list`);
    }
    names.add(model.name);
    checkModel(model, requestLog);
  }
  return models;
}

/**
 * Refuses a transition from a list of models to none.
 * @throws StatusError `FAILED_PRECONDITION`.
 */
export function checkTransition(before: ModelServerConfig | undefined, after: ModelServerConfig): void {
  const isFirst = before === undefined || before.config.case === undefined;
  if (isFirst || after.config.case === before.config.case) return;
  throw new StatusError(
    "FAILED_PRECONDITION",
    "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to another.",
  );
}
