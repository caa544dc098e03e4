/** @file Adds, lists and revokes API keys in a file that a server reads. */
import { open, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { FaceError, systemCode } from "../base/errors.ts";
import { writeError, writeFileAtomic } from "../base/files.ts";
import {
  isUsable,
  type KeyWish,
  newKey,
  readKeyFile,
  type StoredKey,
  writeKeys,
} from "../serving/access/keys.ts";

/** A key as lists show it: without the digest of its token. */
export interface ListedKey extends Omit<StoredKey, "sha256"> {
  readonly state: "usable" | "expired" | "revoked";
}

const DAY_MS = 86_400_000;
/** Whole days, and years that no clock overflows. */
const DAYS = /^\d{1,6}$/;

/**
 * The end of a key's time, as an ISO time.
 * @param text a number of days from now, a date (its beginning in UTC), or an ISO time with a zone.
 * @throws FaceError `CONFIG_INVALID` for anything else, and for the past.
 */
export function expiryOf(text: string, now: Date): string {
  const isDate = /^\d{4}-\d\d-\d\d(?:T.+(?:Z|[+-]\d\d:\d\d))?$/.test(text);
  const at = DAYS.test(text) ? now.getTime() + Number(text) * DAY_MS : isDate ? Date.parse(text) : Number.NaN;
  // Date.parse takes 31 February for 3 March.
  const isReal =
    DAYS.test(text) || new Date(`${text.slice(0, 10)}T00:00Z`).getUTCDate() === Number(text.slice(8, 10));
  if (Number.isFinite(at) && isReal && at > now.getTime()) return new Date(at).toISOString();
  throw new FaceError("CONFIG_INVALID", `--expires: got ${JSON.stringify(text)}, expected a time to come`, {
    hint: "pass a number of days, such as 90, or a date, such as 2030-12-31",
  });
}

function keysIn(file: string): readonly StoredKey[] {
  try {
    return readKeyFile(file);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

const LOCK_TRIES = 100;
const LOCK_WAIT_MS = 50;

/** Changes a file of keys; of two at a time, one waits for the other. */
async function change(file: string, by: (keys: readonly StoredKey[]) => readonly StoredKey[]): Promise<void> {
  const lock = `${file}.lock`;
  for (let tries = 1; ; tries++) {
    try {
      await (await open(lock, "wx")).close();
      break;
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw writeError(file, error);
      if (tries === LOCK_TRIES) {
        throw new FaceError("FILE_INVALID", `${file} is being changed by another process: ${lock} is there`, {
          hint: `try again; where no other faceid keys runs, remove ${lock}`,
        });
      }
      await sleep(LOCK_WAIT_MS);
    }
  }
  try {
    await writeFileAtomic(file, writeKeys(by(keysIn(file))), { mode: 0o600 });
  } finally {
    await rm(lock, { force: true });
  }
}

/**
 * Adds a key to the file, which is made where it is missing, for its owner alone.
 * @returns the key's id and its token, which is not kept anywhere.
 * @throws FaceError `CONFIG_INVALID` for a name that is taken or cannot be one, `FILE_INVALID`.
 */
export async function addKey(
  file: string,
  wish: KeyWish,
  now = new Date(),
): Promise<{ readonly id: string; readonly token: string }> {
  const { key, token } = newKey(wish, now);
  await change(file, (keys) => {
    if (keys.some(({ name, revoked }) => name === key.name && revoked === undefined)) {
      throw new FaceError("CONFIG_INVALID", `${file} has a key named ${key.name} already`, {
        hint: "choose another name, or revoke that key first",
      });
    }
    return [...keys, key];
  });
  return { id: key.id, token };
}

/** The keys of a file, in the order in which they were added. @throws FaceError `FILE_INVALID`. */
export function listKeys(file: string, now = new Date()): readonly ListedKey[] {
  // A missing file is no empty one here: its name may be misspelt.
  return readKeyFile(file).map(({ sha256: _, ...key }) => ({
    ...key,
    state:
      key.revoked !== undefined
        ? "revoked"
        : isUsable({ sha256: "", ...key }, now.getTime())
          ? "usable"
          : "expired",
  }));
}

/**
 * Revokes a key for good; servers refuse it from their next request on.
 * @param which its name or its id.
 * @throws FaceError `CONFIG_INVALID` where there is no such key, or it is revoked already.
 */
export async function revokeKey(file: string, which: string, now = new Date()): Promise<void> {
  readKeyFile(file);
  await change(file, (keys) => {
    const known = keys.filter(({ id, name }) => id === which || name === which);
    const active = known.find(({ revoked }) => revoked === undefined);
    if (active === undefined) {
      const what = known.length > 0 ? `the key ${which} is revoked already` : `${file} has no key ${which}`;
      throw new FaceError("CONFIG_INVALID", what, { hint: "faceid keys list --keys FILE shows the keys" });
    }
    return keys.map((key) => (key === active ? { ...key, revoked: now.toISOString() } : key));
  });
}
