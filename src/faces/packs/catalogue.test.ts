/** @file The catalogue's entries: complete, and true to the files where these are at hand. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sha256OfFile } from "../../base/files.ts";
import { MODES, modeSuffix } from "../mode.ts";
import {
  bytesOf,
  filesOf,
  licencesOf,
  PACKS,
  packDigest,
  packModelName,
  packModelNamed,
  packNamed,
} from "./catalogue.ts";

const SHARED = join(import.meta.dirname, "../../../../shared/models");
/** Where the files of a pack lie on machines that may not fetch them. */
const FOLDERS: Readonly<Record<string, string>> = { "opencv-sface": join(SHARED, "opencv") };

describe.each(PACKS)("the pack $name", (pack) => {
  it("has a name for folders and addresses, and names of files that are its own", () => {
    expect(pack.name).toMatch(/^[a-z0-9-]+$/);
    expect(packNamed(pack.name)).toBe(pack);
    const names = filesOf(pack).map(([, { name }]) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[\w.-]+\.onnx$/);
  });

  it("says of every file where it comes from, under which licence, and what it was trained on", () => {
    for (const [, { name, origins, licence, trainedOn, sha256 }] of filesOf(pack)) {
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(["MIT", "Apache-2.0"]).toContain(licence);
      expect(trainedOn).not.toBe("");
      expect(origins.length).toBeGreaterThan(1);
      for (const origin of origins) {
        expect(new URL(origin).protocol).toBe("https:");
        expect(origin.endsWith(`/${name}`)).toBe(true);
      }
    }
  });

  const folder = FOLDERS[pack.name]!;
  it.skipIf(!existsSync(folder))(`is that of ${folder}, by size and digest`, async () => {
    for (const [, { name, sha256 }] of filesOf(pack))
      expect(await sha256OfFile(join(folder, name))).toBe(sha256);
  });
});

it("names a pack in each mode, and finds it by that name", () => {
  const models = MODES.map((mode) => ({ pack: "opencv-sface", ...mode }));
  expect(models.map(packModelName)).toEqual([
    "opencv-sface",
    "opencv-sface-int8",
    "opencv-sface-fast",
    "opencv-sface-int8-fast",
  ]);
  for (const model of models) expect(packModelNamed(packModelName(model))).toEqual(model);
  expect(new Set(models.map(packDigest)).size).toBe(models.length);
  expect(packModelNamed("opencv-sface-fast-int8")).toBeUndefined();
});

it("leaves to the wish what a name leaves open", () => {
  const suffixes = (name: string) => MODES.map((wish) => modeSuffix(packModelNamed(name, wish)!));
  expect(suffixes("opencv-sface")).toEqual(["", "-int8", "-fast", "-int8-fast"]);
  expect(suffixes("opencv-sface-int8")).toEqual(["-int8", "-int8", "-int8-fast", "-int8-fast"]);
  expect(suffixes("opencv-sface-fast")).toEqual(["-fast", "-int8-fast", "-fast", "-int8-fast"]);
});

it("sums up a pack", () => {
  const pack = packNamed("opencv-sface");
  expect([bytesOf(pack), licencesOf(pack)]).toEqual([10_790_341, "MIT and Apache-2.0"]);
  expect(() => packNamed("arcface")).toThrow(
    expect.objectContaining({ code: "PACK_UNKNOWN", hint: "the catalogue has opencv-sface" }),
  );
});
