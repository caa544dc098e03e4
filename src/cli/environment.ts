/** @file The names of our variables, and those that other rooms read, from `.env` into the environment. */
import { existsSync } from "node:fs";
import { type Environment, readEnvFile } from "./dot-env.ts";
import { expandedPath, isFalse, unquoted } from "./values.ts";

/** Environment variables without our prefix, as in the original project; all others are `FACEID_` and the setting's name. */
export const KNOWN_NAMES: ReadonlySet<string> = new Set([
  "DATASET_PATH",
  "SAVED_MODEL_PATH",
  "MODEL_NAME",
  "MODEL_VERSION",
  "BATCH_SIZE",
  "EPOCHS",
  "DATASET_SIZE",
  "ID_FROM",
  "ID_TO",
  "IMAGES_PER_ID",
  "IMAGE_SHAPE",
]);

/** Begins the names of all others. */
export const PREFIX = "FACEID_";

/**
 * Variables with our prefix that are not settings of a command: stack traces, the folders of decoded pixels and of model
 * packs, the mirror of packs, whether downloads are allowed, and the gallery with the key of its photographs.
 */
export const OTHER_NAMES: ReadonlySet<string> = new Set([
  "FACEID_DEBUG",
  "FACEID_CACHE_DIR",
  "FACEID_MODELS_DIR",
  "FACEID_MODELS_URL",
  "FACEID_OFFLINE",
  "FACEID_GALLERY",
  "FACEID_GALLERY_KEY",
  "FACEID_API_KEY",
]);

/** Variables with our prefix that only the Compose files read, from the same `.env`. */
export const COMPOSE_NAMES: ReadonlySet<string> = new Set(["FACEID_PUBLISH", "FACEID_API_KEYS_FILE"]);

/** Whether a name has our prefix, in any case, or a common misspelling of it. */
export const hasPrefix = (name: string): boolean => /^FACE_?ID_/i.test(name);

/**
 * Whether there are names that only the list of all settings can judge; without them, a command need not load it.
 * In `.env` that is every other name, since it may be a setting without our prefix.
 */
export function needCheck(
  environment: Environment = process.env,
  dotEnv: Environment = readDotEnv(),
): boolean {
  const isOther = (name: string) => !OTHER_NAMES.has(name) && !COMPOSE_NAMES.has(name);
  return (
    Object.keys(environment).some((name) => hasPrefix(name) && isOther(name)) ||
    Object.keys(dotEnv).some(isOther)
  );
}

/** Whether a variable must be one of ours. */
const isOurs = (name: string) => name.startsWith(PREFIX) || KNOWN_NAMES.has(name);

/** Reads `.env` from the current folder; empty without the file. */
export const readDotEnv = (path = ".env"): Environment => readEnvFile(path, isOurs);

/** Whether there is only a file that Windows' Notepad named when it saved `.env`: it adds an ending, which Explorer hides. */
export const isDotEnvMisnamed = (): boolean => existsSync(".env.txt") && !existsSync(".env");

/**
 * Copies variables that other rooms read from `.env` into the environment, where they are not set, without quotes and
 * with the home folder written out.
 */
export function adoptDotEnv(
  environment: NodeJS.ProcessEnv = process.env,
  dotEnv: Environment = readDotEnv(),
): void {
  for (const name of OTHER_NAMES) {
    const value = expandedPath(unquoted(environment[name] || dotEnv[name] || ""), environment);
    if (value !== "") environment[name] = value;
  }
  if (isFalse(environment.FACEID_DEBUG ?? "")) delete environment.FACEID_DEBUG;
}
