/** @file `faceid quickstart`: from nothing to an answered request, on drawn faces. */
import type { Command } from "commander";
import {
  QUICKSTART_MODEL,
  QUICKSTART_STAGES,
  type QuickstartResult,
  quickstart,
} from "../../jobs/quickstart.ts";
import { commandText, onInterrupt, STOPPING_MS, say } from "../process.ts";
import { progressListener } from "../progress.ts";

/** Each is a line that can be pasted; what it is about stands above it, so that no terminal breaks a line within it. */
export function nextSteps({ models, photos: [anna, again] }: QuickstartResult): string {
  return [
    commandText(
      "serve",
      "--model_name",
      QUICKSTART_MODEL,
      "--model_base_path",
      models,
      "--rest_api_port",
      "8501",
    ),
    commandText("request", anna, again, "--model-name", QUICKSTART_MODEL),
    "# two photographs of yours, by a pretrained model",
    commandText("verify", "a.jpg", "b.jpg"),
    "# a folder with one folder of photographs per person",
    commandText("train", "--dataset-path", "my-photos"),
  ]
    .map((line) => `  ${line}`)
    .join("\n");
}

async function run({ output }: { output: string }): Promise<void> {
  const started = performance.now();
  using interrupt = onInterrupt(() => console.error("\nstopping"), { patience: () => STOPPING_MS });
  const result = await quickstart({
    output,
    progress: progressListener("bar", process.stdout),
    signal: interrupt.signal,
    onStage: (stage, text) => say(`\n${stage}/${QUICKSTART_STAGES}  ${text}`),
    onDetail: (text) => say(text.replaceAll(/^/gm, "     ")),
  });
  console.log(`\ndone in ${Math.round((performance.now() - started) / 1000)} s; what to try next:\n`);
  say(nextSteps(result));
}

export function quickstartCommand(command: Command): Command {
  return command
    .option("--output <folder>", "folder for the model, its report and the photographs", "quickstart")
    .action(run);
}
