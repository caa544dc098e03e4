/**
 * @file Calibrates the model pack: embeds every photograph of LFW, then measures all pairs of them.
 * `npm run bench -- pack-calibration [--precision int8] [--profile fast] [--lfw FOLDER] [--cache FOLDER] [--shard I/N]`
 *
 * Each mode has a record of its own. The cache keeps embeddings, so that the command can be stopped and continued; delete it when the pipeline has changed.
 * With `--shard` only a part of the photographs is embedded, beside other processes, and nothing is measured.
 */
import { execFileSync } from "node:child_process";
import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import type { PackCalibration, Rate } from "../src/artifact/calibration.ts";
import { FaceError } from "../src/base/errors.ts";
import { openDataset } from "../src/data/dataset.ts";
import { imageName } from "../src/data/identity.ts";
import { modeSuffix, PRECISIONS, PROFILES } from "../src/faces/mode.ts";
import { openPack } from "../src/faces/models.ts";
import { packModelName, packNamed } from "../src/faces/packs/catalogue.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { calibrateAllPairs } from "./all-pairs.ts";

const PACK = "opencv-sface";
const FARS = [1e-1, 1e-2, 1e-3, 1e-4];
/** The operating point that holds unless another is wanted. */
const USUAL_FAR = 1e-3;

const { values: flags } = parseArgs({
  options: {
    lfw: { type: "string", default: "../shared/datasets/lfw" },
    precision: { type: "string", default: "float32" },
    profile: { type: "string", default: "standard" },
    cache: { type: "string" },
    shard: { type: "string" },
  },
});
const precision = PRECISIONS.find((each) => each === flags.precision);
if (precision === undefined) throw new Error(`--precision is one of ${PRECISIONS.join(", ")}`);
const profile = PROFILES.find((each) => each === flags.profile);
if (profile === undefined) throw new Error(`--profile is one of ${PROFILES.join(", ")}`);
const mode = { precision, profile };
const NAME = packModelName({ pack: PACK, ...mode });
const CACHE = flags.cache ?? `runs/pack-calibration${modeSuffix(mode)}`;
const OUTPUT = `src/verify/${NAME}-calibration.ts`;
const CONSTANT = `${NAME.toUpperCase().replaceAll("-", "_")}_CALIBRATION`;

/** One line of the cache: a photograph and its embedding in base64; null where no face was found. */
type Line = readonly [path: string, embedding: string | null];

async function cached(): Promise<Map<string, string | null>> {
  const names = (await readdir(CACHE)).filter((name) => name.endsWith(".jsonl"));
  const texts = await Promise.all(names.map((name) => readFile(join(CACHE, name), "utf8")));
  const lines = texts.flatMap((text) => text.split("\n").filter((line) => line.endsWith("]")));
  return new Map(lines.map((line) => JSON.parse(line) as Line));
}

async function embedAll(paths: readonly string[], file: string): Promise<void> {
  const known = await cached();
  const { files } = await openPack(PACK);
  const [detector, embedding] = await Promise.all([readFile(files.detector), readFile(files.embedding)]);
  await using pipeline = await FacePipeline.open({ detector, embedding }, mode);
  let done = 0;
  for (const path of paths) {
    if (++done % 500 === 0) console.error(`${done} of ${paths.length} photographs`);
    if (known.has(path)) continue;
    const found = await pipeline
      .embedPhotograph(join(flags.lfw, path), { face: "central" })
      .catch((error: unknown) => {
        if (error instanceof FaceError && error.code === "FACE_NOT_FOUND") return undefined;
        throw error;
      });
    const text = found === undefined ? null : Buffer.from(found.embedding.buffer).toString("base64");
    await appendFile(join(CACHE, file), `${JSON.stringify([path, text] satisfies Line)}\n`);
  }
}

const { identities } = await openDataset({ dataset: "lfw", path: flags.lfw });
const people = identities.map(({ images }) => images.map((image) => relative(flags.lfw, imageName(image))));
await mkdir(CACHE, { recursive: true });
if (flags.shard === undefined) {
  await embedAll(people.flat(), "embeddings.jsonl");
  await writeRecord();
} else {
  const [part, parts] = flags.shard.split("/").map(Number) as [number, number];
  await embedAll(
    people.flat().filter((_, i) => i % parts === part),
    `embeddings-${part}-of-${parts}.jsonl`,
  );
}

/** Measures all pairs and writes the record. */
async function writeRecord(): Promise<void> {
  const known = await cached();
  const photographs = people.flat();
  const withoutFace = photographs.filter((path) => known.get(path) === null);
  const embeddings = people.map((paths) =>
    paths.flatMap((path) => {
      const text = known.get(path);
      return typeof text === "string"
        ? [new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer)]
        : [];
    }),
  );
  const calibration = calibrateAllPairs(embeddings, {
    fars: FARS,
    usualFar: USUAL_FAR,
    data: {
      dataset: "lfw",
      people: `all ${people.length} of LFW, the face nearest the centre of each photograph`,
    },
    onStage: (text) => console.error(text),
  });
  const record: PackCalibration = {
    pack: PACK,
    sha256: packNamed(PACK).files.embedding.sha256,
    calibration,
    intervals:
      "95 %: percentiles of 1000 resamples of the people (vertex bootstrap; Snijders and Borgatti, 1999), at the thresholds found",
    photographs: photographs.length,
    withoutFace,
    note: "SFace's makers do not say which photographs it learned from, so some of these people may be among them; then error rates among strangers are higher",
  };
  await writeFile(
    OUTPUT,
    [
      `/** @file Thresholds of the model ${NAME}; written by \`npm run bench -- pack-calibration\`. */`,
      'import type { PackCalibration } from "../artifact/calibration.ts";',
      "",
      `export const ${CONSTANT}: PackCalibration = ${JSON.stringify(record, undefined, 2)};`,
      "",
    ].join("\n"),
  );
  execFileSync(process.execPath, ["node_modules/@biomejs/biome/bin/biome", "check", "--write", OUTPUT]);
  const { positives, negatives } = calibration.data;
  console.log(
    `${photographs.length} photographs, ${withoutFace.length} without a face: ${withoutFace.join(" ")}`,
  );
  console.log(`${positives} pairs of one person, ${negatives} of two`);
  for (const { far, threshold, measuredFar, measuredTar } of calibration.operatingPoints) {
    console.log(
      `FAR ${far}: threshold ${threshold.toFixed(4)}, FAR ${rateText(measuredFar)}, TAR ${rateText(measuredTar)}`,
    );
  }
}

function rateText({ value, interval: [low, high] }: Rate): string {
  const percent = (rate: number) => `${Number((100 * rate).toPrecision(4))} %`;
  return `${percent(value)} (95 %: ${percent(low)} to ${percent(high)})`;
}
