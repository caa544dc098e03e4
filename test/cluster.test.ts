/** @file `faceid cluster` on photographs of LFW: folders of people, a list, a picture, and going on after a stop. */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { encodePng } from "../src/image/decode.ts";
import { type ClusterResult, clusterFolder } from "../src/index.ts";
import { plain, temporaryFolder } from "./support/photos.ts";

const SHARED = join(import.meta.dirname, "../../shared");
const PACK_FILES = join(SHARED, "models/opencv");
const LFW = join(SHARED, "datasets/lfw");
const isThere = existsSync(PACK_FILES) && existsSync(LFW);
const note = isThere ? "" : ` (not tested: there is no ${SHARED} with models/opencv and datasets/lfw)`;
const COMMAND = join(import.meta.dirname, "../bin/faceid.js");

describe.skipIf(!isThere)(`faceid cluster${note}`, () => {
  let work: string;
  let album: string;
  const faceid = (...args: string[]) =>
    spawnSync(process.execPath, [COMMAND, ...args], {
      encoding: "utf8",
      env: { ...process.env, FACEID_MODELS_DIR: join(work, "packs"), FACEID_OFFLINE: "1" },
    });

  beforeAll(async () => {
    work = await temporaryFolder();
    album = join(work, "album");
    mkdirSync(join(album, "2003"), { recursive: true });
    faceid("models", "add", "opencv-sface", "--from", PACK_FILES);
    const copy = (name: string, number: number, to: string) =>
      copyFileSync(join(LFW, name, `${name}_000${number}.jpg`), join(album, to));
    copy("Serena_Williams", 1, "a.jpg");
    copy("Serena_Williams", 2, "2003/a.jpg");
    copy("Serena_Williams", 3, "2003/b.jpg");
    copy("Abdullah_Gul", 1, "c.jpg");
    copy("Abdullah_Gul", 2, "d.jpg");
    copy("Abba_Eban", 1, "e.jpg");
    writeFileSync(join(album, "blank.png"), await encodePng(plain(64, [9, 9, 9]), 64, 64));
    writeFileSync(join(album, "broken.jpg"), "no picture");
  });

  afterAll(() => {
    vi.unstubAllEnvs();
  });

  it("writes a folder for each person, a list and a picture, and keeps every photograph's name apart", () => {
    const output = join(work, "sorted");
    const { status, stdout } = faceid("cluster", album, "--output", output, "--json");
    expect(status).toBe(0);
    const result = JSON.parse(stdout) as ClusterResult;
    const photos = result.people.map(({ faces }) => faces.map(({ photo }) => photo).toSorted());
    expect(photos).toEqual([
      ["2003/a.jpg", "2003/b.jpg", "a.jpg"],
      ["c.jpg", "d.jpg"],
    ]);
    expect(result.single.map(({ photo }) => photo)).toEqual(["e.jpg"]);
    expect(result).toMatchObject({
      withoutFace: ["blank.png"],
      leftOut: [{ path: "broken.jpg", code: "IMAGE_UNREADABLE" }],
    });
    expect(readdirSync(output).toSorted()).toEqual([
      "contact-sheet.png",
      "people.json",
      "person-001",
      "person-002",
      "single",
    ]);
    expect(readdirSync(join(output, "person-001")).toSorted()).toEqual(["a-2.jpg", "a.jpg", "b.jpg"]);
    expect(JSON.parse(readFileSync(join(output, "people.json"), "utf8"))).toEqual(result);
    expect(statSync(join(output, "contact-sheet.png")).size).toBeGreaterThan(10_000);
    expect(readdirSync(work)).not.toContain("sorted.part");
    expect(faceid("cluster", album, "--output", output)).toMatchObject({ status: 2 });
    expect(faceid("cluster", album, "--output", join(album, "sorted"))).toMatchObject({ status: 2 });
  });

  it("keeps names apart that have no ending or no room for a number", () => {
    const [odd, output] = [join(work, "odd"), join(work, "odd-sorted")];
    const long = `${"x".repeat(251)}.jpg`;
    for (const folder of [odd, join(odd, "2003")]) {
      mkdirSync(folder);
      for (const name of ["photo", long]) copyFileSync(join(album, "a.jpg"), join(folder, name));
    }
    expect(faceid("cluster", odd, "--output", output)).toMatchObject({ status: 0 });
    expect(readdirSync(join(output, "person-001")).toSorted()).toEqual([
      "photo",
      "photo-2",
      expect.stringMatching(/^x{240}-[0-9a-f]{8}-2\.jpg$/),
      long,
    ]);
  });

  it("goes on after a stop, and makes hard links where asked", async () => {
    const output = join(work, "linked");
    process.env.FACEID_MODELS_DIR = join(work, "packs");
    const controller = new AbortController();
    const stopped = clusterFolder(album, {
      output,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: "INTERRUPTED" });
    const done = readFileSync(`${output}.part`, "utf8").trimEnd().split("\n").length - 1;
    expect(done).toBeGreaterThan(0);
    const { stdout } = faceid("cluster", album, "--output", output, "--links");
    expect(stdout).toContain("2 people with two faces or more");
    expect(statSync(join(output, "person-002", "c.jpg")).ino).toBe(statSync(join(album, "c.jpg")).ino);
  });

  it("refuses what it cannot do", () => {
    expect(faceid("cluster", join(work, "none")).status).toBe(3);
    expect(faceid("cluster", album, "--far", "0.0000001").status).toBe(2);
  });

  it("leaves out photographs that disappear while it reads the others, and ends where the album does", async () => {
    vi.stubEnv("FACEID_MODELS_DIR", join(work, "packs"));
    const changing = join(work, "changing");
    cpSync(album, changing, { recursive: true });
    const afterFirst = (change: () => void) => (done: number) => {
      if (done === 1) change();
    };
    const { leftOut, photographs } = await clusterFolder(changing, {
      onProgress: afterFirst(() => rmSync(join(changing, "2003"), { recursive: true })),
    });
    expect(photographs).toBe(8);
    expect(leftOut.map(({ path }) => path)).toEqual(["broken.jpg", "2003/a.jpg", "2003/b.jpg"]);
    copyFileSync(join(album, "c.jpg"), join(changing, "gone.jpg"));
    const whole = {
      output: join(work, "changed"),
      onProgress: (done: number, total: number) => {
        if (done === total) rmSync(join(changing, "gone.jpg"), { force: true });
      },
    };
    await expect(clusterFolder(changing, whole)).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: expect.stringContaining(`cannot read ${join(changing, "gone.jpg")}: no such file`),
    });
    expect(await clusterFolder(changing, whole)).toMatchObject({ photographs: 6 });
    const gone = afterFirst(() => renameSync(changing, `${changing}-elsewhere`));
    await expect(clusterFolder(changing, { onProgress: gone })).rejects.toMatchObject({
      code: "DATASET_NOT_FOUND",
      message: `the folder ${changing} is gone`,
    });
  });
});
