/** @file Photographs without names: each an identity of its own, for students alone. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder, writePhotos } from "../../test/support/photos.ts";
import { tinyConfig } from "../../test/support/tiny-run.ts";
import { silentLog } from "../base/log.ts";
import { trainingPeople } from "./people.ts";
import { unnamedPhotos } from "./unnamed.ts";

const STUDENT = { teacher: "opencv-sface", loss: "bce", faces: "none", minImagesPerId: 1 } as const;

describe("photographs without names", () => {
  it("join the people to train on, those in folders too, after the dataset's own images", async () => {
    const unnamedPath = await temporaryFolder();
    await writePhotos(unnamedPath, ["b.png", "a.png", "trip/c.png"]);
    const config = tinyConfig({ ...STUDENT, sampling: "people", unnamedPath });
    await writeFile(join(unnamedPath, "trip/raw.cr2"), "x");
    const warned: string[] = [];
    const log = { ...silentLog, warn: (message: string) => warned.push(message) };
    const { split, dataset } = await trainingPeople(config, log, undefined);
    expect(warned).toEqual([
      `left out: 1 raw file of a camera, which cannot be decoded; develop it to JPEG (${join(unnamedPath, "trip/raw.cr2")})`,
    ]);
    const { split: without } = await trainingPeople(
      { ...config, unnamedPath: undefined },
      silentLog,
      undefined,
    );
    expect(split).toMatchObject({ validation: without.validation, test: without.test });
    const added = split.train.slice(without.train.length);
    expect(added.map(({ name }) => name)).toEqual(
      ["a.png", "b.png", "trip/c.png"].map((file) => join(unnamedPath, file)),
    );
    const known = dataset.identities.flatMap(({ images }) => images.map(({ index }) => index));
    const indices = added.flatMap(({ images }) => images.map(({ index }) => index));
    expect(indices).toEqual([0, 1, 2].map((i) => Math.max(...known) + 1 + i));
  });

  it.each([
    [{ teacher: undefined }, /only teach a student/],
    [{ loss: "cosface" }, /nothing about people to the loss cosface/],
    [{ minImagesPerId: 2 }, /one image each/],
    [{}, /there are no photographs/],
  ] as const)("are refused with %j", async (changes, message) => {
    const unnamedPath = await temporaryFolder();
    await expect(unnamedPhotos({ ...STUDENT, unnamedPath, ...changes }, 0, silentLog)).rejects.toThrow(
      message,
    );
  });
});
