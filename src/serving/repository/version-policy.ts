/** @file The versions of a model on disk, which of them to serve, and which to load or unload next. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { versionOf } from "../../artifact/files.ts";
import { findModel } from "../../artifact/find-model.ts";
import { asFaceError, messageOf } from "../../base/errors.ts";
import type { ServableVersionPolicy } from "../../proto/tensorflow_serving/model_service_pb.ts";

/** The version folders of a model. */
export interface VersionFolders {
  /** Version → folder. Of two names with the same number, the last in alphabetical order counts. */
  readonly folders: ReadonlyMap<bigint, string>;
  /** What was chosen where the names leave a choice, or why there is no version, as sentences. */
  readonly notes: readonly string[];
}

/** The folders whose names mean versions, `v1` only where none is a number. */
function foldersOf(basePath: string, names: readonly string[]): VersionFolders {
  const numbers = names.filter((name) => /^[0-9]+$/.test(name));
  const folders = new Map<bigint, string>();
  const notes: string[] = [];
  const others = names.filter((name) => !numbers.includes(name) && versionOf(name) !== undefined);
  if (numbers.length > 0 && others.length > 0) {
    notes.push(
      `${others.join(", ")} is left out, since other versions of ${basePath} are called by numbers alone`,
    );
  }
  for (const name of (numbers.length > 0 ? numbers : names).toSorted()) {
    const version = versionOf(name);
    if (version === undefined) continue;
    const before = folders.get(version);
    if (before !== undefined) {
      notes.push(
        `Version ${version} is taken from ${name}, ${basename(before)} means the same version and is left out`,
      );
    }
    folders.set(version, join(basePath, name));
  }
  if (numbers.length === 0 && folders.size > 0) {
    notes.push(
      `The versions of ${basePath} are taken from its folders ${[...folders.values()].map((path) => basename(path)).join(", ")}`,
    );
  }
  return { folders, notes };
}

/** The model that a base path is itself: a version's folder or an ONNX file. */
async function modelItself(basePath: string): Promise<VersionFolders> {
  try {
    const { file, note } = await findModel(basePath);
    // A folder inside may be a version that is still being copied under another name.
    if (file !== basePath && dirname(file) !== basePath)
      return { folders: new Map(), notes: [`${note}? Name it`] };
    const version = versionOf(basename(basePath)) ?? 1n;
    const notes = [`${basePath} is a version itself: serving ${file} as version ${version}`];
    return { folders: new Map([[version, basePath]]), notes };
  } catch (error) {
    const hint = asFaceError(error)?.hint;
    return { folders: new Map(), notes: [`${messageOf(error)}${hint === undefined ? "" : `: ${hint}`}`] };
  }
}

/**
 * Lists the folders in `basePath` whose names are numbers; where there are none, those named `v1` and so on, or the base
 * path itself where it holds a model.
 * @throws the file system's error when the path cannot be read.
 */
export async function scanVersions(basePath: string): Promise<VersionFolders> {
  if (!(await stat(basePath)).isDirectory()) return await modelItself(basePath);
  const found = foldersOf(basePath, await readdir(basePath));
  return found.folders.size > 0 ? found : await modelItself(basePath);
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
