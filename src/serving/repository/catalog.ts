/** @file What the protocols may ask of the models on a server: use one, see how they do, change which are served. */
import type { ModelServerConfig } from "../../proto/tensorflow_serving/model_service_pb.ts";
import type { Models } from "../predict.ts";
import { StatusError } from "../status.ts";

/** The life of a version, in this order. */
export type VersionState = "START" | "LOADING" | "AVAILABLE" | "UNLOADING" | "END";

/** How one version of a model is doing. */
export interface VersionStatus {
  readonly version: bigint;
  readonly state: VersionState;
  /** Why it ended, if it failed. */
  readonly error?: StatusError;
}

/** The models of a server. */
export interface Catalog extends Models {
  /** Names of all models that were ever asked for, in the order they came. */
  names(): readonly string[];
  /** All versions ever seen, newest first; empty for an unknown model. */
  versions(name: string): readonly VersionStatus[];
  /** Where each label of a model points. */
  labels(name: string): ReadonlyMap<string, bigint>;
  /**
   * Replaces the whole configuration and waits until every model new in it is available or has failed.
   * @throws StatusError when the configuration is not legal or a new model cannot be loaded.
   */
  reload(config: ModelServerConfig): Promise<void>;
}

/**
 * The versions of a model that a status request means. A label is not looked at, as in TensorFlow Serving.
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

/** Whether at least one version of the model answers requests. */
export function isAvailable(catalog: Catalog, name: string): boolean {
  return catalog.versions(name).some(({ state }) => state === "AVAILABLE");
}
