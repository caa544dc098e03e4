/** @file Signed tokens: real signatures of an issuer, and every way in which a token is none. */
import { createHmac, createPublicKey } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  base64url,
  exportJWK,
  exportSPKI,
  type GenerateKeyPairResult,
  generateKeyPair,
  SignJWT,
  UnsecuredJWT,
} from "jose";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { singleModelConfig } from "../repository/model-config.ts";
import { type ServerOptions, startServer } from "../server.ts";
import { signedToken } from "./access.ts";
import { TokenChecker } from "./tokens.ts";

const ISSUER = "https://login.example.org/";
const AUDIENCE = "faceid";
const KINDS = ["RS256", "PS256", "ES256", "EdDSA"] as const;
type Kind = (typeof KINDS)[number];

let folder: ModelFolder;
let jwksFile: string;
const pairs = new Map<Kind, GenerateKeyPairResult>();
let stranger: GenerateKeyPairResult;

const now = () => Math.floor(Date.now() / 1000);

/** A token as the issuer makes it, with claims of one's own. */
async function tokenOf(claims: object = {}, kind: Kind = "ES256", key = pairs.get(kind)!.privateKey) {
  const usual = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: "camera-7",
    exp: now() + 300,
    scope: "openid faceid:predict",
  };
  return await new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: kind, kid: kind }).sign(key);
}

async function writeKeySet(path: string, kinds: readonly Kind[]): Promise<void> {
  const keys = kinds.map(async (kind) => ({
    ...(await exportJWK(pairs.get(kind)!.publicKey)),
    kid: kind,
    alg: kind,
    use: "sig",
  }));
  writeFileSync(path, JSON.stringify({ keys: await Promise.all(keys) }));
}

const options = () => ({ jwksFile, issuer: ISSUER, audience: AUDIENCE, scopePrefix: "faceid:" });

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 1, "half_plus_two");
  jwksFile = join(folder.path, "jwks.json");
  for (const kind of KINDS) pairs.set(kind, await generateKeyPair(kind, { extractable: true }));
  stranger = await generateKeyPair("ES256", { extractable: true });
  await writeKeySet(jwksFile, KINDS);
});

afterAll(() => folder[Symbol.asyncDispose]());

describe("TokenChecker", () => {
  it.each(KINDS)("takes a token signed by %s, with its scopes and end", async (kind) => {
    const exp = now() + 60;
    const key = await new TokenChecker(options()).find(await tokenOf({ exp }, kind));
    expect(key).toMatchObject({ scopes: ["predict"], expires: new Date(1000 * exp).toISOString() });
    expect(key?.id).toMatch(/^jwt-[0-9a-f]{16}$/);
    expect(JSON.stringify(key)).not.toContain("camera-7");
  });

  it.each([1e13, 1e18, Number.MAX_VALUE])("takes a token that ends after all dates, at %d", async (exp) => {
    const key = await new TokenChecker(options()).find(await tokenOf({ exp }));
    expect(key?.expires).toBe("+275760-09-13T00:00:00.000Z");
  });

  it.each([
    ["faceid:predict faceid:read", ["predict", "read"]],
    ["predict read", []],
    ["faceid:", []],
    ["faceid:root xfaceid:admin faceid:adminx", []],
    [["faceid:admin"], ["admin"]],
    [7, []],
  ])("reads the scopes of %j", async (scope, scopes) => {
    expect(await new TokenChecker(options()).find(await tokenOf({ scope }))).toMatchObject({ scopes });
    const plain = { ...options(), scopePrefix: undefined };
    expect(
      await new TokenChecker(plain).find(await tokenOf({ scope: undefined, scp: ["read"] })),
    ).toMatchObject({
      scopes: ["read"],
    });
  });

  it.each<[string, () => Promise<string> | string]>([
    ["of another issuer", () => tokenOf({ iss: "https://login.example.com/" })],
    ["for another service", () => tokenOf({ aud: ["other", "another"] })],
    ["that has expired", () => tokenOf({ exp: now() - 60 })],
    ["that does not expire", () => tokenOf({ exp: undefined })],
    ["that is not valid yet", () => tokenOf({ nbf: now() + 120 })],
    ["without a subject", () => tokenOf({ sub: undefined })],
    ["signed by a stranger", () => tokenOf({}, "ES256", stranger.privateKey)],
    [
      "that is not signed",
      () => new UnsecuredJWT({ iss: ISSUER, aud: AUDIENCE, sub: "x", exp: now() + 60 }).encode(),
    ],
    ["whose claims were changed", async () => forged(await tokenOf(), { scope: "faceid:admin" })],
    ["with a signature of zeros", async () => (await tokenOf()).replace(/[^.]+$/, "A".repeat(86))],
    ["with a key of an unknown name", async () => withHeader(await tokenOf(), { alg: "ES256", kid: "none" })],
    ["that names no algorithm", async () => withHeader(await tokenOf(), { alg: "none" })],
    [
      "that wants an unknown extension",
      async () => withHeader(await tokenOf(), { alg: "ES256", crit: ["x"] }),
    ],
    ["that is no JSON", () => "YQ.YQ.YQ"],
  ])("refuses a token %s", async (_, make) => {
    expect(await new TokenChecker(options()).find(await make())).toBeUndefined();
  });

  it.each(["HS256", "HS384", "HS512"])("refuses %s with the public key as its secret", async (alg) => {
    const pem = await exportSPKI(pairs.get("RS256")!.publicKey);
    const secrets = [
      pem,
      pem.trim(),
      createPublicKey(pem).export({ type: "spki", format: "der" }),
      JSON.stringify(await exportJWK(pairs.get("RS256")!.publicKey)),
    ];
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: "x", exp: now() + 60, scope: "faceid:admin" };
    for (const kid of ["RS256", undefined]) {
      const body = [{ alg, kid }, claims].map((part) => base64url.encode(JSON.stringify(part))).join(".");
      for (const secret of secrets) {
        const mac = createHmac(alg.replace("HS", "sha"), secret).update(body).digest("base64url");
        expect(await new TokenChecker(options()).find(`${body}.${mac}`)).toBeUndefined();
      }
    }
  });

  it("reads the keys again when they change, and keeps them when the file breaks", async () => {
    const changing = join(folder.path, "changing.json");
    await writeKeySet(changing, ["RS256"]);
    const error = vi.fn();
    const checker = new TokenChecker({ ...options(), jwksFile: changing }, {
      ...silentLog,
      error,
    } satisfies Log);
    const takes = async (kind: Kind) => (await checker.find(await tokenOf({}, kind))) !== undefined;
    expect([await takes("RS256"), await takes("ES256")]).toEqual([true, false]);
    await writeKeySet(changing, ["ES256"]);
    expect([await takes("RS256"), await takes("ES256")]).toEqual([false, true]);
    writeFileSync(changing, "{");
    expect([await takes("RS256"), await takes("ES256")]).toEqual([false, true]);
    rmSync(changing);
    expect(await takes("ES256")).toBe(true);
    expect(error).toHaveBeenCalledTimes(2);
  });

  it("refuses at the start a file that holds a secret, a private key, or none", async () => {
    const path = join(folder.path, "wrong.json");
    const secret = { keys: [{ kty: "oct", k: "c2VjcmV0" }] };
    const whole = { keys: [await exportJWK(pairs.get("RS256")!.privateKey)] };
    for (const text of [JSON.stringify(secret), JSON.stringify(whole), '{"keys": []}', "{}", "", "[]"]) {
      writeFileSync(path, text);
      expect(() => new TokenChecker({ ...options(), jwksFile: path }), text.slice(0, 20)).toThrow(
        expect.objectContaining({ code: "FILE_INVALID" }),
      );
    }
    expect(() => new TokenChecker({ ...options(), jwksFile: `${path}.none` })).toThrow(/cannot read/);
  });
});

/** The same signature under other claims. */
function forged(token: string, claims: object): string {
  const [head, body, signature] = token.split(".");
  const whole = { ...JSON.parse(Buffer.from(body!, "base64url").toString()), ...claims };
  return [head, base64url.encode(JSON.stringify(whole)), signature].join(".");
}

function withHeader(token: string, header: object): string {
  return [base64url.encode(JSON.stringify(header)), ...token.split(".").slice(1)].join(".");
}

describe("signedToken", () => {
  it.each([
    ["Bearer a.b.c", "a.b.c"],
    ["bearer  a.b.c", "a.b.c"],
    ["Bearer a.b.", undefined],
    ["Bearer a.b", undefined],
    ["Bearer a.b.c, Bearer a.b.c", undefined],
    [`Bearer a.b.${"c".repeat(9000)}`, undefined],
    ["a.b.c", undefined],
    [undefined, undefined],
  ])("of %.30j is %j", (header, token) => expect(signedToken(header)).toBe(token));
});

describe("a server that takes tokens", () => {
  async function ask(more: Partial<ServerOptions>, paths: readonly [string, string | undefined][]) {
    const server = await startServer({
      models: singleModelConfig("half", join(folder.path, "half")),
      loader: loadProgram,
      log: silentLog,
      grpcPort: undefined,
      restPort: 0,
      maxLoadRetries: 0,
      bindAddress: "127.0.0.1",
      metricsPath: "/metrics",
      tokens: options(),
      ...more,
    });
    const codes: number[] = [];
    for (const [path, token] of paths) {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const url = `http://127.0.0.1:${server.restPort}${path}`;
      const isPost = path.includes(":") || path.endsWith("/load");
      const answer = await fetch(url, { headers, ...(isPost && { method: "POST", body: "{}" }) });
      codes.push(answer.status);
    }
    await server.close(1000);
    return codes;
  }

  it("asks for one where a key is asked for, and looks at its scopes", async () => {
    const [good, admin, reader, late] = [
      await tokenOf(),
      await tokenOf({ scope: "faceid:admin" }),
      await tokenOf({ scope: "faceid:read" }),
      await tokenOf({ exp: now() - 60 }),
    ];
    expect(
      await ask({}, [
        ["/v1/models/half", undefined],
        ["/v1/models/half:embed", undefined],
        ["/v1/models/half:embed", late],
        ["/v1/models/half:embed", reader],
        ["/v1/models/half:embed", good],
        ["/v2/repository/models/half/load", good],
        ["/v2/repository/models/half/load", admin],
      ]),
    ).toEqual([200, 401, 401, 403, 400, 403, 200]);
    expect(
      await ask({ requireApiKey: true }, [
        ["/v1/models/half", undefined],
        ["/v1/models/half", good],
        ["/v1/models/half", reader],
        ["/metrics", good],
        ["/metrics", reader],
        ["/healthz", undefined],
      ]),
    ).toEqual([401, 200, 403, 403, 200, 200]);
  });
});
