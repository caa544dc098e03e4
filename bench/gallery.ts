/**
 * @file How a gallery answers under load: enrolment, searches by 1, 8 and 32 clients, memory, exact searches beside the index.
 * `npm run bench -- gallery [--people 10000,30000,100000] [--postgres postgres://…] [--seconds 4]`
 *
 * The embeddings are random directions of 128 numbers, one for each person, which lie further apart than faces do: the hardest case
 * for an index. Times depend on what else the machine does; the processor time of a search, of this process and the server's, does
 * not. A probe is an enrolled direction with noise, at a cosine of about 0.6. Rows beyond the enrolment that is timed are
 * written by one statement.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { type Database, isServerAddress } from "../src/gallery/database.ts";
import { vectorText } from "../src/gallery/faces.ts";
import { Gallery, type GalleryModel } from "../src/gallery/gallery.ts";
import { openDatabase } from "../src/gallery/open-database.ts";
import { cpuSeconds, memoryMegabytes } from "./process-usage.ts";

const { values: flags } = parseArgs({
  options: {
    people: { type: "string", default: "10000,30000,100000" },
    postgres: { type: "string" },
    seconds: { type: "string", default: "4" },
    clients: { type: "string", default: "1,8,32" },
    store: { type: "string", default: "both" },
  },
});
const SIZES = flags.people.split(",").map(Number);
const CLIENTS = flags.clients.split(",").map(Number);
const SECONDS = Number(flags.seconds);
const MODEL: GalleryModel = { name: "random", digest: "r".repeat(64), dimensions: 128, template: "centroid" };
const NAME = "bench";
/** Enrolments that are timed, and rows of one statement that fills the gallery. */
const [TIMED, BATCH] = [500, 2000];
/** Of noise: a cosine of 1 / √(1 + s²) = 0.6. */
const NOISE = 4 / 3;

const random = new Random(1);
function unit(values: Float32Array): Float32Array {
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}
const direction = () => unit(Float32Array.from({ length: MODEL.dimensions }, () => random.normal()));
const near = (centre: Float32Array) => {
  const noise = direction();
  return unit(centre.map((value, i) => value + NOISE * noise[i]!));
};

async function fill(database: Database, gallery: number, count: number): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  while (all.length < count) {
    const batch = Array.from({ length: Math.min(BATCH, count - all.length) }, direction);
    const ids = batch.map(() => randomUUID());
    const vectors = batch.map(vectorText);
    await database.transaction(async (queries) => {
      await queries.rows(
        `INSERT INTO faceid_people (id, gallery_id, name, centroid)
         SELECT id, $1, id::text, v::vector FROM unnest($2::uuid[], $3::text[]) AS new (id, v)`,
        [gallery, ids, vectors],
      );
      await queries.rows(
        `INSERT INTO faceid_faces (id, gallery_id, person_id, embedding, model_digest, photo_digest)
         SELECT gen_random_uuid(), $1, id, v::vector, $4, id::text FROM unnest($2::uuid[], $3::text[]) AS new (id, v)`,
        [gallery, ids, vectors, MODEL.digest],
      );
    });
    all.push(...batch);
  }
  return all;
}

const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;

/** Searches by some clients at once, each asking again as soon as it has its answer. */
async function load(
  clients: number,
  search: () => Promise<unknown>,
  processes: readonly number[],
): Promise<string> {
  const times: number[] = [];
  const used = () => processes.reduce((sum, pid) => sum + (cpuSeconds(pid) || 0), 0);
  const before = used();
  const start = performance.now();
  const end = start + 1000 * SECONDS;
  const client = async () => {
    do {
      const from = performance.now();
      await search();
      times.push(performance.now() - from);
    } while (performance.now() < end);
  };
  await Promise.all(Array.from({ length: clients }, client));
  const rate = (1000 * times.length) / (performance.now() - start);
  const sorted = times.toSorted((a, b) => a - b);
  const each = (1000 * (used() - before)) / times.length;
  return `${each.toFixed(1).padStart(6)} ms of processor  ${rate.toFixed(0).padStart(6)}/s  p50 ${quantile(sorted, 0.5).toFixed(1).padStart(7)} ms  p99 ${quantile(sorted, 0.99).toFixed(1).padStart(7)} ms`;
}

/** The processes of the server that answer this program. */
async function connections(address: string): Promise<number[]> {
  await using database = await openDatabase(address);
  const rows = await database.rows<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'faceid'",
  );
  return rows.map(({ pid }) => pid);
}

/** Megabytes of all processes of a PostgreSQL server, shared memory once. */
async function serverMegabytes(): Promise<number> {
  let total = 0;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (!/^(postgres:|\S*\/postgres\0)/.test(command)) continue;
    const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    total += Number(/^Pss:\s*(\d+)/m.exec(text)?.[1] ?? 0) / 1024;
  }
  return total;
}

async function folderMegabytes(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0) / 2 ** 20;
}

async function timeEnrolment(gallery: Gallery): Promise<string> {
  const start = performance.now();
  for (let i = 0; i < TIMED; i++) {
    await gallery.transaction(async (inner) => {
      const { id } = await inner.people.add(randomUUID());
      await inner.faces.add([{ personId: id, embedding: direction(), photoDigest: id }]);
    });
  }
  return `${((1000 * TIMED) / (performance.now() - start)).toFixed(0)} people a second, one transaction each`;
}

async function measure(address: string, count: number): Promise<void> {
  const isServer = isServerAddress(address);
  console.log(`\n${isServer ? "PostgreSQL" : "PGlite"}, ${count} people with one face each`);
  {
    await using gallery = await Gallery.open(address, { create: MODEL, name: NAME });
    console.log(`  enrolment   ${await timeEnrolment(gallery)}`);
  }
  let enrolled: Float32Array[];
  {
    await using database = await openDatabase(address);
    const [row] = await database.rows<{ id: number }>("SELECT id FROM faceid_galleries WHERE name = $1", [
      NAME,
    ]);
    const start = performance.now();
    enrolled = await fill(database, row!.id, count - TIMED);
    console.log(`  filled in ${((performance.now() - start) / 1000).toFixed(0)} s, without events`);
    await database.run("VACUUM ANALYZE faceid_people");
  }
  await using gallery = await Gallery.open(address, { name: NAME });
  const search = () => gallery.search(near(random.pick(enrolled)), 5);
  // The server has a process for each connection: as many as there will be are opened first.
  await Promise.all(Array.from({ length: 32 }, search));
  const processes = [process.pid, ...(isServer ? await connections(address) : [])];
  const searches = async (what: string) => {
    for (const clients of CLIENTS)
      console.log(
        `  ${what}  ${String(clients).padStart(2)} clients ${await load(clients, search, processes)}`,
      );
  };
  const counted = performance.now();
  await gallery.comparisons();
  console.log(
    `  counting the people ${(performance.now() - counted).toFixed(0)} ms, at most every ten seconds`,
  );
  await searches("exact");
  const start = performance.now();
  await gallery.index(1);
  console.log(`  index built in ${((performance.now() - start) / 1000).toFixed(0)} s`);
  await searches("HNSW ");
  let found = 0;
  const probes = Array.from({ length: 200 }, () => random.pick(enrolled));
  for (const probe of probes) {
    const [first] = await gallery.search(near(probe), 1);
    const cosine = first?.embedding.reduce((sum, value, i) => sum + value * probe[i]!, 0) ?? 0;
    if (cosine > 0.999) found++;
  }
  const { recall } = await gallery.check();
  console.log(
    `  recall of the ten nearest ${(100 * recall!).toFixed(1)} %; of the person searched for ${(found / 2).toFixed(1)} %`,
  );
  const node = memoryMegabytes(process.pid, "VmRSS").toFixed(0);
  const place = isServer
    ? `${(await serverMegabytes()).toFixed(0)} MB of the server`
    : `${(await folderMegabytes(address)).toFixed(0)} MB on disk`;
  console.log(`  memory      ${node} MB of this process, ${place}`);
}

async function dropTables(address: string): Promise<void> {
  await using database = await openDatabase(address);
  await database.run(
    "DROP TABLE IF EXISTS faceid_photos, faceid_events, faceid_faces, faceid_people, faceid_galleries, faceid_schema",
  );
}

for (const count of SIZES) {
  if (flags.store !== "postgres") {
    const folder = await mkdtemp(join(tmpdir(), "faceid-bench-"));
    await measure(join(folder, "people"), count);
    await rm(folder, { recursive: true });
  }
  if (flags.postgres !== undefined && flags.store !== "pglite") {
    // The database must be one for benches: its tables are dropped.
    await dropTables(flags.postgres);
    await measure(flags.postgres, count);
    await dropTables(flags.postgres);
  }
}
