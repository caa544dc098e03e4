/** @file Writes the address and size of each module that is imported to the file that LOADED_FILE names. */
import { appendFileSync } from "node:fs";

export async function load(url, context, next) {
  const loaded = await next(url, context);
  appendFileSync(process.env.LOADED_FILE, `${url}\t${loaded.source?.length ?? 0}\n`);
  return loaded;
}
