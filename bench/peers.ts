/**
 * @file The same training and inference in faceid and in other frameworks, in alternating turns with equal threads:
 * `npm run bench -- peers [NETWORK [WORK]] [--batches 1,16,32] [--peers NAME,…] [--starts N]`. Prints rates, processor times,
 * peak memory, and the ratios to ours. While other programs run, only the ratio of processor times is reliable.
 *
 * Keras takes the Python environment that `npm run test:interop` makes. OpenVINO takes one of its own, and so does PyTorch,
 * which runs only when `--peers` names it: for Linux, PyPI has it with CUDA alone, 5 GB once installed.
 * `python3 -m venv bench/peers/.venv` and `bench/peers/.venv/bin/pip install -r bench/peers/requirements-openvino.txt`
 * (`requirements-torch.txt`).
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { siamese } from "../src/model/siamese.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { writeSavedModel } from "../src/savedmodel/write/write.ts";
import { type Farewell, type Job, Peer, type Precision, type Timing } from "./peers/peer.ts";

const THREADS = 2;
/** Turns of each side, after one warm-up turn. */
const TURNS = 3;
/** Consecutive runs in a turn, like steps in training and batches in a server. */
const RUNS = 5;
const HERE = join(import.meta.dirname, "peers");
const KERAS = join(import.meta.dirname, "../test/interop/.venv/bin/python");
const PYTHON = join(HERE, ".venv/bin/python");

type Network = Job["network"];
/** What the command line calls a work: inference in integers is a work of its own. */
type Work = "training" | "inference" | "int8";

interface Side {
  readonly name: string;
  readonly works: readonly Work[];
  readonly precision: (work: Work) => Precision;
  readonly command: readonly [program: string, ...args: string[]];
}

const always = (precision: Precision) => () => precision;
const unlessInt8 = (work: Work): Precision => (work === "int8" ? "int8" : "float32");
const ours: Side = {
  name: "faceid",
  works: ["training", "inference", "int8"],
  precision: unlessInt8,
  command: [process.execPath, "--import", "tsx", join(HERE, "ours.ts")],
};
const keras: Side["command"] = [KERAS, join(HERE, "keras_peer.py")];
const openvino: Side["command"] = [PYTHON, join(HERE, "openvino_peer.py")];
const PEERS: readonly Side[] = [
  { name: "keras", works: ["training", "inference"], precision: always("float32"), command: keras },
  { name: "keras-bfloat16", works: ["training"], precision: always("bfloat16"), command: keras },
  { name: "openvino", works: ["inference", "int8"], precision: unlessInt8, command: openvino },
  { name: "openvino-bfloat16", works: ["inference"], precision: always("bfloat16"), command: openvino },
  {
    name: "torch",
    works: ["training", "inference"],
    precision: always("float32"),
    command: [PYTHON, join(HERE, "torch_peer.py")],
  },
];

interface Measured extends Farewell {
  readonly timings: readonly Timing[];
}

/** Alternates all sides, so that other load on the machine affects them equally. */
async function measure(sides: readonly Side[], job: (side: Side) => Job): Promise<Measured[]> {
  const peers: Peer[] = [];
  for (const side of sides) {
    const [program, ...args] = side.command;
    peers.push(await Peer.start(program, [...args, JSON.stringify(job(side))]));
  }
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
  return ends.map((end, i) => ({ ...end, timings: timings[i]! }));
}

/** The runs of all starts: the rate differs by a few percent from one process to the next. */
async function measureStarts(sides: readonly Side[], job: (side: Side) => Job, starts: number) {
  const measured: Measured[][] = [];
  for (let start = 0; start < starts; start++) measured.push(await measure(sides, job));
  return sides.map((_, i): Measured => {
    const own = measured.map((each) => each[i]!);
    return {
      ...own[0]!,
      timings: own.flatMap(({ timings }) => timings),
      peakMegabytes: Math.max(...own.map(({ peakMegabytes }) => peakMegabytes)),
    };
  });
}

function median({ timings }: Measured, what: keyof Timing): number {
  const ascending = timings.map((timing) => timing[what]).toSorted((a, b) => a - b);
  return ascending[Math.floor(ascending.length / 2)]!;
}

function rowOf(label: string, batch: number, side: Measured, ours: Measured): string {
  const ratio = (what: keyof Timing) =>
    side === ours ? "" : (median(side, what) / median(ours, what)).toFixed(2);
  const cells = [
    ((1000 * batch) / median(side, "ms")).toFixed(1),
    (median(side, "cpuMs") / batch).toFixed(1),
    side.peakMegabytes.toFixed(0),
    ratio("ms"),
    ratio("cpuMs"),
    side === ours ? "" : (ours.peakMegabytes / side.peakMegabytes).toFixed(2),
  ];
  return `${label.padEnd(31)}| ${side.version.padEnd(50)}|${cells.map((cell) => cell.padStart(8)).join("")}`.trimEnd();
}

/** The network as `faceid export` writes it, with the weights of a fresh one. */
async function exportNetwork(network: Network, folder: string): Promise<string> {
  const model = { network, input: { height: 112, width: 112 } };
  const { classifier, anchorImage, verificationImage } = siamese(model, {
    mode: "inference",
    batch: "batch",
  });
  const { net } = siamese(model, { mode: "training", batch: 1 });
  const inputs = { anchor_img: anchorImage, verification_img: verificationImage };
  const path = join(folder, network);
  await writeSavedModel(path, {
    signatures: { serving_default: { inputs, outputs: { classifier } } },
    parameters: initialWeights(net.weights, new Random(1)),
  });
  return path;
}

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batches: { type: "string", default: "1,16,32" },
    peers: { type: "string", default: "keras,keras-bfloat16,openvino,openvino-bfloat16" },
    starts: { type: "string", default: "3" },
  },
});
const [onlyNetwork, onlyWork] = positionals;
const wanted = flags.peers.split(",");
const unknown = wanted.find((name) => !PEERS.some((peer) => peer.name === name));
if (unknown !== undefined) {
  console.error(`no peer is called ${unknown}; there are ${PEERS.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
const peers = PEERS.filter(({ name }) => wanted.includes(name));
const missing = peers.filter(({ command }) => !existsSync(command[0]));
for (const { name } of missing)
  console.log(`skipped ${name}: the head of bench/peers.ts says how to install it`);

console.log(
  `${THREADS} threads each, a process each; starts: ${flags.starts}, each with ${TURNS} turns of ${RUNS} runs on end; medians`,
);
console.log(
  "ms CPU: of all threads, for a pair; ratios above 1: faceid is faster, below 1 of MB: it takes less\n",
);
const heads = ["pairs/s", "ms CPU", "MB", "time", "CPU", "MB"].map((head) => head.padStart(8)).join("");
console.log(`${"network        work       batch".padEnd(31)}| ${"".padEnd(50)}|${heads}`);
const folder = await mkdtemp(join(tmpdir(), "faceid-bench-"));
try {
  for (const network of ["faceid", "mobilefacenet"] as const) {
    if ((onlyNetwork ?? network) !== network) continue;
    const model = await exportNetwork(network, folder);
    for (const work of ["training", "inference", "int8"] as const) {
      if ((onlyWork ?? work) !== work) continue;
      const sides = [ours, ...peers.filter((peer) => peer.works.includes(work) && !missing.includes(peer))];
      for (const batch of flags.batches.split(",").map(Number)) {
        if (work === "training" && batch === 1) continue;
        const kind = work === "training" ? "training" : "inference";
        const job = (side: Side): Job => ({
          network,
          batch,
          work: kind,
          precision: side.precision(work),
          threads: THREADS,
          model,
        });
        const measured = await measureStarts(sides, job, Number(flags.starts));
        const label = `${network.padEnd(14)} ${work.padEnd(10)} ${batch}`;
        for (const side of measured) {
          console.log(rowOf(side === measured[0] ? label : "", batch, side, measured[0]!));
        }
      }
    }
  }
} finally {
  await rm(folder, { recursive: true });
}
