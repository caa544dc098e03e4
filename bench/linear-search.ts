/**
 * @file One search in a gallery beside face_recognition's `compare_faces` (NumPy) on the same embeddings, and whether both find the
 * same nearest person.
 * `npm run bench -- linear-search [--cache FOLDER] [--people 10000,100000] [--postgres postgres://…] [--searches 200] [--only-theirs]`
 *
 * The people of LFW, from the embeddings of `npm run bench -- pack-calibration`, one photograph of each person with several kept
 * out and searched for; with `--gallery-lfw FOLDER` the people and the photographs of `npm run bench -- gallery-lfw`; or random
 * directions with `--people`. It needs Python: `python3 -m venv bench/peers/.venv`, then
 * `bench/peers/.venv/bin/pip install -r bench/peers/requirements-photos.txt` and
 * `bench/peers/.venv/bin/pip install --no-deps face_recognition==1.3.0 pillow==12.0.0`.
 */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FaceError } from "../src/base/errors.ts";
import { Random } from "../src/base/random.ts";
import { Gallery, type GalleryModel } from "../src/gallery/gallery.ts";
import { openDatabase } from "../src/gallery/open-database.ts";
import { embeddedPeople } from "./embedded-people.ts";

const { values: flags } = parseArgs({
  options: {
    cache: { type: "string", default: "runs/pack-calibration" },
    "gallery-lfw": { type: "string" },
    people: { type: "string" },
    postgres: { type: "string" },
    "only-theirs": { type: "boolean", default: false },
    searches: { type: "string", default: "200" },
    python: { type: "string", default: join(import.meta.dirname, "peers/.venv/bin/python") },
  },
});
const SEARCHES = Number(flags.searches);
const DIMENSIONS = 128;
const MODEL: GalleryModel = {
  name: "bench",
  digest: "b".repeat(64),
  dimensions: DIMENSIONS,
  template: "centroid",
};
const BATCH = 1000;

const random = new Random(1);
function unit(values: Float32Array): Float32Array {
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

interface Data {
  readonly name: string;
  readonly enrolled: readonly Float32Array[];
  readonly probes: readonly Float32Array[];
}

/** Everybody by the direction of the sum of the photographs that are not kept out. */
async function lfw(): Promise<Data> {
  const people = await embeddedPeople(flags.cache);
  const sum = (vectors: readonly Float32Array[]) =>
    unit(
      vectors.reduce((all, each) => all.map((value, i) => value + each[i]!), new Float32Array(DIMENSIONS)),
    );
  const several = people.filter(({ embeddings }) => embeddings.length > 1);
  return {
    name: "people of LFW",
    enrolled: people.map(({ embeddings }) =>
      sum(embeddings.length > 1 ? embeddings.slice(0, -1) : embeddings),
    ),
    probes: random
      .shuffle(several)
      .slice(0, SEARCHES)
      .map(({ embeddings }) => embeddings.at(-1)!),
  };
}

/** The people of a gallery, and the photographs of them that were kept out. */
async function galleryLfw(folder: string): Promise<Data> {
  await using database = await openDatabase(join(folder, "gallery"));
  const rows = await database.rows<{ centroid: number[] }>(
    "SELECT centroid::real[] AS centroid FROM faceid_people WHERE centroid IS NOT NULL ORDER BY name",
  );
  const kept = (await readFile(join(folder, "kept-out.jsonl"), "utf8")).trim().split("\n");
  return {
    name: "people of LFW with two photographs or more",
    enrolled: rows.map(({ centroid }) => Float32Array.from(centroid)),
    probes: random
      .shuffle(kept)
      .slice(0, SEARCHES)
      .map((row) => Float32Array.from((JSON.parse(row) as { embedding: number[] }).embedding)),
  };
}

function drawn(count: number): Data {
  const direction = () => unit(Float32Array.from({ length: DIMENSIONS }, () => random.normal()));
  const enrolled = Array.from({ length: count }, direction);
  const probes = Array.from({ length: SEARCHES }, () => {
    const noise = direction();
    return unit(random.pick(enrolled).map((value, i) => value + noise[i]!));
  });
  return { name: "random directions", enrolled, probes };
}

const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.floor(share * (sorted.length - 1))]!;
const line = (what: string, times: readonly number[], same: number) => {
  const sorted = times.toSorted((a, b) => a - b);
  console.log(
    `  ${what.padEnd(46)} p50 ${quantile(sorted, 0.5).toFixed(2).padStart(8)} ms  p99 ${quantile(sorted, 0.99).toFixed(2).padStart(8)} ms  ${((100 * same) / times.length).toFixed(1)} %`,
  );
};

async function ours(what: string, address: string, { enrolled, probes }: Data, nearest: readonly number[]) {
  await using gallery = await Gallery.open(address, { create: MODEL, name: `b${randomUUID()}` });
  const numbers = new Map<string, number>();
  for (let from = 0; from < enrolled.length; from += BATCH) {
    await gallery.transaction(async (inner) => {
      const faces = [];
      for (let i = from; i < Math.min(from + BATCH, enrolled.length); i++) {
        const { id } = await inner.people.add(randomUUID());
        numbers.set(id, i);
        faces.push({ personId: id, embedding: enrolled[i]!, photoDigest: id });
      }
      await inner.faces.add(faces);
    });
  }
  const searched = async (kind: string) => {
    await gallery.search(probes[0]!, 1);
    const times: number[] = [];
    let same = 0;
    for (const [i, probe] of probes.entries()) {
      const start = performance.now();
      const [first] = await gallery.search(probe, 1);
      times.push(performance.now() - start);
      if (numbers.get(first?.personId ?? "") === nearest[i]) same++;
    }
    line(`${what}, ${kind}`, times, same);
  };
  await searched("compared with all");
  if (await gallery.index()) await searched("by the index");
}

interface Theirs {
  readonly list: readonly number[];
  readonly array: readonly number[];
  readonly nearest: readonly number[];
  readonly version: string;
}

async function theirs(folder: string, { enrolled, probes }: Data): Promise<Theirs> {
  for (const [name, vectors] of [
    ["enrolled", enrolled],
    ["probes", probes],
  ] as const) {
    await writeFile(join(folder, name), Buffer.concat(vectors.map(({ buffer }) => Buffer.from(buffer))));
  }
  const program = join(import.meta.dirname, "peers/linear_search.py");
  const { stdout, stderr, status } = spawnSync(flags.python, [program, folder, String(DIMENSIONS)], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new FaceError("CONFIG_INVALID", `face_recognition does not run: ${stderr}`);
  return JSON.parse(stdout) as Theirs;
}

async function measure(data: Data): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "faceid-search-"));
  try {
    const { list, array, nearest, version } = await theirs(folder, data);
    console.log(
      `${data.enrolled.length} ${data.name}, ${data.probes.length} searches; ${version}; the last column: the same person is nearest`,
    );
    line("compare_faces, a list as in its examples", list, list.length);
    line("compare_faces, one array", array, array.length);
    if (flags["only-theirs"]) return;
    await ours("gallery in a folder", join(folder, "people"), data, nearest);
    if (flags.postgres !== undefined) await ours("gallery in PostgreSQL", flags.postgres, data, nearest);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const lfwFolder = flags["gallery-lfw"];
if (lfwFolder !== undefined) await measure(await galleryLfw(lfwFolder));
else if (flags.people === undefined) await measure(await lfw());
else for (const count of flags.people.split(",").map(Number)) await measure(drawn(count));
