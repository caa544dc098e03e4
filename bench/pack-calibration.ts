/**
 * @file Calibrates the model pack: embeds every photograph of LFW, then measures all pairs of them.
 * `npm run bench -- pack-calibration [--lfw FOLDER] [--cache FOLDER] [--shard I/N]`
 *
 * The cache keeps embeddings, so that the command can be stopped and continued; delete it when the pipeline has changed.
 * With `--shard` only a part of the photographs is embedded, beside other processes, and nothing is measured.
 */
import { appendFile, mkdir, readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { FaceError } from "../src/base/errors.ts";
import { openDataset } from "../src/data/dataset.ts";
import { imageName } from "../src/data/identity.ts";
import { openPack } from "../src/faces/models.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";

const PACK = "opencv-sface";

const { values: flags } = parseArgs({
  options: {
    lfw: { type: "string", default: "../shared/datasets/lfw" },
    cache: { type: "string", default: "runs/pack-calibration" },
    shard: { type: "string" },
    skip: { type: "string" },
  },
});

/** One line of the cache: a photograph and its embedding in base64; null where no face was found. */
type Line = readonly [path: string, embedding: string | null];

async function cached(): Promise<Map<string, string | null>> {
  const names = (await readdir(flags.cache)).filter((name) => name.endsWith(".jsonl"));
  const texts = await Promise.all(names.map((name) => readFile(join(flags.cache, name), "utf8")));
  const lines = texts.flatMap((text) => text.split("\n").filter((line) => line.endsWith("]")));
  return new Map(lines.map((line) => JSON.parse(line) as Line));
}

async function embedAll(paths: readonly string[], file: string): Promise<void> {
  const known = await cached();
  const { files } = await openPack(PACK);
  const [detector, embedding] = await Promise.all([readFile(files.detector), readFile(files.embedding)]);
  await using pipeline = await FacePipeline.open({ detector, embedding });
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
    await appendFile(join(flags.cache, file), `${JSON.stringify([path, text] satisfies Line)}\n`);
  }
}

const { identities } = await openDataset({ dataset: "lfw", path: flags.lfw });
const people = identities.map(({ images }) => images.map((image) => relative(flags.lfw, imageName(image))));
await mkdir(flags.cache, { recursive: true });
const [part, parts] = (flags.shard ?? "0/1").split("/").map(Number) as [number, number];
const skip = new Set(flags.skip ? (JSON.parse(await readFile(flags.skip, "utf8")) as string[]) : []);
const mine = people.flat().filter((path, i) => i % parts === part && !skip.has(path));
await embedAll(mine, `embeddings-${part}-of-${parts}.jsonl`);
