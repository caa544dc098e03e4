/** @file A container's quota of processor time, in both versions of control groups. */
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { quotaCores, usableCores } from "./platform.ts";

describe("cores", () => {
  it.each([
    [{ "cpu.max": "150000 100000\n" }, 1.5, 2],
    [{ "cpu.max": "50000 100000\n" }, 0.5, 1],
    [{ "cpu.max": "max 100000\n" }, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    [{ "cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n" }, 0.5, 1],
    [
      { "cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n" },
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ],
    [{}, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  ])("follow the quota: %j", async (files, quota, cores) => {
    const root = await temporaryFolder();
    await mkdir(join(root, "cpu"));
    for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), text);
    expect(quotaCores(root)).toBe(quota);
    expect(usableCores(root)).toBe(Math.min(cores, availableParallelism()));
  });
});
