/** @file Files of API keys: what is written, who may read it, and two changes at once. */
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { KeyRing } from "../serving/access/access.ts";
import { addKey, expiryOf, listKeys, revokeKey } from "./keys.ts";

const folder = await temporaryFolder();
let file: string;
let count = 0;
beforeEach(() => {
  file = join(folder, `${count++}.json`);
});
const wish = (name: string) => ({ name, scopes: ["read"] as const });

describe("keys", () => {
  it("keeps the digest of a token, not the token, for the owner alone", async () => {
    const { token, id } = await addKey(file, {
      ...wish("app"),
      galleries: ["staff"],
      expires: "2999-01-01T00:00:00.000Z",
    });
    expect(token).toMatch(/^fid_[\w-]{43}$/);
    expect(readFileSync(file, "utf8")).not.toContain(token.slice(4));
    if (process.platform !== "win32") expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(listKeys(file)).toEqual([
      expect.objectContaining({ id, name: "app", state: "usable", scopes: ["read"], galleries: ["staff"] }),
    ]);
    expect(JSON.stringify(listKeys(file))).not.toContain("sha256");
  });

  it("stays the owner's alone when it is changed", async () => {
    await addKey(file, wish("a"));
    chmodSync(file, 0o644);
    await addKey(file, wish("b"));
    if (process.platform !== "win32") expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("loses none of twenty keys that are added at once", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `key ${i}`);
    const added = await Promise.all(names.map((name) => addKey(file, wish(name))));
    expect(
      listKeys(file)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(names.toSorted());
    const ring = await KeyRing.open(file);
    for (const { id, token } of added) expect(ring.find(`Bearer ${token}`)?.id).toBe(id);
    ring.close();
  });

  it.each(["", "a\nb", "a\u0000", "\u2028", "\u001b[31m", "x".repeat(101)])(
    "refuses the name %j",
    async (name) => {
      await expect(addKey(file, wish(name))).rejects.toMatchObject({ code: "CONFIG_INVALID" });
      expect(() => listKeys(file)).toThrow();
    },
  );

  it("refuses a name that an active key has, and takes it when that key is revoked", async () => {
    await addKey(file, wish("app"));
    await expect(addKey(file, wish("app"))).rejects.toThrow(/has a key named app already/);
    await revokeKey(file, "app");
    const { id } = await addKey(file, wish("app"));
    await revokeKey(file, id);
    expect(listKeys(file).map(({ state }) => state)).toEqual(["revoked", "revoked"]);
    await expect(revokeKey(file, "app")).rejects.toThrow(/the key app is revoked already/);
    await expect(revokeKey(file, "nobody")).rejects.toThrow(/has no key nobody/);
  });

  it.each([
    ["no JSON", /it is not JSON/],
    ['{"keys": [], "more": 1}', /Unrecognized key/],
    ['{"keys": [{"id": "x"}]}', /keys\.0\.id/],
    ["[]", /the file: /],
  ])("leaves the file %j as it is, and says what is wrong", async (text, message) => {
    writeFileSync(file, text);
    await expect(addKey(file, wish("app"))).rejects.toThrow(message);
    await expect(revokeKey(file, "app")).rejects.toThrow(message);
    expect(readFileSync(file, "utf8")).toBe(text);
    await expect(KeyRing.open(file)).rejects.toMatchObject({ code: "FILE_INVALID" });
  });
});

describe("expiryOf", () => {
  const now = new Date("2030-01-31T12:00:00Z");
  it.each([
    ["1", "2030-02-01T12:00:00.000Z"],
    ["2031-06-30", "2031-06-30T00:00:00.000Z"],
    ["2031-06-30T10:00:00+02:00", "2031-06-30T08:00:00.000Z"],
  ])("%s", (text, expires) => expect(expiryOf(text, now)).toBe(expires));
  it.each([
    "0",
    "-1",
    "1.5",
    "",
    "tomorrow",
    "2030-01-31",
    "2029-12-31",
    "2030-02-30",
    "2030-13-01",
    "99999999",
  ])("refuses %j", (text) => {
    expect(() => expiryOf(text, now)).toThrow(/--expires/);
  });
});
