/** @file Opening every layout from real folders, and saying what is wrong with the others. */
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder, writePhotos } from "../../test/support/photos.ts";
import { type Dataset, type DatasetOptions, openConfigured, openDataset } from "./dataset.ts";
import { countImages, imageName } from "./identity.ts";

/** A folder with files of one layout. */
async function folderOf(files: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  await writePhotos(folder, files);
  return folder;
}

/** What a dataset lists: paths below its folder. */
const listing = (dataset: Dataset, root: string) =>
  Object.fromEntries(
    dataset.identities.map(({ name, images }) => [
      name,
      images.map((image) => imageName(image).slice(root.length + 1)),
    ]),
  );

const failure = (options: DatasetOptions) => expect(openDataset(options)).rejects;

describe("a folder that is missing", () => {
  it("has a hint that names the setting, where a setting gave the path, and no other", async () => {
    const path = join(await temporaryFolder(), "nowhere");
    await failure({ path }).toMatchObject({ hint: expect.not.stringContaining("datasetPath") });
    await expect(openConfigured({ path })).rejects.toMatchObject({
      code: "DATASET_NOT_FOUND",
      hint: expect.stringContaining("check `datasetPath` (DATASET_PATH)"),
    });
    await expect(openConfigured({ dataset: "./none.mjs", path })).rejects.toMatchObject({
      hint: expect.not.stringContaining("datasetPath"),
    });
  });
});

describe("openDataset", () => {
  it("recognises DigiFace's layout and sorts it by number", async () => {
    const path = await folderOf(["2/0.png", "10/10.png", "10/9.png", "10/0.png"]);
    const dataset = await openDataset({ path });
    expect(dataset.kind).toBe("digiface");
    expect(Object.entries(listing(dataset, path))).toEqual([
      ["2", ["2/0.png"]],
      ["10", ["10/0.png", "10/9.png", "10/10.png"]],
    ]);
    expect(dataset.identities.flatMap(({ images }) => images.map(({ index }) => index))).toEqual([
      0, 1, 2, 3,
    ]);
  });

  it("takes ID_FROM and ID_TO as folder numbers of DigiFace, both included, gaps and all", async () => {
    const path = await folderOf(["0/0.png", "3/0.png", "3/1.png", "7/0.png", "9/0.png"]);
    const chosen = await openDataset({ path, idFrom: 1, idTo: 7, imagesPerId: 1 });
    expect(listing(chosen, path)).toEqual({ 3: ["3/0.png"], 7: ["7/0.png"] });
  });

  it("recognises LFW's layout", async () => {
    const path = await folderOf(["Bo_Li/Bo_Li_0002.jpg", "Bo_Li/Bo_Li_0001.jpg", "Al/Al_0001.jpg"]);
    await writeFile(join(path, "pairs.txt"), "1\n");
    const dataset = await openDataset({ path });
    expect(dataset.kind).toBe("lfw");
    expect(listing(dataset, path)).toEqual({
      Al: ["Al/Al_0001.jpg"],
      Bo_Li: ["Bo_Li/Bo_Li_0001.jpg", "Bo_Li/Bo_Li_0002.jpg"],
    });
  });

  it("calls a dataset by its layout and its folder, once where they have one name", async () => {
    const path = await folderOf(["lfw/Al/Al_0001.jpg", "faces/Al/Al_0001.jpg"]);
    expect((await openDataset({ path: join(path, "faces") })).name).toBe("lfw faces");
    expect((await openDataset({ path: join(path, "lfw") })).name).toBe("lfw");
  });

  it("takes any folder of folders of images, leaving out what is no image", async () => {
    const path = await folderOf([
      "ann/b.PNG",
      "ann/a.webp",
      "bob/x.pgm",
      "bob/.hidden.png",
      ".git/y.png",
      "loose.png",
    ]);
    await writePhotos(path, ["empty/notes.txt"]);
    await symlink(join(path, "ann"), join(path, "cleo"));
    const dataset = await openDataset({ path });
    expect(dataset.kind).toBe("folder");
    expect(listing(dataset, path)).toEqual({
      ann: ["ann/a.webp", "ann/b.PNG"],
      bob: ["bob/x.pgm"],
      cleo: ["cleo/a.webp", "cleo/b.PNG"],
    });
    const second = await openDataset({ path, dataset: "folder", idFrom: 1, idTo: 1 });
    expect(second.identities.map(({ name }) => name)).toEqual(["bob"]);
  });

  it("lists drawn faces without touching the disk", async () => {
    const dataset = await openDataset({
      dataset: "synthetic",
      imagesPerId: 3,
      synthetic: { identities: 4, seed: 9 },
    });
    expect(dataset).toMatchObject({ kind: "synthetic", name: "synthetic 0 to 3" });
    expect(countImages(dataset.identities)).toBe(12);
    const part = await openDataset({
      dataset: "synthetic",
      idFrom: 2,
      idTo: 3,
      imagesPerId: 3,
      synthetic: { seed: 9 },
    });
    expect(part.identities.map(({ name }) => name)).toEqual(
      dataset.identities.slice(2).map(({ name }) => name),
    );
    expect(part.identities[0]!.images.map(imageName)).toEqual(dataset.identities[2]!.images.map(imageName));
  });

  it("says what is missing", async () => {
    const folder = await temporaryFolder();
    await failure({}).toMatchObject({ code: "CONFIG_INVALID", message: "no dataset folder is given" });
    await failure({ dataset: "lwf", path: folder }).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/"lwf"/),
    });
    await failure({ path: join(folder, "nowhere") }).toMatchObject({
      code: "DATASET_NOT_FOUND",
      message: expect.stringMatching(/nowhere/),
    });
    await failure({ path: folder }).toMatchObject({
      code: "DATASET_INVALID",
      message: expect.stringMatching(/no images of people/),
    });
    await writeFile(join(folder, "file"), "");
    await failure({ path: join(folder, "file") }).toMatchObject({
      code: "DATASET_INVALID",
      message: expect.stringMatching(/a file/),
    });
    await writePhotos(folder, ["lfw/Ann/Ann_0001.jpg"]);
    await failure({ path: folder }).toMatchObject({
      hint: expect.stringContaining(`did you mean ${folder}/lfw?`),
    });
    await failure({ path: join(folder, "lfw"), dataset: "digiface" }).toMatchObject({
      hint: expect.stringMatching(/folders named by number/),
    });
    await failure({ path: join(folder, "lfw"), idFrom: 5 }).toMatchObject({
      message: expect.stringMatching(/people 5 to Infinity/),
    });
  });

  it.each([{ idFrom: -1 }, { idTo: 1.5 }, { imagesPerId: 0 }, { idFrom: 3, idTo: 2 }])(
    "refuses %j",
    async (range) => {
      await failure({ dataset: "synthetic", ...range }).toMatchObject({ code: "CONFIG_INVALID" });
    },
  );
});

describe("a user's module", () => {
  /** Writes a module and opens it. */
  async function open(code: string, options: DatasetOptions = {}): Promise<[Dataset, string]> {
    const folder = await temporaryFolder();
    const path = join(folder, "my-dataset.mjs");
    await writeFile(path, code);
    return [await openDataset({ dataset: path, ...options }), folder];
  }

  it("may export a list, with paths relative to itself or file addresses", async () => {
    const [dataset, folder] = await open(`export default { name: "mine", identities: [
      { name: "b", images: ["photos/2.jpg", new URL("./photos/1.jpg", import.meta.url)] },
      { name: "a", images: ["/elsewhere/3.jpg"] },
      { name: "nobody", images: [] },
    ]};`);
    expect(dataset).toMatchObject({ kind: "module", name: "mine" });
    expect(dataset.identities.map(({ name, images }) => [name, images.map(imageName)])).toEqual([
      ["b", [join(folder, "photos/2.jpg"), join(folder, "photos/1.jpg")]],
      ["a", ["/elsewhere/3.jpg"]],
    ]);
  });

  it("may export a function, given the dataset's path, that lists people bit by bit", async () => {
    const [dataset] = await open(
      `export default async ({ path }) => ({ identities: (async function* () {
        for (const name of ["x", "y", "z"]) yield { name, images: new Set([path + "/" + name + ".png"]) };
      })() });`,
      { path: "/photos", idFrom: 1 },
    );
    expect(dataset.identities.map(({ images }) => imageName(images[0]!))).toEqual([
      "/photos/y.png",
      "/photos/z.png",
    ]);
  });

  it.each([
    ["export const faces = 1;", /default export has no identities/],
    ["export default { identities: 3 };", /default export has no identities/],
    ["export default { identities: [{ images: [] }] };", /identity 0 has no name/],
    ['export default { identities: [{ name: "a" }] };', /identity 0, a, has no list of images/],
    ['export default { identities: [{ name: "a", images: [7] }] };', /a has an image that is 7, not a path/],
    [
      'export default { identities: [{ name: "a", images: [new URL("http://x/y.jpg")] }] };',
      /only files can be read/,
    ],
    ['export default () => { throw new Error("no disk"); };', /its function failed: no disk/],
    [
      'export default { identities: [{ name: "a", images: ["1"] }, { name: "a", images: ["2"] }] };',
      /two identities/,
    ],
    ["export default {", /cannot be loaded/],
    ["export default { identities: [] };", /0 people/],
  ])("is refused when it reads %j", async (code, message) => {
    await expect(open(code)).rejects.toMatchObject({
      code: "DATASET_INVALID",
      message: expect.stringMatching(message),
    });
  });

  it("is reported when it is not there", async () => {
    await failure({ dataset: "./no-such-dataset.mjs" }).toMatchObject({ code: "DATASET_NOT_FOUND" });
  });
});
