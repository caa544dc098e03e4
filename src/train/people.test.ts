/** @file Which people a model is measured on: those its record holds out, or all of another dataset. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder, writePhotos } from "../../test/support/photos.ts";
import { FaceError } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { trainConfig } from "./config.ts";
import { areHeldOut, measuredData, openPeople } from "./people.ts";

const recorded = trainConfig({
  dataset: "lfw",
  datasetPath: "data/lfw",
  idTo: 4000,
  excludePairs: "pairs.txt",
  excludeFolds: [7],
  validationFraction: 0.2,
  seed: 5,
  imageShape: [96, 96],
});

describe("measuredData", () => {
  it("keeps the record's settings for the record's data, with those that are given", () => {
    expect(measuredData(recorded)).toEqual(recorded);
    expect(measuredData(recorded, { idTo: 5, testFraction: 0.3 })).toEqual({
      ...recorded,
      idTo: 5,
      testFraction: 0.3,
    });
    expect(measuredData(recorded, { datasetPath: "./data/../data/lfw" })).toMatchObject({ idTo: 4000 });
    expect(measuredData(recorded, { dataset: "lfw" })).toMatchObject({ idTo: 4000 });
  });

  it("keeps them for a copy of the folder that holds the record's pairs file", async () => {
    const root = await temporaryFolder();
    await writePhotos(root, ["lfw/Ann/Ann_0001.png"]);
    const datasetPath = join(root, "lfw");
    expect(measuredData(recorded, { datasetPath }).idTo).toBeUndefined();
    await writeFile(join(datasetPath, "pairs.txt"), "1\nAnn 1 2\nAnn 1 Bob 2\n");
    expect(measuredData(recorded, { datasetPath }).idTo).toBe(4000);
  });

  it.each([
    { datasetPath: "mine" },
    { dataset: "synthetic" },
    { dataset: "folder", datasetPath: "data/lfw" },
  ])("opens %j afresh, and holds out everybody", (given) => {
    const fresh = measuredData(recorded, given);
    expect(fresh).toMatchObject({ seed: 5, imageShape: [96, 96], excludeFolds: [], ...given });
    expect([fresh.idTo, fresh.excludePairs]).toEqual([undefined, undefined]);
    expect([fresh.validationFraction, fresh.testFraction]).toEqual([0.5, 0.5]);
    expect(fresh.dataset).toBe(given.dataset);
  });

  it("leaves the rest for the thresholds where one fraction is given", () => {
    expect(measuredData(recorded, { datasetPath: "mine", testFraction: 0.75 })).toMatchObject({
      validationFraction: 0.25,
      testFraction: 0.75,
    });
  });
});

describe("areHeldOut", () => {
  it.each([
    {},
    { datasetPath: "./data/../data/lfw" },
    { dataset: "lfw", validationFraction: 0.2, seed: 5, excludeFolds: [7], face: "largest" as const },
  ])("is sure of the record's people: %j", (given) => {
    expect(areHeldOut(recorded, given)).toBe(true);
  });

  it.each([
    { datasetPath: "mine" },
    { dataset: "synthetic" },
    { testFraction: 0.5 },
    { seed: 6 },
    { idTo: 5 },
    { excludeFolds: [8] },
    { imagesPerId: 2 },
  ])("is sure of nobody else: %j", (given) => {
    expect(areHeldOut(recorded, given)).toBe(false);
  });

  it("takes another folder of the same name for a copy only where the record's pairs file is in it", async () => {
    const root = await temporaryFolder();
    await writePhotos(root, ["lfw/Ann/Ann_0001.png"]);
    const datasetPath = join(root, "lfw");
    const { excludePairs: _pairs, ...drawn } = recorded;
    expect([areHeldOut(recorded, { datasetPath }), areHeldOut(drawn, { datasetPath })]).toEqual([
      false,
      false,
    ]);
    await writeFile(join(datasetPath, "pairs.txt"), "1\nAnn 1 2\nAnn 1 Bob 2\n");
    expect([areHeldOut(recorded, { datasetPath }), areHeldOut(drawn, { datasetPath })]).toEqual([
      true,
      false,
    ]);
  });
});

describe("openPeople", () => {
  it("keeps whom a training saw when people come to the folder, and holds out nobody but those that it did not see", async () => {
    const root = await temporaryFolder();
    const add = (names: readonly string[]) =>
      writePhotos(
        root,
        names.flatMap((name) => [`${name}/1.png`, `${name}/2.png`]),
      );
    await add(["ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal", "ida", "jon"]);
    const config = trainConfig({ datasetPath: root, validationFraction: 0.2, testFraction: 0.2, seed: 3 });
    const names = (people: readonly { name: string }[]) => people.map(({ name }) => name);
    const before = await openPeople(config, silentLog);
    expect(JSON.stringify(before.trained)).not.toContain("ann");
    await add(["aaa", "abe", "zoe", "zed", "kim"]);
    const reshuffled = await openPeople(config, silentLog);
    const seen = new Set(names(before.split.train));
    expect(names(reshuffled.split.test).some((name) => seen.has(name))).toBe(true);
    const after = await openPeople(config, silentLog, { trained: before.trained });
    expect(names(after.split.train)).toEqual(names(before.split.train));
    expect(names(after.split.validation)).toEqual(names(before.split.validation));
    expect(names(after.split.test).toSorted()).toEqual(
      [...names(before.split.test), "aaa", "abe", "kim", "zed", "zoe"].toSorted(),
    );
    // A run that measured on the people of a pairs file does not measure on newcomers beside them.
    const pairs = { ...config, testFraction: 0 };
    expect((await openPeople(pairs, silentLog, { trained: before.trained })).split.test).toEqual([]);
  });

  it("measures on all people of an odd number where nobody is trained on", async () => {
    const root = await temporaryFolder();
    await writePhotos(
      root,
      ["a", "b", "c", "d", "e"].flatMap((name) => [`${name}/1.png`, `${name}/2.png`]),
    );
    const config = measuredData(recorded, { datasetPath: root });
    const { split } = await openPeople(config, silentLog, { leastTrained: 0 });
    expect([split.train.length, split.validation.length, split.test.length]).toEqual([0, 2, 3]);
    await expect(openPeople(config, silentLog)).rejects.toBeInstanceOf(FaceError);
  });

  it("keeps people out by either spelling of their names, and says whom it does not know", async () => {
    const root = await temporaryFolder();
    const names = ["Zoë".normalize("NFD"), "a", "b", "c", "d", "e", "f", "g"];
    await writePhotos(
      root,
      names.flatMap((name) => [`${name}/1.png`, `${name}/2.png`]),
    );
    await writeFile(
      join(root, "out.txt"),
      `1\n${"Zoë".normalize("NFC")} 1 2\n${"Zoë".normalize("NFC")} 1 Eve 2\n`,
    );
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    const config = trainConfig({ datasetPath: root, excludePairs: "out.txt" });
    const { split, excluded } = await openPeople(config, log);
    expect(excluded).toBe(1);
    const kept = [...split.train, ...split.validation, ...split.test].map(({ name }) => name);
    expect(kept.sort()).toEqual(names.slice(1));
    expect(warnings).toEqual([expect.stringContaining("1 person of")]);
    expect(warnings[0]).toContain("Eve");
  });
});
