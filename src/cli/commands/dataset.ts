/** @file `faceid dataset`: look at people and their images, make some up, or download some. */
import { Command } from "commander";
import { downloadCommand } from "./dataset/download.ts";
import { infoCommand } from "./dataset/info.ts";
import { previewCommand } from "./dataset/preview.ts";
import { synthesizeCommand } from "./dataset/synthesize.ts";

export function datasetCommand(): Command {
  const command = new Command("dataset").description("count, show, draw or download datasets");
  for (const each of [infoCommand(), previewCommand(), synthesizeCommand(), downloadCommand()]) {
    command.addCommand(each.exitOverride());
  }
  return command;
}
