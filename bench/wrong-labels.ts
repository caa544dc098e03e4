/**
 * @file Plants wrong labels into LFW and counts how many `faceid dataset clean` finds: precision and recall.
 * `npm run bench -- wrong-labels [--cache FOLDER]`, after `npm run bench -- pack-calibration`, whose embeddings it reads.
 */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { findSuspects, SUSPECT_LIMITS } from "../src/data/suspects.ts";
import { strongPairs } from "../src/jobs/clean.ts";

const { values: flags } = parseArgs({
  options: { cache: { type: "string", default: "runs/pack-calibration" } },
});
const PLANTED = 0.05;

const photos: { path: string; person: string; embedding: Float32Array }[] = [];
for (const name of await readdir(flags.cache)) {
  for (const line of (await readFile(join(flags.cache, name), "utf8")).split("\n")) {
    if (!line.endsWith("]")) continue;
    const [path, text] = JSON.parse(line) as [string, string | null];
    if (text === null) continue;
    const embedding = new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);
    photos.push({ path, person: dirname(path), embedding });
  }
}

const percent = (hits: number, all: number) => `${((100 * hits) / all).toFixed(1)} % (${hits} of ${all})`;

for (const least of [1, 2, 4]) {
  const counts = new Map<string, number>();
  for (const { person } of photos) counts.set(person, (counts.get(person) ?? 0) + 1);
  const chosen = photos.filter(({ person }) => counts.get(person)! >= least);
  const names = [...new Set(chosen.map(({ person }) => person))];
  const random = new Random(1).fork("planted", least);
  const before = new Set(
    findSuspects(chosen, await strongPairs(chosen, SUSPECT_LIMITS.strong))
      .filter(({ finding }) => finding === "wrong label" || finding === "labels in conflict")
      .map(({ path }) => path),
  );
  const planted = new Set(
    random
      .shuffle([...chosen.keys()])
      .slice(0, Math.round(PLANTED * chosen.length))
      .map((i) => chosen[i]!.path),
  );
  const mixed = chosen.map((photo) => {
    if (!planted.has(photo.path)) return photo;
    let person = photo.person;
    while (person === photo.person) person = random.pick(names);
    return { ...photo, person };
  });
  const found = findSuspects(mixed, await strongPairs(mixed, SUSPECT_LIMITS.strong));
  const wrong = found.filter(({ finding }) => finding === "wrong label");
  const doubtful = found.filter(({ finding }) => finding === "labels in conflict");
  const hits = (list: readonly { path: string }[]) => list.filter(({ path }) => planted.has(path)).length;
  const own = wrong.filter(({ path }) => !planted.has(path) && before.has(path)).length;
  console.log(
    `people with at least ${least} photographs: ${names.length} people, ${chosen.length} photographs, ${planted.size} planted`,
  );
  console.log(
    `  wrong label: precision ${percent(hits(wrong), wrong.length)}, of the others ${own} were found before planting`,
  );
  console.log(
    `  recall ${percent(hits(wrong), planted.size)}; with labels in conflict ${percent(hits(wrong) + hits(doubtful), planted.size)}`,
  );
  console.log(`  labels in conflict: ${doubtful.length}, of which ${hits(doubtful)} planted`);
}
