/** @file A gallery whose index was dropped, since it missed too many: with forty people. */
import { join } from "node:path";
import { Gallery } from "../../src/gallery/gallery.ts";
import { openDatabase } from "../../src/gallery/open-database.ts";
import { temporaryFolder } from "./photos.ts";

const MEASURE = {
  candidates: 1000,
  recall: 0.95,
  low: 0.93,
  high: 0.97,
  searches: 1000,
  comparisons: 40,
};
const MODEL = { name: "m", digest: "a".repeat(64), dimensions: 4, template: "centroid" } as const;
/** As many as were measured, so that the measurement holds. */
const PEOPLE = 40;

/** @returns its folder. */
export async function galleryOfRejectedIndex(): Promise<string> {
  const folder = join(await temporaryFolder(), "people");
  await (await Gallery.open(folder, { create: MODEL }))[Symbol.asyncDispose]();
  await using database = await openDatabase(folder);
  await database.rows(
    `INSERT INTO faceid_people (id, gallery_id, name, centroid)
     SELECT gen_random_uuid(), 1, 'person ' || i, '[1,0,0,0]' FROM generate_series(1, $1::int) i`,
    [PEOPLE],
  );
  await database.rows("UPDATE faceid_galleries SET index_measure = $1::jsonb", [JSON.stringify(MEASURE)]);
  return folder;
}
