/** @file `faceid plot`: a drawing of a model. */
import { Command } from "commander";
import { plotSvg } from "../../model/plot.ts";
import { MODEL_ARGUMENT, modelOf, networkSettings, writeDrawing } from "../drawing.ts";
import { addOptions } from "../options.ts";

async function run(
  path: string | undefined,
  { output, ...flags }: { output: string } & Record<string, unknown>,
): Promise<void> {
  await writeDrawing(output, plotSvg(await modelOf(path, flags)));
  console.log(`wrote ${output}`);
}

export function plotCommand(): Command {
  const command = new Command("plot")
    .description("draw a model: its layers, their shapes, and how they are connected")
    .argument("[model]", MODEL_ARGUMENT)
    .requiredOption("--output <file>", "picture to write, .svg or .png");
  return addOptions(command, networkSettings).action(run);
}
