/** @file Time from a checkpoint to a SavedModel: `npm run bench -- export` */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesText } from "../src/base/log.ts";
import { Random } from "../src/base/random.ts";
import { exportModel } from "../src/jobs/export.ts";
import { NETWORKS } from "../src/model/networks.ts";
import { siamese } from "../src/model/siamese.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { START, writeCheckpoint } from "../src/train/checkpoint.ts";
import { trainConfigSchema } from "../src/train/config.ts";

const IMAGE = { height: 112, width: 112 };
const RUNS = 5;

/** From a checkpoint on disk to a version's folder: all four signatures, description and warm-up file. */
async function timeExport(network: string, folder: string): Promise<string> {
  const { net } = siamese({ network, input: IMAGE }, { mode: "training", batch: 1 });
  const config = { ...trainConfigSchema.parse({ dataset: "synthetic", model: network }), replicas: 1 };
  const checkpoint = join(folder, `${network}.safetensors`);
  await writeCheckpoint(checkpoint, {
    config,
    progress: START,
    state: initialWeights(net.weights, new Random(1)),
  });
  const times: number[] = [];
  let written = "";
  for (let modelVersion = 1; modelVersion <= RUNS; modelVersion++) {
    const started = performance.now();
    written = await exportModel({
      checkpoint,
      savedModelPath: join(folder, network),
      modelName: network,
      modelVersion,
    });
    times.push(performance.now() - started);
  }
  const [first] = times;
  const median = times.toSorted((a, b) => a - b)[Math.floor(RUNS / 2)]!;
  const { size } = await stat(join(written, "saved_model.pb"));
  return `${network.padEnd(14)} ${bytesText(size).padStart(9)}  first ${first!.toFixed(0).padStart(5)} ms  median of ${RUNS} ${median.toFixed(0).padStart(5)} ms`;
}

console.log("export of a checkpoint as a SavedModel");
const folder = await mkdtemp(join(tmpdir(), "faceid-bench-"));
try {
  for (const { name } of NETWORKS) console.log(`  ${await timeExport(name, folder)}`);
} finally {
  await rm(folder, { recursive: true });
}
