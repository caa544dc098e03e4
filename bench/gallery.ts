/**
 * @file How a gallery answers under load: enrolment, searches by 1, 8 and 32 clients, memory, exact searches beside the index.
 * `npm run bench -- gallery [--people 10000,30000,100000] [--postgres postgres://…] [--seconds 4]`
 *
 * The embeddings are random directions of 128 numbers, one for each person, which lie a little further apart than faces do: the
 * hardest case for an index. A probe is an enrolled direction with noise, at a cosine of about 0.6. Times depend on what else the
 * machine does; the processor time of a search, of this process and the server's, does not. The people are written by statements of
 * thousands, before enrolment is timed.
 *
 * A large gallery takes hours: `--do fill`, `enrol`, `exact`, `index` and `indexed` run parts of it on a store that `--keep` leaves.
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

const PARTS = ["fill", "enrol", "exact", "index", "indexed"] as const;

const { values: flags } = parseArgs({
  options: {
    people: { type: "string", default: "10000,30000,100000" },
    postgres: { type: "string" },
    folder: { type: "string" },
    seconds: { type: "string", default: "4" },
    clients: { type: "string", default: "1,8,32" },
    store: { type: "string", default: "both" },
    do: { type: "string", default: PARTS.join(",") },
    keep: { type: "boolean", default: false },
  },
});
const SIZES = flags.people.split(",").map(Number);
const CLIENTS = flags.clients.split(",").map(Number);
const SECONDS = Number(flags.seconds);
const DO = flags.do.split(",");
const MODEL: GalleryModel = { name: "random", digest: "r".repeat(64), dimensions: 128, template: "centroid" };
const NAME = "bench";
/** Enrolments that are timed, rows of one statement that fills the gallery, and people who are searched for. */
const [TIMED, BATCH, PROBES] = [500, 2000, 2000];
/** Between two looks at the processes that build an index: listing all of a machine's takes time from the build. */
const NOTE_MS = 2000;
/** Searches by which the index is judged. */
const JUDGED = 200;
/** Of noise: a cosine of 1 / √(1 + s²) = 0.6. */
const NOISE = 4 / 3;

const random = new Random(Number(process.pid));
function unit(values: Float32Array): Float32Array {
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}
const direction = () => unit(Float32Array.from({ length: MODEL.dimensions }, () => random.normal()));
const near = (centre: Float32Array) => {
  const noise = direction();
  return unit(centre.map((value, i) => value + NOISE * noise[i]!));
};

async function fill(database: Database, gallery: number, count: number): Promise<void> {
  for (let done = 0; done < count; done += BATCH) {
    const vectors = Array.from({ length: Math.min(BATCH, count - done) }, () => vectorText(direction()));
    const ids = vectors.map(() => randomUUID());
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
  }
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

/** The processes of a PostgreSQL server, with what they were called. */
async function serverProcesses(): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (/^(postgres:|\S*\/postgres\0)/.test(command)) found.set(Number(pid), command);
  }
  return found;
}

/** Megabytes of a server's processes for this program, beside the buffers that all of them share. */
async function connectionMegabytes(address: string): Promise<number> {
  let total = 0;
  for (const pid of await connections(address)) {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    total += Number(/^Pss_Anon:\s*(\d+)/m.exec(text)?.[1] ?? 0) / 1024;
  }
  return total;
}

async function folderMegabytes(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0) / 2 ** 20;
}

/** People who are searched for: the same ones for every run on a store. */
async function enrolledPeople(address: string): Promise<Float32Array[]> {
  await using database = await openDatabase(address);
  const rows = await database.rows<{ vector: number[] }>(
    `SELECT centroid::real[] AS vector FROM faceid_people WHERE centroid IS NOT NULL ORDER BY id LIMIT ${PROBES}`,
  );
  return rows.map(({ vector }) => Float32Array.from(vector));
}

async function memory(address: string): Promise<string> {
  const node = `${memoryMegabytes(process.pid, "VmRSS").toFixed(0)} MB of this process (at most ${memoryMegabytes(process.pid, "VmHWM").toFixed(0)})`;
  if (!isServerAddress(address)) return `${node}, ${(await folderMegabytes(address)).toFixed(0)} MB on disk`;
  await using database = await openDatabase(address);
  const [row] = await database.rows<{ size: number; index: number }>(
    `SELECT pg_database_size(current_database())::float8 / 2 ^ 20 AS size,
       (SELECT coalesce(sum(pg_relation_size(oid)), 0)::float8 / 2 ^ 20 FROM pg_class WHERE relname LIKE 'faceid_nearest_%') AS index`,
  );
  const server = (await connectionMegabytes(address)).toFixed(0);
  return `${node}, ${server} MB of the server's connections beside its buffers, ${row!.size.toFixed(0)} MB on its disk, ${row!.index.toFixed(0)} of them the index`;
}

async function timeEnrolment(gallery: Gallery): Promise<string> {
  const times: number[] = [];
  const start = performance.now();
  for (let i = 0; i < TIMED; i++) {
    const from = performance.now();
    await gallery.transaction(async (inner) => {
      const { id } = await inner.people.add(randomUUID());
      await inner.faces.add([{ personId: id, embedding: direction(), photoDigest: id }]);
    });
    times.push(performance.now() - from);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const rate = ((1000 * TIMED) / (performance.now() - start)).toFixed(0);
  return `${rate} people a second, one transaction each; p50 ${quantile(sorted, 0.5).toFixed(1)} ms, p99 ${quantile(sorted, 0.99).toFixed(1)} ms`;
}

async function fillStore(address: string, count: number): Promise<void> {
  await (await Gallery.open(address, { create: MODEL, name: NAME }))[Symbol.asyncDispose]();
  await using database = await openDatabase(address);
  const [row] = await database.rows<{ id: number }>("SELECT id FROM faceid_galleries WHERE name = $1", [
    NAME,
  ]);
  const start = performance.now();
  await fill(database, row!.id, count);
  console.log(`  filled in ${((performance.now() - start) / 1000).toFixed(0)} s, without events`);
  await database.run("VACUUM ANALYZE faceid_people");
}

/** The index's build: elapsed time, and the processor time of all processes that take part. */
async function buildIndex(gallery: Gallery, isServer: boolean): Promise<void> {
  const used = new Map<number, number>();
  const note = async () => {
    const processes = isServer ? [...(await serverProcesses()).keys()] : [process.pid];
    for (const pid of processes) {
      const seconds = cpuSeconds(pid);
      // One that has ended meanwhile keeps what it had.
      if (!Number.isNaN(seconds)) used.set(pid, seconds);
    }
  };
  await note();
  const before = new Map(used);
  const watch = isServer ? setInterval(note, NOTE_MS) : undefined;
  const start = performance.now();
  await gallery.index(1);
  const elapsed = (performance.now() - start) / 1000;
  clearInterval(watch);
  await note();
  const processor = [...used].reduce((sum, [pid, seconds]) => sum + seconds - (before.get(pid) ?? 0), 0);
  const index = await gallery.indexUse();
  console.log(
    `  index built and measured in ${elapsed.toFixed(0)} s, ${processor.toFixed(0)} s of processor`,
  );
  if (index === undefined) return;
  const percent = (share: number) => (100 * share).toFixed(2);
  console.log(
    `  with ${index.candidates} candidates it finds ${percent(index.recall)} % (95 %: ${percent(index.low)} to ${percent(index.high)} %) of those whom a comparison with everybody finds, of ${index.searches}; ${index.used ? "used" : "not used"}`,
  );
}

/** Whether the index finds whom a probe belongs to, and what an exact search finds. */
async function judgeIndex(gallery: Gallery, enrolled: readonly Float32Array[]): Promise<void> {
  let found = 0;
  for (let i = 0; i < JUDGED; i++) {
    const person = random.pick(enrolled);
    const [first] = await gallery.search(near(person), 1);
    const cosine = first?.embedding.reduce((sum, value, j) => sum + value * person[j]!, 0) ?? 0;
    if (cosine > 0.999) found++;
  }
  console.log(
    `  found whom a probe belongs to in ${((100 * found) / JUDGED).toFixed(1)} % of ${JUDGED} searches`,
  );
}

async function measure(address: string, count: number): Promise<void> {
  const isServer = isServerAddress(address);
  console.log(`\n${isServer ? "PostgreSQL" : "PGlite"}, ${count} people with one face each`);
  if (DO.includes("fill")) await fillStore(address, count);
  const enrolled = await enrolledPeople(address);
  await using gallery = await Gallery.open(address, { name: NAME });
  const search = () => gallery.search(near(random.pick(enrolled)), 5);
  const searches = async (what: string) => {
    // The server has a process for each connection: as many as there will be are opened first.
    await Promise.all(Array.from({ length: 32 }, search));
    const processes = [process.pid, ...(isServer ? await connections(address) : [])];
    for (const clients of CLIENTS)
      console.log(
        `  ${what}  ${String(clients).padStart(2)} clients ${await load(clients, search, processes)}`,
      );
  };
  if (DO.includes("enrol")) console.log(`  enrolment   ${await timeEnrolment(gallery)}`);
  if (DO.includes("exact")) {
    const counted = performance.now();
    await gallery.comparisons();
    console.log(
      `  counting the people ${(performance.now() - counted).toFixed(0)} ms, at most every ten seconds`,
    );
    await searches("exact");
    console.log(`  memory      ${isServer ? "" : "without the index: "}${await memory(address)}`);
  }
  if (DO.includes("index")) await buildIndex(gallery, isServer);
  if (DO.includes("indexed")) {
    await searches("HNSW ");
    console.log(`  enrolment with the index   ${await timeEnrolment(gallery)}`);
    await judgeIndex(gallery, enrolled);
  }
  console.log(`  memory      ${await memory(address)}`);
}

async function dropTables(address: string): Promise<void> {
  await using database = await openDatabase(address);
  await database.run(
    "DROP TABLE IF EXISTS faceid_photos, faceid_events, faceid_faces, faceid_people, faceid_galleries, faceid_schema",
  );
}

for (const count of SIZES) {
  if (flags.store !== "postgres") {
    const folder = flags.folder ?? (await mkdtemp(join(tmpdir(), "faceid-bench-")));
    await measure(join(folder, "people"), count);
    if (!flags.keep) await rm(folder, { recursive: true });
  }
  if (flags.postgres !== undefined && flags.store !== "pglite") {
    // The database must be one for benches: its tables are dropped.
    if (DO.includes("fill")) await dropTables(flags.postgres);
    await measure(flags.postgres, count);
    if (!flags.keep) await dropTables(flags.postgres);
  }
}
