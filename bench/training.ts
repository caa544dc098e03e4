/** @file Rate of training steps, and the share of the time by operator: `npm run bench -- training` */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../src/base/random.ts";
import { siamese } from "../src/model/siamese.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { defaultReplicas, type EngineOptions, TrainingEngine } from "../src/train/engine.ts";

const IMAGE = { height: 112, width: 112 };
const WARM_UP = 3;
const RUNS = 7;
const SHARES_SHOWN = 10;

function optionsFor(network: string, batchSize: number, replicas: number): EngineOptions {
  return {
    step: {
      model: { network, input: IMAGE },
      loss: { name: "bce" },
      optimizer: { name: "adam" },
      weightDecay: 0,
    },
    batchSize,
    replicas,
    threads: 1,
  };
}

/** Milliseconds of each step, after warming up. */
async function timeSteps(options: EngineOptions, runs: number): Promise<number[]> {
  await using engine = await TrainingEngine.open(options);
  const { net } = siamese(options.step.model, { mode: "training", batch: 1 });
  await engine.load(initialWeights(net.weights, new Random(1)));
  const random = new Random(2);
  const size = options.batchSize * IMAGE.height * IMAGE.width * 3;
  const pixels = () => Float32Array.from({ length: size }, () => random.uniform());
  const batch = {
    count: options.batchSize,
    inputs: {
      anchor_img: pixels(),
      verification_img: pixels(),
      same: Float32Array.from({ length: options.batchSize }, (_, i) => i % 2),
    },
  };
  const times: number[] = [];
  for (let step = 1; step <= WARM_UP + runs; step++) {
    const started = performance.now();
    await engine.step(batch, { learningRate: 1e-4, step, seed: 1 });
    if (step > WARM_UP) times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b);
}

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

/** Microseconds by operator in the runtime's profiles of one replica. */
async function timeByOperator(network: string): Promise<Map<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), "faceid-bench-"));
  try {
    await timeSteps({ ...optionsFor(network, 16, 1), profilePrefix: join(folder, "profile") }, RUNS);
    const totals = new Map<string, number>();
    for (const file of await readdir(folder)) {
      const events = JSON.parse(await readFile(join(folder, file), "utf8")) as ProfileEvent[];
      for (const { cat, name, dur, args } of events) {
        if (cat !== "Node" || !name.endsWith("_kernel_time") || args?.op_name === undefined) continue;
        totals.set(args.op_name, (totals.get(args.op_name) ?? 0) + dur);
      }
    }
    return totals;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const replicasText = (count: number) => (count === 1 ? "1 replica" : `${count} replicas`);

console.log(`training step, ${availableParallelism()} cores, median of ${RUNS} steps\n`);
for (const network of ["faceid", "mobilefacenet"]) {
  for (const batchSize of [16, 32]) {
    for (const replicas of new Set([1, defaultReplicas(batchSize)])) {
      const times = await timeSteps(optionsFor(network, batchSize, replicas), RUNS);
      const median = times[Math.floor(times.length / 2)]!;
      const rate = ((1000 * batchSize) / median).toFixed(1).padStart(6);
      console.log(
        `${network.padEnd(14)} batch ${batchSize}  ${replicasText(replicas).padEnd(10)} ${rate} pairs/s  (${median.toFixed(0)} ms, ${times[0]!.toFixed(0)} to ${times.at(-1)!.toFixed(0)})`,
      );
    }
  }
}
for (const network of ["faceid", "mobilefacenet"]) {
  const totals = await timeByOperator(network);
  const all = [...totals.values()].reduce((sum, value) => sum + value, 0);
  console.log(`\nshare of the time by operator, ${network}, batch 16, one replica:`);
  for (const [operator, time] of [...totals].toSorted((a, b) => b[1] - a[1]).slice(0, SHARES_SHOWN)) {
    console.log(`  ${operator.padEnd(20)} ${((100 * time) / all).toFixed(1).padStart(5)} %`);
  }
}
