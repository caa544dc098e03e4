/** @file Signed tokens (JWT) of an issuer, checked against its public keys in a file; the only importer of jose. */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from "jose";
import { z } from "zod";
import { DuplicateKey, parseJson } from "../../artifact/json.ts";
import { FaceError, messageOf } from "../../base/errors.ts";
import { fileState, requireRegularSync } from "../../base/files.ts";
import { type Log, silentLog } from "../../base/log.ts";
import type { ApiKey } from "./access.ts";
import { SCOPES, type Scope } from "./keys.ts";

/** The issuer whose tokens are accepted. */
export interface TokenOptions {
  /** The issuer's public keys, a JSON Web Key Set (RFC 7517). */
  readonly jwksFile: string;
  /** The required claim `iss`. */
  readonly issuer: string;
  /** The audience that the claim `aud` must be or contain. */
  readonly audience: string;
  /** The prefix of our scopes in the claim `scope`, such as `faceid:`. Default: none. */
  readonly scopePrefix?: string | undefined;
}

/**
 * Signatures by a private key. Shared secrets (HMAC) are refused: the server could forge tokens itself, and attackers sign
 * tokens with the public key as the secret.
 */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
/** How far the issuer's clock may be from ours. */
const CLOCK_TOLERANCE_SECONDS = 30;
const MOST_BYTES = 2 ** 20;
const MOST_KEYS = 100;

const publicKey = z.looseObject({
  kty: z.enum(["RSA", "EC", "OKP"], "RSA, EC or OKP: a shared secret checks no token"),
  d: z.undefined("no private key: export the public ones").optional(),
});
const keySet = z.looseObject({ keys: z.array(publicKey).min(1).max(MOST_KEYS) });

/** @throws FaceError `FILE_INVALID`, or the system's error. */
function readKeySet(path: string): JSONWebKeySet {
  const wrong = (what: string, cause?: unknown) =>
    new FaceError("FILE_INVALID", `\`tokens.jwksFile\`: ${path} is no set of public keys: ${what}`, {
      hint: "save what the issuer serves as its jwks_uri",
      cause,
    });
  requireRegularSync(path);
  if (statSync(path).size > MOST_BYTES) throw wrong(`it is larger than ${MOST_BYTES} bytes`);
  let value: unknown;
  try {
    value = parseJson(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof DuplicateKey) throw wrong(error.message, error);
    if (error instanceof SyntaxError) throw wrong("it is not JSON", error);
    throw error;
  }
  const parsed = keySet.safeParse(value);
  if (parsed.success) return value as JSONWebKeySet;
  const [issue] = parsed.error.issues;
  throw wrong(`${issue!.path.join(".") || "the file"}: ${issue!.message}`);
}

/** The last moment that a date can be; an issuer may name a later one, such as nanoseconds. */
const LAST_MS = 8.64e15;

/** Claims as a key: the same scopes, and an id that does not tell the person. */
function asKey(claims: JWTPayload, prefix: string): ApiKey {
  const { iss = "", sub = "", scope, scp, exp } = claims;
  const given = scope ?? scp;
  const words = typeof given === "string" ? given.split(" ") : Array.isArray(given) ? given : [];
  const scopes = SCOPES.filter((each: Scope) => words.includes(`${prefix}${each}`));
  const id = createHash("sha256").update(`${iss}\n${sub}`).digest("hex").slice(0, 16);
  return { id: `jwt-${id}`, scopes, expires: new Date(Math.min(1000 * exp!, LAST_MS)).toISOString() };
}

/** Checks tokens. The file is read again when it has changed, so that an issuer may change its keys. */
export class TokenChecker {
  readonly #options: TokenOptions;
  readonly #log: Log;
  #state: string;
  #keyOf: ReturnType<typeof createLocalJWKSet>;

  /** @throws FaceError `FILE_INVALID` for a file that is missing, or no set of public keys. */
  constructor(options: TokenOptions, log: Log = silentLog) {
    this.#options = options;
    this.#log = log;
    this.#state = fileState(options.jwksFile);
    try {
      this.#keyOf = createLocalJWKSet(readKeySet(options.jwksFile));
    } catch (error) {
      if (error instanceof FaceError) throw error;
      const text = `\`tokens.jwksFile\`: cannot read ${options.jwksFile}: ${messageOf(error)}`;
      throw new FaceError("FILE_INVALID", text, {
        hint: "save what the issuer serves as its jwks_uri",
        cause: error,
      });
    }
  }

  /**
   * What a token allows, as if it were a key.
   * @returns undefined for one that is not signed by the issuer, is for another audience, not valid yet, or expired.
   */
  async find(token: string): Promise<ApiKey | undefined> {
    this.#refresh();
    const { issuer, audience, scopePrefix = "" } = this.#options;
    try {
      const { payload } = await jwtVerify(token, this.#keyOf, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ["exp", "sub"],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
      });
      return asKey(payload, scopePrefix);
    } catch (error) {
      // Keys that cannot be used, such as a curve of another kind, are errors of the platform.
      const isKnown = error instanceof errors.JOSEError || error instanceof TypeError || isOfCrypto(error);
      if (!isKnown) throw error;
      return undefined;
    }
  }

  #refresh(): void {
    const state = fileState(this.#options.jwksFile);
    if (state === this.#state) return;
    this.#state = state;
    try {
      this.#keyOf = createLocalJWKSet(readKeySet(this.#options.jwksFile));
      this.#log.info("the issuer's public keys were read again");
    } catch (error) {
      this.#log.error("the issuer's changed public keys cannot be read; those before stay in force", {
        cause: messageOf(error),
      });
    }
  }
}

const isOfCrypto = (error: unknown) => error instanceof DOMException;
