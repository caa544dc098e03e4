/** @file Folders as people have them: mixed layouts, nested photographs, leftovers of systems, and what is said of the rest. */
import { execFileSync } from "node:child_process";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { TURNED_HEIC } from "../../test/support/heic.ts";
import { temporaryFolder, writePhotos } from "../../test/support/photos.ts";
import { openDataset } from "./dataset.ts";
import { findDuplicates } from "./duplicates.ts";
import { imageName } from "./identity.ts";

vi.mock("node:fs/promises", async (original) => {
  const fs = await original<typeof import("node:fs/promises")>();
  return {
    ...fs,
    // Root may read every folder, so a forbidden one is named instead.
    readdir: (path: string, options: object) =>
      path.includes("forbidden")
        ? Promise.reject(Object.assign(new Error("permission denied"), { code: "EACCES" }))
        : fs.readdir(path, options as { withFileTypes: true }),
  };
});

/** A folder with photographs and other files. */
async function folderOf(photographs: readonly string[], others: readonly string[] = []): Promise<string> {
  const root = await temporaryFolder();
  await writePhotos(root, photographs);
  for (const other of others) {
    await mkdir(join(root, other, ".."), { recursive: true });
    await writeFile(join(root, other), other);
  }
  return root;
}

async function open(root: string, options: object = {}) {
  const dataset = await openDataset({ path: root, ...options });
  const people = Object.fromEntries(
    dataset.identities.map(({ name, images }) => [
      name,
      images.map((image) => imageName(image).slice(root.length + 1)),
    ]),
  );
  const leftOut = dataset.leftOut!.map(
    ({ reason, count, example }) =>
      `${count} ${reason.replace(/[,;].*/, "")}: ${example.slice(root.length + 1)}`,
  );
  return { kind: dataset.kind, people, leftOut, remarks: dataset.remarks!, dataset };
}

const lfwPeople = (count: number) =>
  Array.from({ length: count }, (_, i) => `P${i}/P${i}_0001.png`).concat("P0/P0_0002.png");

describe("the layout", () => {
  it("is judged on all folders, wherever the odd one stands", async () => {
    for (const odd of ["Zed/IMG_1.png", "A/IMG_1.png", "P3/IMG_1.png", "P3/P3_00001.png"]) {
      const { kind, people, remarks } = await open(await folderOf([...lfwPeople(12), odd]));
      expect(kind).toBe("folder");
      expect(Object.values(people).flat()).toContain(odd);
      expect(Object.values(people).flat()).toHaveLength(14);
      expect(remarks).toEqual([expect.stringContaining(`${odd} does not fit lfw`)]);
    }
  });

  it("takes alice beside numbered folders", async () => {
    const { kind, people } = await open(await folderOf(["1/0.png", "2/0.png", "alice/me.png"]));
    expect(kind).toBe("folder");
    expect(Object.keys(people)).toEqual(["1", "2", "alice"]);
  });

  it("that is asked for names what it leaves out", async () => {
    const root = await folderOf([...lfwPeople(3), "Zed/IMG_1.png", "Zed/Zed_0001.png", "Eve/me.png"]);
    const { people, leftOut } = await open(root, { dataset: "lfw" });
    expect(Object.keys(people)).toEqual(["P0", "P1", "P2", "Zed"]);
    expect(leftOut).toEqual(["2 photographs that do not fit the layout lfw: Eve/me.png"]);
  });

  it("of LFW is recognised in either spelling of an accent", async () => {
    const root = await folderOf([`${"José".normalize("NFD")}/${"José".normalize("NFC")}_0001.png`]);
    expect((await open(root)).kind).toBe("lfw");
  });
});

describe("people", () => {
  it("may have photographs in folders of their own, at any depth", async () => {
    const { people } = await open(
      await folderOf(["ann/id.png", "ann/2019/b.png", "ann/2019/may/a.png", "bob/1.png"]),
    );
    expect(people).toEqual({
      ann: ["ann/id.png", "ann/2019/b.png", "ann/2019/may/a.png"],
      bob: ["bob/1.png"],
    });
  });

  it("whose names are spelled with other code points are one person", async () => {
    const names = ["NFC", "NFD"].map((form) => "Zoë".normalize(form));
    const { people } = await open(await folderOf([`${names[0]}/1.png`, `${names[1]}/2.png`, "bob/1.png"]));
    expect(Object.entries(people).map(([name, paths]) => [name, paths.length])).toEqual([
      ["Zoë".normalize("NFC"), 2],
      ["bob", 1],
    ]);
  });

  it("whose names differ in case or spaces are two, which is said", async () => {
    const { people, remarks } = await open(await folderOf(["Ann Lee/1.png", "ann_lee/1.png", "bob/1.png"]));
    expect(Object.keys(people)).toHaveLength(3);
    expect(remarks).toEqual([expect.stringContaining("Ann Lee and ann_lee count as two people")]);
  });
});

describe("files that are not used", () => {
  it("are counted by reason, each with an example", async () => {
    const root = await folderOf(
      ["ann/1.png", "ann/2.png", "bob/1.png", "loose.png", "another.jpg"],
      [
        ...["ann/clip.MOV", "ann/raw.CR2", "bob/raw.dng", "bob/x.jxl", "bob/notes.txt", "bob/all.zip"],
        ...["ann/.DS_Store", "ann/._1.png", "ann/Thumbs.db", "ann/desktop.ini", "Icon\r", "README"],
        ...["@eaDir/ann/1.jpg", "ann/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/ann/._1.jpg"],
        ...["lost+found/x.jpg", "$RECYCLE.BIN/x.jpg", "#recycle/x.jpg", "System Volume Information/x.jpg"],
        ...[".git/x.jpg", ".Trash-1000/x.jpg", "cleo/notes.md", "bob/2.jpg.crdownload"],
      ],
    );
    await mkdir(join(root, "dan"));
    const { people, leftOut } = await open(root);
    expect(people).toEqual({ ann: ["ann/1.png", "ann/2.png"], bob: ["bob/1.png"] });
    expect(leftOut.sort()).toEqual(
      [
        "14 hidden files and those of the system: #recycle",
        "3 files of other kinds: README",
        "1 videos: ann/clip.MOV",
        "2 raw files of cameras: ann/raw.CR2",
        "1 images in formats that cannot be decoded: bob/x.jxl",
        "1 archives: bob/all.zip",
        "1 unfinished downloads: bob/2.jpg.crdownload",
        "1 folders without photographs: dan",
        "2 photographs outside the people's folders: another.jpg",
      ].sort(),
    );
  });

  it("are recognised by content where the name says nothing", async () => {
    const root = await folderOf(
      ["ann/1.png", "ann/photo.png", "ann/x.jpg_large.png", "bob/1.png"],
      ["ann/readme"],
    );
    await rename(join(root, "ann/photo.png"), join(root, "ann/photo"));
    await rename(join(root, "ann/x.jpg_large.png"), join(root, "ann/x.jpg_large"));
    await writeFile(join(root, "bob/IMG_0001.HEIC"), TURNED_HEIC);
    const { people } = await open(root);
    expect(people).toEqual({
      ann: ["ann/1.png", "ann/photo", "ann/x.jpg_large"],
      bob: ["bob/1.png", "bob/IMG_0001.HEIC"],
    });
  });

  it("include folders that cannot be read, without ending the run", async () => {
    const root = await folderOf(["ann/1.png", "ann/forbidden/2.png", "forbidden/1.png", "bob/1.png"]);
    const { people, leftOut } = await open(root);
    expect(people).toEqual({ ann: ["ann/1.png"], bob: ["bob/1.png"] });
    expect(leftOut).toEqual(["2 folders that cannot be read: ann/forbidden"]);
  });

  it("include links to nothing and in circles", async () => {
    const root = await folderOf(["ann/1.png", "bob/1.png", "bob/more/2.png"]);
    await symlink("nowhere.png", join(root, "ann/gone.png"));
    await symlink("self", join(root, "ann/self"));
    await symlink("..", join(root, "ann/up"));
    await symlink(root, join(root, "everything"));
    await symlink(join(root, "bob"), join(root, "bob/more/again"));
    await symlink(join(root, "bob/more"), join(root, "ann/bobs"));
    await symlink(join(root, "ann"), join(root, "bob/more/anns"));
    const { people, leftOut } = await open(root);
    expect(people.ann).toContain("ann/1.png");
    expect(people.bob!.slice(0, 2)).toEqual(["bob/1.png", "bob/more/2.png"]);
    expect(Object.values(people).flat().length).toBeLessThan(10);
    expect(leftOut).toContain("2 links that lead nowhere: ann/gone.png");
    expect(leftOut.join()).toMatch(/\d links that lead back to a folder above: everything/);
  });

  it.skipIf(process.platform === "win32")("include pipes, which would block a reader", async () => {
    const root = await folderOf(["ann/1.png", "bob/1.png"]);
    execFileSync("mkfifo", [join(root, "ann/2.png"), join(root, "bob/.lock")]);
    const { people, leftOut } = await open(root);
    expect(people.ann).toEqual(["ann/1.png"]);
    expect(leftOut).toContain("1 pipes or devices: ann/2.png");
    expect(leftOut).toContain("1 hidden files and those of the system: bob/.lock");
  });
});

describe("a folder that does not hold people", () => {
  it.each([
    [["train/ann/1.png", "valid/bob/1.png", "test/cleo/1.png"], "did you mean ROOT/train? (faceid itself"],
    [["Training/ann/1.png", "Testing/bob/1.png"], "did you mean ROOT/Training?"],
    [["train_set/1.png", "val/2.png"], "one folder per person"],
    [["images/ann/1.png", "images/bob/1.png"], "did you mean ROOT/images?"],
    [["images/ann/1.png", "masks/ann/1.png"], "did you mean ROOT/images?"],
    [["lfw-deepfunneled/Ann/Ann_0001.png"], "did you mean ROOT/lfw-deepfunneled?"],
    [["1.png", "2.png"], "move each person's photographs into a folder of their own"],
  ])("but %j gets the sentence that helps", async (files, hint) => {
    const root = await folderOf(files);
    await expect(openDataset({ path: root })).rejects.toMatchObject({
      code: "DATASET_INVALID",
      message: expect.stringContaining("no images of people"),
      hint: expect.stringContaining(hint.replace("ROOT", root)),
    });
  });

  it("says what it holds instead", async () => {
    const root = await folderOf([], ["ann/1.mp4", "ann/2.mp4", "all.zip"]);
    await expect(openDataset({ path: root })).rejects.toThrow(
      /left out: 1 archive, which is not opened; unpack it \(.*all\.zip\); 2 videos/,
    );
    await expect(openDataset({ path: join(root, "all.zip") })).rejects.toMatchObject({
      hint: expect.stringContaining("unpack the archive"),
    });
  });

  it("beside people is left out by name, and groups of people are pointed at", async () => {
    const mixed = await open(await folderOf(["ann/1.png", "bob/1.png", "test/cleo/1.png", "test/dan/1.png"]));
    expect(Object.keys(mixed.people)).toEqual(["ann", "bob"]);
    expect(mixed.leftOut).toEqual(["2 folders that hold people's folders: test"]);
    const groups = await open(await folderOf(["female/ann/1.png", "male/bob/1.png"]));
    expect(groups.remarks).toEqual([expect.stringContaining("if the folders in female are the people")]);
  });
});

describe("byte-equal photographs", () => {
  it("are named, under one person and under two", async () => {
    const root = await folderOf(["ann/1.png", "ann/2.png", "bob/1.png", "bob/3.png"]);
    const big = Buffer.alloc(20_000, 7);
    await writeFile(join(root, "ann/big.png"), big);
    await writeFile(join(root, "bob/big.png"), big);
    await writeFile(join(root, "ann/big-again.png"), big);
    big[0] = 8;
    await writeFile(join(root, "bob/big-other.png"), big);
    await writeFile(join(root, "bob/empty.png"), "");
    await writeFile(join(root, "ann/empty.png"), "");
    const { ofOnePerson, ofTwoPeople } = await findDuplicates(await openDataset({ path: root }));
    const original = join(root, "ann/big-again.png");
    expect(ofOnePerson).toEqual([{ path: join(root, "ann/big.png"), original }]);
    expect(ofTwoPeople).toEqual([{ path: join(root, "bob/big.png"), original }]);
  });
});
