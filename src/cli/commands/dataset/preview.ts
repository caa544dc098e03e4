/** @file `faceid dataset preview`: a contact sheet of what the network will see. */
import { Command, Option } from "commander";
import { writeFileAtomic } from "../../../base/files.ts";
import { contactSheet } from "../../../data/contact-sheet.ts";
import { openDataset } from "../../../data/dataset.ts";
import { AUGMENTATIONS, type Augmentation, augmentSettings } from "../../../image/augment-settings.ts";
import { encodeJpeg, encodePng } from "../../../image/decode.ts";
import { consoleLog } from "../../log.ts";
import { addOptions } from "../../options.ts";
import { numberOf, peopleOf, peopleSettings, sizeOf, sizeSettings } from "./options.ts";

interface Flags {
  readonly output: string;
  readonly rows: number;
  readonly columns: number;
  readonly augment?: Augmentation;
}

const MOST = 100;

async function preview({
  output,
  rows,
  columns,
  augment,
  ...rest
}: Flags & Record<string, unknown>): Promise<void> {
  const { imageShape, ...people } = rest;
  const dataset = await openDataset(peopleOf(people));
  const log = consoleLog();
  const sheet = await contactSheet(dataset.identities, {
    rows,
    columns,
    settings: sizeOf({ imageShape }),
    ...(augment === undefined ? {} : { augment: augmentSettings(augment) }),
    onUnreadable: (_, reason) => log.warn(reason),
  });
  const encode = /\.jpe?g$/i.test(output) ? encodeJpeg : encodePng;
  await writeFileAtomic(output, await encode(sheet.data, sheet.width, sheet.height));
  console.log(`${output}: ${sheet.names.length} of ${dataset.identities.length} people, from top to bottom`);
  for (const name of sheet.names) console.log(`  ${name}`);
}

export function previewCommand(): Command {
  const command = new Command("preview")
    .description("write a contact sheet: one row per person, as the network will see them")
    .requiredOption("--output <file>", "PNG or JPEG file to write", "preview.png")
    .option("--rows <count>", "people, taken evenly from the whole dataset", numberOf("--rows", 1, MOST), 8)
    .option("--columns <count>", "images of each", numberOf("--columns", 1, MOST), 8)
    .addOption(
      new Option(
        "--augment <level>",
        "show the first image of each as training may change it, beside itself",
      ).choices(AUGMENTATIONS),
    );
  return addOptions(addOptions(command, peopleSettings), sizeSettings).action(preview);
}
