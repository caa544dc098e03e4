/** @file The models of a server: applies configurations, polls version folders, and finds the model for a request. */
import { cpus } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { equals } from "@bufbuild/protobuf";
import { FaceError, messageOf } from "../../base/errors.ts";
import { Limiter } from "../../base/limiter.ts";
import type { Log } from "../../base/log.ts";
import {
  type ModelConfig,
  type ModelServerConfig,
  ModelServerConfigSchema,
} from "../../proto/tensorflow_serving/model_service_pb.ts";
import { type ModelLoader, servableText } from "../engine/servable.ts";
import { invalidArgument, StatusError } from "../status.ts";
import type { Catalog, Lease, ModelChoice, VersionStatus } from "./catalog.ts";
import { checkedModels, checkTransition } from "./model-config.ts";
import { ModelVersions } from "./model-versions.ts";
import { aspiredVersions, scanVersions, versionPolicy } from "./version-policy.ts";

/** How versions are found and loaded. */
export interface RepositorySettings {
  /** Seconds between listings of version folders; 0 lists them once, less never. Default 1. */
  readonly pollWaitSeconds?: number;
  /** Retries when a version fails to load. Default 5. */
  readonly maxLoadRetries?: number;
  /** Default one minute. */
  readonly loadRetryIntervalMs?: number;
  /** Versions loaded at a time after the start; 0 for one. Default 0. */
  readonly loadThreads?: number;
  /** Whether a label may name a version that is not loaded yet. Default false. */
  readonly allowLabelsForUnavailable?: boolean;
}

export interface RepositoryOptions extends RepositorySettings {
  readonly loader: ModelLoader;
  readonly log: Log;
}

const DEFAULTS: Required<RepositorySettings> = {
  pollWaitSeconds: 1,
  maxLoadRetries: 5,
  loadRetryIntervalMs: 60_000,
  loadThreads: 0,
  allowLabelsForUnavailable: false,
};

interface Model {
  readonly versions: ModelVersions;
  /** Absent when the model is no longer in the configuration. */
  config: ModelConfig | undefined;
  labels: ReadonlyMap<string, bigint>;
  /** The last log line about a base path that cannot be read, and its time. */
  complaint?: { readonly text: string; readonly loggedMs: number } | undefined;
  /** Why the last listing of its folder gave no version to load, if it did not. */
  problem?: string | undefined;
}

/** The same problem of a base path is logged this often. */
const COMPLAIN_EVERY_MS = 60_000;

/** The longest delay of a timer. */
const LONG_MS = 2 ** 31 - 1;

/** The models by name, kept in step with the configuration and the file system. */
export class Repository implements Catalog, AsyncDisposable {
  readonly #options: Required<RepositoryOptions>;
  readonly #models = new Map<string, Model>();
  readonly #closing = new AbortController();
  readonly #waiting = new Set<() => void>();
  readonly #loading = new Limiter(cpus().length);
  #config: ModelServerConfig | undefined;
  #polling: Promise<void> | undefined;
  #applying: Promise<unknown> = Promise.resolve();
  /** Counts configurations: a newer one ends the wait for an older one. */
  #generation = 0;

  constructor(options: RepositoryOptions) {
    this.#options = { ...DEFAULTS, ...options };
  }

  names(): readonly string[] {
    return [...this.#models].filter(([, model]) => model.config !== undefined).map(([name]) => name);
  }

  versions(name: string): readonly VersionStatus[] {
    return this.#models.get(name)?.versions.statuses() ?? [];
  }

  labels(name: string): ReadonlyMap<string, bigint> {
    return this.#models.get(name)?.labels ?? new Map();
  }

  acquire({ name, version: choice }: ModelChoice): Lease {
    const model = this.#models.get(name);
    if (choice.by === "latest") {
      const latest = model?.versions.latestAvailable();
      const lease = latest === undefined ? undefined : model?.versions.lease(latest);
      if (lease !== undefined) return lease;
      throw new StatusError("NOT_FOUND", `Servable not found for request: Latest(${name})`);
    }
    const version = choice.by === "version" ? choice.version : this.#versionOf(model, choice.label);
    const lease = model?.versions.lease(version);
    if (lease !== undefined) return lease;
    throw new StatusError("NOT_FOUND", `Servable not found for request: Specific(${name}, ${version})`);
  }

  /** The version of a label. Without a list of models yet, labels are unavailable rather than wrong. */
  #versionOf(model: Model | undefined, label: string): bigint {
    if (this.#config?.config.case === undefined) {
      throw new StatusError("UNAVAILABLE", `Model labels does not init yet.${label}`);
    }
    const version = model?.labels.get(label);
    if (version === undefined) throw invalidArgument(`Unrecognized servable version label: ${label}`);
    return version;
  }

  /**
   * Applies the first configuration and waits until each model has an available version or has failed.
   * @param signal stops waiting.
   * @throws FaceError `MODEL_INVALID` when a model failed, `CONFIG_INVALID` for an invalid configuration,
   *   `INTERRUPTED` by the signal.
   */
  async start(config: ModelServerConfig, signal?: AbortSignal): Promise<void> {
    const giveUp = () => {
      this.#closing.abort();
      this.#changed();
    };
    signal?.addEventListener("abort", giveUp, { once: true });
    const { pollWaitSeconds } = this.#options;
    // A folder that is missing or empty now may be complete at the next listing.
    if (pollWaitSeconds > 0) this.#polling = this.#poll(pollWaitSeconds);
    // Promises alone would not keep the process alive.
    const waiting = setInterval(() => undefined, LONG_MS);
    const failures = await this.#apply(config)
      .then(() => this.#started())
      .catch(refuseToStart)
      .finally(() => clearInterval(waiting));
    signal?.removeEventListener("abort", giveUp);
    if (signal?.aborted) throw new FaceError("INTERRUPTED", "stopped before the models were ready");
    this.#loading.limit = Math.max(1, this.#options.loadThreads);
    if (failures.length > 0) {
      const text = `Failed to start server. Error: UNKNOWN: ${failureText(failures)}`;
      throw new FaceError("MODEL_INVALID", text, { hint: "the log above has the error of each model" });
    }
  }

  /**
   * Configurations are applied one after another, since each replaces the whole one. A newer one does not wait until the
   * models of an older one are loaded; who waits for those is told.
   */
  async reload(config: ModelServerConfig): Promise<void> {
    const { added, generation } = await this.#apply(config);
    const problems = [...this.#models.values()].flatMap(({ versions, config: isWanted, problem }) =>
      isWanted === undefined || problem === undefined || this.#isServing(versions.name) ? [] : [problem],
    );
    if (problems.length > 0) throw new StatusError("NOT_FOUND", problems.join("; "));
    const failures = await this.#settled(
      () => added,
      () => this.#generation !== generation,
    );
    if (failures.length > 0) throw new StatusError("UNKNOWN", failureText(failures));
    if (this.#generation !== generation && !added.every((name) => this.#isServing(name))) {
      throw new StatusError("ABORTED", "A newer configuration has replaced this one.");
    }
  }

  /** Waits for the models of the configuration, which a reload may replace meanwhile. */
  #started(): Promise<Failure[]> {
    return this.#settled(() => this.names());
  }

  /** Stops polling and loading, and unloads each model when its last request ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#polling;
    for (const model of this.#models.values()) model.versions.aspire(new Map());
    await this.#until(() => [...this.#models.values()].every((model) => isAtRest(model.versions)));
  }

  /** Replaces the configuration. @returns the names of new models, and the configuration's number. */
  #apply(
    config: ModelServerConfig,
  ): Promise<{ readonly added: readonly string[]; readonly generation: number }> {
    const applied = this.#applying.then(() => this.#replace(config));
    this.#applying = applied.catch(() => undefined);
    return applied;
  }

  async #replace(config: ModelServerConfig) {
    const configs = checkedModels(config);
    checkTransition(this.#config, config);
    const labels = configs.map((model) => this.#checkedLabels(model));
    // A file that is read again with the same content must not end a wait.
    const isNew = this.#config === undefined || !equals(ModelServerConfigSchema, this.#config, config);
    this.#config = config;
    const added = configs.filter(({ name }) => this.#models.get(name)?.config === undefined);
    const kept = new Set(configs.map(({ name }) => name));
    for (const [name, model] of this.#models) {
      if (kept.has(name)) continue;
      model.config = undefined;
      model.labels = new Map();
      model.versions.aspire(new Map());
    }
    for (const [index, modelConfig] of configs.entries()) {
      const model = this.#modelFor(modelConfig.name);
      model.config = modelConfig;
      model.labels = labels[index]!;
    }
    if (this.#options.pollWaitSeconds >= 0) await this.#scan();
    if (isNew) this.#generation++;
    const generation = this.#generation;
    this.#changed();
    return { added: added.map(({ name }) => name), generation };
  }

  #modelFor(name: string): Model {
    const known = this.#models.get(name);
    if (known !== undefined) return known;
    const versions = new ModelVersions(name, {
      ...this.#options,
      schedule: (work) => this.#loading.run(work),
      onChange: () => this.#changed(),
    });
    const model: Model = { versions, config: undefined, labels: new Map() };
    this.#models.set(name, model);
    return model;
  }

  /** The labels of a model, each of an available version unless the settings allow a new label to wait for one. */
  #checkedLabels({ name, versionLabels }: ModelConfig): Map<string, bigint> {
    const model = this.#models.get(name);
    const labels = new Map(Object.entries(versionLabels));
    for (const [label, version] of labels) {
      if (model?.versions.isAvailable(version)) continue;
      const before = model?.labels.get(label);
      const mayWait = before === undefined || before === version;
      if (this.#options.allowLabelsForUnavailable && mayWait) continue;
      throw new StatusError(
        "FAILED_PRECONDITION",
        `Request to assign label to version ${version} of model ${name}, which is not currently available for inference`,
      );
    }
    return labels;
  }

  async #poll(seconds: number): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await delay(seconds * 1000, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) await this.#scan();
    }
  }

  /** Lists the version folders of every model. */
  async #scan(): Promise<void> {
    const configured = [...this.#models.values()].filter((model) => model.config !== undefined);
    await Promise.all(configured.map((model) => this.#scanModel(model)));
  }

  async #scanModel(model: Model): Promise<void> {
    const { log } = this.#options;
    const { name, basePath, modelVersionPolicy } = model.config!;
    try {
      const { folders, duplicates } = await scanVersions(basePath);
      model.complaint = undefined;
      model.problem = undefined;
      if (duplicates.length > 0) log.warn(`Duplicate versions of servable ${name}: ${duplicates.join(", ")}`);
      if (folders.size === 0) {
        model.problem =
          `No versions of servable ${name} found under base path ${basePath}. Did you forget to name your leaf ` +
          "directory as a number (eg. '/1/')?";
        log.warn(model.problem);
      }
      const policy = versionPolicy(modelVersionPolicy);
      const wanted = aspiredVersions(policy, folders.keys());
      if (policy.kind === "specific" && wanted.length < Math.max(1, policy.versions.length)) {
        const text = `Some versions of servable ${name} are missing; wanted: ${policy.versions.join(", ")}`;
        log.warn(text);
        if (wanted.length === 0) model.problem ??= text;
      }
      // The model may have left the configuration while its folder was read.
      if (model.config === undefined) return;
      model.versions.aspire(new Map(wanted.map((version) => [version, folders.get(version)!])));
    } catch (error) {
      const text = `Could not find base path ${basePath} for servable ${name} with error ${messageOf(error)}`;
      model.problem = text;
      const isOld =
        model.complaint?.text === text && Date.now() < model.complaint.loggedMs + COMPLAIN_EVERY_MS;
      if (isOld) return;
      model.complaint = { text, loggedMs: Date.now() };
      log.error(text);
    }
  }

  #isServing(name: string): boolean {
    return this.versions(name).some(({ state }) => state === "AVAILABLE");
  }

  /**
   * Waits until each of the models has an available version, or only failed ones.
   * @param isOver ends the wait.
   * @returns the versions that failed, of models that do not answer.
   */
  async #settled(names: () => readonly string[], isOver = () => false): Promise<Failure[]> {
    const isSettled = (name: string) => {
      const versions = this.versions(name);
      const hasFailed = versions.length > 0 && versions.every(({ state }) => state === "END");
      return this.#isServing(name) || hasFailed;
    };
    await this.#until(() => this.#closing.signal.aborted || isOver() || names().every(isSettled));
    return names().flatMap((name) => {
      if (this.#isServing(name)) return [];
      return this.versions(name).flatMap(({ version, error }) => (error ? [{ name, version, error }] : []));
    });
  }

  #until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
    });
  }

  #changed(): void {
    for (const check of [...this.#waiting]) check();
  }
}

interface Failure {
  readonly name: string;
  readonly version: bigint;
  readonly error: StatusError;
}

/** The error for an invalid configuration, in the form of TensorFlow Serving's last log line. */
function refuseToStart(error: unknown): never {
  if (!(error instanceof StatusError)) throw error;
  throw new FaceError("CONFIG_INVALID", `Failed to start server. Error: ${error.text}`, { cause: error });
}

function failureText(failures: readonly Failure[]): string {
  const items = failures.map((failure) => `{${servableText(failure)} due to error: ${failure.error.text}}, `);
  return `${failures.length} servable(s) did not become available: {${items.join("")}}`;
}

function isAtRest(versions: ModelVersions): boolean {
  return versions.statuses().every(({ state }) => state === "END" || state === "START");
}
