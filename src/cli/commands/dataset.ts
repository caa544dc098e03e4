/** @file `faceid dataset`: looks at people and their images, draws pairs or faces, or downloads some. */
import type { Command } from "commander";
import { cleanCommand } from "./dataset/clean.ts";
import { downloadCommand } from "./dataset/download.ts";
import { infoCommand } from "./dataset/info.ts";
import { pairsCommand } from "./dataset/pairs.ts";
import { previewCommand } from "./dataset/preview.ts";
import { synthesizeCommand } from "./dataset/synthesize.ts";

export function datasetCommand(command: Command): Command {
  for (const each of [
    infoCommand(),
    cleanCommand(),
    previewCommand(),
    pairsCommand(),
    synthesizeCommand(),
    downloadCommand(),
  ])
    command.addCommand(each.exitOverride());
  return command;
}
