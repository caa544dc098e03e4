/** @file The file of API keys: who may do what until when, with the digests of the tokens instead of the tokens. */
// A token is 256 random bits, so nobody finds one by trying, and a digest of it needs neither salt nor a slow function.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { z } from "zod";
import { DuplicateKey, parseJson } from "../../artifact/json.ts";
import { FaceError } from "../../base/errors.ts";
import { requireRegularSync } from "../../base/files.ts";

/**
 * What a key allows. `predict`: everything of models that changes nothing. `read`, `enrol`, `identify`: people of galleries,
 * and `read` the metrics too. `admin`: all of these, and to change the configuration.
 */
export const SCOPES = ["predict", "read", "enrol", "identify", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** Keys that the file may hold: each is compared with every token that comes. */
const MOST_KEYS = 1000;
/** Largest file that is read. */
const MOST_BYTES = 2 ** 20;

/** A name that can be printed and logged: no control characters and no ends of lines. */
const keyName = z.string().regex(/^[^\p{C}\p{Zl}\p{Zp}]{1,100}$/u, "1 to 100 printable characters");
const moment = z.iso.datetime({ offset: true });

const storedKey = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{8}$/, "8 hexadecimal digits"),
  name: keyName,
  /** SHA-256 of the token, in hexadecimal. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits"),
  scopes: z.array(z.enum(SCOPES)).min(1),
  galleries: z.array(z.string().min(1)).min(1).optional(),
  created: moment,
  expires: moment.optional(),
  revoked: moment.optional(),
});

const keyFile = z
  .strictObject({ keys: z.array(storedKey).max(MOST_KEYS) })
  .refine(({ keys }) => new Set(keys.map(({ id }) => id)).size === keys.length, "two keys have one id");

/** A key as the file holds it. */
export type StoredKey = Readonly<z.infer<typeof storedKey>>;

/** A token as it is sent. */
const TOKEN = /^fid_[\w-]{43}$/;
const TOKEN_BYTES = 32;
const ID_BYTES = 4;

/** The digest of a token; undefined for what cannot be one. */
export function digestOf(token: string): Buffer | undefined {
  return TOKEN.test(token) ? createHash("sha256").update(token).digest() : undefined;
}

/** Whether a key may be used at the time. */
export function isUsable({ expires, revoked }: StoredKey, nowMs: number): boolean {
  return revoked === undefined && (expires === undefined || Date.parse(expires) > nowMs);
}

/** What a new key may do. */
export interface KeyWish {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Names of the only galleries that it opens; left out, all. */
  readonly galleries?: readonly string[] | undefined;
  /** ISO time; left out, never. */
  readonly expires?: string | undefined;
}

/** A new key and its token, which is nowhere else. */
export function newKey(wish: KeyWish, now: Date): { readonly key: StoredKey; readonly token: string } {
  const token = `fid_${randomBytes(TOKEN_BYTES).toString("base64url")}`;
  const { name, scopes, galleries, expires } = wish;
  const key = {
    id: randomBytes(ID_BYTES).toString("hex"),
    name,
    sha256: digestOf(token)!.toString("hex"),
    scopes: [...scopes],
    ...(galleries !== undefined && { galleries: [...galleries] }),
    created: now.toISOString(),
    ...(expires !== undefined && { expires }),
  };
  return { key, token };
}

function parseKeys(text: string, path: string): readonly StoredKey[] {
  const wrong = (what: string, cause?: unknown) =>
    new FaceError("FILE_INVALID", `${path} is no file of API keys: ${what}`, {
      hint: "faceid keys add NAME --keys FILE makes one and adds to it",
      cause,
    });
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw wrong(error instanceof DuplicateKey ? error.message : "it is not JSON", error);
  }
  const parsed = keyFile.safeParse(value);
  if (parsed.success) return parsed.data.keys;
  const [issue] = parsed.error.issues;
  throw wrong(`${issue!.path.join(".") || "the file"}: ${issue!.message}`);
}

/**
 * Reads a file of keys.
 * @throws the system's error, or FaceError `FILE_INVALID`.
 */
export function readKeyFile(path: string): readonly StoredKey[] {
  requireRegularSync(path);
  if (statSync(path).size > MOST_BYTES) {
    const text = `${path} is no file of API keys: it is larger than ${MOST_BYTES} bytes`;
    throw new FaceError("FILE_INVALID", text, { hint: "name a file that faceid keys add wrote" });
  }
  return parseKeys(readFileSync(path, "utf8"), path);
}

/**
 * The text of a file of keys.
 * @throws FaceError `CONFIG_INVALID` where the keys do not fit its schema.
 */
export function writeKeys(keys: readonly StoredKey[]): string {
  const parsed = keyFile.safeParse({ keys });
  if (parsed.success) return `${JSON.stringify(parsed.data, undefined, 2)}\n`;
  const [issue] = parsed.error.issues;
  const [, at, field] = issue!.path;
  const what = field === undefined ? "the keys" : String(field);
  const got = keys[Number(at)]?.[field as keyof StoredKey];
  throw new FaceError("CONFIG_INVALID", `${what}: got ${JSON.stringify(got)}: ${issue!.message}`, {
    hint: "faceid keys add --help shows what a key may be",
  });
}
