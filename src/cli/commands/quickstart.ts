/** @file `faceid quickstart`: the whole job on drawn faces, from nothing to an answered request, in about two minutes. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../base/files.ts";
import { silentLog } from "../../base/log.ts";
import { requestRest } from "../../client/rest.ts";
import { openDataset } from "../../data/dataset.ts";
import { type Identity, type ImageRef, readPixels } from "../../data/identity.ts";
import { reportText } from "../../evaluate/report-text.ts";
import { encodePng } from "../../image/decode.ts";
import { exportModel } from "../../jobs/export.ts";
import { measureRun } from "../../jobs/measure.ts";
import { REPORT_FILE, writeReport } from "../../jobs/report.ts";
import { train } from "../../jobs/train.ts";
import { savedModelLoader } from "../../serving/repository/loader.ts";
import { singleModelConfig } from "../../serving/repository/model-config.ts";
import { startServer } from "../../serving/server.ts";
import { type TrainConfig, trainConfigSchema } from "../../train/config.ts";
import type { TrainListener } from "../../train/listener.ts";
import { BEST_CHECKPOINT } from "../../train/listeners/checkpoints.ts";
import { datasetOptions, openPeople, settingsOf } from "../../train/people.ts";
import { onInterrupt } from "../interrupt.ts";
import { progressListener } from "../progress.ts";

/** Small enough for two minutes on two cores, large enough for 90 % on people it has never seen. */
const CONFIG: TrainConfig = trainConfigSchema.parse({
  dataset: "synthetic",
  idTo: 179,
  imagesPerId: 8,
  difficulty: 0.6,
  imageShape: [96, 96],
  model: "compact",
  batchSize: 32,
  datasetSize: 3200,
  epochs: 8,
  schedule: "cosine",
  learningRate: 0.002,
  warmupSteps: 50,
  validationPairs: 400,
  validationShare: 0.15,
  testShare: 0.15,
});

/** Good enough to go on: training may stop here, whatever epochs are left. */
const GOOD_VALIDATION_ACCURACY = 0.95;
const MODEL = "quickstart";

function stopWhenGood(): TrainListener {
  return {
    onEpochEnd({ record, stop }) {
      if ((record.validationAccuracy ?? 0) >= GOOD_VALIDATION_ACCURACY) {
        stop(`validation accuracy is above ${100 * GOOD_VALIDATION_ACCURACY} %`);
      }
    },
  };
}

const step = (number: number, text: string) => console.log(`\n${number}/6  ${text}`);

/** Writes three photographs of people that were not trained on: two of one person, one of another. */
async function writePhotos(folder: string, people: readonly Identity[]): Promise<[string, string, string]> {
  const settings = settingsOf(CONFIG);
  const [first, second] = people as [Identity, Identity];
  const chosen: [ImageRef, string][] = [
    [first.images[0]!, "anna-1.png"],
    [first.images[1]!, "anna-2.png"],
    [second.images[0]!, "bert-1.png"],
  ];
  const paths = chosen.map(async ([image, name]) => {
    const path = join(folder, name);
    await writeFileAtomic(
      path,
      await encodePng(await readPixels(image, settings), settings.width, settings.height),
    );
    return path;
  });
  return (await Promise.all(paths)) as [string, string, string];
}

async function askServer(models: string, photos: readonly [string, string, string]): Promise<void> {
  const server = await startServer({
    models: singleModelConfig(MODEL, models),
    loader: savedModelLoader(),
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
  });
  try {
    const url = `http://localhost:${server.restPort}`;
    console.log(`     REST on port ${server.restPort}, gRPC on port ${server.grpcPort}`);
    step(6, "requests about people it has never seen");
    const [anna, annaAgain, bert] = photos;
    const ask = async (what: string, pair: [string, string]) => {
      const answer = await requestRest({ url, model: MODEL }, pair);
      console.log(`     ${what.padEnd(17)} ${answer.text}`);
    };
    await ask("the same person", [anna, annaAgain]);
    await ask("different people", [anna, bert]);
  } finally {
    await server.close();
  }
}

async function run({ output }: { output: string }): Promise<void> {
  const started = performance.now();
  using interrupt = onInterrupt(() => console.error("\nstopping after this step"));
  await mkdir(output, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), "faceid-quickstart-"));
  try {
    step(1, "drawing people, so that nothing has to be downloaded");
    const dataset = await openDataset(datasetOptions(CONFIG));
    const images = dataset.identities.reduce((sum, identity) => sum + identity.images.length, 0);
    console.log(`     ${dataset.identities.length} people, ${images} photographs, drawn as they are needed`);

    step(2, `training a Siamese network (${CONFIG.model}) on pairs of photographs`);
    const result = await train({
      config: CONFIG,
      folder: work,
      listeners: [progressListener("bar", process.stdout), stopWhenGood()],
      signal: interrupt.signal,
    });
    if (result.end.reason === "interrupted") throw new FaceError("INTERRUPTED", "quickstart was stopped");

    step(3, "measuring it on people it has never seen");
    const checkpoint = join(work, BEST_CHECKPOINT);
    const measured = await measureRun({ checkpoint, pairs: 1000 });
    console.log(indented(reportText(measured.report)));

    step(4, "freezing it and writing a SavedModel");
    const models = join(output, "models", MODEL);
    await rm(join(models, "1"), { recursive: true, force: true });
    const folder = await exportModel({
      checkpoint,
      measured,
      savedModelPath: models,
      modelName: MODEL,
      modelVersion: 1,
    });
    console.log(`     ${folder}`);
    const page = join(output, REPORT_FILE);
    await writeReport({ model: work, output: page, title: "Quickstart: drawn faces", measured });
    console.log(`     all of it as pictures: ${page}`);

    step(5, "serving it over TensorFlow Serving's protocols");
    const { split } = await openPeople(CONFIG, silentLog);
    const photos = await writePhotos(join(output, "photos"), split.test);
    await askServer(join(process.cwd(), models), photos);

    console.log(`\ndone in ${Math.round((performance.now() - started) / 1000)} s; what to try next:\n`);
    console.log(nextSteps(models, photos));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const indented = (text: string) => text.replaceAll(/^/gm, "     ");

function nextSteps(models: string, [anna, again]: readonly string[]): string {
  return [
    `  npx faceid serve --model_name ${MODEL} --model_base_path ${models} --rest_api_port 8501`,
    `  npx faceid request ${anna} ${again} --model-name ${MODEL}`,
    "  npx faceid train --dataset-path my-photos      (a folder with one folder of photographs per person)",
  ].join("\n");
}

export function quickstartCommand(): Command {
  return new Command("quickstart")
    .description("train, measure, export, serve and ask, on drawn faces, in about two minutes")
    .option("--output <folder>", "where the model and the photographs go", "quickstart")
    .action(run);
}
