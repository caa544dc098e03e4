/** @file `faceid summary`: the layers of a model as a table, and as a picture where asked for. */
import { Command } from "commander";
import { summarySvg, summaryText } from "../../model/summary.ts";
import { modelOf, networkSettings, writeDrawing } from "../drawing.ts";
import { addOptions } from "../options.ts";

async function run({ output, ...flags }: { output?: string } & Record<string, unknown>): Promise<void> {
  const model = modelOf(flags);
  if (output !== undefined) await writeDrawing(output, summarySvg(model));
  console.log(summaryText(model));
}

export function summaryCommand(): Command {
  const command = new Command("summary")
    .description("list a model's layers with their shapes, parameters and connections")
    .option("--output <file>", "write the table as a picture too, .svg or .png");
  return addOptions(command, networkSettings).action(run);
}
