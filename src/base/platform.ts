/** @file The version of this package, whether its native parts can be loaded here, and how many cores it may use. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { FaceError, messageOf, systemCode } from "./errors.ts";

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** From package.json, which is two folders up from both the sources and the build. */
const MANIFEST = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as Manifest;

export const VERSION: string = MANIFEST.version;

/** The version of ONNX Runtime that this package takes. */
export const RUNTIME_VERSION: string = MANIFEST.dependencies["onnxruntime-node"]!;

/** Whether this is Linux without glibc, such as Alpine. */
function isMusl(): boolean {
  if (process.platform !== "linux") return false;
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime === undefined;
}

const here = () => `${process.platform} ${process.arch}${isMusl() ? " with musl" : ""}`;

/** Why ONNX Runtime has no program for this machine, and what to do. */
function runtimeHint(): string {
  if (isMusl()) {
    return "use an image or system with glibc, such as Debian or node:20-slim, instead of Alpine";
  }
  if (process.platform === "darwin" && process.arch === "x64") {
    return "ONNX Runtime has no program for Intel Macs since 1.24; run faceid in a Linux container or on another machine";
  }
  return "install again (npm install), or use 64-bit Linux with glibc, Windows, or macOS on Apple silicon";
}

/**
 * Says in words that ONNX Runtime or sharp cannot be loaded here.
 * @returns `undefined` for any other error.
 */
export function platformFailure(error: unknown): FaceError | undefined {
  if (error instanceof FaceError) return error.code === "PLATFORM_UNSUPPORTED" ? error : undefined;
  const text = messageOf(error);
  const code = systemCode(error);
  const isLoading = code === "ERR_DLOPEN_FAILED" || /MODULE_NOT_FOUND$/.test(code ?? "");
  const unsupported = (what: string, hint: string) =>
    new FaceError("PLATFORM_UNSUPPORTED", `${what} cannot be loaded on ${here()}`, { hint, cause: error });
  if (/"sharp" module|'sharp'|@img\/sharp/.test(text)) {
    return unsupported(
      "sharp, which reads images,",
      "install again with its platform package: npm install --include=optional sharp",
    );
  }
  if (isLoading && /onnxruntime/.test(text)) return unsupported("ONNX Runtime", runtimeHint());
  if (code === "ERR_DLOPEN_FAILED") return unsupported("a native library", runtimeHint());
  return undefined;
}

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
