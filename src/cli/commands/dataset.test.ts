/** @file The dataset commands, run on real folders and a real server. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { copyFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { zipOf } from "../../../test/support/archives.ts";
import { plain, temporaryFolder, writePhotos } from "../../../test/support/photos.ts";
import { openDataset } from "../../data/dataset.ts";
import { readPairs } from "../../data/pairs-file.ts";
import { findPairs, peopleIn } from "../../data/protocol.ts";
import { decodePixels, encodePng } from "../../image/decode.ts";
import { drawPhoto } from "../../synthetic/draw.ts";
import { StatusLine } from "../progress.ts";
import { datasetCommand } from "./dataset.ts";

let printed: string[];

beforeEach(() => {
  printed = [];
  vi.spyOn(console, "log").mockImplementation((text: string) => printed.push(text));
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Runs `faceid dataset …` and returns what it printed. */
async function run(...words: string[]): Promise<string> {
  printed = [];
  await datasetCommand(new Command("dataset")).parseAsync(words, { from: "user" });
  return printed.join("\n");
}

describe("faceid dataset info", () => {
  it("counts people and images, and names the files that cannot be read", async () => {
    const folder = await temporaryFolder();
    await writePhotos(folder, ["ann/1.png", "ann/2.png", "ann/3.png", "bob/1.png"]);
    await writeFile(join(folder, "bob/2.jpg"), "broken");
    expect(JSON.parse(await run("info", "--dataset-path", folder, "--json"))).toEqual({
      name: `folder ${basename(folder)}`,
      layout: "folder",
      path: folder,
      identities: 2,
      images: 5,
      imagesPerIdentity: { least: 2, median: 2.5, mean: 2.5, most: 3 },
      pairable: 2,
      positivePairs: 4,
      unreadable: [{ path: join(folder, "bob/2.jpg"), reason: "not an image of a known format" }],
      leftOut: [],
      remarks: [],
      duplicates: { ofOnePerson: [], ofTwoPeople: [] },
    });
    await copyFile(join(folder, "ann/1.png"), join(folder, "bob/same.png"));
    await writeFile(join(folder, "bob/clip.mov"), "film");
    const text = await run("info", "--dataset-path", folder);
    expect(text).toContain("identities           2\n");
    expect(text).toContain(
      `left out             1\n  1 video, which is not read; save frames as JPEG (${folder}`,
    );
    expect(text).toContain(
      `equal, two people    1\n  ${join(folder, "bob/same.png")} = ${join(folder, "ann/1.png")}`,
    );
    expect(text).toContain(`${join(folder, "bob/2.jpg")}: not an image of a known format`);
    expect(await run("info", "--dataset-path", folder, "--no-check")).toContain("not checked");
    await expect(run("info", "--dataset-path", folder, "--strict")).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
    });
  });

  it("takes the environment's names", async () => {
    vi.stubEnv("DATASET_PATH", "/no/such/folder");
    vi.stubEnv("FACEID_CACHE_DIR", "/somewhere");
    await expect(run("info")).rejects.toMatchObject({ code: "DATASET_NOT_FOUND" });
    vi.unstubAllEnvs();
    expect(
      JSON.parse(await run("info", "--dataset", "synthetic", "--id-from", "5", "--id-to", "6", "--json")),
    ).toMatchObject({
      layout: "synthetic",
      identities: 2,
      images: 20,
      unreadable: [],
    });
  });
});

describe("faceid dataset preview", () => {
  it("writes a contact sheet of people spread over the dataset", async () => {
    const folder = await temporaryFolder();
    const people = Array.from({ length: 9 }, (_, i) => `p${i}`);
    await writePhotos(
      folder,
      people.flatMap((name) => [`${name}/a.png`, `${name}/b.png`]),
    );
    await writeFile(join(folder, "p3/b.png"), "broken");
    const output = join(folder, "sheet.png");
    const text = await run(
      "preview",
      "--dataset-path",
      folder,
      "--rows",
      "3",
      "--columns",
      "5",
      "--output",
      output,
      "--image-shape",
      "96x96",
    );
    expect(text).toBe(`${output}: 3 of 9 people, from top to bottom\n  p0\n  p3\n  p6`);
    const { width, height, data } = await decodePixels(output);
    expect([width, height]).toEqual([4 + 2 * 100, 4 + 3 * 100]);
    const at = (x: number, y: number) => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
    expect(at(50, 250)).toEqual([12, 100, 200]);
    expect(at(150, 150)).toEqual([240, 240, 240]);
    expect(process.stderr.write).toHaveBeenCalledWith(expect.stringContaining("p3/b.png"));
  });
});

describe("faceid dataset preview --augment", () => {
  it("shows the first image as it is and then as training may change it, always alike", async () => {
    const folder = await temporaryFolder();
    await writePhotos(folder, ["p0/a.png", "p1/a.png", "p1/b.png"]);
    const sheet = async (level: string, name: string) => {
      const output = join(folder, name);
      await run(
        "preview",
        "--dataset-path",
        folder,
        "--columns",
        "4",
        "--augment",
        level,
        "--output",
        output,
      );
      return await decodePixels(output);
    };
    const { width, height, data } = await sheet("digiface", "a.png");
    expect([width, height]).toEqual([4 + 4 * 116, 4 + 2 * 116]);
    expect((await sheet("digiface", "b.png")).data).toEqual(data);
    const plain = await sheet("none", "c.png");
    const tile = (pixels: Uint8Array, column: number) =>
      Array.from({ length: 112 }, (_, y) => {
        const from = ((4 + y) * width + 4 + 116 * column) * 3;
        return [...pixels.subarray(from, from + 112 * 3)];
      });
    expect(tile(data, 0)).toEqual(tile(plain.data, 0));
    expect(tile(plain.data, 1)).toEqual(tile(plain.data, 0));
    expect([1, 2, 3].some((column) => String(tile(data, column)) !== String(tile(data, 0)))).toBe(true);
  });
});

describe("faceid dataset pairs", () => {
  it.each([
    ["any names", (person: string, i: number) => `${person}/photo ${"abc"[i]}.png`],
    ["LFW's names", (person: string, i: number) => `${person}/${person}_000${i + 1}.png`],
    ["DigiFace's names", (person: string, i: number) => `${person.slice(-1)}/${i}.png`],
    ["photographs in folders below", (person: string, i: number) => `${person}/201${i}/x.png`],
  ])("draws folds of different people that read back, with %s", async (_, name) => {
    const folder = await temporaryFolder();
    const people = Array.from({ length: 8 }, (_, i) => `Zoë P${i}`);
    await writePhotos(
      folder,
      people.flatMap((person) => [0, 1, 2].map((i) => name(person, i))),
    );
    const output = join(folder, "pairs.txt");
    const words = ["pairs", folder, "--output", output, "--folds", "2", "--pairs"];
    expect(await run(...words, "4")).toContain(
      "2 folds of different people, 4 pairs of one person and 4 of two",
    );
    const { identities, path } = await openDataset({ path: folder });
    const file = await readPairs(output);
    const { folds, missing } = findPairs(file, identities, path);
    expect([missing, file.remarks]).toEqual([[], []]);
    expect(folds.map((fold) => fold.map(({ same }) => same))).toEqual(
      Array(2).fill([...Array(4).fill(true), ...Array(4).fill(false)]),
    );
    const peopleOfFold = file.folds.map(
      (fold) => peopleIn({ ...file, folds: [fold] }, identities, path).names,
    );
    expect([...peopleOfFold[0]!].filter((person) => peopleOfFold[1]!.has(person))).toEqual([]);
    const first = readFileSync(output, "utf8");
    await expect(run(...words, "4")).rejects.toMatchObject({ hint: expect.stringContaining("--overwrite") });
    expect(await run(...words, "1000", "--overwrite")).toContain("all that every fold has of the 1000");
    await run(...words, "4", "--overwrite");
    expect(readFileSync(output, "utf8")).toBe(first);
    await expect(run("pairs", folder, "--output", `${output}2`)).rejects.toMatchObject({
      hint: "pass --folds 4 or fewer",
    });
  });
});

describe("faceid dataset synthesize", () => {
  it("writes drawn people in DigiFace's layout, the same pixels as drawn on demand", async () => {
    const output = join(await temporaryFolder(), "drawn");
    const words = ["--identities", "2", "--images-per-identity", "3", "--first-identity", "7", "--seed", "5"];
    const text = await run("synthesize", ...words, "--output", output, "--image-shape", "96x96");
    expect(text).toContain("2 people, 6 images");
    expect(readdirSync(output, { recursive: true })).toHaveLength(8);
    const { data } = await decodePixels(join(output, "8/2.png"));
    const photo = { seed: 5, identity: 8, number: 2, difficulty: 1 };
    const drawn = drawPhoto(photo, { height: 96, width: 96, channels: 3 });
    expect(Buffer.from(data).equals(Buffer.from(drawn))).toBe(true);
    const info = JSON.parse(await run("info", "--dataset-path", output, "--json"));
    expect(info).toMatchObject({ layout: "digiface", identities: 2, images: 6, unreadable: [] });
    await expect(run("synthesize", ...words, "--output", output)).rejects.toMatchObject({
      code: "FILE_INVALID",
    });
  });

  it.each([
    ["--identities", "0", "expected a whole number from 1 to 1000000"],
    ["--difficulty", "3", "expected a number from 0 to 2"],
    ["--seed", "x", "expected a whole number"],
  ])("refuses %s %s", async (flag, value, message) => {
    await expect(run("synthesize", flag, value, "--output", "x")).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining(`${flag}: got "${value}", ${message}`),
    });
  });
});

describe("faceid dataset download", () => {
  it("states the licence, then fetches, unpacks and says what to do next", async () => {
    const content = await encodePng(plain(8, [1, 2, 3]), 8, 8);
    const archive = zipOf([
      { path: "3/0.png", content },
      { path: "3/1.png", content },
    ]);
    const server = createServer((_, response) => response.end(archive));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const output = join(await temporaryFolder(), "digiface");
    const text = await run("download", "digiface", "--part", "2", "--mirror", mirror, "--output", output);
    server.closeAllConnections();
    server.close();
    expect(text.indexOf("non-commercial research only")).toBeLessThan(text.indexOf("Downloading"));
    expect(text).toContain("part 2: people 2000 to 3999, 72 images each");
    expect(text).toContain(`${output}: 2 images`);
    expect(readFileSync(join(output, "3/1.png")).equals(Buffer.from(content))).toBe(true);
    expect(existsSync(join(output, "subjects_2000-3999_72_imgs.zip"))).toBe(false);
  });

  it("refuses other names", async () => {
    await expect(run("download", "ms1m")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(run("download", "lfw", "--part", "1")).rejects.toMatchObject({
      hint: expect.stringContaining("pairs"),
    });
  });
});

describe("the status line", () => {
  it("redraws itself on a terminal and adds lines to a log", () => {
    let time = 0;
    const written: string[] = [];
    const output = (isTTY: boolean) => ({ isTTY, write: (text: string) => written.push(text) });
    const terminal = new StatusLine(output(true), () => time);
    terminal.show("one");
    terminal.show("dropped");
    time += 200;
    terminal.show("two");
    terminal.say("done");
    expect(written).toEqual(["\r\x1b[2Kone", "\r\x1b[2Ktwo", "\r\x1b[2K", "done\n"]);
    written.length = 0;
    const log = new StatusLine(output(false), () => time);
    for (let i = 0; i < 30; i++, time += 1000) log.show(`line ${i}`);
    log[Symbol.dispose]();
    expect(written).toEqual(["line 10\n", "line 20\n"]);
  });
});
