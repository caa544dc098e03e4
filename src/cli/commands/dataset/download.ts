/** @file `faceid dataset download`: shows the licence of a public dataset, then downloads it. */

import { join } from "node:path";
import { Argument, Command } from "commander";
import { countText } from "../../../base/log.ts";
import { chooseParts, REMOTE_DATASETS, remoteDataset } from "../../../data/catalogue.ts";
import { type FetchEvent, fetchDataset } from "../../../data/fetch-dataset.ts";
import { commandText, onInterrupt, STOPPING_MS, say } from "../../process.ts";
import { StatusLine } from "../../progress.ts";
import { TransferText } from "../../transfer.ts";

interface Flags {
  readonly part?: readonly string[];
  readonly output?: string;
  readonly mirror?: string;
  readonly keepArchives?: true;
}

/** Shows the events of a download. */
function narrator(line: StatusLine): (event: FetchEvent) => void {
  const transfer = new TransferText();
  return (event) => {
    switch (event.kind) {
      case "present":
        return line.say(`${event.file}: already there`);
      case "downloading":
        return line.show(transfer.text(event.file, event.received, event.total));
      case "unpacking":
        return line.show(`${event.file}: unpacked ${countText(event.images)} images`);
      case "done":
        return line.say(
          `${event.file}: done${event.images > 0 ? `, ${countText(event.images)} images` : ""}`,
        );
      default:
        return event satisfies never;
    }
  };
}

async function download(name: string, { part = [], output, mirror, keepArchives }: Flags): Promise<void> {
  const dataset = remoteDataset(name);
  const parts = chooseParts(dataset, part);
  const folder = output ?? join("data", name);
  for (const text of dataset.licence) say(text);
  say(`\nDownloading to ${folder}:`);
  for (const { name: partName, holds } of parts) say(`  part ${partName}: ${holds}`);
  using line = new StatusLine();
  using interrupt = onInterrupt(() => line.say("stopping; the next run continues from here"), {
    patience: () => STOPPING_MS,
    kept: () => "the next run continues from here",
  });
  const images = await fetchDataset(dataset, parts, {
    output: folder,
    mirror,
    keepArchives: keepArchives === true,
    onEvent: narrator(line),
    signal: interrupt.signal,
  });
  line[Symbol.dispose]();
  say(`${folder}: ${countText(images)} images`);
  say(`look at them: ${commandText("dataset", "preview", "--dataset-path", folder)}`);
}

export function downloadCommand(): Command {
  const choices = Object.keys(REMOTE_DATASETS);
  return new Command("download")
    .description("download a public dataset, after a note on its licence")
    .addArgument(new Argument("<dataset>", choices.join(" or ")))
    .option("--part <names...>", "parts to download, or all; an unknown name lists them")
    .option("--output <folder>", "folder to fill (default: data/<dataset>)")
    .option("--mirror <url>", "folder on another server that holds the same files")
    .option("--keep-archives", "keep the archives after unpacking")
    .action(download);
}
