/** @file faceid's side of bench/peers-photos.ts: argument a mode's suffix, such as -int8; paths on standard input, answers as photo_peer.py. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { FaceError } from "../../src/base/errors.ts";
import { eachLimited } from "../../src/base/limiter.ts";
import { MODES, modeSuffix } from "../../src/faces/mode.ts";
import { DECODING_AHEAD, PhotoThreads } from "../../src/serving/photos/photo-threads.ts";

const [name, detectorFile, embeddingFile] = process.argv.slice(2) as [string, string, string];
const mode = MODES.find((each) => modeSuffix(each) === name)!;
const threads = Number(process.env.OMP_NUM_THREADS ?? 1);
const choice = { choice: "central", strict: false } as const;
const never = new AbortController().signal;
await using photos = await PhotoThreads.open(
  { detector: detectorFile, embedding: embeddingFile, ...mode },
  threads,
  0,
  // With one thread nothing else may be under way beside it.
  threads === 1 ? 1 : DECODING_AHEAD,
);

async function embeddingOf(path: string): Promise<string> {
  const file = await readFile(path);
  const found = await photos.embedding({ file, what: path }, choice, never).catch((error: unknown) => {
    if (error instanceof FaceError && error.code === "FACE_NOT_FOUND") return undefined;
    throw error;
  });
  return JSON.stringify(found === undefined ? null : [...found.embedding]);
}

const paths: string[] = [];
for await (const path of createInterface({ input: process.stdin })) paths.push(path);
// Each thread's sessions have run before time is taken.
await Promise.all(paths.slice(0, threads).map(embeddingOf));
const [started, since] = [process.cpuUsage(), performance.now()];
const rows = new Array<string>(paths.length);
await eachLimited(paths.keys(), threads * 3, async (i) => {
  rows[i] = await embeddingOf(paths[i]!);
});
const { user, system } = process.cpuUsage(started);
const end = {
  cpuMs: (user + system) / 1000,
  wallMs: performance.now() - since,
  peakMegabytes: process.resourceUsage().maxRSS / 1024,
  version: `faceid${name}`,
};
for (const row of rows) console.log(row);
console.log(JSON.stringify(end));
