/** @file The version of this package. */
import { readFileSync } from "node:fs";

interface Manifest {
  readonly version: string;
}

/** From package.json, which is two folders up from both the sources and the build. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as Manifest
).version;
