/** @file LFW's pairs files: folds, and strictness with line numbers. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { openDataset } from "./dataset.ts";
import type { Identity } from "./identity.ts";
import { chosenFolds, findPairs, namesIn, parsePairs, readPairs } from "./lfw.ts";

const GOOD = "2\t1\nAnn_Lee\t1\t3\nAnn_Lee\t2\tBob\t1\nCleo\t10\t2\nDan\t1\tCleo\t2\n";

function person(name: string, numbers: readonly number[]): Identity {
  const file = (number: number) => `/d/${name}/${name}_${String(number).padStart(4, "0")}.jpg`;
  return { name, images: numbers.map((number) => ({ kind: "file", path: file(number), index: number })) };
}

describe("parsePairs", () => {
  it("reads folds from the header's count", () => {
    const { folds } = parsePairs(GOOD, "pairs.txt");
    expect(folds).toHaveLength(2);
    expect(folds[0]).toEqual([
      { left: { name: "Ann_Lee", number: 1 }, right: { name: "Ann_Lee", number: 3 }, same: true, line: 2 },
      { left: { name: "Ann_Lee", number: 2 }, right: { name: "Bob", number: 1 }, same: false, line: 3 },
    ]);
    expect(namesIn({ path: "pairs.txt", folds })).toEqual(new Set(["Ann_Lee", "Bob", "Cleo", "Dan"]));
  });

  it("reads files of one fold, with Windows' line ends, and with spaces for tabs", () => {
    expect(parsePairs("1\r\nAnn 1 2\r\nAnn 1 Bob 2\r\n\r\n", "x").folds).toHaveLength(1);
  });

  it.each([
    ["", 'x:1: the number of pairs is ""'],
    ["2\t1\t4\n", "x:1: the first line has 3 columns"],
    ["2\tmany\n", 'x:1: the number of pairs is "many"'],
    [GOOD.replace("Dan\t1\tCleo\t2\n", ""), "x:1: the first line promises 4 pairs, but 3 lines follow"],
    [`${GOOD}Eve\t1\t2\n`, "but 5 lines follow"],
    [GOOD.replace("Cleo\t10\t2", "Cleo\t10"), "x:4: expected a pair of one person, three columns, got 2"],
    [GOOD.replace("Cleo\t10\t2", "Cleo\t10\tDan\t2"), "x:4: expected a pair of one person"],
    [GOOD.replace("Dan\t1\tCleo\t2", "Dan\t1\t2"), "x:5: expected a pair of two people, four columns, got 3"],
    [GOOD.replace("10\t2", "10\t0"), 'x:4: the second image number is "0"'],
    [GOOD.replace("10\t2", "1.5\t2"), 'x:4: the first image number is "1.5"'],
    [GOOD.replace("10\t2", "2\t2"), "x:4: the pair is one image with itself"],
    [GOOD.replace("Dan", "Cleo"), "x:5: both sides of a pair of two people are Cleo"],
  ])("refuses %j", (text, message) => {
    expect(() => parsePairs(text, "x")).toThrow(
      expect.objectContaining({ code: "FILE_INVALID", message: expect.stringContaining(message) }),
    );
  });
});

describe("chosenFolds", () => {
  const file = parsePairs(GOOD, "pairs.txt");

  it("are the folds of these numbers, all when none is named", () => {
    expect(chosenFolds(file, [])).toBe(file);
    expect(chosenFolds(file, [file.folds.length]).folds).toEqual([file.folds.at(-1)]);
  });

  it("refuse a fold that is not there", () => {
    const beyond = file.folds.length + 1;
    expect(() => chosenFolds(file, [beyond])).toThrow(`and no fold ${beyond}`);
  });
});

describe("findPairs", () => {
  const file = parsePairs(GOOD, "pairs.txt");
  const everybody = [
    person("Ann_Lee", [1, 2, 3]),
    person("Bob", [1]),
    person("Cleo", [2, 10]),
    person("Dan", [1]),
  ];

  it("finds images by the number at the end of their names", () => {
    const { folds, missing } = findPairs(file, everybody);
    expect(missing).toEqual([]);
    expect(folds[1]!.map(({ left, right, same }) => [left.index, right.index, same])).toEqual([
      [10, 2, true],
      [1, 2, false],
    ]);
  });

  it("reports what is missing and leaves the other folds as they are", () => {
    const { folds, missing } = findPairs(file, [person("Ann_Lee", [1, 3]), ...everybody.slice(2)]);
    expect(folds.map((fold) => fold.length)).toEqual([1, 2]);
    expect(missing).toEqual(["pairs.txt:3: the dataset has no image 2 of Ann_Lee"]);
    expect(() => findPairs(file, everybody.slice(2))).toThrow(
      expect.objectContaining({ code: "DATASET_INVALID", message: expect.stringContaining("fold 1") }),
    );
  });
});

describe("readPairs", () => {
  it("names a file that is not there", async () => {
    const path = join(await temporaryFolder(), "pairs.txt");
    await expect(readPairs(path)).rejects.toMatchObject({
      code: "FILE_INVALID",
      message: expect.stringContaining(path),
    });
    await writeFile(path, GOOD);
    expect((await readPairs(path)).folds).toHaveLength(2);
  });

  const lfw = join(import.meta.dirname, "../../../shared/datasets/lfw");
  it.skipIf(!existsSync(lfw))("finds every pair of the real file (skipped where LFW is absent)", async () => {
    const { identities } = await openDataset({ path: lfw });
    const protocol = findPairs(await readPairs(join(lfw, "pairs.txt")), identities);
    expect(protocol.missing).toEqual([]);
    expect(protocol.folds.map((fold) => fold.length)).toEqual(Array(8).fill(600));
    expect(protocol.folds.flat().filter(({ same }) => same)).toHaveLength(2400);
  });
});
