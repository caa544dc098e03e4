/** @file The system's folder for caches. */
import { homedir } from "node:os";
import { join } from "node:path";

/** faceid's folder in the system's folder for caches; it may not exist yet. */
export function systemCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = environment;
  if (process.platform === "win32" && LOCALAPPDATA) return join(LOCALAPPDATA, "faceid", "cache");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "faceid");
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "faceid");
}
