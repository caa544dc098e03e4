/** @file What a job on a folder of photographs makes of links that lead nowhere and of files that are not read. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { photosIn, readPhoto } from "./photos-in.ts";

it("lists photographs that are links to nothing, which are then named as such, and no other dead links", async () => {
  const folder = await temporaryFolder();
  mkdirSync(join(folder, "ann"));
  writeFileSync(join(folder, "ann", "a.jpg"), "x");
  symlinkSync("../gone.jpg", join(folder, "ann", "b.jpg"));
  symlinkSync("gone.jpg", join(folder, "c.jpg"));
  symlinkSync("gone", join(folder, "people"));
  symlinkSync("d.jpg", join(folder, "d.jpg"));
  const { paths, unread } = await photosIn(folder);
  expect(paths).toEqual(["c.jpg", "ann/a.jpg", "ann/b.jpg"]);
  expect(unread.map(({ reason }) => reason)).toEqual([
    "d.jpg is a link that leads back to a folder above",
    "people is a link that leads nowhere",
  ]);
  for (const path of ["c.jpg", "ann/b.jpg"]) {
    await expect(readPhoto(folder, path)).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: `cannot read ${path}: it is a link that leads nowhere`,
    });
  }
});

it("names videos, camera raw files and others that are not read, with the reason and what to do", async () => {
  const folder = await temporaryFolder();
  mkdirSync(join(folder, "ann"));
  const files = ["ann/1.jpg", "ann/2.CR2", "ann/3.mov", "clip.mp4", "b.jxl", "all.zip", "c.jpg.part"];
  for (const file of [...files, "notes.txt", ".hidden.mp4"]) writeFileSync(join(folder, file), "x");
  const { paths, unread } = await photosIn(folder);
  expect(paths).toEqual(["ann/1.jpg"]);
  expect(unread).toEqual(
    [
      ["all.zip", "an archive, which is not opened; unpack it"],
      ["ann/2.CR2", "a raw file of a camera, which cannot be decoded; develop it to JPEG"],
      ["ann/3.mov", "a video, which is not read; save frames as JPEG"],
      ["b.jxl", "an image in a format that cannot be decoded; convert it to JPEG or PNG"],
      ["c.jpg.part", "an unfinished download"],
      ["clip.mp4", "a video, which is not read; save frames as JPEG"],
    ].map(([path, what]) => ({ path, code: "IMAGE_UNREADABLE", reason: `${path} is ${what}` })),
  );
  rmSync(join(folder, "ann/1.jpg"));
  await expect(photosIn(folder)).rejects.toThrow(
    /^there are no photographs in .*; left out: .*2 videos, which are not read; save frames as JPEG \(first: .*\.m/,
  );
});

it("names the folder of a photograph that is given in the place of a folder", async () => {
  const folder = await temporaryFolder();
  writeFileSync(join(folder, "a.jpg"), "x");
  await expect(photosIn(join(folder, "a.jpg"))).rejects.toMatchObject({
    message: expect.stringContaining("it is a file, not a folder"),
    hint: `give a folder of photographs, such as the one that holds it: ${folder}`,
  });
});
