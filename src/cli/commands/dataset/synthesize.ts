/** @file `faceid dataset synthesize`: draws faces of invented people, as PNG files in DigiFace's layout. */

import { Command } from "commander";
import { countText } from "../../../base/log.ts";
import { writeSynthetic } from "../../../data/drawn.ts";
import { addNumber, addOptions } from "../../options.ts";
import { commandText, onInterrupt, STOPPING_MS, say } from "../../process.ts";
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

const NUMBERS = [
  { flag: "identities", help: "people to draw", least: 1, most: MOST_PEOPLE, fallback: 200 },
  { flag: "images-per-identity", help: "photographs of each person", least: 1, most: 1000, fallback: 10 },
  { flag: "first-identity", help: "number of the first person", least: 0, most: MOST_PEOPLE, fallback: 0 },
  {
    flag: "seed",
    help: "seed of the population; another seed draws other people",
    least: 0,
    most: 2 ** 31,
    fallback: 0,
  },
  {
    flag: "difficulty",
    help: "how much photographs of one person vary, 0 to 2",
    least: 0,
    most: 2,
    fraction: true,
    fallback: 1,
  },
];

async function synthesize(flags: Flags & Record<string, unknown>): Promise<void> {
  const { output, identities, imagesPerIdentity, firstIdentity, seed, difficulty, ...rest } = flags;
  const total = identities * imagesPerIdentity;
  using line = new StatusLine();
  using interrupt = onInterrupt(() => line.say("stopping"), { patience: () => STOPPING_MS });
  const images = await writeSynthetic({
    output,
    identities,
    imagesPerIdentity,
    first: firstIdentity,
    seed,
    difficulty,
    settings: sizeOf(rest),
    signal: interrupt.signal,
    onProgress: (written) => line.show(`drawn ${countText(written)} of ${countText(total)} images`),
  });
  line[Symbol.dispose]();
  say(`${output}: ${countText(identities)} people, ${countText(images)} images`);
  say(`train on them: ${commandText("train", "--dataset", "digiface", "--dataset-path", output)}`);
}

export function synthesizeCommand(): Command {
  const command = new Command("synthesize")
    .description("draw faces of invented people, as PNG files in DigiFace's layout")
    .requiredOption("--output <folder>", "folder to create");
  for (const each of NUMBERS) addNumber(command, each);
  return addOptions(command, sizeSettings).action(synthesize);
}
