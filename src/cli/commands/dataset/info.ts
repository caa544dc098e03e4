/** @file `faceid dataset info`: counts the people and images of a dataset and finds unreadable files. */
import { Command } from "commander";
import { FaceError } from "../../../base/errors.ts";
import { openDataset } from "../../../data/dataset.ts";
import { findUnreadable, type Survey, surveyDataset, type Unreadable } from "../../../data/survey.ts";
import { addOptions } from "../../options.ts";
import { onInterrupt } from "../../process.ts";
import { StatusLine } from "../../progress.ts";
import { peopleOf, peopleSettings } from "../../settings.ts";

interface Flags {
  readonly check: boolean;
  readonly json?: true;
  readonly strict?: true;
}

/** Unreadable files that the text names; `--json` lists all. */
const NAMED = 20;

function surveyText(survey: Survey, unreadable: readonly Unreadable[] | undefined): string {
  const { least, median, mean, most } = survey.imagesPerIdentity;
  const rows = [
    ["dataset", survey.name],
    ["layout", survey.layout],
    ["identities", survey.identities],
    ["images", survey.images],
    ["images per identity", `${least} to ${most}, median ${median}, mean ${mean.toFixed(2)}`],
    ["with two or more", `${survey.pairable}, giving ${survey.positivePairs} pairs of one person`],
    ["unreadable files", unreadable === undefined ? "not checked" : unreadable.length],
  ];
  const lines = rows.map(([name, value]) => `${String(name).padEnd(21)}${value}`);
  for (const { path, reason } of (unreadable ?? []).slice(0, NAMED)) lines.push(`  ${path}: ${reason}`);
  const more = (unreadable?.length ?? 0) - NAMED;
  if (more > 0) lines.push(`  and ${more} more; --json lists them all`);
  return lines.join("\n");
}

async function info({ check, json, strict, ...rest }: Flags & Record<string, unknown>): Promise<void> {
  const dataset = await openDataset(peopleOf(rest));
  const survey = surveyDataset(dataset);
  using line = new StatusLine();
  using interrupt = onInterrupt(() => undefined);
  const onProgress = (tried: number) => line.show(`reading ${tried} of ${survey.images} images`);
  const unreadable = check
    ? await findUnreadable(dataset, { onProgress, signal: interrupt.signal })
    : undefined;
  line[Symbol.dispose]();
  console.log(json === true ? JSON.stringify({ ...survey, unreadable }) : surveyText(survey, unreadable));
  if (strict === true && unreadable !== undefined && unreadable.length > 0) {
    throw new FaceError(
      "IMAGE_UNREADABLE",
      `${unreadable.length} of ${survey.images} images cannot be read`,
      {
        hint: "remove or replace these files",
      },
    );
  }
}

export function infoCommand(): Command {
  const command = new Command("info")
    .description("count a dataset's people and images, and decode every file")
    .option("--no-check", "count only, without decoding the files")
    .option("--strict", "fail when a file cannot be read")
    .option("--json", "print one JSON object and nothing else on standard output");
  return addOptions(command, peopleSettings).action(info);
}
