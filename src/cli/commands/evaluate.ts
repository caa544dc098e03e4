/** @file `faceid evaluate`: how good a checkpoint or an exported model is on people it has never seen. */
import { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { foldText, reportText } from "../../evaluate/report-text.ts";
import { measureFolds, measureHeldOut } from "../../jobs/measure.ts";
import type { DataConfig } from "../../train/people.ts";
import { type OpenedModel, openCheckpoint, openSavedModel } from "../../verify/open-model.ts";
import { consoleLog } from "../log.ts";
import { foldNumbers, pairCount } from "../measuring.ts";
import { addOptions, givenOptions } from "../options.ts";
import { measureProgress } from "../progress.ts";
import { EVERY_SETTING, measureSettings } from "../settings.ts";

interface Flags {
  readonly checkpoint?: string;
  readonly savedModel?: string;
  readonly pairs?: string;
  readonly folds?: string;
  readonly testPairs?: string;
  readonly json?: true;
}

function open({ checkpoint, savedModel }: Flags): Promise<OpenedModel> {
  if ((checkpoint === undefined) === (savedModel === undefined)) {
    throw new FaceError("CONFIG_INVALID", "name one model to measure", {
      hint: "pass --checkpoint RUN, or --saved-model DIR with a version's folder",
    });
  }
  return checkpoint === undefined ? openSavedModel(savedModel!) : openCheckpoint(checkpoint);
}

async function evaluate(flags: Flags & Record<string, unknown>): Promise<void> {
  const { checkpoint: _checkpoint, savedModel: _savedModel, pairs, folds, testPairs, json, ...rest } = flags;
  const { progress, ...given } = givenOptions(measureSettings, { flags: rest, everyKey: EVERY_SETTING });
  const opened = await open(flags);
  await using verifier = opened.verifier;
  const config: DataConfig = { ...opened.config, ...given };
  // With --json nothing but the result may stand on standard output; the log goes to standard error anyway.
  const options = {
    config,
    log: consoleLog({ quiet: json === true }),
    onProgress: measureProgress(progress),
    ...pairCount(testPairs),
  };
  if (pairs !== undefined) {
    const report = await measureFolds(verifier, pairs, { ...options, chosen: foldNumbers(folds) });
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
    .option("--saved-model <folder>", "a version's folder of an exported model, SavedModel or ONNX")
    .option("--pairs <file>", "LFW-style pairs.txt: run its k-fold protocol instead of held-out people")
    .option("--folds <numbers>", "folds of that file to use, counted from 1, such as 7,8 (default all)")
    .option("--test-pairs <count>", "pairs of held-out people to draw (default 4000)")
    .option("--json", "print one JSON object and nothing else on standard output");
  return addOptions(command, measureSettings).action(evaluate);
}
