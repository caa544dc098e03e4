/** @file Environment variables of packs: their folder, the mirror, and offline use. */
import { join, resolve } from "node:path";
import { systemCacheFolder } from "../../base/cache-folder.ts";

type Environment = NodeJS.ProcessEnv;

/** The folder of all packs: `FACEID_MODELS_DIR`, else a folder in the system's folder for caches. */
export function packsFolder(environment: Environment): string {
  return resolve(environment.FACEID_MODELS_DIR || join(systemCacheFolder(environment), "models"));
}

/** `FACEID_MODELS_URL`: the URL of a server with `<mirror>/<pack>/<file>`, used instead of the origins. */
export function mirrorOf(environment: Environment): string | undefined {
  return environment.FACEID_MODELS_URL || undefined;
}

/** Whether `FACEID_OFFLINE` forbids downloads: it is set to any value but 0, false, no or off. */
export function isOffline(environment: Environment): boolean {
  return !["", "0", "false", "no", "off"].includes((environment.FACEID_OFFLINE ?? "").trim().toLowerCase());
}
