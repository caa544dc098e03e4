/** @file The example of a user's dataset module, opened as a user would. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { openDataset } from "../src/data/dataset.ts";
import { temporaryFolder, writePhotos } from "./support/photos.ts";

it("lists people by the names of their files", async () => {
  const path = await temporaryFolder();
  await writePhotos(path, ["ada-lovelace.1.jpg", "ada-lovelace.2.png", "bo.1.webp", "notes.png", "read.me"]);
  const dataset = await openDataset({
    dataset: join(import.meta.dirname, "../examples/my-dataset.js"),
    path,
  });
  expect(dataset).toMatchObject({ kind: "module", name: `staff photographs in ${path}` });
  expect(dataset.identities.map(({ name, images }) => [name, images.length])).toEqual([
    ["ada-lovelace", 2],
    ["bo", 1],
  ]);
});
