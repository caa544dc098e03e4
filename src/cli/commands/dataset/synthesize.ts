/** @file `faceid dataset synthesize`: draws faces of invented people, as PNG files in DigiFace's layout. */
import { Command } from "commander";
import { writeSynthetic } from "../../../synthetic/write.ts";
import { addOptions, numberOf } from "../../options.ts";
import { onInterrupt } from "../../process.ts";
import { StatusLine } from "../../progress.ts";
import { sizeOf, sizeSettings } from "../../settings.ts";

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
    .description("draw faces of invented people, as PNG files in DigiFace's layout")
    .requiredOption("--output <folder>", "folder to create")
    .option("--identities <count>", "people to draw", numberOf("--identities", 1, MOST_PEOPLE), 200)
    .option(
      "--images-per-identity <count>",
      "photographs of each person",
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
      "seed of the population; another seed draws other people",
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
