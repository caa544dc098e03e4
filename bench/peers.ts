/**
 * @file `npm run bench:peers [network] [work]`: the same work by us and by Keras on TensorFlow, turn by turn, with equal
 * threads; prints both rates, the processor time, the ratios, and each side's peak memory. While other programs
 * run, the ratio of processor times is the one to trust.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "./job.ts";
import { type Farewell, Peer, type Timing } from "./peer.ts";

const THREADS = 2;
/** Turns of each side, after one to warm up. */
const TURNS = 3;
/** Runs on end in a turn, as steps follow each other in training and batches in a server. */
const RUNS = 5;
/** A process may be some percent faster than the next one all its life, so each side starts more than once. */
const STARTS = 3;
const HERE = import.meta.dirname;
const PYTHON = join(HERE, "../../test/interop/.venv/bin/python");

interface Measured extends Farewell {
  readonly timings: readonly Timing[];
}

/** Runs both by turns, so that whatever else the machine does falls on both alike. */
async function measure(job: Job): Promise<[ours: Measured, theirs: Measured]> {
  const text = JSON.stringify(job);
  const peers = [
    await Peer.start(process.execPath, ["--import", "tsx", join(HERE, "ours.ts"), text]),
    await Peer.start(PYTHON, [join(HERE, "keras_peer.py"), text]),
  ];
  const timings = peers.map((): Timing[] => []);
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const [i, peer] of peers.entries()) {
      for (let run = 0; run < RUNS; run++) {
        const timing = await peer.run();
        if (turn > 0) timings[i]!.push(timing);
      }
    }
  }
  const ends = await Promise.all(peers.map((peer) => peer.end()));
  const [ours, theirs] = ends.map((end, i) => ({ ...end, timings: timings[i]! }));
  return [ours!, theirs!];
}

/** The runs of all starts together. */
async function measureStarts(job: Job): Promise<[ours: Measured, theirs: Measured]> {
  const starts: [Measured, Measured][] = [];
  for (let start = 0; start < STARTS; start++) starts.push(await measure(job));
  const joined = (side: 0 | 1): Measured => ({
    ...starts[0]![side],
    timings: starts.flatMap((measured) => measured[side].timings),
    peakMegabytes: Math.max(...starts.map((measured) => measured[side].peakMegabytes)),
  });
  return [joined(0), joined(1)];
}

function median({ timings }: Measured, what: keyof Timing): number {
  const ascending = timings.map((timing) => timing[what]).toSorted((a, b) => a - b);
  return ascending[Math.floor(ascending.length / 2)]!;
}

const ratio = (ours: Measured, theirs: Measured, what: keyof Timing) =>
  (median(theirs, what) / median(ours, what)).toFixed(2).padStart(6);

function sideText({ batch }: Job, side: Measured): string {
  const rate = ((1000 * batch) / median(side, "ms")).toFixed(1).padStart(7);
  const cpu = (median(side, "cpuMs") / batch).toFixed(1).padStart(7);
  return `${rate} ${cpu} ${side.peakMegabytes.toFixed(0).padStart(6)} |`;
}

if (!existsSync(PYTHON)) {
  console.log("Keras is left out: run `npm run test:interop` once, which makes the Python environment");
  process.exit(1);
}
const [onlyNetwork, onlyWork] = process.argv.slice(2);
console.log(
  `${THREADS} threads each, a process each, median of ${STARTS} starts with ${TURNS} turns of ${RUNS} runs on end`,
);
console.log("int8: our network in 8-bit integers beside Keras' in floats");
console.log(
  "PyTorch is left out: for Linux, PyPI has it only with CUDA (539 MB, and more in the libraries it asks for)\n",
);
const version = "Keras on TensorFlow";
console.log(`${" ".repeat(33)}| ${"faceid".padEnd(23)}| ${version.padEnd(23)}| theirs / ours`);
const columns = "pairs/s  ms CPU     MB |";
console.log(
  `${"network        work       batch".padEnd(33)}|${columns}${columns}   time   CPU (ms CPU: of all threads, for a pair)`,
);
for (const work of ["training", "inference", "int8"] as const) {
  for (const network of ["faceid", "mobilefacenet"] as const) {
    for (const batch of [16, 32]) {
      if ((onlyNetwork ?? network) !== network || (onlyWork ?? work) !== work) continue;
      const job: Job = { network, batch, work, threads: THREADS };
      const [ours, theirs] = await measureStarts(job);
      console.log(
        `${network.padEnd(14)} ${work.padEnd(10)} ${String(batch).padEnd(7)}|${sideText(job, ours)}${sideText(job, theirs)}` +
          `${ratio(ours, theirs, "ms")}${ratio(ours, theirs, "cpuMs")}`,
      );
    }
  }
}
