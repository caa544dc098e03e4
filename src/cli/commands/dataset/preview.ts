/** @file `faceid dataset preview`: a contact sheet of the images as the network gets them. */

import { Command, Option } from "commander";
import { checkTarget, writeFileAtomic } from "../../../base/files.ts";
import { countText, shown } from "../../../base/log.ts";
import { contactSheet } from "../../../data/contact-sheet.ts";
import { openConfigured } from "../../../data/dataset.ts";
import { AUGMENTATIONS, type Augmentation, augmentSettings } from "../../../image/augment-settings.ts";
import { encodeJpeg, encodePng } from "../../../image/decode.ts";
import { addNumber, addOptions, requireEnding } from "../../options.ts";
import { consoleLog, say } from "../../process.ts";
import { peopleOf, peopleSettings, sizeOf, sizeSettings } from "../../settings.ts";

interface Flags {
  readonly output: string;
  readonly rows: number;
  readonly columns: number;
  readonly augment?: Augmentation;
}

const COUNT = { least: 1, most: 100, fallback: 8 };

async function preview({
  output,
  rows,
  columns,
  augment,
  ...rest
}: Flags & Record<string, unknown>): Promise<void> {
  requireEnding("--output", output, ["png", "jpg", "jpeg"]);
  await checkTarget(output, "file");
  const { imageShape, ...people } = rest;
  const dataset = await openConfigured(peopleOf(people));
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
  say(
    `${output}: ${countText(sheet.names.length)} of ${countText(dataset.identities.length)} people, from top to bottom`,
  );
  for (const name of sheet.names) say(`  ${shown(name)}`);
}

export function previewCommand(): Command {
  const command = new Command("preview")
    .description("write a contact sheet: one row per person, images as the network gets them")
    .requiredOption("--output <file>", "PNG or JPEG file to write", "preview.png")
    .addOption(
      new Option("--augment <level>", "show each person's first image beside augmented copies of it").choices(
        AUGMENTATIONS,
      ),
    );
  addNumber(command, { flag: "rows", help: "people, spread evenly over the dataset", ...COUNT });
  addNumber(command, { flag: "columns", help: "images of each person", ...COUNT });
  return addOptions(addOptions(command, peopleSettings), sizeSettings).action(preview);
}
