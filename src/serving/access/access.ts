/** @file Who may do what: finds the key of a request among those of the file, which is read again when it changes. */
import { timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { FaceError, messageOf } from "../../base/errors.ts";
import { fileState } from "../../base/files.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { digestOf, isUsable, readKeyFile, type Scope, type StoredKey } from "./keys.ts";

export type { Scope } from "./keys.ts";

/** A key that may be used now, or what a signed token allows. */
export interface ApiKey {
  readonly id: string;
  /** Left out for a token. */
  readonly name?: string;
  readonly scopes: readonly Scope[];
  /** The only galleries that it opens; absent for all. */
  readonly galleries?: readonly string[];
  /** ISO time. */
  readonly expires?: string;
}

/** A key, its digest as bytes, and what its users get of it. */
interface RingKey {
  readonly stored: StoredKey;
  readonly digest: Buffer;
  readonly key: ApiKey;
}

const BEARER = /^bearer +(\S+)$/i;
/** Three parts in base64url, the last one not empty: a token without a signature is none. */
const SIGNED = /^bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i;
/** Longest header that is looked at for a token. */
const MOST_SIGNED = 8192;

/** The signed token (JWT) in a header; undefined for anything of another form. */
export function signedToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > MOST_SIGNED) return undefined;
  return SIGNED.exec(authorization)?.[1];
}

/** The lines of one header, joined as HTTP joins them, so that two of them are no key. */
export const oneHeader = (lines: readonly string[] | undefined): string | undefined =>
  lines === undefined || lines.length === 0 ? undefined : lines.join(", ");

/** Whether a browser sent a request for a page of another site, which it does without asking where no key goes along. */
export function isFromOtherSite({ host = "", origin, ...headers }: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  return origin !== undefined && origin.replace(/^https?:\/\//i, "") !== host;
}

function asApiKey({ id, name, scopes, galleries, expires }: StoredKey): ApiKey {
  return {
    id,
    name,
    scopes,
    ...(galleries !== undefined && { galleries }),
    ...(expires !== undefined && { expires }),
  };
}

/** The keys of a file. Each search looks first whether the file has changed, so a revoked key is refused at once. */
export class KeyRing {
  readonly #path: string;
  readonly #log: Log;
  #state = "";
  #keys: readonly RingKey[] = [];
  #isOpen = true;

  private constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** @throws FaceError `FILE_INVALID` for a file that is missing, or no file of keys. */
  static async open(path: string, log: Log = silentLog): Promise<KeyRing> {
    const ring = new KeyRing(path, log);
    try {
      ring.#state = fileState(path);
      ring.#take(readKeyFile(path));
    } catch (error) {
      if (error instanceof FaceError) throw error;
      throw new FaceError("FILE_INVALID", `cannot read the API keys ${path}: ${messageOf(error)}`, {
        hint: "faceid keys add NAME --keys FILE makes such a file",
        cause: error,
      });
    }
    return ring;
  }

  /** Number of keys in the file. */
  get size(): number {
    return this.#keys.length;
  }

  /**
   * The key of a request.
   * @param authorization the header `Authorization`, or the metadata `authorization` of a gRPC call.
   * @returns undefined for anything but `Bearer` and a key that is known, not revoked and not expired.
   */
  find(authorization: string | undefined): ApiKey | undefined {
    const token = authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
    const digest = token === undefined ? undefined : digestOf(token);
    if (digest === undefined || !this.#isOpen) return undefined;
    this.#refresh();
    let found: RingKey | undefined;
    // All keys are compared, so that the time does not tell which of them is near.
    for (const each of this.#keys) if (timingSafeEqual(each.digest, digest)) found = each;
    return found !== undefined && isUsable(found.stored, Date.now()) ? found.key : undefined;
  }

  /** Forgets all keys; none is found afterwards. */
  close(): void {
    this.#keys = [];
    this.#isOpen = false;
  }

  /** Reads the file again where it has changed. A broken one leaves the keys as they are, and is logged once. */
  #refresh(): void {
    const state = fileState(this.#path);
    if (state === this.#state) return;
    this.#state = state;
    try {
      this.#take(readKeyFile(this.#path));
      this.#log.info("the API keys were read again", { keys: this.#keys.length });
    } catch (error) {
      this.#log.error("the changed API keys cannot be read; the keys before stay in force", {
        cause: messageOf(error),
      });
    }
  }

  #take(keys: readonly StoredKey[]): void {
    this.#keys = keys.map((stored) => ({
      stored,
      digest: Buffer.from(stored.sha256, "hex"),
      key: asApiKey(stored),
    }));
  }
}

/**
 * Refuses who may not do it. A key of scope `admin` may do everything; one with galleries, in these only, and it may not
 * administer the server as a whole.
 * @param gallery the gallery that is meant; left out for what concerns none, and for lists, which show a key its own.
 * @throws FaceError `UNAUTHENTICATED` without a usable key, `PERMISSION_DENIED` for a key that does not allow it.
 */
export function authorise(
  ring: KeyRing,
  authorization: string | undefined,
  scope: Scope,
  gallery?: string,
): ApiKey {
  const key = ring.find(authorization);
  if (key === undefined) throw unauthenticated(authorization);
  return permit(key, scope, gallery);
}

/** @throws FaceError `PERMISSION_DENIED` for a key that does not allow it. */
export function permit(key: ApiKey, scope: Scope, gallery?: string): ApiKey {
  const who = key.name === undefined ? "the token" : `the API key ${key.name}`;
  if (!key.scopes.includes(scope) && !key.scopes.includes("admin")) {
    const has = key.scopes.join(", ") || "none";
    throw denied(`${who} has the scopes ${has}; this takes ${scope}`);
  }
  if (key.galleries === undefined) return key;
  if (gallery === undefined && scope === "admin") {
    throw denied(`${who} is for some galleries; this takes one for the server`);
  }
  if (gallery !== undefined && !key.galleries.includes(gallery)) {
    throw denied(`${who} is not for the gallery ${JSON.stringify(gallery)}`);
  }
  return key;
}

const denied = (message: string) =>
  new FaceError("PERMISSION_DENIED", message, { hint: "faceid keys add --scopes, --galleries" });

/** @param authorization what was sent. */
export function unauthenticated(authorization: string | undefined): FaceError {
  if (signedToken(authorization) !== undefined) {
    const text =
      "the token is expired, for another audience, not signed by the issuer, or tokens are not taken here";
    return new FaceError("UNAUTHENTICATED", text, { hint: "fetch a new token from the issuer" });
  }
  const message =
    authorization === undefined
      ? "an API key is wanted, as a header Authorization: Bearer KEY"
      : "the API key is unknown, revoked or expired; it is sent once, as a header Authorization: Bearer KEY";
  return new FaceError("UNAUTHENTICATED", message, { hint: "faceid keys add NAME --keys FILE makes a key" });
}

/** Keeps pages of other sites from changing what a server without keys serves. @throws FaceError `PERMISSION_DENIED`. */
export function refuseOtherSites(headers: IncomingHttpHeaders): void {
  if (headers.authorization !== undefined || !isFromOtherSite(headers)) return;
  throw new FaceError(
    "PERMISSION_DENIED",
    "the request comes from the page of another site, without an API key",
    {
      hint: "serve with --api-keys-file, and send a key",
    },
  );
}
