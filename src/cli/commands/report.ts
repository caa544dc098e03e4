/** @file `faceid report`: a run or an exported model as one page of pictures and figures. */
import { Command } from "commander";
import { writeReport } from "../../jobs/report.ts";
import { consoleLog } from "../log.ts";
import { pairCount } from "../measuring.ts";
import { addOptions, givenOptions } from "../options.ts";
import { measureProgress } from "../progress.ts";
import { EVERY_SETTING, measureSettings } from "../settings.ts";

interface Flags {
  readonly output: string;
  readonly title?: string;
  readonly testPairs?: string;
  readonly photos: boolean;
}

async function report(model: string, flags: Flags & Record<string, unknown>): Promise<void> {
  const { output, title, testPairs, photos, ...rest } = flags;
  const { progress, ...data } = givenOptions(measureSettings, { flags: rest, everyKey: EVERY_SETTING });
  const path = await writeReport({
    model,
    output,
    data,
    photos,
    log: consoleLog(),
    onProgress: measureProgress(progress),
    ...(title === undefined ? {} : { title }),
    ...pairCount(testPairs),
  });
  console.log(`report ${path}`);
}

export function reportCommand(): Command {
  const command = new Command("report")
    .description("measure a model and write everything about it as one HTML page")
    .argument("<model>", "a run's folder, a .safetensors file, or a SavedModel's folder")
    .option("--output <file>", "the page to write", "report.html")
    .option("--title <text>", "heading of the page (default: the model's path)")
    .option("--test-pairs <count>", "pairs of held-out people to draw (default 4000)")
    .option(
      "--no-photos",
      "leave out the photographs of the worst mistakes, so that the page shows no faces",
    );
  return addOptions(command, measureSettings).action(report);
}
