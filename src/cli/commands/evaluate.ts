/** @file `faceid evaluate`: how good a checkpoint or an exported model is on people it has never seen. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { z } from "zod";
import { FaceError } from "../../base/errors.ts";
import { foldText, reportText } from "../../evaluate/report-text.ts";
import type { Verifier } from "../../model/verifier.ts";
import { readCheckpoint } from "../../train/checkpoint.ts";
import { trainConfigSchema } from "../../train/config.ts";
import { BEST_CHECKPOINT } from "../../train/listeners/checkpoints.ts";
import { measureFolds, measureHeldOut } from "../../workflow/measure.ts";
import type { DataConfig } from "../../workflow/people.ts";
import { readDescription, savedModelVerifier } from "../../workflow/saved-model-verifier.ts";
import { checkpointVerifier } from "../../workflow/verifier.ts";
import { consoleLog } from "../log.ts";
import { addOptions, givenOptions } from "../options.ts";
import { EVERY_SETTING } from "../settings.ts";

/** Settings that say what is measured on; what is left out is as it was in training. */
const dataSettings = trainConfigSchema.pick({
  dataset: true,
  datasetPath: true,
  idFrom: true,
  idTo: true,
  imagesPerId: true,
  difficulty: true,
  excludePairs: true,
  validationShare: true,
  testShare: true,
  seed: true,
});

interface Flags {
  readonly checkpoint?: string;
  readonly savedModel?: string;
  readonly pairs?: string;
  readonly testPairs?: string;
  readonly json?: true;
}

interface Opened {
  readonly verifier: Verifier;
  readonly config: DataConfig;
}

/** A run's folder stands for its best checkpoint. */
async function checkpointFile(path: string): Promise<string> {
  const about = await stat(path).catch(() => undefined);
  return about?.isDirectory() === true ? join(path, BEST_CHECKPOINT) : path;
}

async function openCheckpoint(path: string): Promise<Opened> {
  const checkpoint = await readCheckpoint(await checkpointFile(path));
  return { verifier: await checkpointVerifier(checkpoint), config: checkpoint.config };
}

async function openSavedModel(folder: string): Promise<Opened> {
  const verifier = await savedModelVerifier(folder);
  const description = await readDescription(folder);
  const { height, width } = verifier.image;
  const config = description?.training.config ?? trainConfigSchema.parse({});
  return { verifier, config: { ...config, imageShape: [height, width] } };
}

function open({ checkpoint, savedModel }: Flags): Promise<Opened> {
  if ((checkpoint === undefined) === (savedModel === undefined)) {
    throw new FaceError("CONFIG_INVALID", "name one model to measure", {
      hint: "pass --checkpoint RUN, or --saved-model DIR with a version's folder",
    });
  }
  return checkpoint === undefined ? openSavedModel(savedModel!) : openCheckpoint(checkpoint);
}

const countSchema = z.coerce.number().int().min(10);

function pairCount(text: string | undefined): { pairs?: number } {
  if (text === undefined) return {};
  const parsed = countSchema.safeParse(text);
  if (parsed.success) return { pairs: parsed.data };
  throw new FaceError(
    "CONFIG_INVALID",
    `--test-pairs: got ${JSON.stringify(text)}, expected a whole number of at least 10`,
  );
}

async function evaluate(flags: Flags & Record<string, unknown>): Promise<void> {
  const { checkpoint: _checkpoint, savedModel: _savedModel, pairs, testPairs, json, ...rest } = flags;
  const given = givenOptions(dataSettings, { flags: rest, everyKey: EVERY_SETTING });
  const opened = await open(flags);
  await using verifier = opened.verifier;
  const config: DataConfig = { ...opened.config, ...given };
  // With --json nothing but the result may stand on standard output; the log goes to standard error anyway.
  const options = { config, log: consoleLog({ quiet: json === true }), ...pairCount(testPairs) };
  if (pairs !== undefined) {
    const report = await measureFolds(verifier, pairs, options);
    console.log(json === true ? JSON.stringify(report) : foldText(report));
    return;
  }
  const { report, calibration } = await measureHeldOut(verifier, options);
  console.log(json === true ? JSON.stringify({ ...report, calibration }) : reportText(report));
}

export function evaluateCommand(): Command {
  const command = new Command("evaluate")
    .description("measure a model on people it was not trained on")
    .option("--checkpoint <path>", "a run's folder or one of its .safetensors files")
    .option("--saved-model <folder>", "a version's folder of an exported model")
    .option("--pairs <file>", "LFW-style pairs.txt: run its k-fold protocol instead of held-out people")
    .option("--test-pairs <count>", "pairs of held-out people to draw (default 4000)")
    .option("--json", "print one JSON object and nothing else on standard output");
  return addOptions(command, dataSettings).action(evaluate);
}
