/** @file `faceid cluster`: sorts an album into people. */

import type { Command } from "commander";
import { scoreText } from "../../artifact/rates.ts";
import { counted, countText, reasonOf } from "../../base/log.ts";
import type { AlbumFace, ClusterResult } from "../../jobs/cluster.ts";
import { addNumber } from "../options.ts";
import { consoleLog, onInterrupt, say } from "../process.ts";
import { photoProgress, StatusLine } from "../progress.ts";

interface Flags {
  readonly output?: string;
  readonly links?: true;
  readonly model?: string;
  readonly far?: number;
  readonly json?: true;
}

/** People and faces that are named one by one. */
const NAMED = 20;

const faceName = ({ photo, box }: AlbumFace) => `${photo} at ${Math.round(box[0])},${Math.round(box[1])}`;

function named<T>(list: readonly T[], line: (item: T) => string): string[] {
  const more = list.length - NAMED;
  return [
    ...list.slice(0, NAMED).map((item) => `  ${line(item)}`),
    ...(more > 0 ? [`  and ${countText(more)} more`] : []),
  ];
}

function text(result: ClusterResult): string {
  const { photographs, faces, people, single, unclear, withoutFace, leftOut, threshold } = result;
  const part = (count: number, one: string, what: string, lines: readonly string[]) =>
    count === 0 ? [] : [`${counted(count, one)} ${what}:`, ...lines];
  return [
    `${counted(faces, "face")} in ${counted(photographs, "photograph")}: ${counted(people.length, "person", "people")} with two faces or more, ${counted(single.length, "face")} like no other (threshold ${scoreText(threshold)})`,
    ...named(
      people,
      ({ name, faces: own }) => `${name}  ${countText(own.length)} faces, such as ${faceName(own[0]!)}`,
    ),
    ...part(
      unclear.length,
      "face",
      "too poor to be compared",
      named(unclear, (face) => `${faceName(face)}: ${face.warnings.join("; ")}`),
    ),
    ...part(withoutFace.length, "photograph", "without a face", named(withoutFace, String)),
    ...part(leftOut.length, "file", "that cannot be read", named(leftOut, reasonOf)),
  ].join("\n");
}

async function run(folder: string, { json, ...flags }: Flags): Promise<void> {
  const log = consoleLog({ quiet: json === true });
  using line = new StatusLine();
  using interrupt = onInterrupt(() => log.warn("stopping after this photograph"));
  const { clusterFolder } = await import("../../jobs/cluster.ts");
  const result = await clusterFolder(folder, {
    ...flags,
    log,
    signal: interrupt.signal,
    onProgress: photoProgress(line, "embedded"),
  });
  line[Symbol.dispose]();
  if (json === true) console.log(JSON.stringify(result));
  else say(text(result));
  if (flags.output !== undefined && json !== true) say(`written to ${flags.output}`);
}

export function clusterCommand(command: Command): Command {
  command
    .argument("<folder>", "an album: a folder of photographs, or of folders of them")
    .option("--output <folder>", "write a folder for each person, people.json and contact-sheet.png")
    .option("--links", "hard links in these folders instead of copies")
    .option("--model <pack>", "a model pack (default opencv-sface)");
  addNumber(command, {
    flag: "far",
    help: "calibrated false accept rate whose threshold decides (default 0.0001)",
    least: 0,
    most: 1,
    fraction: true,
  });
  return command.option("--json", "print one JSON object").action(run);
}
