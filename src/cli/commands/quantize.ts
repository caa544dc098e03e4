/** @file `faceid quantize`: an exported model in 8-bit integers or half precision, as a version that the server loads. */

import { type Command, Option } from "commander";
import { scoreText, thresholdText } from "../../artifact/rates.ts";
import { FaceError } from "../../base/errors.ts";
import { bytesText, counted, countText } from "../../base/log.ts";
import {
  type AccuracyReport,
  type QuantizeOptions,
  type QuantizeReport,
  quantizeModel,
  SMALLER_WEIGHTS,
} from "../../jobs/quantize.ts";
import { requireFreeVersion } from "../next-version.ts";
import { addNumber, addOptions, addPairs, flagOf, givenOptions } from "../options.ts";
import { commandText, consoleLog, say } from "../process.ts";
import { measureProgress } from "../progress.ts";
import { EVERY_SETTING, measureSettings } from "../settings.ts";

interface Flags {
  readonly images?: string;
  readonly output: string;
  readonly count: number;
  readonly weights: QuantizeReport["weights"];
  readonly pairs?: string;
  readonly folds?: number[];
  readonly testPairs?: number;
  readonly json?: true;
}

/** The settings as help lists them: without `faces`, the images are looked at. */
const listedSettings = measureSettings.extend({
  faces: measureSettings.shape.faces
    .unwrap()
    .optional()
    .describe(
      "align: find the face of each photograph, cut it out and align it; none: the images are crops already; when left out, align for --images of a model that says how faces lie in its images, unless they are crops by faceid crop or all have its size",
    ),
});

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

/** The accuracy on labelled pairs. */
function accuracyText(
  { pairs, folds, threshold, float, written }: AccuracyReport,
  ofRecord: string,
): string[] {
  const judged =
    threshold !== undefined
      ? `at the threshold ${scoreText(threshold)}${ofRecord}`
      : `${folds} folds, each judged by the others' threshold`;
  return [
    `accuracy        ${percent(float.accuracy)} in floats, ${percent(written.accuracy)} now, on ${countText(pairs)} pairs, ${judged}`,
    `ROC AUC         ${float.auc.toFixed(4)} in floats, ${written.auc.toFixed(4)} now`,
    `equal errors    ${percent(float.eer)} in floats, ${percent(written.eer)} now`,
  ];
}

function leftOutText({ unreadable, withoutFace, oneColour, copies }: QuantizeReport): string[] {
  const reasons = [
    [unreadable, "that cannot be read"],
    [withoutFace, "without a face"],
    [oneColour, "of one colour"],
    [copies, "that copy another"],
  ] as const;
  return reasons
    .filter(([count]) => count > 0)
    .map(
      ([count, reason], i) => `${(i === 0 ? "left out" : "").padEnd(16)}${counted(count, "image")} ${reason}`,
    );
}

function text(report: QuantizeReport, output: string): string {
  const { convolutions, bytes, calibrationImages, pairs, threshold, far, difference, sameDecisions } = report;
  const isCalibrated = report.calibratedWith !== undefined;
  return [
    report.weights === "int8"
      ? `convolutions    ${countText(convolutions)} in 8 bits, ranges measured on ${countText(calibrationImages)} ${report.faces === "align" ? "faces" : "images"}`
      : "weights         in half precision; computes in float32, as before",
    ...leftOutText(report),
    `size            ${bytesText(bytes.given)} before, ${bytesText(bytes.written)} now`,
    ...(difference === undefined
      ? []
      : [
          `scores          differ by ${difference.mean.toFixed(4)} on average, ${difference.greatest.toFixed(4)} at most, on ${countText(pairs)} pairs of other images`,
          `decisions       ${countText(sameDecisions!)} of ${countText(pairs)} as before (threshold ${scoreText(threshold)}, ${isCalibrated ? thresholdText(far) : "as the model has no calibration record"})`,
        ]),
    ...(report.accuracy === undefined
      ? []
      : accuracyText(report.accuracy, isCalibrated ? ", the one with the most right decisions" : "")),
    `version         ${output}`,
    ...(report.calibratedWith === undefined
      ? []
      : [
          `note: its thresholds and rates were measured with the ${report.calibratedWith} version; ${commandText("calibrate", output, "--dataset-path", "PEOPLE")} measures its own`,
        ]),
  ].join("\n");
}

/** What is to be measured, and how faces are taken from the images. */
function wishesOf({
  images,
  pairs: pairsFile,
  folds,
  testPairs,
  json,
  ...rest
}: Omit<Flags, "output" | "count" | "weights">): Pick<QuantizeOptions, "accuracy" | "faces" | "face"> {
  const { progress, ...data } = givenOptions(measureSettings, { flags: rest, everyKey: EVERY_SETTING });
  if (folds !== undefined && pairsFile === undefined) {
    throw new FaceError("CONFIG_INVALID", "--folds needs a pairs file", {
      hint: "name the file: --pairs pairs.txt",
    });
  }
  const { faces, face } = data;
  if (pairsFile === undefined && testPairs === undefined) {
    const ofImages: readonly string[] = images === undefined ? [] : ["faces", "face"];
    const [first] = Object.keys(rest).filter((key) => !ofImages.includes(key));
    if (first === undefined) return { faces, face };
    throw new FaceError("CONFIG_INVALID", `${flagOf(first)} has no effect without a measurement`, {
      hint: "add --pairs FILE or --test-pairs COUNT",
    });
  }
  const accuracy = {
    data,
    log: consoleLog({ quiet: json === true }),
    onProgress: measureProgress(progress),
    pairsFile,
    pairs: testPairs,
    ...(folds === undefined ? {} : { folds }),
  };
  return { accuracy, faces, face };
}

async function run(
  savedModel: string,
  { output, count, weights, ...rest }: Flags & Record<string, unknown>,
): Promise<void> {
  await requireFreeVersion(output, "--output");
  const { images, json } = rest;
  const report = await quantizeModel({
    savedModel,
    images,
    output,
    count,
    weights,
    ...wishesOf(rest),
    log: consoleLog({ quiet: json === true }),
  });
  if (json === true) console.log(JSON.stringify(report));
  else say(text(report, output));
}

export function quantizeCommand(command: Command): Command {
  command
    .argument("<saved-model>", "a version's folder of an exported model, or the folder of versions")
    .option(
      "--images <folder>",
      "photographs of faces like those in use, or crops of them by faceid crop: image files, or a folder of them for each person (int8 needs at least 16; with float16 scores before and after are compared on them); --faces says which of both they are",
    )
    .requiredOption("--output <folder>", "version's folder to write, such as models/faceid-int8/1")
    .addOption(
      new Option(
        "--weights <type>",
        "int8 computes in 8-bit integers and writes an ONNX file; float16 computes as before and writes a SavedModel of half the size",
      )
        .choices(SMALLER_WEIGHTS)
        .default("int8"),
    )
    .option("--json", "print one JSON object and nothing else on standard output");
  addNumber(command, {
    flag: "count",
    help: "images to measure ranges on; the same number of others to compare scores on; those that cannot be used are replaced by others of the folder",
    least: 2,
    fallback: 64,
  });
  addPairs(command, {
    pairs: "measure the accuracy before and after on its folds",
    testPairs: "measure it on this many pairs of held-out people instead",
  });
  return addOptions(command, listedSettings).action(run);
}
