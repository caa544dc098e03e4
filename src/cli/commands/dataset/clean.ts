/** @file `faceid dataset clean`: wrong labels, people under two names, duplicates, photographs without a usable face. */

import { Command } from "commander";
import { countText } from "../../../base/log.ts";
import { cleanDataset } from "../../../jobs/clean.ts";
import { requireEnding } from "../../options.ts";
import { commandText, consoleLog, onInterrupt, say } from "../../process.ts";
import { StatusLine } from "../../progress.ts";

interface Flags {
  readonly output: string;
  readonly sheet?: string;
  readonly json?: true;
}

async function clean(folder: string, { output, sheet, json }: Flags): Promise<void> {
  requireEnding("--output", output, ["csv"]);
  if (sheet !== undefined) requireEnding("--sheet", sheet, ["png"]);
  using line = new StatusLine();
  using interrupt = onInterrupt(() => line.say("stopping"));
  const result = await cleanDataset(folder, {
    output,
    sheet,
    log: consoleLog({ quiet: json === true }),
    signal: interrupt.signal,
    onProgress: (done, total) => line.show(`looked at ${countText(done)} of ${countText(total)} photographs`),
  });
  line[Symbol.dispose]();
  if (json === true) {
    console.log(JSON.stringify(result));
    return;
  }
  const { people, photographs, counts, files } = result;
  say(`${countText(people)} people, ${countText(photographs)} photographs`);
  for (const [finding, count] of Object.entries(counts))
    console.log(`${finding.padEnd(20)}${countText(count)}`);
  say(`written             ${files.join(", ")}`);
  const train = ["train", "--recipe", "adapt", "--dataset-path", folder];
  if (result.suspects.length === 0) {
    say(`nothing was found; adapt the network to these people:\n  ${commandText(...train)}`);
    return;
  }
  say("look through it and delete the lines of photographs to keep; then leave out the rest:");
  say(`  ${commandText(...train, "--exclude", output)}`);
}

export function cleanCommand(): Command {
  return new Command("clean")
    .description(
      "look for wrong labels, one person under two names, duplicates and photographs without a usable face",
    )
    .argument("<folder>", "the folder with one folder per person")
    .option("--output <file.csv>", "list of what was found, which train --exclude takes", "suspects.csv")
    .option(
      "--sheet <file.png>",
      "draw the first 60 findings, each beside the photograph that gives the reason",
    )
    .option("--json", "print one JSON object and nothing else on standard output")
    .action(clean);
}
