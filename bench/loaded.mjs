/** @file Given to Node by `--import`: records what a program loads, modules of both kinds and native parts. */
import { appendFileSync, statSync } from "node:fs";
import { createRequire, register } from "node:module";
import { pathToFileURL } from "node:url";

register("./loaded-hooks.mjs", import.meta.url);
const { cache } = createRequire(import.meta.url);
process.on("exit", () => {
  for (const path of Object.keys(cache))
    appendFileSync(process.env.LOADED_FILE, `${pathToFileURL(path)}\t${statSync(path).size}\n`);
});
