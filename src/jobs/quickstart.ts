/** @file The whole way on drawn faces: trains, measures, exports, serves and asks, in about two minutes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FaceError } from "../base/errors.ts";
import { checkTarget, untilRemoved, writeFileAtomic } from "../base/files.ts";
import { countText, silentLog } from "../base/log.ts";
import { requestRest } from "../client/rest.ts";
import { openDataset } from "../data/dataset.ts";
import type { Identity, ImageRef } from "../data/identity.ts";
import { readPixels } from "../data/identity.ts";
import { reportText } from "../evaluate/report-text.ts";
import { encodePng } from "../image/decode.ts";
import { settingsOf, type TrainConfig, trainConfigSchema } from "../train/config.ts";
import type { TrainListener } from "../train/listeners.ts";
import { BEST_CHECKPOINT } from "../train/listeners.ts";
import { datasetOptions, openPeople } from "../train/people.ts";
import { evaluate } from "./evaluate.ts";
import { exportModel } from "./export.ts";
import { REPORT_FILE, writeReport } from "./report.ts";
import { serve } from "./serve.ts";
import { train } from "./train.ts";

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
  validationFraction: 0.15,
  testFraction: 0.15,
});

/** Training stops after the epoch that reaches this. */
const GOOD_VALIDATION_ACCURACY = 0.95;
/** Pairs to measure on: fewer than usual, for speed. */
const TEST_PAIRS = 1000;
export const QUICKSTART_MODEL = "quickstart";
export const QUICKSTART_STAGES = 6;

export interface QuickstartOptions {
  /** Folder for the model, its report and the photographs. */
  readonly output: string;
  /** Shows the training. */
  readonly progress: TrainListener;
  readonly signal: AbortSignal;
  /** Called when a stage begins, counted from 1. */
  onStage(stage: number, text: string): void;
  /** Called with lines about the current stage. */
  onDetail(text: string): void;
}

/** What the quickstart leaves behind, by path. */
export interface QuickstartResult {
  /** Folder of the model's versions. */
  readonly models: string;
  /** Two photographs of one person, one of another. */
  readonly photos: readonly [string, string, string];
}

const stopWhenGood: TrainListener = {
  onEpochEnd({ record, stop }) {
    if ((record.validationAccuracy ?? 0) >= GOOD_VALIDATION_ACCURACY) {
      stop(`validation accuracy is above ${100 * GOOD_VALIDATION_ACCURACY} %`);
    }
  },
};

/** Writes two photographs of one person that was not trained on and one of another. */
async function writePhotos(folder: string, people: readonly Identity[]): Promise<QuickstartResult["photos"]> {
  const settings = settingsOf(CONFIG);
  const [first, second] = people as [Identity, Identity];
  const write = async (image: ImageRef, name: string) => {
    const path = join(folder, name);
    const pixels = await readPixels(image, settings);
    await writeFileAtomic(path, await encodePng(pixels, settings.width, settings.height));
    return path;
  };
  return Promise.all([
    write(first.images[0]!, "anna-1.png"),
    write(first.images[1]!, "anna-2.png"),
    write(second.images[0]!, "bert-1.png"),
  ]);
}

async function askServer(
  modelPath: string,
  [anna, annaAgain, bert]: QuickstartResult["photos"],
  { onStage, onDetail }: QuickstartOptions,
): Promise<void> {
  await using server = await serve({ modelPath, modelName: QUICKSTART_MODEL, grpcPort: 0, restPort: 0 });
  onDetail(`REST on port ${server.restPort}, gRPC on port ${server.grpcPort}`);
  onStage(6, "requests about people it has never seen");
  const target = { url: `http://localhost:${server.restPort}`, model: QUICKSTART_MODEL };
  const ask = async (what: string, pair: [string, string]) =>
    onDetail(`${what.padEnd(17)} ${(await requestRest(target, pair)).text}`);
  await ask("the same person", [anna, annaAgain]);
  await ask("different people", [anna, bert]);
}

/**
 * Runs the quickstart; nothing is downloaded.
 * @throws FaceError `INTERRUPTED` when the signal stops the training; as the jobs it runs do.
 */
export async function quickstart(options: QuickstartOptions): Promise<QuickstartResult> {
  const { output, progress, signal, onStage, onDetail } = options;
  await checkTarget(join(output, REPORT_FILE), "file");
  const work = await mkdtemp(join(tmpdir(), "faceid-quickstart-"));
  return await untilRemoved(work, async () => {
    onStage(1, "drawing people, so that nothing has to be downloaded");
    const { identities } = await openDataset(datasetOptions(CONFIG));
    const images = identities.reduce((sum, identity) => sum + identity.images.length, 0);
    onDetail(
      `${countText(identities.length)} people, ${countText(images)} photographs, drawn as they are needed`,
    );

    onStage(2, `training a Siamese network (${CONFIG.model}) on pairs of photographs`);
    const { end } = await train({
      config: CONFIG,
      folder: work,
      listeners: [progress, stopWhenGood],
      signal,
    });
    if (end.reason === "interrupted")
      throw new FaceError("INTERRUPTED", "quickstart was stopped; nothing is kept");

    onStage(3, "measuring it on people it has never seen");
    const checkpoint = join(work, BEST_CHECKPOINT);
    const measured = await evaluate(checkpoint, { pairs: TEST_PAIRS });
    onDetail(reportText(measured.report));

    onStage(4, "freezing it and writing a SavedModel");
    const models = join(output, "models", QUICKSTART_MODEL);
    await rm(join(models, "1"), { recursive: true, force: true });
    const target = { savedModelPath: models, modelName: QUICKSTART_MODEL, modelVersion: 1 };
    onDetail(await exportModel({ checkpoint, measured, ...target }));
    const page = join(output, REPORT_FILE);
    await writeReport({ model: work, output: page, title: "Quickstart: drawn faces", measured });
    onDetail(`report with charts: ${page}`);

    onStage(5, "serving it over TensorFlow Serving's protocols");
    const { split } = await openPeople(CONFIG, silentLog);
    const photos = await writePhotos(join(output, "photos"), split.test);
    await askServer(models, photos, options);
    return { models, photos };
  });
}
