/** @file The version of this package. */
import { readFileSync } from "node:fs";

interface Manifest {
  readonly version: string;
}

/** As package.json says; it lies two folders up from sources and build alike. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as Manifest
).version;
