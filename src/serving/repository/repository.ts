/** @file The models of a server: applies configurations, polls version folders, and finds the model for a request. */
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { equals } from "@bufbuild/protobuf";
import { asFaceError, FaceError, messageOf } from "../../base/errors.ts";
import { systemCacheFolder } from "../../base/files.ts";
import { Limiter } from "../../base/limiter.ts";
import type { Log } from "../../base/log.ts";
import type { ModelConfig, ModelServerConfig } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { ModelServerConfigSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { type ModelLoader, servableText } from "../engine/servable.ts";
import type { RequestLog, RequestRecorder } from "../observe/request-log.ts";
import { invalidArgument, StatusError } from "../status.ts";
import type { Catalog, Lease, ModelChoice, VersionStatus } from "./catalog.ts";
import { checkedModels, checkTransition, isRemote } from "./model-config.ts";
import { ModelVersions } from "./model-versions.ts";
import type { RemoteModels } from "./remote-models.ts";
import { aspiredVersions, scanVersions, type VersionFolders, versionPolicy } from "./version-policy.ts";

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
  /** Folder for copies of models at `s3://` and `gs://`. Default: in the system's cache folder. */
  readonly modelCacheDir?: string;
  /** Seconds between listings of a storage. Default 30. */
  readonly remotePollWaitSeconds?: number;
}

export interface RepositoryOptions extends RepositorySettings {
  readonly loader: ModelLoader;
  readonly log: Log;
  /** Where requests are recorded of models whose configuration wants it. */
  readonly requestLog?: RequestLog | undefined;
}

const DEFAULTS: Required<RepositorySettings> = {
  pollWaitSeconds: 1,
  maxLoadRetries: 5,
  loadRetryIntervalMs: 60_000,
  loadThreads: 0,
  allowLabelsForUnavailable: false,
  modelCacheDir: join(systemCacheFolder(), "served"),
  remotePollWaitSeconds: 30,
};

interface Model {
  readonly versions: ModelVersions;
  /** Absent when the model is no longer in the configuration. */
  config: ModelConfig | undefined;
  labels: ReadonlyMap<string, bigint>;
  recorder?: RequestRecorder | undefined;
  /** Why its base path has no version to load. */
  problem?: string | undefined;
  /** The last log line about the base path. */
  told?: string;
}

/** The lease of a version, with what records its requests. */
function leaseOf(model: Model | undefined, version: bigint): Lease | undefined {
  const lease = model?.versions.lease(version);
  return lease === undefined || model?.recorder === undefined
    ? lease
    : Object.assign(lease, { recorder: model.recorder });
}

/** The longest delay of a timer. */
const LONG_MS = 2 ** 31 - 1;

/** The models by name, kept in step with the configuration and the file system. */
export class Repository implements Catalog, AsyncDisposable {
  readonly #options: Required<Omit<RepositoryOptions, "requestLog">>;
  readonly #requestLog: RequestLog | undefined;
  readonly #models = new Map<string, Model>();
  readonly #closing = new AbortController();
  readonly #waiting = new Set<() => void>();
  readonly #loading = new Limiter(cpus().length);
  /** Opened for the first model in a storage. */
  #remote: RemoteModels | undefined;
  #config: ModelServerConfig | undefined;
  #polling: Promise<void> | undefined;
  /** How many configurations were installed; a wait for the models of an older one ends. */
  #generation = 0;
  #installing: Promise<unknown> = Promise.resolve();
  /** New models whose first version is waited for. */
  readonly #awaited = new Set<string>();

  constructor(options: RepositoryOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#requestLog = options.requestLog;
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

  configuration(): ModelServerConfig | undefined {
    return this.#config;
  }

  acquire({ name, version: choice }: ModelChoice): Lease {
    const model = this.#models.get(name);
    if (choice.by === "latest") {
      const latest = model?.versions.latestAvailable();
      const lease = latest === undefined ? undefined : leaseOf(model, latest);
      if (lease !== undefined) return lease;
      throw new StatusError("NOT_FOUND", `Servable not found for request: Latest(${name})`);
    }
    const version = choice.by === "version" ? choice.version : this.#versionOf(model, choice.label);
    const lease = leaseOf(model, version);
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
    const failures = await this.#install(config)
      .then(() => this.#settledAtStart())
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

  /** A configuration takes the place of one whose models are still waited for. */
  async reload(config: ModelServerConfig): Promise<void> {
    const installed = this.#installing.then(() => this.#install(config));
    this.#installing = installed.catch(() => undefined);
    const generation = await installed;
    const failures = await this.#settled(generation);
    if (generation !== this.#generation) {
      throw new StatusError(
        "ABORTED",
        "A newer configuration took the place of this one before all its models were available",
      );
    }
    if (failures.length > 0) throw new StatusError("UNKNOWN", failureText(failures));
  }

  /** Stops polling and loading, and unloads each model when its last request ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#remote?.close();
    await this.#polling;
    for (const model of this.#models.values()) model.versions.aspire(new Map());
    await this.#until(() => [...this.#models.values()].every((model) => isAtRest(model.versions)));
  }

  /** Takes over a configuration, without waiting for its models. @returns its number. */
  async #install(config: ModelServerConfig): Promise<number> {
    const configs = checkedModels(config, this.#requestLog);
    for (const { basePath } of configs) {
      if (!isRemote(basePath)) continue;
      this.#remote ??= await this.#openRemote();
      await this.#remote.storeOf(basePath);
    }
    const isNew = this.#config === undefined || !equals(ModelServerConfigSchema, this.#config, config);
    checkTransition(this.#config, config);
    const labels = configs.map((model) => this.#checkedLabels(model));
    for (const { name } of configs) {
      const model = this.#models.get(name);
      const isMissing = model?.problem !== undefined && model.versions.latestAvailable() === undefined;
      if (model?.config === undefined || isMissing) this.#awaited.add(name);
    }
    const kept = new Set(configs.map(({ name }) => name));
    for (const [name, model] of this.#models) {
      if (kept.has(name)) continue;
      this.#awaited.delete(name);
      model.config = undefined;
      model.labels = new Map();
      model.versions.aspire(new Map());
    }
    for (const [index, modelConfig] of configs.entries()) {
      const model = this.#modelFor(modelConfig.name);
      if (model.config?.basePath !== modelConfig.basePath) model.problem = undefined;
      model.config = modelConfig;
      model.labels = labels[index]!;
      model.recorder = this.#requestLog?.recorder(modelConfig);
    }
    this.#config = config;
    // A file that is read again with the same content must not end a wait.
    if (isNew) this.#generation++;
    this.#changed();
    if (this.#options.pollWaitSeconds >= 0) await this.#scan();
    return this.#generation;
  }

  /** Loads what reads a storage only where a model lies in one. */
  async #openRemote(): Promise<RemoteModels> {
    const { RemoteModels } = await import("./remote-models.ts");
    const { modelCacheDir: cacheDir, remotePollWaitSeconds: pollWaitSeconds, log } = this.#options;
    return new RemoteModels({ cacheDir, pollWaitSeconds }, log);
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
        { hint: this.#labelHint(mayWait) },
      );
    }
    return labels;
  }

  /** @param mayWait whether the label could wait for its version, where the settings allow it. */
  #labelHint(mayWait: boolean): string {
    const later = "name versions that are loaded: serve the version first, then add its label and reload";
    return mayWait && !this.#options.allowLabelsForUnavailable
      ? `pass --allow_version_labels_for_unavailable_models=true, with which a label waits for its version; or ${later}`
      : later;
  }

  async #poll(seconds: number): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await delay(seconds * 1000, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) await this.#scan(false);
    }
  }

  /** Lists the version folders of every model. @param isThorough whether copies of remote ones are waited for. */
  async #scan(isThorough = true): Promise<void> {
    const configured = [...this.#models.values()].filter((model) => model.config !== undefined);
    const scans = configured.map(async (model) => {
      const { basePath } = model.config!;
      const scan = this.#remote?.isScanning(basePath) && !isThorough ? undefined : this.#scanModel(model);
      if (isThorough || !isRemote(basePath)) await scan;
    });
    await Promise.all(scans);
  }

  #versionsAt({ basePath, modelVersionPolicy }: ModelConfig): Promise<VersionFolders> {
    return isRemote(basePath) ? this.#remote!.scan(basePath, modelVersionPolicy) : scanVersions(basePath);
  }

  async #scanModel(model: Model): Promise<void> {
    const { log } = this.#options;
    const { name, basePath, modelVersionPolicy } = model.config!;
    try {
      const { folders, notes } = await this.#versionsAt(model.config!);
      if (folders.size > 0) this.#tell(model, "warn", notes.join(". "));
      else {
        this.#tell(
          model,
          "warn",
          `No versions of servable ${name} found under base path ${basePath}. Did you forget to name your leaf ` +
            `directory as a number (eg. '/1/')? ${notes.join(". ")}`,
        );
      }
      const policy = versionPolicy(modelVersionPolicy);
      const wanted = aspiredVersions(policy, folders.keys());
      if (policy.kind === "specific" && wanted.length < Math.max(1, policy.versions.length)) {
        const text = `Some versions of servable ${name} are missing; wanted: ${policy.versions.join(", ")}`;
        log.warn(text);
        if (wanted.length === 0) model.problem ??= text;
      }
      // The model may have left the configuration, or have another base path, since its folder was read.
      if (model.config?.basePath !== basePath) return;
      model.problem =
        wanted.length > 0
          ? undefined
          : `no wanted version of servable ${name} is under base path ${basePath}. ${notes.join(". ")}`.trimEnd();
      model.versions.aspire(new Map(wanted.map((version) => [version, folders.get(version)!])));
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const text = `Could not find base path ${basePath} for servable ${name} with error ${messageOf(error)}`;
      if (model.config?.basePath === basePath) model.problem = text;
      const hint = asFaceError(error)?.hint;
      this.#tell(model, "error", hint === undefined ? text : `${text}\n  ${hint}`);
    }
  }

  /** Logs what was found in a base path, when it changes. */
  #tell(model: Model, level: "warn" | "error", text: string): void {
    if (model.told === text) return;
    model.told = text;
    if (text !== "") this.#options.log[level](text);
  }

  /** Waits for the models of the first configuration, or of those that took its place meanwhile. */
  async #settledAtStart(): Promise<Failure[]> {
    for (;;) {
      const generation = this.#generation;
      // A folder that is missing or empty now may be complete at the next listing.
      const failures = await this.#settled(generation, () => false);
      if (generation === this.#generation || this.#closing.signal.aborted) return failures;
    }
  }

  /**
   * Waits until each new model has an available version or only failed ones, or until the next configuration.
   * @param isHopeless whether a model without versions is given up.
   */
  async #settled(
    generation: number,
    isHopeless = (name: string) => this.#models.get(name)?.problem !== undefined,
  ): Promise<Failure[]> {
    const isAvailable = (name: string) => this.versions(name).some(({ state }) => state === "AVAILABLE");
    const isSettled = (name: string) => {
      const states = this.versions(name).map(({ state }) => state);
      const areOver = states.every((state) => state === "END");
      return isAvailable(name) || (areOver && (states.length > 0 || isHopeless(name)));
    };
    const names = [...this.#awaited];
    await this.#until(
      () => this.#closing.signal.aborted || generation !== this.#generation || names.every(isSettled),
    );
    if (generation !== this.#generation) return [];
    for (const name of names) this.#awaited.delete(name);
    return names.flatMap((name) => (isAvailable(name) ? [] : this.#failuresOf(name)));
  }

  #failuresOf(name: string): Failure[] {
    const failed = this.versions(name).flatMap(({ version, error }) =>
      error ? [{ name, version, error }] : [],
    );
    const problem = this.#models.get(name)?.problem;
    if (failed.length > 0 || problem === undefined) return failed;
    return [{ name, version: undefined, error: new StatusError("NOT_FOUND", problem) }];
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
  /** Absent where there is none to load. */
  readonly version: bigint | undefined;
  readonly error: StatusError;
}

/** The error for an invalid configuration, in the form of TensorFlow Serving's last log line. */
function refuseToStart(error: unknown): never {
  if (!(error instanceof StatusError)) throw error;
  throw new FaceError("CONFIG_INVALID", `Failed to start server. Error: ${error.text}`, {
    hint: error.hint,
    cause: error,
  });
}

function failureText(failures: readonly Failure[]): string {
  const items = failures.map(({ name, version, error }) => {
    const what = version === undefined ? `{name: ${name}}` : servableText({ name, version });
    return `{${what} due to error: ${error.text}}, `;
  });
  return `${failures.length} servable(s) did not become available: {${items.join("")}}`;
}

function isAtRest(versions: ModelVersions): boolean {
  return versions.statuses().every(({ state }) => state === "END" || state === "START");
}
