/** @file Models in the words of the Open Inference Protocol: metadata, the repository's index, loading and unloading. */
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import { VERSION } from "../../base/platform.ts";
import {
  type ModelConfig,
  type ModelServerConfig,
  ModelServerConfigSchema,
} from "../../proto/tensorflow_serving/model_service_pb.ts";
import type { Signature, SignatureTensor } from "../../savedmodel/signature.ts";
import { type Catalog, isAvailable, type ModelChoice, type VersionChoice } from "../repository/catalog.ts";
import { invalidArgument, StatusError } from "../status.ts";
import { DATATYPES } from "./tensors.ts";

/** What the server answers about itself; the names are Triton's. */
export const SERVER = {
  name: "faceid",
  version: VERSION,
  extensions: ["binary_tensor_data", "model_repository", "model_configuration", "statistics"],
} as const;

const INT64_MAX = 2n ** 63n - 1n;

/** The version that a text means: none is the latest, digits are a number, anything else is a label. */
export function versionNamed(text: string): VersionChoice {
  if (text === "") return { by: "latest" };
  if (!/^[0-9]+$/.test(text)) return { by: "label", label: text };
  const version = BigInt(text);
  if (version > INT64_MAX) throw invalidArgument(`version ${text} is beyond 63 bits`);
  return { by: "version", version };
}

/** A tensor of a model. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  /** Sides, -1 where any is taken. */
  readonly shape: readonly number[];
}

/** A model's answer about itself. */
export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  /** Of `serving_default`, or of the only signature. */
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** The signature that metadata and settings describe: `serving_default`, or the only one. */
export function shownSignature(
  signatures: ReadonlyMap<string, Signature>,
): readonly [name: string, signature: Signature] | undefined {
  const standard = signatures.get(DEFAULT_SIGNATURE);
  if (standard !== undefined) return [DEFAULT_SIGNATURE, standard];
  return signatures.size === 1 ? [...signatures][0] : undefined;
}

/** The kind of model; a pack has no signatures. */
export const platformOf = (signatures: ReadonlyMap<string, Signature>) =>
  signatures.size === 0 ? "faceid_pack" : "tensorflow_savedmodel";

/** @throws StatusError `NOT_FOUND`. */
export function modelMetadata(catalog: Catalog, choice: ModelChoice): ModelMetadata {
  using lease = catalog.acquire(choice);
  const { name, signatures } = lease.servable;
  const signature = shownSignature(signatures)?.[1];
  return {
    name,
    versions: availableVersions(catalog, name),
    platform: platformOf(signatures),
    inputs: tensorsOf(signature?.inputs),
    outputs: tensorsOf(signature?.outputs),
  };
}

function tensorsOf(tensors: ReadonlyMap<string, SignatureTensor> = new Map()): TensorMetadata[] {
  return [...tensors].map(([name, { dtype, shape }]) => ({
    name,
    datatype: DATATYPES[dtype],
    shape: shape ?? [-1],
  }));
}

function availableVersions(catalog: Catalog, name: string): string[] {
  return catalog
    .versions(name)
    .flatMap(({ version, state }) => (state === "AVAILABLE" ? [String(version)] : []));
}

/** Whether a version of a model answers requests. */
export function isReady(catalog: Catalog, choice: ModelChoice): boolean {
  try {
    catalog.acquire(choice)[Symbol.dispose]();
    return true;
  } catch (error) {
    if (error instanceof StatusError) return false;
    throw error;
  }
}

/** Whether every model of the configuration answers requests. */
export function areAllReady(catalog: Catalog): boolean {
  return catalog.names().every((name) => isAvailable(catalog, name));
}

/** A version in the repository's index. */
export interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: "READY" | "LOADING" | "UNLOADING" | "UNAVAILABLE";
  readonly reason: string;
}

const INDEX_STATES = {
  START: "LOADING",
  LOADING: "LOADING",
  AVAILABLE: "READY",
  UNLOADING: "UNLOADING",
  END: "UNAVAILABLE",
} as const;

/** How often a model that is being loaded is looked at. */
const LOOK_MS = 50;

/** Loads and unloads single models of a server's configuration, and lists them all. */
export class ModelSwitch {
  readonly #catalog: Catalog;
  /** Settings of models that were unloaded, so that they can be loaded again. */
  readonly #unloaded = new Map<string, ModelConfig>();
  #changing: Promise<unknown> = Promise.resolve();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** @param onlyReady leaves out versions that do not answer. */
  index(onlyReady: boolean): IndexEntry[] {
    const names = new Set([...this.#catalog.names(), ...this.#unloaded.keys()]);
    const entries = [...names].flatMap((name): IndexEntry[] => {
      const versions = this.#catalog.versions(name);
      if (versions.length === 0)
        return [{ name, version: "", state: "UNAVAILABLE", reason: "no version was found" }];
      return versions.map(({ version, state, error }) => ({
        name,
        version: String(version),
        state: INDEX_STATES[state],
        reason: error?.message ?? (state === "END" ? "unloaded" : ""),
      }));
    });
    return onlyReady ? entries.filter(({ state }) => state === "READY") : entries;
  }

  /**
   * Loads a model that was unloaded, and waits until it answers. A model that answers already stays as it is.
   * @throws StatusError `NOT_FOUND` for a model that the configuration never had, or the reason why it cannot be loaded.
   */
  load(name: string): Promise<void> {
    return this.#change(async (models) => {
      if (isAvailable(this.#catalog, name)) return;
      const others = models.filter((model) => model.name !== name);
      const model = models.find((model) => model.name === name) ?? this.#unloaded.get(name);
      if (model === undefined) throw unknown(name);
      // A model that failed is only tried again when it was away.
      if (others.length < models.length) await this.#replace(others);
      this.#unloaded.set(name, model);
      try {
        await this.#add(model, others);
      } catch (error) {
        await this.#replace(others);
        throw error;
      }
      this.#unloaded.delete(name);
    });
  }

  /** Installs a model, and waits until it answers or its first try failed: its client may try again, and others wait. */
  async #add(model: ModelConfig, others: readonly ModelConfig[]): Promise<void> {
    const over = new AbortController();
    // A label names a version that answers, so labels come when the version does.
    const added = this.#replace([...others, { ...model, versionLabels: {} }]).finally(() => over.abort());
    await Promise.race([added, this.#failure(model.name, over.signal)]);
    if (Object.keys(model.versionLabels).length > 0) await this.#replace([...others, model]);
  }

  /** Throws when no version of a model is left that has not failed yet. */
  async #failure(name: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const tried = this.#catalog.versions(name).filter(({ state }) => state !== "END");
      const failed = tried.find(({ error }) => error !== undefined);
      if (failed !== undefined && tried.every(({ error }) => error !== undefined)) {
        throw new StatusError("UNKNOWN", `"${name}" version ${failed.version}: ${failed.error!.text}`);
      }
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /**
   * Takes a model out of the configuration; requests in flight are answered.
   * @throws StatusError `NOT_FOUND`, or `FAILED_PRECONDITION` for the server's model pack.
   */
  unload(name: string): Promise<void> {
    return this.#change(async (models) => {
      const model = models.find((model) => model.name === name);
      if (model === undefined) {
        if (this.#unloaded.has(name)) return;
        if (!this.#catalog.names().includes(name)) throw unknown(name);
        throw new StatusError(
          "FAILED_PRECONDITION",
          `"${name}" is the server's model pack, which stays loaded`,
        );
      }
      this.#unloaded.set(name, model);
      await this.#replace(models.filter((other) => other !== model));
    });
  }

  /** One change after the other: each starts from the configuration that the last one left. */
  #change(change: (models: readonly ModelConfig[]) => Promise<void>): Promise<void> {
    const changed = this.#changing.then(() => change(modelsOf(this.#catalog.configuration())));
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  async #replace(models: readonly ModelConfig[]): Promise<void> {
    await this.#catalog.reload(
      create(ModelServerConfigSchema, {
        config: { case: "modelConfigList", value: { config: [...models] } },
      }),
    );
  }
}

/** The models of a server's configuration. */
export function modelsOf(config: ModelServerConfig | undefined): readonly ModelConfig[] {
  return config?.config.case === "modelConfigList" ? config.config.value.config : [];
}

function unknown(name: string): StatusError {
  return new StatusError("NOT_FOUND", `no model "${name}" is in the server's configuration`);
}
