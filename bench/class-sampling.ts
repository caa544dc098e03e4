/**
 * @file Memory and rate of training steps with a softmax over very many people, with and without class sampling:
 * `npm run bench -- class-sampling [--people 110000] [--samples 11000] [--network NAME] [--batch 16]`. The images are random numbers; each line
 * comes from a process of its own.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { wholeWeights } from "../src/train/class-sampling.ts";
import { TrainingEngine } from "../src/train/engine.ts";
import { STEP_INPUTS, type StepSettings, trainingGraphs } from "../src/train/step.ts";
import { memoryMegabytes } from "./process-usage.ts";

const { values } = parseArgs({
  options: {
    people: { type: "string", default: "110000" },
    samples: { type: "string", default: "11000" },
    network: { type: "string", default: "mobilefacenet" },
    batch: { type: "string", default: "16" },
    /** Measure this alone, in this process. */
    one: { type: "boolean", default: false },
  },
});
const [classes, sampled, batch] = [values.people, values.samples, values.batch].map(Number) as [
  number,
  number,
  number,
];
const IMAGE = { height: 112, width: 112 };
const WARM_UP = 1;
const STEPS = 5;

async function measure(samples: number | undefined): Promise<string> {
  const step: StepSettings = {
    model: { network: values.network, input: IMAGE },
    sampling: "people",
    loss: { name: "cosface", classes, samples, margin: 0.35, scale: 32 },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: true },
    weightDecay: 0.0005,
  };
  await using engine = await TrainingEngine.open({ step, batchSize: batch, replicas: 1, threads: 1 });
  await engine.load(initialWeights(wholeWeights(step, trainingGraphs(step, 1).weights), new Random(1)));
  const random = new Random(2);
  const times: number[] = [];
  let busy = 0;
  for (let number = 1; number <= WARM_UP + STEPS; number++) {
    const pixels = Float32Array.from({ length: batch * IMAGE.height * IMAGE.width * 3 }, () =>
      random.uniform(),
    );
    const label = Float32Array.from({ length: batch }, () => random.integer(classes));
    const inputs = { [STEP_INPUTS.images]: pixels, [STEP_INPUTS.label]: label };
    const [started, usage] = [performance.now(), process.cpuUsage()];
    await engine.step({ count: batch, inputs }, { learningRate: 0.01, step: number, seed: 1 });
    if (number <= WARM_UP) continue;
    const { user, system } = process.cpuUsage(usage);
    times.push(performance.now() - started);
    busy += (user + system) / 1000 / STEPS;
  }
  const median = times.sort((a, b) => a - b)[Math.floor(STEPS / 2)]!;
  const what = samples === undefined ? `all ${classes} people` : `${samples} of ${classes} people`;
  const most = memoryMegabytes(process.pid, "VmHWM");
  return `${what.padEnd(26)} ${median.toFixed(0).padStart(6)} ms a step, ${busy.toFixed(0).padStart(6)} ms of processor time, at most ${most.toFixed(0).padStart(6)} MB`;
}

if (values.one) console.log(await measure(sampled === 0 ? undefined : sampled));
else {
  console.log(`${values.network}, batch of ${batch} images, one replica, median of ${STEPS} steps`);
  for (const samples of [sampled, 0]) {
    const settings = ["--people", values.people, "--network", values.network, "--batch", values.batch];
    const args = [
      ...process.execArgv,
      import.meta.filename,
      ...settings,
      "--samples",
      String(samples),
      "--one",
    ];
    const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  }
}
