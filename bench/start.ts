/**
 * @file Time, modules and bytes until a command answers: `npm run bench -- start [PHOTO OTHER]`. With two photographs,
 * `faceid verify` is among the commands.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { childMilliseconds } from "./process-usage.ts";

const TURNS = 7;

const BIN = fileURLToPath(new URL("../bin/faceid.js", import.meta.url));
const RECORDER = new URL("./loaded.mjs", import.meta.url).href;

const photos = process.argv.slice(2);
const STARTS: readonly (readonly string[])[] = [
  ["--version"],
  ["--help"],
  ["verify", "--help"],
  ["serve", "--help"],
  ["train", "--help"],
  ...(photos.length === 2 ? [["verify", ...photos]] : []),
];

/** Runs a program; verify's 1, for different people, is an answer. */
async function run(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...environment } });
  } catch (error) {
    if ((error as { code?: unknown }).code !== 1) throw error;
  }
}

interface Loaded {
  readonly modules: number;
  readonly kilobytes: number;
}

/** What a start loads, recorded in a run of its own. */
async function loadedBy(args: readonly string[], folder: string): Promise<Loaded> {
  const file = join(folder, "loaded");
  await writeFile(file, "");
  await run(["--import", RECORDER, ...args], { LOADED_FILE: file });
  // A module of CommonJS that is imported comes from both records.
  const sizes = new Map<string, number>();
  for (const line of (await readFile(file, "utf8")).trim().split("\n")) {
    const [url = "", size] = line.split("\t");
    if (!url.startsWith("node:")) sizes.set(url, Math.max(Number(size), sizes.get(url) ?? 0));
  }
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { modules: sizes.size, kilobytes: bytes / 1000 };
}

interface Times {
  readonly wall: number[];
  readonly processor: number[];
}

async function time(args: readonly string[], { wall, processor }: Times): Promise<void> {
  const [began, used] = [performance.now(), childMilliseconds()];
  await run(args);
  wall.push(performance.now() - began);
  processor.push(childMilliseconds() - used);
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const column = (value: number) => value.toFixed(0).padStart(8);

const folder = await mkdtemp(join(tmpdir(), "faceid-bench-"));
try {
  const rows = [["-e", ""], ...STARTS.map((start) => [BIN, ...start])].map((args) => ({
    args,
    times: { wall: [], processor: [] } as Times,
  }));
  for (let turn = 0; turn < TURNS; turn++) for (const { args, times } of rows) await time(args, times);
  console.log(
    `Node ${process.versions.node}, ${TURNS} turns: median of the milliseconds, mean of the processor time`,
  );
  console.log(`${"".padEnd(18)}      ms  ms CPU modules      kB`);
  for (const { args, times } of rows) {
    const isNode = args[0] === "-e";
    const name = isNode
      ? "Node alone"
      : args
          .slice(1)
          .filter((word) => !photos.includes(word))
          .join(" ");
    const { modules, kilobytes } = isNode ? { modules: 0, kilobytes: 0 } : await loadedBy(args, folder);
    const [wall, processor] = [median(times.wall), mean(times.processor)];
    console.log(name.padEnd(18) + [wall, processor, modules, kilobytes].map(column).join(""));
  }
} finally {
  await rm(folder, { recursive: true });
}
