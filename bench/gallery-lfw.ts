/**
 * @file A gallery of LFW's people with two photographs or more, by the commands that a user types: one photograph of each is kept
 * out and searched for, and the only one of people who have no other, the strangers.
 * `npm run bench -- gallery-lfw [--dataset ../shared/datasets/lfw] [--folder runs/gallery-lfw] [--gallery postgres://…] [--every 1]`
 *
 * After `npm run build`. It makes three folders of links, of the strangers every n-th, runs `faceid gallery enrol` and `faceid
 * embed`, and searches for the embeddings as `faceid gallery identify` does for the largest face. What is there already is not done
 * again.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { wilson } from "../src/artifact/wilson.ts";
import { FaceError } from "../src/base/errors.ts";
import { Gallery } from "../src/gallery/gallery.ts";
import { type Identification, identifyFaces, type Matcher } from "../src/gallery/matching.ts";
import { OPENCV_SFACE_CALIBRATION } from "../src/verify/opencv-sface-calibration.ts";

const { values: flags } = parseArgs({
  options: {
    dataset: { type: "string", default: "../shared/datasets/lfw" },
    folder: { type: "string", default: "runs/gallery-lfw" },
    gallery: { type: "string" },
    every: { type: "string", default: "1" },
  },
});
const COMMAND = join(import.meta.dirname, "../bin/faceid.js");
const GALLERY = flags.gallery ?? join(flags.folder, "gallery");
/** The share of strangers who may be named. */
const FPIR = 0.01;
const MATCHER: Matcher = {
  measure: "cosine",
  calibration: OPENCV_SFACE_CALIBRATION.calibration,
  similarity: (a, b) => a.reduce((sum, value, i) => sum + value * b[i]!, 0),
};

async function link(): Promise<void> {
  let strangers = 0;
  for (const person of (await readdir(flags.dataset, { withFileTypes: true })).filter((each) =>
    each.isDirectory(),
  )) {
    const from = resolve(flags.dataset, person.name);
    const photographs = (await readdir(from)).toSorted();
    const last = photographs.pop()!;
    const isStranger = photographs.length === 0;
    if (isStranger && strangers++ % Number(flags.every) !== 0) continue;
    const kept = join(flags.folder, isStranger ? "strangers" : "kept-out");
    await mkdir(kept, { recursive: true });
    await symlink(join(from, last), join(kept, `${person.name}.jpg`));
    const enrolled = join(flags.folder, "enrolled", person.name);
    if (!isStranger) await mkdir(enrolled, { recursive: true });
    for (const each of photographs) await symlink(join(from, each), join(enrolled, each));
  }
}

function faceid(...args: readonly string[]): string {
  const { stdout, status } = spawnSync(process.execPath, [COMMAND, ...args], {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new FaceError("CONFIG_INVALID", `faceid ${args.join(" ")} ended with ${status}`);
  return stdout;
}

async function enrol(): Promise<void> {
  const path = join(flags.folder, "enrolled.json");
  if (existsSync(path)) return;
  const summary = faceid("gallery", "enrol", join(flags.folder, "enrolled"), "--gallery", GALLERY, "--json");
  await writeFile(`${path}.part`, summary);
  await rename(`${path}.part`, path);
}

/** The answer for each photograph of a folder; a photograph without a face has none, and is counted as nobody. */
interface Search {
  readonly searched: string;
  readonly answer: Pick<Identification, "match" | "candidates" | "threshold"> | undefined;
}

async function searches(gallery: Gallery, which: string): Promise<Search[]> {
  const folder = join(flags.folder, which);
  const path = `${folder}.jsonl`;
  if (!existsSync(path)) faceid("embed", folder, "--output", path);
  const rows = (await readFile(path, "utf8")).trim().split("\n");
  const embedded = new Map(
    rows.map((row) => {
      const { path: name, embedding } = JSON.parse(row) as { path: string; embedding: number[] };
      return [name, Float32Array.from(embedding)] as const;
    }),
  );
  const found: Search[] = [];
  for (const name of (await readdir(folder)).toSorted()) {
    const embedding = embedded.get(name);
    const faces = embedding === undefined ? [] : [{ embedding, face: {} }];
    const [answer] = await identifyFaces(MATCHER, gallery, faces, { fpir: FPIR });
    found.push({ searched: name.replace(/\.jpg$/, ""), answer });
  }
  return found;
}

function line(what: string, count: number, of: number): void {
  const [value, low, high] = [count / of, ...wilson(count, of)].map((each) => (100 * each).toFixed(2));
  console.log(`  ${what.padEnd(54)} ${value!.padStart(6)} %  (95 %: ${low} to ${high} %)  ${count} of ${of}`);
}

if (!existsSync(join(flags.folder, "enrolled"))) await link();
await enrol();
await using gallery = await Gallery.open(GALLERY);
const { people, faces } = await gallery.counts();
console.log(`${people} people enrolled with ${faces} photographs`);
const mated = await searches(gallery, "kept-out");
const strangers = await searches(gallery, "strangers");
const similarityOf = ({ answer }: Search) => answer?.candidates[0]?.similarity ?? -1;
const right = mated.filter(({ searched, answer }) => answer?.candidates[0]?.person === searched);
line("rank 1", right.length, mated.length);
// The similarity that one stranger too many reaches; what lies above names no more than may be named.
const ranked = strangers.map(similarityOf).toSorted((a, b) => b - a);
const measured = ranked[Math.floor(FPIR * ranked.length)]!;
const detected = right.filter((search) => similarityOf(search) > measured).length;
line(`DIR at FPIR 1 %, threshold ${measured.toFixed(3)} from these strangers`, detected, mated.length);
const named = (all: readonly Search[]) => all.filter(({ answer }) => answer?.match).length;
const threshold = mated.find(({ answer }) => answer !== undefined)!.answer!.threshold!;
console.log(`at the threshold ${threshold.toFixed(3)} that the program chooses for --fpir ${FPIR}:`);
line("named rightly", named(right), mated.length);
line("named as somebody else", named(mated) - named(right), mated.length);
line("strangers named", named(strangers), strangers.length);
