/** @file The models of a server as the protocols see them: to use one, to read their states, to replace the configuration. */
import type { ModelServerConfig } from "../../proto/tensorflow_serving/model_service_pb.ts";
import type { Servable } from "../engine/servable.ts";
import type { RequestRecorder } from "../observe/request-log.ts";
import { StatusError } from "../status.ts";

/** Which version of a model a request means. */
export type VersionChoice =
  | { readonly by: "latest" }
  | { readonly by: "version"; readonly version: bigint }
  | { readonly by: "label"; readonly label: string };

/** Which model a request means. */
export interface ModelChoice {
  readonly name: string;
  readonly version: VersionChoice;
}

/** The right to use a servable, which stays loaded until the lease is disposed. */
export interface Lease extends Disposable {
  readonly servable: Servable;
  /** Records a sample of the requests, where the model's configuration wants it. */
  readonly recorder?: RequestRecorder | undefined;
}

/** The version and signature that answered a request. */
export interface Answered {
  readonly name: string;
  readonly version: bigint;
  readonly signatureName: string;
}

/** Finds models for requests. */
export interface Models {
  /** @throws StatusError `NOT_FOUND`, or `INVALID_ARGUMENT` for an unknown label. */
  acquire(choice: ModelChoice): Lease;
}

/** States of a version, in the order of its life. */
export type VersionState = "START" | "LOADING" | "AVAILABLE" | "UNLOADING" | "END";

/** The state of one version of a model. */
export interface VersionStatus {
  readonly version: bigint;
  readonly state: VersionState;
  /** Why it failed, if it did. */
  readonly error?: StatusError;
  /** What of an available version cannot run, if anything. */
  readonly note?: string;
}

/** The models of a server. */
export interface Catalog extends Models {
  /** Names of the models of the configuration. */
  names(): readonly string[];
  /** All versions that the server has seen, newest first; empty for an unknown model. */
  versions(name: string): readonly VersionStatus[];
  /** The version of each label of a model. */
  labels(name: string): ReadonlyMap<string, bigint>;
  /** The configuration in force, without the server's model pack; undefined before the first. */
  configuration(): ModelServerConfig | undefined;
  /**
   * Replaces the whole configuration and waits until each new model is available or has failed.
   * @throws StatusError when the configuration is invalid or a new model cannot be loaded.
   */
  reload(config: ModelServerConfig): Promise<void>;
}

/**
 * The versions that a status request means. Labels are ignored, as in TensorFlow Serving.
 * @throws StatusError `NOT_FOUND`.
 */
export function statusOf(
  catalog: Catalog,
  name: string,
  version: bigint | undefined,
): readonly VersionStatus[] {
  const versions = catalog.versions(name);
  if (versions.length === 0) {
    throw new StatusError("NOT_FOUND", `Could not find any versions of model ${name}`);
  }
  if (version === undefined) return versions;
  const found = versions.filter((status) => status.version === version);
  if (found.length > 0) return found;
  throw new StatusError("NOT_FOUND", `Could not find version ${version} of model ${name}`);
}

/** Whether a model is or was in the configuration. */
export function isKnown(catalog: Catalog, name: string): boolean {
  return catalog.versions(name).length > 0 || catalog.names().includes(name);
}

/** Whether at least one version of the model answers requests. */
export function isAvailable(catalog: Catalog, name: string): boolean {
  return catalog.versions(name).some(({ state }) => state === "AVAILABLE");
}
