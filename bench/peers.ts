/**
 * @file The same training and inference in faceid and in Keras on TensorFlow, in alternating turns with equal threads:
 * `npm run bench -- peers [NETWORK [WORK]]`. Prints rates, processor times, their ratios and peak memory. While other
 * programs run, only the ratio of processor times is reliable.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Farewell, type Job, Peer, type Timing } from "./peers/peer.ts";

const THREADS = 2;
/** Turns of each side, after one warm-up turn. */
const TURNS = 3;
/** Consecutive runs in a turn, like steps in training and batches in a server. */
const RUNS = 5;
/** Process starts of each side: the rate differs by a few percent from one process to the next. */
const STARTS = 3;
const HERE = join(import.meta.dirname, "peers");
const PYTHON = join(import.meta.dirname, "../test/interop/.venv/bin/python");

interface Measured extends Farewell {
  readonly timings: readonly Timing[];
}

/** Alternates both sides, so that other load on the machine affects both equally. */
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

/** The runs of all starts. */
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
  console.log("skipped Keras: run `npm run test:interop` once to make the Python environment");
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
