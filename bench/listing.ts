/**
 * @file Time and memory to list and split a dataset of the size of DigiFace-1M: `npm run bench -- listing [--people N]`. Its files
 * are hard links to one photograph, in the system's folder for temporary files.
 */
import { copyFileSync, linkSync, mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { openDataset } from "../src/data/dataset.ts";
import { countImages } from "../src/data/identity.ts";
import { splitIdentities } from "../src/data/split.ts";

const { values } = parseArgs({ options: { people: { type: "string", default: "110000" } } });
const PEOPLE = Number(values.people);
/** Photographs of a person by turns: 11 on average, as in DigiFace-1M. */
const PHOTOGRAPHS = [10, 11, 11, 11, 12] as const;
/** Links to one file; file systems allow 65,000. */
const MOST_LINKS = 30_000;

/** One folder per person under `root`. */
function linkPhotographs(photograph: string, sources: string, root: string): void {
  let made = 0;
  let source = photograph;
  for (let person = 0; person < PEOPLE; person++) {
    const folder = join(root, String(person));
    mkdirSync(folder);
    for (let i = 0; i < PHOTOGRAPHS[person % PHOTOGRAPHS.length]!; i++) {
      if (made++ % MOST_LINKS === 0) {
        source = join(sources, `${made}.jpg`);
        copyFileSync(photograph, source);
      }
      linkSync(source, join(folder, `${i}.jpg`));
    }
  }
}

const folder = await mkdtemp(join(tmpdir(), "faceid-listing-"));
try {
  const [photograph, root] = [join(folder, "photograph.jpg"), join(folder, "people")];
  await sharp({ create: { width: 32, height: 32, channels: 3, background: "grey" } }).toFile(photograph);
  mkdirSync(root);
  linkPhotographs(photograph, folder, root);
  const timed = async <T>(what: string, work: () => T | Promise<T>): Promise<T> => {
    const [started, usage] = [performance.now(), process.cpuUsage()];
    const result = await work();
    const { user, system } = process.cpuUsage(usage);
    const [wall, busy] = [(performance.now() - started) / 1000, (user + system) / 1e6];
    console.log(
      `${what.padEnd(8)} ${wall.toFixed(1).padStart(5)} s, ${busy.toFixed(1).padStart(5)} s of processor time`,
    );
    return result;
  };
  const { identities } = await timed("listing", () => openDataset({ path: root }));
  const split = await timed("split", () => splitIdentities(identities, { seed: 1 }));
  const most = process.resourceUsage().maxRSS / 1024;
  console.log(
    `${countImages(identities)} photographs of ${identities.length} people, ${split.train.length} for training; at most ${most.toFixed(0)} MB; ${availableParallelism()} cores`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
