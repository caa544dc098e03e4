/** @file `faceid dataset synthesize`: draws people who do not exist, as PNG files in DigiFace's layout. */
import { Command } from "commander";
import { writeSynthetic } from "../../../data/drawn.ts";
import { onInterrupt } from "../../interrupt.ts";
import { addOptions } from "../../options.ts";
import { StatusLine } from "../../status-line.ts";
import { numberOf, sizeOf, sizeSettings } from "./options.ts";

interface Flags {
  readonly output: string;
  readonly identities: number;
  readonly imagesPerIdentity: number;
  readonly firstIdentity: number;
  readonly seed: number;
  readonly difficulty: number;
}

const MOST_PEOPLE = 1_000_000;
const MOST_IMAGES = 1000;

async function synthesize(flags: Flags & Record<string, unknown>): Promise<void> {
  const { output, identities, imagesPerIdentity, firstIdentity, seed, difficulty, ...rest } = flags;
  const total = identities * imagesPerIdentity;
  using line = new StatusLine();
  using interrupt = onInterrupt(() => line.say("stopping"));
  const images = await writeSynthetic({
    output,
    identities,
    imagesPerIdentity,
    first: firstIdentity,
    seed,
    difficulty,
    settings: sizeOf(rest),
    signal: interrupt.signal,
    onProgress: (written) => line.show(`drawn ${written} of ${total} images`),
  });
  line[Symbol.dispose]();
  console.log(`${output}: ${identities} people, ${images} images`);
  console.log(`train on them: faceid train --dataset digiface --dataset-path ${output}`);
}

export function synthesizeCommand(): Command {
  const command = new Command("synthesize")
    .description("draw people who do not exist, as PNG files in DigiFace's layout")
    .requiredOption("--output <folder>", "folder to make")
    .option("--identities <count>", "people", numberOf("--identities", 1, MOST_PEOPLE), 200)
    .option(
      "--images-per-identity <count>",
      "photographs of each",
      numberOf("--images-per-identity", 1, MOST_IMAGES),
      10,
    )
    .option(
      "--first-identity <number>",
      "number of the first person",
      numberOf("--first-identity", 0, MOST_PEOPLE),
      0,
    )
    .option(
      "--seed <number>",
      "seed of the population: another seed, other people",
      numberOf("--seed", 0, 2 ** 31),
      0,
    )
    .option(
      "--difficulty <number>",
      "how much photographs of one person vary, 0 to 2",
      numberOf("--difficulty", 0, 2, false),
      1,
    );
  return addOptions(command, sizeSettings).action(synthesize);
}
