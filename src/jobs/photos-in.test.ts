/** @file What a job on a folder of photographs makes of links that lead nowhere. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
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
  expect(await photosIn(folder)).toEqual(["c.jpg", "ann/a.jpg", "ann/b.jpg"]);
  for (const path of ["c.jpg", "ann/b.jpg"]) {
    await expect(readPhoto(folder, path)).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: `cannot read ${path}: it is a link that leads nowhere`,
    });
  }
});
