/** @file Which versions of a model should be served, and which to load or unload next. */
import type { ServableVersionPolicy } from "../../proto/tensorflow_serving/model_service_pb.ts";

/** Which of the versions on disk to serve. */
export type VersionPolicy =
  | { readonly kind: "latest"; readonly count: number }
  | { readonly kind: "all" }
  | { readonly kind: "specific"; readonly versions: readonly bigint[] };

/** The policy of a configuration; the newest version alone where it says nothing. */
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

/** What the choice of the next step depends on. */
export interface VersionView {
  readonly version: bigint;
  readonly isAspired: boolean;
  /** Wanted, and nothing was done about it yet. */
  readonly isNew: boolean;
  readonly isReady: boolean;
}

/** The next step for one model. */
export type Transition = { readonly act: "load" | "unload"; readonly version: bigint };

/**
 * Availability first: an old version goes only when a wanted one is ready, when none is wanted, or when another old one
 * stays; otherwise the newest wanted version is loaded beside it.
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
