/** @file `faceid quantize`: an exported model in 8-bit integers, as an ONNX version that the server takes. */
import { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { type QuantizeReport, quantizeModel } from "../../jobs/quantize.ts";
import type { AccuracyOptions, AccuracyReport } from "../../jobs/quantize-accuracy.ts";
import { consoleLog } from "../log.ts";
import { foldNumbers, pairCount } from "../measuring.ts";
import { addOptions, flagOf, givenOptions } from "../options.ts";
import { measureProgress } from "../progress.ts";
import { EVERY_SETTING, measureSettings } from "../settings.ts";

interface Flags {
  readonly images: string;
  readonly output: string;
  readonly count: string;
  readonly pairs?: string;
  readonly folds?: string;
  readonly testPairs?: string;
  readonly json?: true;
}

const LEAST = 2;

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= LEAST) return count;
  throw new FaceError("CONFIG_INVALID", `--count takes a whole number from ${LEAST}, got ${text}`);
}

const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

/** What labelled pairs say. */
function accuracyText({ pairs, folds, float, int8 }: AccuracyReport, threshold: number): string[] {
  const judged =
    folds === undefined
      ? `at the threshold ${threshold.toFixed(4)}`
      : `${folds} folds, each judged by the others' threshold`;
  return [
    `accuracy        ${percent(float.accuracy)} in floats, ${percent(int8.accuracy)} now, on ${pairs} pairs, ${judged}`,
    `ROC AUC         ${float.auc.toFixed(4)} in floats, ${int8.auc.toFixed(4)} now`,
    `equal errors    ${percent(float.eer)} in floats, ${percent(int8.eer)} now`,
  ];
}

function text(report: QuantizeReport, output: string): string {
  const { convolutions, bytes, calibrationImages, pairs, threshold, difference, sameDecisions } = report;
  return [
    `convolutions    ${convolutions} in 8 bits, ranges measured on ${calibrationImages} images`,
    `size            ${megabytes(bytes.float)} in floats, ${megabytes(bytes.int8)} now`,
    `scores          differ by ${difference.mean.toFixed(4)} on average, ${difference.greatest.toFixed(4)} at most, on ${pairs} pairs of other images`,
    `decisions       ${sameDecisions} of ${pairs} as before (threshold ${threshold.toFixed(4)})`,
    ...(report.accuracy === undefined ? [] : accuracyText(report.accuracy, threshold)),
    `version         ${output}`,
  ].join("\n");
}

/** Which pairs to measure on, if any are named. */
function accuracyOf(flags: Omit<Flags, "images" | "output" | "count">): AccuracyOptions | undefined {
  const { pairs, folds, testPairs, json, ...rest } = flags;
  const { progress, ...data } = givenOptions(measureSettings, { flags: rest, everyKey: EVERY_SETTING });
  if (folds !== undefined && pairs === undefined) {
    throw new FaceError("CONFIG_INVALID", "--folds are those of a pairs file", {
      hint: "name the file: --pairs pairs.txt",
    });
  }
  if (pairs === undefined && testPairs === undefined) {
    const [first] = Object.keys(rest);
    if (first === undefined) return undefined;
    throw new FaceError(
      "CONFIG_INVALID",
      `${flagOf(first)} belongs to a measurement, and none is asked for`,
      {
        hint: "add --pairs FILE or --test-pairs COUNT",
      },
    );
  }
  const count = pairCount(testPairs).pairs;
  return {
    data,
    log: consoleLog({ quiet: json === true }),
    onProgress: measureProgress(progress),
    ...(pairs === undefined ? {} : { pairsFile: pairs, folds: foldNumbers(folds) }),
    ...(count === undefined ? {} : { testPairs: count }),
  };
}

async function run(savedModel: string, { images, output, count, ...rest }: Flags): Promise<void> {
  const accuracy = accuracyOf(rest);
  const report = await quantizeModel({
    savedModel,
    images,
    output,
    count: countOf(count),
    ...(accuracy === undefined ? {} : { accuracy }),
  });
  console.log(rest.json === true ? JSON.stringify(report) : text(report, output));
}

export function quantizeCommand(): Command {
  const command = new Command("quantize")
    .description("write an exported model in 8-bit integers, as an ONNX version to serve")
    .argument("<saved-model>", "a version's folder of an exported model")
    .requiredOption(
      "--images <folder>",
      "photographs like those to come: files, or a folder of them for each person",
    )
    .requiredOption("--output <folder>", "the version's folder to write, such as models/faceid-int8/1")
    .option("--count <number>", "images to measure ranges on; as many others to compare on", "64")
    .option("--pairs <file>", "LFW-style pairs.txt: measure the accuracy before and after by its folds")
    .option("--folds <numbers>", "folds of that file to use, counted from 1, such as 7,8 (default all)")
    .option("--test-pairs <count>", "measure it on so many pairs of held-out people instead")
    .option("--json", "print one JSON object and nothing else on standard output");
  return addOptions(command, measureSettings).action(run);
}
