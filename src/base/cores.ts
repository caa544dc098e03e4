/** @file How many cores this process may use: the machine's, or fewer where a container has a quota of processor time. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const GROUPS = "/sys/fs/cgroup";

function numbersIn(path: string): number[] {
  try {
    return readFileSync(path, "utf8").trim().split(/\s+/).map(Number);
  } catch {
    return [];
  }
}

/**
 * The quota of the control group in cores, as containers see it: `cpu.max` of version 2, or `cpu.cfs_quota_us` and
 * `cpu.cfs_period_us` of version 1.
 * @returns Infinity where there is none.
 */
export function quotaCores(root = GROUPS): number {
  const quotas = [
    numbersIn(join(root, "cpu.max")),
    ["cpu.cfs_quota_us", "cpu.cfs_period_us"].flatMap((name) => numbersIn(join(root, "cpu", name))),
  ];
  const cores = quotas.map(([quota = Number.NaN, period = Number.NaN]) => quota / period);
  return Math.min(Number.POSITIVE_INFINITY, ...cores.filter((each) => each > 0));
}

/** Cores, a part of one counted as one. */
export function usableCores(root?: string): number {
  return Math.min(availableParallelism(), Math.ceil(quotaCores(root)));
}
