/** @file `faceid dataset pairs`: a pairs file for the k-fold protocol, from any folder of people. */

import { stat } from "node:fs/promises";
import { Command } from "commander";
import { FaceError } from "../../../base/errors.ts";
import { checkTarget, writeFileAtomic } from "../../../base/files.ts";
import { countText } from "../../../base/log.ts";
import { openDataset } from "../../../data/dataset.ts";
import { isLoss, leftOutText } from "../../../data/left-out.ts";
import { drawPairsFile } from "../../../data/write-pairs.ts";
import { addNumber, addOptions } from "../../options.ts";
import { consoleLog, say } from "../../process.ts";
import { peopleOf, peopleSettings } from "../../settings.ts";

interface Flags {
  readonly output: string;
  readonly folds: number;
  readonly pairs: number;
  readonly seed: number;
  readonly overwrite?: true;
}

async function pairs(
  folder: string | undefined,
  { output, folds, pairs: wanted, seed, overwrite, ...rest }: Flags & Record<string, unknown>,
): Promise<void> {
  const isTaken = await stat(output).then(
    () => true,
    () => false,
  );
  if (isTaken && overwrite !== true) {
    throw new FaceError("CONFIG_INVALID", `${output} exists already`, {
      hint: "choose another --output, or pass --overwrite to replace it",
    });
  }
  await checkTarget(output, "file");
  const dataset = await openDataset(peopleOf(folder === undefined ? rest : { ...rest, datasetPath: folder }));
  const log = consoleLog();
  for (const item of (dataset.leftOut ?? []).filter(isLoss)) log.warn(`left out: ${leftOutText(item)}`);
  const drawn = drawPairsFile(dataset, { folds, pairs: wanted, seed });
  await writeFileAtomic(output, drawn.text);
  const fewer = drawn.pairs < wanted ? `, all that every fold has of the ${wanted} asked for` : "";
  say(
    `${output}: ${drawn.folds} folds of different people, ${countText(drawn.pairs)} pairs of one person and ${countText(drawn.pairs)} of two in each${fewer}`,
  );
}

export function pairsCommand(): Command {
  const command = new Command("pairs")
    .description("draw a pairs file for evaluate --pairs from any folder of people")
    .argument("[folder]", "the folder with one folder per person; or --dataset-path")
    .requiredOption("--output <file>", "pairs file to write", "pairs.txt")
    .option("--overwrite", "replace the file if it exists");
  addNumber(command, {
    flag: "folds",
    help: "folds of different people",
    least: 1,
    most: 1000,
    fallback: 10,
  });
  addNumber(command, {
    flag: "pairs",
    help: "pairs of each kind in a fold, at most",
    least: 1,
    most: 1_000_000,
    fallback: 300,
  });
  addNumber(command, {
    flag: "seed",
    help: "another seed draws other pairs",
    least: 0,
    most: 2 ** 31,
    fallback: 1,
  });
  return addOptions(command, peopleSettings).action(pairs);
}
