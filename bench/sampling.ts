/**
 * @file Validation accuracy over processor time with drawn pairs and with `--sampling people`, each image of a step embedded
 * once and compared with all others: `npm run bench -- sampling [--people 300] [--epochs 10] [--seed 1]`. Drawn people of 64×64
 * pixels, as many images in a step of either kind, the same initial weights, people and pairs of the validation.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { train } from "../src/jobs/train.ts";
import type { TrainSettings } from "../src/train/config.ts";

const { values } = parseArgs({
  options: {
    people: { type: "string", default: "300" },
    epochs: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
  },
});

/** Images of an epoch, however they are drawn. */
const IMAGES = 1280;
const IMAGES_PER_STEP = 32;

const shared: TrainSettings = {
  dataset: "synthetic",
  idTo: Number(values.people) - 1,
  imagesPerId: 8,
  model: "faceid",
  imageShape: [64, 64],
  learningRate: 0.0005,
  epochs: Number(values.epochs),
  seed: Number(values.seed),
  validationFraction: 0.2,
  validationPairs: 600,
  testFraction: 0,
};

const WAYS: readonly (readonly [name: string, settings: TrainSettings])[] = [
  ["drawn pairs", { batchSize: IMAGES_PER_STEP / 2, datasetSize: IMAGES / 2 }],
  [
    "--sampling people",
    { sampling: "people", photosPerPerson: 2, batchSize: IMAGES_PER_STEP, datasetSize: IMAGES },
  ],
];

const percent = (share: number) => (share * 100).toFixed(1).padStart(5);

console.log(
  `${values.people} drawn people, a fifth of them for validation; ${IMAGES_PER_STEP} images a step; seed ${values.seed}\n`,
);
for (const [name, settings] of WAYS) {
  const folder = await mkdtemp(join(tmpdir(), "faceid-sampling-"));
  const started = process.cpuUsage();
  try {
    await train({
      folder,
      config: { ...shared, ...settings },
      listeners: [
        {
          onEpochEnd({ record }) {
            const { user, system } = process.cpuUsage(started);
            const { validationAccuracy = Number.NaN, validationLoss = Number.NaN } = record;
            console.log(
              `${name.padEnd(18)} epoch ${String(record.epoch).padStart(3)} ${((user + system) / 1e6).toFixed(0).padStart(5)} s of processor time   accuracy ${percent(validationAccuracy)} %   loss ${validationLoss.toFixed(3)}`,
            );
          },
        },
      ],
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}
