/** @file Rate of training steps, and the share of the time by operator: `npm run bench -- training` */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../src/base/random.ts";
import { siamese } from "../src/model/siamese.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { defaultReplicas, type EngineOptions, TrainingEngine } from "../src/train/engine.ts";
import { STEP_INPUTS } from "../src/train/step.ts";

const IMAGE = { height: 112, width: 112 };
const WARM_UP = 3;
const RUNS = 7;
const SHARES_SHOWN = 10;

/** Images of each person where a step compares each image with every other one. */
const IMAGES_PER_PERSON = 2;

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
  const numbers = (of: (i: number) => number) =>
    Float32Array.from({ length: options.batchSize }, (_, i) => of(i));
  const pairs = () => ({
    [STEP_INPUTS.anchor]: pixels(),
    [STEP_INPUTS.verification]: pixels(),
    [STEP_INPUTS.same]: numbers((i) => i % 2),
  });
  const people = () => ({
    [STEP_INPUTS.images]: pixels(),
    [STEP_INPUTS.label]: numbers((i) => Math.floor(i / IMAGES_PER_PERSON)),
  });
  const inputs = options.step.sampling === "people" ? people() : pairs();
  const batch = { count: options.batchSize, inputs };
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
  // As many images as in a batch of 16 pairs.
  const images = 32;
  const replicas = defaultReplicas(images);
  const options = optionsFor(network, images, replicas);
  const times = await timeSteps({ ...options, step: { ...options.step, sampling: "people" } }, RUNS);
  const median = times[Math.floor(times.length / 2)]!;
  const share = images / replicas;
  const pairs = (replicas * share * (share - 1)) / 2;
  console.log(
    `${network.padEnd(14)} ${images} images, ${replicasText(replicas)}, each image embedded once: ${median.toFixed(0)} ms for ${pairs} pairs`,
  );
}
for (const network of ["faceid", "mobilefacenet"]) {
  const totals = await timeByOperator(network);
  const all = [...totals.values()].reduce((sum, value) => sum + value, 0);
  console.log(`\nshare of the time by operator, ${network}, batch 16, one replica:`);
  for (const [operator, time] of [...totals].toSorted((a, b) => b[1] - a[1]).slice(0, SHARES_SHOWN)) {
    console.log(`  ${operator.padEnd(20)} ${((100 * time) / all).toFixed(1).padStart(5)} %`);
  }
}
