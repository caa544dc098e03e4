/** @file `faceid summary`: the layers of a model as a table, and as a picture where asked for. */
import { Command } from "commander";
import { summarySvg, summaryText } from "../../model/summary.ts";
import { commandText, MODEL_ARGUMENT, modelOf, networkSettings, writeDrawing } from "../drawing.ts";
import { addOptions } from "../options.ts";

async function run(
  path: string | undefined,
  { output, ...flags }: { output?: string } & Record<string, unknown>,
): Promise<void> {
  const model = await modelOf(path, flags);
  if (output !== undefined) {
    await writeDrawing(output, summarySvg(model, commandText("summary", path, flags, model)));
  }
  console.log(summaryText(model));
}

export function summaryCommand(): Command {
  const command = new Command("summary")
    .description("list a model's layers with their shapes, parameters and connections")
    .argument("[model]", MODEL_ARGUMENT)
    .option("--output <file>", "write the table as a picture too, .svg or .png");
  return addOptions(command, networkSettings).action(run);
}
