/** @file `faceid dataset`: looks at people and their images, draws some, or downloads some. */
import type { Command } from "commander";
import { downloadCommand } from "./dataset/download.ts";
import { infoCommand } from "./dataset/info.ts";
import { previewCommand } from "./dataset/preview.ts";
import { synthesizeCommand } from "./dataset/synthesize.ts";

export function datasetCommand(command: Command): Command {
  for (const each of [infoCommand(), previewCommand(), synthesizeCommand(), downloadCommand()])
    command.addCommand(each.exitOverride());
  return command;
}
