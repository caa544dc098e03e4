/**
 * @file Photographs of LFW that lie or stand on their head, beside themselves upright:
 * `npm run bench -- turned [--photographs 60] [--precision int8] [--profile fast]`.
 */
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FaceError } from "../src/base/errors.ts";
import { cosineSimilarity } from "../src/faces/cosine.ts";
import { PRECISIONS, PROFILES } from "../src/faces/mode.ts";
import { openPack } from "../src/faces/models.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { turnedPhotograph } from "../test/support/turned.ts";

const LFW = "../shared/datasets/lfw";
const ANGLES = [45, 90, 135, 180, 225, 270, 315];
/** Below it the crops hardly show the same part of the face. */
const ALIKE = 0.75;

const { values: flags } = parseArgs({
  options: {
    photographs: { type: "string", default: "60" },
    precision: { type: "string", default: "float32" },
    profile: { type: "string", default: "standard" },
  },
});
const precision = PRECISIONS.find((each) => each === flags.precision);
const profile = PROFILES.find((each) => each === flags.profile);
if (precision === undefined || profile === undefined) {
  throw new Error(`--precision is one of ${PRECISIONS.join(", ")}, --profile one of ${PROFILES.join(", ")}`);
}

/** The first photograph of people from the whole alphabet. */
const people = readdirSync(LFW, { withFileTypes: true }).filter((entry) => entry.isDirectory());
const every = Math.floor(people.length / Number(flags.photographs));
const paths = people
  .filter((_, i) => i % every === 0)
  .slice(0, Number(flags.photographs))
  .map(({ name }) => join(LFW, name, readdirSync(join(LFW, name)).toSorted()[0]!));

const { files } = await openPack("opencv-sface");
const [detector, embedding] = await Promise.all([readFile(files.detector), readFile(files.embedding)]);
await using pipeline = await FacePipeline.open({ detector, embedding }, { precision, profile });

/** The embedding of the face nearest the middle; undefined where none is found. */
async function embeddingOf(photograph: string | Buffer): Promise<Float32Array | undefined> {
  try {
    return (await pipeline.embedPhotograph(photograph, { face: "central", what: "it" })).embedding;
  } catch (error) {
    if (error instanceof FaceError && error.code === "FACE_NOT_FOUND") return undefined;
    throw error;
  }
}

const upright = await Promise.all(paths.map((path) => embeddingOf(path)));
const missed = upright.filter((each) => each === undefined).length;
console.log(`${paths.length} photographs, ${missed} without a face; ${precision}, profile ${profile}`);
for (const angle of ANGLES) {
  const cosines: number[] = [];
  for (const [i, path] of paths.entries()) {
    const [one, other] = [upright[i], await embeddingOf(await turnedPhotograph(path, angle))];
    if (one !== undefined && other !== undefined) cosines.push(cosineSimilarity(one, other));
  }
  cosines.sort((a, b) => a - b);
  const wrong = cosines.filter((cosine) => cosine < ALIKE).length;
  const [least, median] = [cosines[0]!, cosines[cosines.length >> 1]!];
  console.log(
    `turned by ${String(angle).padStart(3)}°: ${cosines.length} found, cosine to the photograph upright ${median.toFixed(3)} in the median, ` +
      `${wrong} below ${ALIKE}, least ${least.toFixed(3)}`,
  );
}
