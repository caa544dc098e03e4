/** @file Pairs files in the forms that other tools write, their folds, and the images and people they name. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { openDataset } from "./dataset.ts";
import type { Identity } from "./identity.ts";
import { chosenFolds, parsePairs, readPairs } from "./pairs-file.ts";
import { findPairs, peopleIn } from "./protocol.ts";

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
  });

  const ANN = { left: ["Ann Lee", 1], right: ["Ann Lee", 3], same: true };
  const TWO = { left: ["Ann Lee", 2], right: ["Bob", 0], same: false };
  it.each([
    ["tabs around names with spaces", "1\nAnn Lee\t1\t3\nAnn Lee\t2\tBob\t0\n"],
    ["spaces in names between spaces", "1\nAnn Lee 1 3\nAnn Lee  2 Bob 0\n"],
    [
      "Windows' line ends, a mark, blank lines",
      "\uFEFF\r\n1\r\n\r\nAnn Lee\t1\t3\r\n \r\nAnn Lee\t2\tBob\t0\r\n\r\n",
    ],
    ["comments", "# mine\n1 1\n# of one\nAnn Lee\t1\t3\n// of two\nAnn Lee\t2\tBob\t0\n"],
    ["no first line", "Ann Lee\t1\t3\nAnn Lee\t2\tBob\t0\n"],
    ["commas and a header", "name,imagenum1,name,imagenum2\nAnn Lee,1,Ann Lee,3\nAnn Lee,2,Bob,0\n"],
    ["the header of Kaggle's table", 'name,imagenum1,imagenum2,\nAnn Lee,0001,0003,\n"Ann Lee",2,Bob,0\n'],
    [
      "semicolons and labels",
      "person1;image1;person2;image2;same\nAnn Lee;1;Ann Lee;3;1\nAnn Lee;2;Bob;0;0\n",
    ],
    ["trailing tabs", "1\nAnn Lee\t1\t3\t\nAnn Lee\t2\tBob\t0\t\n"],
  ])("reads %s", (_, text) => {
    const { folds, remarks } = parsePairs(text, "x");
    expect(remarks).toEqual([]);
    const short = folds.map((fold) =>
      fold.map(({ left, right, same }) => ({
        left: [left.name, left.number],
        right: [right.name, right.number],
        same,
      })),
    );
    expect(short).toEqual([[ANN, TWO]]);
  });

  it.each([
    ["spaces", "ann/1.jpg ann/b.png 1\nann/1.jpg bob/2.jpg 0\n"],
    ["commas and a header", 'file1,file2,label\n"ann/1.jpg",ann/b.png,True\nann/1.jpg,bob/2.jpg,False\n'],
    ["the label first, backslashes", "1\tann\\1.jpg\tann\\b.png\n-1\tann\\1.jpg\tbob\\2.jpg\n"],
    ["no label", "ann/1.jpg\tann/b.png\nann/1.jpg\tbob/2.jpg\n"],
    ["names of files beside people", "ann\t1.jpg\tb.png\nann\t1.jpg\tbob\t2.jpg\n"],
    ["folds", "1 1\nann/1.jpg\tann/b.png\tsame\nann/1.jpg\tbob/2.jpg\tdifferent\n"],
  ])("reads paths with %s", (_, text) => {
    const [fold] = parsePairs(text, "x").folds;
    expect(fold!.map(({ left, right, same }) => [left.path, right.path, same])).toEqual([
      ["ann/1.jpg", "ann/b.png", true],
      ["ann/1.jpg", "bob/2.jpg", false],
    ]);
  });

  it("reads folds of unequal halves in the order of the file, and says so", () => {
    const { folds, remarks } = parsePairs("2 1\nA 1 2\nA 1 3\nA 1 B 1\nB 1 2\nB 1 A 1\nB 2 A 2\n", "x");
    expect(folds.map((fold) => fold.map(({ same }) => same))).toEqual([
      [true, true, false],
      [true, false, false],
    ]);
    expect(remarks).toEqual([
      "x:1: 2 1 promises 4 pairs, half of them of one person; read as the file has them: 2 + 1, 1 + 2 in a fold",
    ]);
  });

  it.each([
    ["", "x:1: the file is empty"],
    ["2\tmany\n", 'x:1: no pair: got "2\\tmany"'],
    ["0\t3\nAnn 1 2\n", "x:1: a number of folds or pairs is 0"],
    ["10\t300\n", "x:1: no pair follows"],
    [
      GOOD.replace("Dan\t1\tCleo\t2\n", ""),
      "promises 4 pairs, half of them of one person, but 3 lines follow, 2",
    ],
    [`${GOOD}Eve\t1\t2\n`, "but 5 lines follow"],
    [GOOD.replace("Cleo\t10\t2", "Cleo\t10\tDan\t2"), "but 4 lines follow, 1 of one person"],
    [GOOD.replace("Cleo\t10\t2", "Cleo\t10"), 'x:4: no pair: got "Cleo\\t10"'],
    [GOOD.replace("10\t2", "1.5\t2"), "x:4: no pair"],
    [GOOD.replace("10\t2", "2\t2"), "x:4: the pair is one image with itself"],
    ["Ann,1,Ann,2,0\n", "x:1: the label says two people, the names do not"],
    ["Ann,1,Bob,2,1\n", "x:1: the label says one person, the names do not"],
    ["Ann,1,Bob,2,maybe\n", "x:1: no pair"],
    ["ann/1.jpg bob/1.jpg 0.3\n", "x:1: no pair"],
  ])("refuses %j, showing the line", (text, message) => {
    expect(() => parsePairs(text, "x")).toThrow(
      expect.objectContaining({
        code: "FILE_INVALID",
        message: expect.stringContaining(message),
        hint: expect.stringContaining("Ann_Lee<tab>1<tab>3"),
      }),
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

describe("the images of a pairs file", () => {
  const named = (name: string, files: readonly string[], from = 0): Identity => ({
    name,
    images: files.map((file, i) => ({ kind: "file", path: `/d/${name}/${file}`, index: from + i })),
  });
  const found = (text: string, people: readonly Identity[]) => {
    const { folds, missing } = findPairs(parsePairs(text, "x"), people, "/d");
    return [folds.flat().map(({ left, right }) => [left.index, right.index]), missing];
  };

  it.each([
    ["another extension", "Ann 1 2", ["Ann_0001.png", "Ann_0002.webp"]],
    ["a further suffix", "Ann 1 2", ["Ann_0001_cropped.jpg", "Ann_0002_cropped.jpg"]],
    ["a suffix with a number", "Ann 1 2", ["Ann_0001_112x112.jpg", "Ann_0002_112x112.jpg"]],
    ["numbers alone", "Ann 0 10", ["0.png", "10.png"]],
    ["one number within", "Ann 3 7", ["photo_3_a.jpg", "photo_7_b.jpg"]],
    ["folders below the person", "Ann 1 2", ["2019/Ann_0001.jpg", "2020/Ann_0002.jpg"]],
    ["no separator", "Ann 1 2", ["ann1.jpg", "ann2.jpg"]],
    ["numbered people", "Ann 1 10", ["1.png", "10.png"]],
    ["paths without the dataset's folder", "Ann/1.jpg Ann/2.jpg 1", ["1.jpg", "2.jpg"]],
    ["paths from above the dataset", "./lfw/d/Ann/1.jpg ../d/Ann/2.jpg 1", ["1.jpg", "2.jpg"]],
    ["absolute paths", "/d/Ann/1.jpg /d/Ann/2.jpg 1", ["1.jpg", "2.jpg"]],
    ["paths with another extension", "Ann/1.jpg Ann/2.jpg 1", ["1.png", "2.png"]],
  ])("are found by %s", (_, text, files) => {
    const others = [
      named("Bob", ["1.jpg", "2.jpg", "Bob_0001.jpg"], 10),
      named("1", ["1.png", "10.png"], 20),
    ];
    expect(found(text, [named("Ann", files), ...others])).toEqual([[[0, 1]], []]);
  });

  it("are found in a numbered person's folder", () => {
    const people = [named("1", ["0.png", "1.png", "10.png"]), named("10", ["0.png", "1.png"], 3)];
    expect(found("1 0 10\n1 1 10 1\n", people)).toEqual([
      [
        [0, 2],
        [1, 4],
      ],
      [],
    ]);
  });

  it("are not guessed among several", () => {
    const people = [named("Ann", ["2019/1.jpg", "2020/1.jpg", "2.jpg", "3.jpg"])];
    expect(found("Ann 1 2\nAnn 2 3\n", people)).toEqual([
      [[2, 3]],
      ["x:1: the dataset has 2 images that may be image 1 of Ann"],
    ]);
    expect(() => found("bob/1.jpg eve/1.jpg 0\n", people)).toThrow("none of the pairs of fold 1");
  });

  it("are found whatever way accents, case and spaces are spelled", () => {
    const nfd = "Zoë Müller".normalize("NFD");
    const people = [named("Zoë_Müller".normalize("NFC"), ["a_1.jpg", "a_2.jpg"])];
    expect(found(`${nfd}\t1\t2\n`, people)).toEqual([[[0, 1]], []]);
    expect(found(`${nfd.replace(" ", "_")}/a_1.jpg\t${people[0]!.name}/a_2.jpg\t1\n`, people)).toEqual([
      [[0, 1]],
      [],
    ]);
    expect([...peopleIn(parsePairs(`${nfd}\t1\t2\n`, "x"), people).names]).toEqual([people[0]!.name]);
  });

  it("must lie in the folders that the labels say", () => {
    const people = [named("Ann", ["1.jpg", "2.jpg"]), named("Bob", ["1.jpg"], 5)];
    expect(() => found("Ann/1.jpg Bob/1.jpg 1\n", people)).toThrow(
      expect.objectContaining({
        code: "DATASET_INVALID",
        message:
          "x:1 says that Ann/1.jpg and Bob/1.jpg show one person, but in the dataset they are of Ann and Bob",
      }),
    );
  });
});

describe("peopleIn", () => {
  const people = ["Ann_Lee", "Bob", "Cleo"].map((name) => person(name, [1, 2]));

  it("names the people to keep out of training, however they are named, and those who are not there", () => {
    const list = (text: string) => {
      const { names, unknown } = peopleIn(parsePairs(text, "x"), people, "/d");
      return [[...names], unknown];
    };
    expect(list("Ann Lee\t1\t2\nEve\t1\tbob\t1\n")).toEqual([["Ann_Lee", "Bob"], ["Eve"]]);
    expect(list("Ann_Lee/Ann_Lee_0001.png Cleo/Cleo_0001.jpg 0\n")).toEqual([["Ann_Lee", "Cleo"], []]);
    expect(list("Ann_Lee/gone.png Cleo/gone.jpg 0\n")).toEqual([["Ann_Lee", "Cleo"], []]);
  });

  it("refuses a file of which nobody is in the dataset", () => {
    expect(() => peopleIn(parsePairs("Eve 1 2\n", "x"), people)).toThrow("none of the 1 people of x");
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
