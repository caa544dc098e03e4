/** @file `faceid dataset download`: public datasets, licence first. */
import { join } from "node:path";
import { Argument, Command } from "commander";
import { chooseParts, REMOTE_DATASETS, remoteDataset } from "../../../data/catalogue.ts";
import { type FetchEvent, fetchDataset } from "../../../data/fetch-dataset.ts";
import { onInterrupt } from "../../process.ts";
import { bytesText, durationText, StatusLine } from "../../progress.ts";

interface Flags {
  readonly part: readonly string[];
  readonly output?: string;
  readonly mirror?: string;
  readonly keepArchives?: true;
}

/** Puts what happens into words; speed and time left come from the bytes since a file's first ones. */
function narrator(line: StatusLine, now: () => number = Date.now): (event: FetchEvent) => void {
  let current = "";
  let since = 0;
  let first = 0;
  const downloading = (file: string, received: number, total: number | undefined) => {
    if (file !== current) [current, since, first] = [file, now(), received];
    const seconds = (now() - since) / 1000;
    const speed = seconds > 1 ? (received - first) / seconds : 0;
    const left = total !== undefined && speed > 0 ? `, ${durationText((total - received) / speed)} left` : "";
    const share =
      total === undefined ? "" : ` of ${bytesText(total)} (${Math.floor((100 * received) / total)} %)`;
    line.show(`${file}: ${bytesText(received)}${share}${speed > 0 ? `, ${bytesText(speed)}/s` : ""}${left}`);
  };
  return (event) => {
    switch (event.kind) {
      case "present":
        return line.say(`${event.file}: here already`);
      case "downloading":
        return downloading(event.file, event.received, event.total);
      case "unpacking":
        return line.show(`${event.file}: unpacked ${event.images} images`);
      case "done":
        return line.say(`${event.file}: done${event.images > 0 ? `, ${event.images} images` : ""}`);
      default:
        return event satisfies never;
    }
  };
}

async function download(name: string, { part, output, mirror, keepArchives }: Flags): Promise<void> {
  const dataset = remoteDataset(name);
  const parts = chooseParts(dataset, part);
  const folder = output ?? join("data", name);
  for (const text of dataset.licence) console.log(text);
  console.log(`\nDownloading to ${folder}:`);
  for (const { name: partName, holds } of parts) console.log(`  part ${partName}: ${holds}`);
  using line = new StatusLine();
  using interrupt = onInterrupt(() => line.say("stopping; the next run goes on from here"));
  const images = await fetchDataset(dataset, parts, {
    output: folder,
    mirror,
    keepArchives: keepArchives === true,
    onEvent: narrator(line),
    signal: interrupt.signal,
  });
  line[Symbol.dispose]();
  console.log(`${folder}: ${images} images`);
  console.log(`look at them: faceid dataset preview --dataset-path ${folder}`);
}

export function downloadCommand(): Command {
  const choices = Object.keys(REMOTE_DATASETS);
  return new Command("download")
    .description("download a public dataset; says under which licence first")
    .addArgument(new Argument("<dataset>", choices.join(" or ")))
    .option("--part <names...>", "parts to download, or all; a wrong one lists them", [])
    .option("--output <folder>", "folder to fill (default: data/<dataset>)")
    .option("--mirror <url>", "folder on another server that holds the same files")
    .option("--keep-archives", "keep the archives after unpacking")
    .action(download);
}
