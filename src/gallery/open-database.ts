/** @file Opens a gallery's database by its address. */
import { FaceError } from "../base/errors.ts";
import { type Database, isServerAddress, type OpenOptions } from "./database.ts";
import { guarded } from "./guarded-database.ts";

/**
 * Opens PostgreSQL by its address, or PGlite in a folder.
 * @throws FaceError `GALLERY_NOT_FOUND` when there is no folder and none is to be made; `DISK_FULL`; `GALLERY_UNAVAILABLE` when it cannot be reached, or when another process has the folder open; `INTERRUPTED` on the signal.
 */
export async function openDatabase(address: string, options: OpenOptions = {}): Promise<Database> {
  const [, scheme] = /^([a-z][a-z0-9+.-]+):\/\//i.exec(address) ?? [];
  if (scheme !== undefined && !isServerAddress(address)) {
    throw new FaceError(
      "CONFIG_INVALID",
      `a gallery's address begins with ${scheme}://, which is not known`,
      {
        hint: "give a folder, or postgres://user:password@host/database",
      },
    );
  }
  // Either store is loaded only when it is asked for: PGlite alone holds 13 MB of WebAssembly.
  if (isServerAddress(address)) return guarded(await (await import("./postgres.ts")).openPostgres(address));
  return guarded(await (await import("./pglite.ts")).openPglite(address, options));
}
