/**
 * @file Identification on an open set of LFW: DIR and FPIR by the nearest photograph and by the centroid.
 * `npm run bench -- identification [--cache FOLDER]`, after `npm run bench -- pack-calibration`, whose embeddings it reads.
 */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { type EmbeddedPerson, measureIdentification, TEMPLATES } from "../src/evaluate/identification.ts";
import { cosineSimilarity } from "../src/faces/embedder.ts";

const { values: flags } = parseArgs({
  options: { cache: { type: "string", default: "runs/pack-calibration" } },
});
const SEEDS = [1, 2, 3];

function embeddingOf(text: string): Float32Array {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

async function readPeople(): Promise<EmbeddedPerson[]> {
  const people = new Map<string, Float32Array[]>();
  for (const name of await readdir(flags.cache)) {
    for (const line of (await readFile(join(flags.cache, name), "utf8")).split("\n")) {
      if (!line.endsWith("]")) continue;
      const [path, embedding] = JSON.parse(line) as [string, string | null];
      if (embedding === null) continue;
      const person = dirname(path);
      people.set(person, [...(people.get(person) ?? []), embeddingOf(embedding)]);
    }
  }
  return [...people].map(([name, embeddings]) => ({ name, embeddings }));
}

const people = await readPeople();
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
