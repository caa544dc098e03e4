/** @file Where packs are kept and fetched from, as the environment says. */
import { join, resolve } from "node:path";
import { systemCacheFolder } from "../../base/cache-folder.ts";

type Environment = NodeJS.ProcessEnv;

/** The folder of all packs: `FACEID_MODELS_DIR`, else a folder in the system's place for caches. */
export function packsFolder(environment: Environment): string {
  return resolve(environment.FACEID_MODELS_DIR || join(systemCacheFolder(environment), "models"));
}

/** `FACEID_MODELS_URL`: a server that holds `<mirror>/<pack>/<file>` in place of the origins. */
export function mirrorOf(environment: Environment): string | undefined {
  return environment.FACEID_MODELS_URL || undefined;
}

/** Whether `FACEID_OFFLINE` forbids to fetch anything: any value but 0, false, no or off. */
export function isOffline(environment: Environment): boolean {
  return !["", "0", "false", "no", "off"].includes((environment.FACEID_OFFLINE ?? "").trim().toLowerCase());
}
