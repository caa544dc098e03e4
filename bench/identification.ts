/**
 * @file Identification on an open set of LFW: DIR and FPIR by the nearest photograph and by the centroid.
 * `npm run bench -- identification [--cache FOLDER]`, after `npm run bench -- pack-calibration`, whose embeddings it reads.
 */
import { parseArgs } from "node:util";
import { measureIdentification, TEMPLATES } from "../src/evaluate/identification.ts";
import { cosineSimilarity } from "../src/faces/embedder.ts";
import { embeddedPeople } from "./embedded-people.ts";

const { values: flags } = parseArgs({
  options: { cache: { type: "string", default: "runs/pack-calibration" } },
});
const SEEDS = [1, 2, 3];

const people = await embeddedPeople(flags.cache);
const percent = (rate: number) => (100 * rate).toFixed(2);
for (const seed of SEEDS) {
  for (const template of TEMPLATES) {
    const { rankOne, points, enrolledPeople, enrolledPhotographs, mated, strangers } = measureIdentification(
      people,
      {
        template,
        seed,
        similarity: cosineSimilarity,
      },
    );
    console.log(
      `seed ${seed}  ${template.padEnd(8)}  ${enrolledPeople} people, ${enrolledPhotographs} photographs; ` +
        `${mated} searches of them, ${strangers} of strangers; rank 1 ${percent(rankOne)}`,
    );
    for (const { fpir, dir, dirInterval, threshold } of points) {
      console.log(
        `  FPIR ${percent(fpir)}  DIR ${percent(dir)} (95 %: ${dirInterval.map(percent).join(" to ")})  threshold ${threshold.toFixed(3)}`,
      );
    }
  }
}
