/** @file `faceid quantize`: an exported model in 8-bit integers, as an ONNX version that the server takes. */
import { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { type QuantizeReport, quantizeModel } from "../../workflow/quantize.ts";

interface Flags {
  readonly images: string;
  readonly output: string;
  readonly count: string;
  readonly json?: true;
}

const LEAST = 2;

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= LEAST) return count;
  throw new FaceError("CONFIG_INVALID", `--count takes a whole number from ${LEAST}, got ${text}`);
}

const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

function text(report: QuantizeReport, output: string): string {
  const { convolutions, bytes, calibrationImages, pairs, threshold, difference, sameDecisions } = report;
  return [
    `convolutions    ${convolutions} in 8 bits, ranges measured on ${calibrationImages} images`,
    `size            ${megabytes(bytes.float)} in floats, ${megabytes(bytes.int8)} now`,
    `scores          differ by ${difference.mean.toFixed(4)} on average, ${difference.greatest.toFixed(4)} at most, on ${pairs} pairs of other images`,
    `decisions       ${sameDecisions} of ${pairs} as before (threshold ${threshold.toFixed(4)})`,
    `version         ${output}`,
  ].join("\n");
}

async function run(savedModel: string, { images, output, count, json }: Flags): Promise<void> {
  const report = await quantizeModel({ savedModel, images, output, count: countOf(count) });
  console.log(json === true ? JSON.stringify(report) : text(report, output));
}

export function quantizeCommand(): Command {
  return new Command("quantize")
    .description("write an exported model in 8-bit integers, as an ONNX version to serve")
    .argument("<saved-model>", "a version's folder of an exported model")
    .requiredOption(
      "--images <folder>",
      "photographs like those to come: files, or a folder of them for each person",
    )
    .requiredOption("--output <folder>", "the version's folder to write, such as models/faceid-int8/1")
    .option("--count <number>", "images to measure ranges on; as many others to compare on", "64")
    .option("--json", "print one JSON object")
    .action(run);
}
