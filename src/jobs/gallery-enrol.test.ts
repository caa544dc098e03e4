/** @file Enrolment with a model whose embedding of a picture is its colour: what goes in, what is left out, what is warned of. */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STORES } from "../../test/support/gallery-stores.ts";
import { temporaryFolder } from "../../test/support/photos.ts";
import type { CalibrationRecord, OperatingPoint } from "../artifact/calibration.ts";
import { Gallery } from "../gallery/gallery.ts";
import { decodeInto, encodePng } from "../image/decode.ts";
import { imageSettings } from "../image/settings.ts";
import { galleryModel } from "../verify/identify.ts";
import { PhotoModel } from "../verify/photo-model.ts";
import type { OpenedGallery } from "./gallery.ts";
import { type EnrolledPhoto, enrolFolder, enrolPhotos } from "./gallery-enrol.ts";

/** The smallest that images may have. */
const SIDE = 96;

const rate = (value: number) => ({
  value,
  interval: [value / 2, value * 2] as [number, number],
});
const point = (far: number, threshold: number): OperatingPoint => ({
  far,
  threshold,
  measuredFar: rate(far),
  measuredTar: rate(0.99),
});
const CALIBRATION: CalibrationRecord = {
  threshold: 0.9,
  measuredFar: rate(0.001),
  measuredTar: rate(0.99),
  operatingPoints: [point(0.1, 0.5), point(0.001, 0.9)],
  data: { dataset: "colours", people: "all", positives: 1000, negatives: 1000 },
};

/** People of these colours are strangers to each other; another brightness is another photograph. */
const COLOURS = { red: [1, 0, 0], green: [0, 1, 0], blue: [0, 0, 1] } as const;
type Colour = keyof typeof COLOURS;

const model = new PhotoModel(
  {
    name: "colours",
    measure: "cosine",
    calibration: CALIBRATION,
    digest: "c".repeat(64),
    measuring: {
      kind: "embeddings",
      embeddingSize: 3,
      embed: async ({ data }) => {
        const colour = Float32Array.from(data.subarray(0, 3));
        const length = Math.hypot(...colour);
        return colour.map((value) => value / length);
      },
      similarity: async (a, b) => a.reduce((sum, value, i) => sum + value * b[i]!, 0),
    },
    crop: () => {
      throw new Error("nothing is cut out");
    },
    readCrop: async (photo) => {
      const image = new Float32Array(SIDE * SIDE * 3);
      await decodeInto(photo, imageSettings(SIDE), image, 0);
      const data = Uint8Array.from(image, (value) => Math.round(255 * value));
      return { crop: { data, width: SIDE, height: SIDE }, doubt: undefined };
    },
    [Symbol.asyncDispose]: async () => {},
  },
  undefined,
  false,
);

/** The colour on the left, black on the right: a picture of one colour is no crop of a face. */
async function picture(path: string, colour: Colour, brightness: number): Promise<string> {
  const [r, g, b] = COLOURS[colour].map((value) => value * brightness) as [number, number, number];
  writeFileSync(path, await encodePng(Uint8Array.of(r, g, b, 0, 0, 0), 2, 1));
  return path;
}

describe.each(STORES)("enrolment on $store", ({ make }) => {
  let opened: OpenedGallery;
  let folder: string;

  beforeAll(async () => {
    const gallery = await Gallery.open(await make(), { create: galleryModel(model) });
    opened = { gallery, model, [Symbol.asyncDispose]: () => gallery[Symbol.asyncDispose]() };
  });
  afterAll(() => opened[Symbol.asyncDispose]());
  beforeEach(async () => {
    for (const { id } of await opened.gallery.people.list()) await opened.gallery.people.remove(id);
    folder = await temporaryFolder();
  });
  const photo = async (person: string, colour: Colour, brightness = 255) => {
    mkdirSync(join(folder, person), { recursive: true });
    return await picture(join(folder, person, `${colour}-${brightness}.png`), colour, brightness);
  };
  const people = async () =>
    (await opened.gallery.people.list()).map(({ name, faces }) => `${name} ${faces}`);

  it.each([
    ["too long", "x".repeat(230)],
    ["in two lines", "Ann\nLee"],
    ["without anything to see", "\u200b"],
    ["that turns the text around", "Ann\u202eeel"],
  ])("leaves out a folder with a name %s, by its path, and enrols all others", async (_, bad) => {
    await photo(bad, "red");
    await photo("Ann", "green");
    await photo("Zoe", "blue");
    const seen: EnrolledPhoto[] = [];
    const summary = await enrolFolder(opened, folder, { onPhoto: (each) => seen.push(each) });
    expect(summary).toMatchObject({ people: 2, enrolled: 2 });
    expect(summary.leftOut).toMatchObject([{ image: join(folder, bad), error: { code: "CONFIG_INVALID" } }]);
    expect(summary.leftOut[0]!.error.message).toContain(join(folder, bad));
    expect(seen).toHaveLength(3);
    expect(await people()).toEqual(["Ann 1", "Zoe 1"]);
  });

  it("names what it does not look at, with reasons and examples", async () => {
    await photo("Ann", "red");
    await picture(join(folder, "loose.png"), "green", 9);
    writeFileSync(join(folder, "Ann", "a.cr2"), "raw");
    writeFileSync(join(folder, "Ann", "a.mp4"), "video");
    symlinkSync(join(folder, "nowhere"), join(folder, "Ann", "link.jpg"));
    mkdirSync(join(folder, "Empty"));
    writeFileSync(join(folder, "Ann", "broken.heic"), Buffer.from("000000186674797068656963", "hex"));
    const { unused, leftOut } = await enrolFolder(opened, folder);
    const examples = unused.map(({ example }) => example.slice(folder.length + 1)).toSorted();
    expect(examples).toEqual(["Ann/a.cr2", "Ann/a.mp4", "Ann/link.jpg", "Empty", "loose.png"]);
    expect(leftOut).toMatchObject([
      { image: join(folder, "Ann", "broken.heic"), error: { code: "IMAGE_UNREADABLE" } },
    ]);
    expect(leftOut[0]!.error.message).toContain("broken.heic");
  });

  it("leaves nothing of a person without a usable photograph", async () => {
    const path = join(folder, "no.jpg");
    writeFileSync(path, "no picture");
    const summary = await enrolPhotos(opened, "Ann", [path, join(folder, "none.jpg"), folder]);
    expect(summary).toMatchObject({ people: 0, enrolled: 0 });
    for (const { image, error } of summary.leftOut) expect(error.message).toContain(image);
    expect(await people()).toEqual([]);
    const { people: count } = await opened.gallery.check();
    expect(count).toBe(0);
  });

  it("warns of two people under one name, with numbers, also beside earlier faces", async () => {
    const paths = [await photo("a", "red", 200), await photo("a", "green", 200)];
    const { unlike } = await enrolPhotos(opened, "Ann", paths);
    expect(unlike).toEqual([
      { image: paths[1], person: "Ann", similarity: 0, closest: "red-200.png", threshold: 0.9 },
    ]);
    const later = await photo("a", "blue", 100);
    const more = await enrolPhotos(opened, "Ann", [later, await photo("a", "red", 100)]);
    expect(more.unlike).toMatchObject([{ image: later, similarity: 0 }]);
    expect(await people()).toEqual(["Ann 4"]);
  });

  it("warns of the smaller group, and of nothing where all are alike", async () => {
    const colours: Colour[] = ["green", "red", "red", "red", "green"];
    const paths = await Promise.all(colours.map((colour, i) => photo("a", colour, 100 + i)));
    const { unlike } = await enrolPhotos(opened, "Ann", paths);
    expect(unlike.map(({ image }) => image)).toEqual([paths[0], paths[4]]);
    const { unlike: none } = await enrolPhotos(opened, "Bob", [
      await photo("b", "blue", 9),
      await photo("b", "blue", 8),
    ]);
    expect(none).toEqual([]);
  });

  it("names another person who looks alike", async () => {
    await enrolPhotos(opened, "Ann", [await photo("a", "red", 200)]);
    const { resemblances } = await enrolPhotos(opened, "Bob", [await photo("b", "red", 100)]);
    expect(resemblances).toMatchObject([{ person: "Bob", resembles: { person: "Ann", similarity: 1 } }]);
  });

  it("takes a photograph once, and one spelling of a name for another", async () => {
    const path = await photo("Zoe\u0308", "red");
    expect(await enrolFolder(opened, folder)).toMatchObject({ people: 1, enrolled: 1 });
    cpSync(path, join(folder, "copy.png"));
    expect(await enrolPhotos(opened, "Zoë", [path, join(folder, "copy.png")])).toMatchObject({
      enrolled: 0,
      known: 2,
    });
  });

  it("refuses an end of consent in the past, and a person whose consent has ended", async () => {
    const path = await photo("Ann", "red");
    const past = new Date(Date.now() - 1000);
    await expect(enrolPhotos(opened, "Ann", [path], { expiresAt: past })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
    await enrolPhotos(opened, "Ann", [path], { expiresAt: new Date(Date.now() + 60_000) });
    await opened.gallery.people.update("Ann", { expiresAt: past });
    const second = await photo("Ann", "red", 99);
    const { leftOut } = await enrolFolder(opened, folder);
    expect(leftOut[0]!.error.message).toContain("the consent of Ann ended");
    const renewed = new Date(Date.now() + 120_000);
    expect(await enrolPhotos(opened, "Ann", [second], { expiresAt: renewed })).toMatchObject({ enrolled: 1 });
    expect(await opened.gallery.people.get("Ann")).toMatchObject({ expiresAt: renewed, faces: 2 });
  });

  it("stops between photographs, and goes on", async () => {
    for (const brightness of [1, 2, 3]) await photo("Ann", "red", 50 * brightness);
    const controller = new AbortController();
    const options = { signal: controller.signal, onPhoto: () => controller.abort() };
    await expect(enrolFolder(opened, folder, options)).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(await people()).toEqual(["Ann 1"]);
    expect(await enrolFolder(opened, folder)).toMatchObject({ enrolled: 2, known: 1 });
  });

  it("meets another enrolment of the same people", async () => {
    for (const brightness of [1, 2, 3, 4]) await photo(`P${brightness % 2}`, "red", 50 * brightness);
    const results = await Promise.all([enrolFolder(opened, folder), enrolFolder(opened, folder)]);
    expect(results.map(({ enrolled, known }) => enrolled + known)).toEqual([4, 4]);
    expect(await people()).toEqual(["P0 2", "P1 2"]);
  });
});
