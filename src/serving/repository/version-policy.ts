/** @file The versions of a model on disk, which of them to serve, and which to load or unload next. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ServableVersionPolicy } from "../../proto/tensorflow_serving/model_service_pb.ts";

const INT64_MAX = 2n ** 63n - 1n;

/** The version folders of a model. */
export interface VersionFolders {
  /** Version → folder. Of two names with the same number, the first in alphabetical order counts. */
  readonly folders: ReadonlyMap<bigint, string>;
  /** The other names with the same number. */
  readonly duplicates: readonly string[];
}

/**
 * Lists the folders in `basePath` whose names are numbers.
 * @throws the file system's error when the folder cannot be read.
 */
export async function scanVersions(basePath: string): Promise<VersionFolders> {
  const folders = new Map<bigint, string>();
  const duplicates: string[] = [];
  for (const name of (await readdir(basePath)).sort()) {
    if (!/^[0-9]+$/.test(name)) continue;
    const version = BigInt(name);
    if (version > INT64_MAX) continue;
    if (folders.has(version)) duplicates.push(name);
    else folders.set(version, join(basePath, name));
  }
  return { folders, duplicates };
}

/** Which of the versions on disk to serve. */
export type VersionPolicy =
  | { readonly kind: "latest"; readonly count: number }
  | { readonly kind: "all" }
  | { readonly kind: "specific"; readonly versions: readonly bigint[] };

/** The policy of a configuration; by default the newest version alone. */
export function versionPolicy(config: ServableVersionPolicy | undefined): VersionPolicy {
  const choice = config?.policyChoice;
  switch (choice?.case) {
    case "all":
      return { kind: "all" };
    case "specific":
      return { kind: "specific", versions: choice.value.versions };
    case "latest":
      return { kind: "latest", count: choice.value.numVersions || 1 };
    default:
      return { kind: "latest", count: 1 };
  }
}

/** The versions a policy wants out of those on disk, newest first. */
export function aspiredVersions(policy: VersionPolicy, onDisk: Iterable<bigint>): bigint[] {
  const newestFirst = [...onDisk].sort((a, b) => (a < b ? 1 : a > b ? -1 : 0));
  switch (policy.kind) {
    case "all":
      return newestFirst;
    case "latest":
      return newestFirst.slice(0, policy.count);
    case "specific":
      return newestFirst.filter((version) => policy.versions.includes(version));
  }
}

/** The state of a version, for the choice of the next step. */
export interface VersionView {
  readonly version: bigint;
  readonly isAspired: boolean;
  /** Wanted, and neither loaded nor being loaded. */
  readonly isNew: boolean;
  readonly isReady: boolean;
}

/** The next step for one model. */
export type Transition = { readonly act: "load" | "unload"; readonly version: bigint };

/**
 * TensorFlow Serving's availability-preserving policy: an unwanted version is unloaded only when a wanted one is ready,
 * none is wanted, or another unwanted one stays; otherwise the newest wanted version is loaded first.
 */
export function nextTransition(versions: readonly VersionView[]): Transition | undefined {
  const oldestFirst = versions.toSorted((a, b) => (a.version < b.version ? -1 : 1));
  const unwanted = oldestFirst.filter((view) => !view.isAspired && view.isReady);
  const wanted = oldestFirst.filter((view) => view.isAspired);
  const maySpareOne = wanted.length === 0 || unwanted.length > 1 || wanted.some((view) => view.isReady);
  if (unwanted[0] !== undefined && maySpareOne) return { act: "unload", version: unwanted[0].version };
  const next = wanted.findLast((view) => view.isNew);
  return next && { act: "load", version: next.version };
}
