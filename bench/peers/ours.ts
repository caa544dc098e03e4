/** @file faceid's side of bench/peers.ts: takes a job as JSON, times one run for each line on standard input. */
import { createInterface } from "node:readline";
import { Random } from "../../src/base/random.ts";
import { float32 } from "../../src/base/tensor.ts";
import { rowsAtATime } from "../../src/graph/batch-rows.ts";
import { siamese } from "../../src/model/siamese.ts";
import { initialWeights } from "../../src/nn/network-builder.ts";
import { lower } from "../../src/onnx/lower/lower.ts";
import { measurePeaks, measureRanges } from "../../src/onnx/quantize/calibrate.ts";
import { equalised, factorsFor, valuesToEqualise } from "../../src/onnx/quantize/equalise.ts";
import { quantize, valuesToMeasure } from "../../src/onnx/quantize/quantize.ts";
import { SessionPool } from "../../src/onnx/runtime/session-pool.ts";
import { TrainingEngine } from "../../src/train/engine.ts";
import type { Job } from "./peer.ts";

const IMAGE = { height: 112, width: 112 };
const PIXELS = IMAGE.height * IMAGE.width * 3;

const job = JSON.parse(process.argv[2]!) as Job;
const random = new Random(2);
const pixels = (count: number) => Float32Array.from({ length: count * PIXELS }, () => random.uniform());
const model = { network: job.network, input: IMAGE };

/** A step of `faceid train`: one single-threaded replica for each thread. */
async function training(): Promise<() => Promise<unknown>> {
  const engine = await TrainingEngine.open({
    step: { model, loss: { name: "bce" }, optimizer: { name: "adam" }, weightDecay: 0 },
    batchSize: job.batch,
    replicas: job.threads,
    threads: 1,
  });
  const { net } = siamese(model, { mode: "training", batch: 1 });
  await engine.load(initialWeights(net.weights, new Random(1)));
  const inputs = {
    anchor_img: pixels(job.batch),
    verification_img: pixels(job.batch),
    same: Float32Array.from({ length: job.batch }, (_, i) => i % 2),
  };
  let step = 0;
  return () => engine.step({ count: job.batch, inputs }, { learningRate: 1e-4, step: ++step, seed: 1 });
}

/** The network in 8-bit integers, as `faceid quantize` writes it. */
async function quantized(bytes: Uint8Array, names: readonly string[]): Promise<Uint8Array> {
  const images = new Map(names.map((name) => [name, float32([1, IMAGE.height, IMAGE.width, 3], pixels(1))]));
  const level = equalised(
    bytes,
    factorsFor(bytes, await measurePeaks(bytes, valuesToEqualise(bytes), [images])),
  );
  return quantize(level, await measureRanges(level, valuesToMeasure(level), [images])).bytes;
}

/**
 * The exported network in as many single-threaded sessions as the server would use, the batch shared among them; a pair
 * alone has all threads.
 */
async function inference(): Promise<() => Promise<unknown>> {
  const pair = siamese(model, { mode: "inference", batch: "batch" });
  const { net } = siamese(model, { mode: "training", batch: 1 });
  const program = { outputs: { classifier: pair.classifier } };
  const { bytes, inputs } = lower(program, { frozen: initialWeights(net.weights, new Random(1)) });
  const names = inputs.map(({ name }) => name);
  const served = job.precision === "int8" ? await quantized(bytes, names) : bytes;
  const sessions = Math.min(job.batch, job.threads);
  const runtime = { threads: job.threads / sessions };
  // `faceid serve` knows the graph of a SavedModel, and an ONNX file's in integers only as bytes.
  const rows = job.precision === "int8" ? undefined : rowsAtATime([pair.classifier]);
  const pool = await SessionPool.open(served, sessions, { runtime, rowsAtATime: rows });
  const share = job.batch / sessions;
  const parts = Array.from(
    { length: sessions },
    () => new Map(names.map((name) => [name, float32([share, IMAGE.height, IMAGE.width, 3], pixels(share))])),
  );
  return () => Promise.all(parts.map((part) => pool.run(part, ["classifier"])));
}

const run = await { training, inference }[job.work]();
const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ ready: true });
for await (const _ of createInterface({ input: process.stdin })) {
  const [started, used] = [performance.now(), process.cpuUsage()];
  await run();
  const { user, system } = process.cpuUsage(used);
  say({ ms: performance.now() - started, cpuMs: (user + system) / 1000 });
}
say({ peakMegabytes: process.resourceUsage().maxRSS / 1024, version: `faceid, ${job.precision}` });
process.exit();
