/** @file The model of this repository: what it is called and where it lies. All others ask here. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The name that stands for it where a model's path is wanted. */
export const SHIPPED_NAME = "default";

/** The folder of its versions. */
export const SHIPPED_MODEL = fileURLToPath(new URL(`../../models/${SHIPPED_NAME}`, import.meta.url));

/** The folder of its version. */
export const SHIPPED_VERSION = join(SHIPPED_MODEL, "1");

/** The path of a model: the shipped model's for its name, unless something else lies there under that name. */
export function modelPath(named: string): string {
  return named === SHIPPED_NAME && !existsSync(named) && existsSync(SHIPPED_MODEL) ? SHIPPED_MODEL : named;
}
