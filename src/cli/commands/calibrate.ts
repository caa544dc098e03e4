/** @file `faceid calibrate`: a model's thresholds for one's own people. */

import type { Command } from "commander";
import type { Rate } from "../../artifact/calibration.ts";
import { percentText, scoreText } from "../../artifact/rates.ts";
import { countText } from "../../base/log.ts";
import type { Calibrated } from "../../jobs/calibrate.ts";
import { addNumber, addOptions, addTestPairs, givenOptions } from "../options.ts";
import { consoleLog, measuringInterrupt, say } from "../process.ts";
import { measureProgress } from "../progress.ts";
import { EVERY_SETTING, measureSettings } from "../settings.ts";

interface Flags {
  readonly pairs?: string;
  readonly testPairs?: number;
  readonly far?: number;
  readonly output?: string;
  readonly json?: true;
}

const rateText = ({ value, interval: [low, high] }: Rate) =>
  `${percentText(value)} (95 %: ${percentText(low)} to ${percentText(high)})`;

const NAME_WIDTH = 14;

interface Point {
  readonly threshold: number;
  readonly measuredFar: Rate;
  readonly measuredTar: Rate;
}

/** A threshold with its two rates below each other, in the columns of a usual terminal. */
function pointText(name: string, { threshold, measuredFar, measuredTar }: Point): string {
  const start = `${name.padEnd(NAME_WIDTH)}${scoreText(threshold)}  accepts `;
  const rates = [`${rateText(measuredFar)} of strangers`, `${rateText(measuredTar)} of same pairs`];
  return rates.map((rate, i) => `${i === 0 ? start : " ".repeat(start.length)}${rate}`).join("\n");
}

function text({ calibration, people, photographs, wanted, output }: Calibrated): string {
  const { data, threshold, measuredFar, measuredTar, operatingPoints } = calibration;
  const each = (photographs / people).toFixed(1);
  const lines = wanted.map(({ far, supported, people: needed, more }) => {
    const point = operatingPoints.find((operating) => operating.far === far);
    const name = `  FAR ${far}`;
    if (supported && point !== undefined) {
      return pointText(name, point);
    }
    return `${name.padEnd(NAME_WIDTH)}n/a: needs about ${countText(needed)} people with ${each} photographs each, ${countText(more)} more`;
  });
  return [
    `calibrated on ${countText(people)} people, ${countText(photographs)} photographs: ${countText(data.positives)} pairs of one person, ${countText(data.negatives)} of two`,
    pointText("threshold", { threshold, measuredFar: measuredFar!, measuredTar: measuredTar! }),
    ...lines,
    `written       ${output}`,
  ].join("\n");
}

async function run(model: string, flags: Flags & Record<string, unknown>): Promise<void> {
  const { pairs, testPairs, far, output, json, ...rest } = flags;
  const { progress, ...data } = givenOptions(measureSettings, { flags: rest, everyKey: EVERY_SETTING });
  const { calibrateModel } = await import("../../jobs/calibrate.ts");
  using _interrupt = measuringInterrupt();
  const result = await calibrateModel(model, {
    data,
    pairs: testPairs,
    pairsFile: pairs,
    fars: far === undefined ? undefined : [far],
    output,
    log: consoleLog({ quiet: json === true }),
    onProgress: measureProgress(progress),
  });
  if (json === true) console.log(JSON.stringify(result));
  else say(text(result));
}

export function calibrateCommand(command: Command): Command {
  command
    .argument("<model>", "an exported model's folder, or the name of a model pack")
    .option(
      "--pairs <file>",
      "LFW-style pairs.txt to choose thresholds on instead of all pairs of the people",
    )
    .option(
      "--output <path>",
      "version to write (default the next one), or for a pack the file for verify --calibration (default NAME-calibration.json)",
    )
    .option("--json", "print one JSON object and nothing else on standard output");
  addTestPairs(command, "pairs of one person and of two to compare, at most of each (default 100000)");
  addNumber(command, {
    flag: "far",
    help: "the false accept rate that is wanted (default 0.1, 0.01, 0.001 and 0.0001)",
    least: 0,
    most: 1,
    fraction: true,
    exclusive: true,
  });
  return addOptions(command, measureSettings).action(run);
}
