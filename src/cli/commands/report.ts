/** @file `faceid report`: a run or an exported model as one page of charts and figures. */
import type { Command } from "commander";
import { addGroups, addOptions, addTestPairs, givenOptions } from "../options.ts";
import { consoleLog, say } from "../process.ts";
import { measureProgress } from "../progress.ts";
import { EVERY_SETTING, measureSettings } from "../settings.ts";

interface Flags {
  readonly output: string;
  readonly title?: string;
  readonly testPairs?: number;
  readonly photos: boolean;
  readonly identification?: true;
  readonly groups?: string;
  readonly byQuality?: true;
}

async function run(model: string, flags: Flags & Record<string, unknown>): Promise<void> {
  const {
    output,
    title,
    testPairs: pairs,
    photos,
    identification = false,
    groups,
    byQuality,
    ...rest
  } = flags;
  const { progress, ...data } = givenOptions(measureSettings, { flags: rest, everyKey: EVERY_SETTING });
  const [log, onProgress] = [consoleLog(), measureProgress(progress)];
  const options = {
    model,
    output,
    title,
    data,
    pairs,
    photos,
    identification,
    groups,
    byQuality,
    log,
    onProgress,
  };
  const { writeReport } = await import("../../jobs/report.ts");
  say(`report ${await writeReport(options)}`);
}

export function reportCommand(command: Command): Command {
  command
    .argument("<model>", "a run's folder, a .safetensors file, a SavedModel's folder, or a model pack's name")
    .option("--output <file>", "the page to write", "report.html")
    .option("--title <text>", "heading of the page (default: the model's path)")
    .option(
      "--no-photos",
      "leave out the photographs of the worst mistakes, so that the page shows no faces",
    );
  command.option("--identification", "measure searches among many people too: DIR over FPIR, CMC");
  addGroups(command);
  addTestPairs(command, "pairs of held-out people to draw (default 4000)");
  return addOptions(command, measureSettings).action(run);
}
