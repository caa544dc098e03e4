/**
 * @file Images per second of the data pipeline by itself, and the engine's share of the time while training on real
 * photographs: `npm run bench -- pipeline [FOLDER OF LFW]`
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../src/base/random.ts";
import { type Dataset, openDataset } from "../src/data/dataset.ts";
import { Loader } from "../src/data/loader.ts";
import { samplePairs } from "../src/data/pairs.ts";
import { AUGMENTATIONS, augmentSettings } from "../src/image/augment-settings.ts";
import { imageSettings } from "../src/image/settings.ts";
import { siamese } from "../src/model/siamese.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { defaultReplicas, TrainingEngine } from "../src/train/engine.ts";

const BATCH = 16;
const SIDE = 112;
/** Pairs to load when the pipeline runs without an engine. */
const ALONE = 640;
const WARM_UP = 2;
const STEPS = 12;

const pairsOf = (dataset: Dataset, count: number) =>
  samplePairs(dataset.identities, { count, random: new Random(1) });

/** Images per second without an engine, and processor time for each image. */
async function alone(dataset: Dataset, cacheFolder: string | false, name: (typeof AUGMENTATIONS)[number]) {
  await using loader = new Loader({ settings: imageSettings(SIDE), cacheFolder });
  const pairs = pairsOf(dataset, ALONE);
  const options = { batchSize: BATCH, seed: 1, augment: augmentSettings(name) };
  let [images, started, used] = [0, 0, process.cpuUsage()];
  for await (const { count } of loader.pairBatches(pairs, options)) {
    // The first batch waits for the threads to start.
    if (started === 0) [started, used] = [performance.now(), process.cpuUsage()];
    else images += 2 * count;
  }
  const { user, system } = process.cpuUsage(used);
  return { rate: (1000 * images) / (performance.now() - started), cpuMs: (user + system) / 1000 / images };
}

/** The engine's share of the time of real steps, each waiting for its batch. */
async function busyShare(dataset: Dataset, network: string, name: (typeof AUGMENTATIONS)[number]) {
  const model = { network, input: { height: SIDE, width: SIDE } };
  await using engine = await TrainingEngine.open({
    step: { model, loss: { name: "bce" }, optimizer: { name: "adam" }, weightDecay: 0 },
    batchSize: BATCH,
    replicas: defaultReplicas(BATCH),
    threads: 1,
  });
  const { net } = siamese(model, { mode: "training", batch: 1 });
  await engine.load(initialWeights(net.weights, new Random(1)));
  await using loader = new Loader({ settings: imageSettings(SIDE), cacheFolder: false });
  const pairs = pairsOf(dataset, BATCH * (WARM_UP + STEPS));
  let [step, busy, started] = [0, 0, 0];
  for await (const batch of loader.pairBatches(pairs, {
    batchSize: BATCH,
    seed: 1,
    augment: augmentSettings(name),
  })) {
    if (step++ === WARM_UP) started = performance.now();
    const inputs = { anchor_img: batch.left, verification_img: batch.right, same: batch.same };
    const { busyMs } = await engine.step(
      { count: batch.count, inputs },
      { learningRate: 1e-4, step, seed: 1 },
    );
    if (step > WARM_UP) busy += busyMs;
  }
  return busy / (performance.now() - started);
}

const path = process.argv[2] ?? "../shared/datasets/lfw";
if (!existsSync(path)) {
  console.log(`skipped the pipeline's bench: there is no folder ${path}`);
} else {
  const dataset = await openDataset({ dataset: "lfw", path });
  const folder = await mkdtemp(join(tmpdir(), "faceid-bench-"));
  console.log(`one loading thread, photographs of ${path} to ${SIDE}×${SIDE}\n`);
  // The first pass fills the cache.
  await alone(dataset, folder, "none");
  for (const name of AUGMENTATIONS) {
    const [decoded, cached] = [await alone(dataset, false, name), await alone(dataset, folder, name)];
    const text = ({ rate, cpuMs }: typeof decoded) =>
      `${rate.toFixed(0).padStart(5)} images/s (${cpuMs.toFixed(2)} ms CPU each)`;
    console.log(
      `augmentation ${name.padEnd(8)}  decoded ${text(decoded)}   from the pixel cache ${text(cached)}`,
    );
  }
  await rm(folder, { recursive: true, force: true });
  for (const network of ["faceid", "mobilefacenet"]) {
    for (const name of ["none", "strong"] as const) {
      const share = await busyShare(dataset, network, name);
      console.log(
        `${network.padEnd(14)} batch ${BATCH}, ${name.padEnd(6)}, no cache: engine busy ${(100 * share).toFixed(1)} %`,
      );
    }
  }
}
