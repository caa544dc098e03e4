/** @file The versions of one model: loaded with retries, leased to requests, unloaded after the last lease. */
import { setTimeout as delay } from "node:timers/promises";
import { FaceError, messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type ModelLoader, type Servable, servableText } from "../engine/servable.ts";
import { StatusError } from "../status.ts";
import type { Lease, VersionState, VersionStatus } from "./catalog.ts";
import { nextTransition } from "./version-policy.ts";

/** How versions are loaded. */
export interface LoadOptions {
  readonly loader: ModelLoader;
  readonly maxLoadRetries: number;
  readonly loadRetryIntervalMs: number;
  /** Runs a load within the limit on loads at a time. */
  readonly schedule: <T>(work: () => Promise<T>) => Promise<T>;
  readonly log: Log;
  /** Called after every change of state. */
  readonly onChange: () => void;
}

interface Entry {
  readonly version: bigint;
  folder: string;
  state: VersionState;
  isAspired: boolean;
  /** Whether the version failed or was unloaded; it is loaded again only when it is wanted again. */
  isOver: boolean;
  error?: StatusError | undefined;
  servable?: Servable | undefined;
  leases: number;
  /** Cancels a load that is no longer wanted. */
  cancel?: AbortController | undefined;
  /** Called when the last lease is disposed. */
  onFree?: (() => void) | undefined;
}

/** All versions that were seen of one model. */
export class ModelVersions {
  readonly name: string;
  readonly #options: LoadOptions;
  readonly #entries = new Map<bigint, Entry>();

  constructor(name: string, options: LoadOptions) {
    this.name = name;
    this.#options = options;
  }

  /** States, newest version first. */
  statuses(): VersionStatus[] {
    return [...this.#entries.values()]
      .sort((a, b) => (a.version < b.version ? 1 : -1))
      .map(({ version, state, error, servable }) => {
        const note = servable?.problems?.join("; ");
        return { version, state, ...(error && { error }), ...(note && { note }) };
      });
  }

  /** The newest available version. */
  latestAvailable(): bigint | undefined {
    return this.statuses().find(({ state }) => state === "AVAILABLE")?.version;
  }

  isAvailable(version: bigint): boolean {
    return this.#entries.get(version)?.state === "AVAILABLE";
  }

  /** A lease of a version, or `undefined` when it is not available. */
  lease(version: bigint): Lease | undefined {
    const entry = this.#entries.get(version);
    if (entry?.servable === undefined || entry.state !== "AVAILABLE") return undefined;
    const { servable } = entry;
    entry.leases++;
    let isHeld = true;
    return {
      servable,
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        entry.leases--;
        if (entry.leases === 0) entry.onFree?.();
      },
    };
  }

  /** Sets the wanted versions and their folders. */
  aspire(wanted: ReadonlyMap<bigint, string>): void {
    for (const [version, folder] of wanted) this.#want(version, folder);
    for (const entry of this.#entries.values()) {
      if (!wanted.has(entry.version) && entry.isAspired) {
        entry.isAspired = false;
        // The next load begins without the failures of this one.
        if (entry.cancel !== undefined) entry.error = undefined;
        entry.cancel?.abort();
      }
    }
    this.#proceed();
  }

  #want(version: bigint, folder: string): void {
    const known = this.#entries.get(version);
    if (known === undefined) {
      const entry: Entry = { version, folder, state: "START", isAspired: true, isOver: false, leases: 0 };
      this.#entries.set(version, entry);
      return;
    }
    // A version that is loaded stays; one that failed, or is still tried, starts over in another folder.
    const isElsewhere = known.folder !== folder && known.servable === undefined;
    if (known.isAspired && !isElsewhere) return;
    known.isAspired = true;
    known.folder = folder;
    if (isElsewhere) known.cancel?.abort();
    if (known.isOver) Object.assign(known, { isOver: false, error: undefined, state: "START" });
  }

  /** Starts every due load and unload; each calls this again when it ends. */
  #proceed(): void {
    for (;;) {
      const next = nextTransition(
        [...this.#entries.values()].map((entry) => ({
          version: entry.version,
          isAspired: entry.isAspired,
          isNew: entry.state === "START" && !entry.isOver,
          isReady: entry.state === "AVAILABLE",
        })),
      );
      if (next === undefined) break;
      const entry = this.#entries.get(next.version)!;
      if (next.act === "load") void this.#load(entry);
      else void this.#unload(entry);
    }
    this.#options.onChange();
  }

  async #load(entry: Entry): Promise<void> {
    const { loader, maxLoadRetries, loadRetryIntervalMs, schedule, log } = this.#options;
    const id = { name: this.name, version: entry.version };
    const cancel = new AbortController();
    entry.cancel = cancel;
    entry.state = "LOADING";
    for (let attempt = 0; ; attempt++) {
      try {
        const servable = await schedule(() => loader(entry.folder, id, cancel.signal));
        entry.servable = servable;
        entry.state = "AVAILABLE";
        log.info(`Successfully loaded servable version ${servableText(id)}`);
        for (const problem of servable.problems ?? []) log.warn(`${servableText(id)}: ${problem}`);
        break;
      } catch (error) {
        log.error(`Loading servable: ${servableText(id)} failed: ${messageOf(error)}`);
        entry.error = cancel.signal.aborted ? undefined : loadError(error, entry);
        if (attempt >= maxLoadRetries || cancel.signal.aborted) {
          this.#end(entry);
          break;
        }
        log.info(`Retrying of loading servable ${servableText(id)}, retry ${attempt + 1}`);
        await delay(loadRetryIntervalMs, undefined, { signal: cancel.signal }).catch(() => undefined);
        if (cancel.signal.aborted) {
          entry.error = undefined;
          this.#end(entry);
          break;
        }
      }
    }
    if (entry.state === "AVAILABLE") entry.error = undefined;
    entry.cancel = undefined;
    this.#proceed();
  }

  async #unload(entry: Entry): Promise<void> {
    const { log } = this.#options;
    entry.state = "UNLOADING";
    if (entry.leases > 0) await new Promise<void>((resolve) => (entry.onFree = resolve));
    entry.onFree = undefined;
    const { servable } = entry;
    entry.servable = undefined;
    try {
      await servable?.close();
    } catch (error) {
      log.warn(`Unloading servable ${this.name} version ${entry.version}: ${messageOf(error)}`);
    }
    log.info(`Done unloading servable version ${servableText({ name: this.name, version: entry.version })}`);
    this.#end(entry);
    this.#proceed();
  }

  /** A version that is wanted again by now starts over. */
  #end(entry: Entry): void {
    const failed = entry.error !== undefined;
    entry.state = entry.isAspired && !failed ? "START" : "END";
    entry.isOver = entry.state === "END";
  }
}

/** The error of a failed load in the status, without the path of the model. */
function loadError(error: unknown, { folder, version }: Entry): StatusError {
  const status = error instanceof StatusError || error instanceof FaceError ? error.status : "UNKNOWN";
  return new StatusError(status, messageOf(error).replaceAll(folder, `version ${version}`), { cause: error });
}
