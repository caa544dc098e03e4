/** @file `faceid crop`: the faces of a dataset's photographs, aligned, in the same layout. */

import { join } from "node:path";
import { type Command, Option } from "commander";
import { counted, countText } from "../../base/log.ts";
import type { FaceChoice } from "../../faces/choose.ts";
import { WRITTEN_FORMATS, type WrittenFormat } from "../../image/decode.ts";
import { CROP_FRAMINGS, CROP_SIDES, type CropFraming, cropFaces, LEFT_OUT_FILE } from "../../jobs/crop.ts";
import { addNumber, faceOption } from "../options.ts";
import { say } from "../process.ts";
import { leftOutText, withProgress } from "./left-out.ts";

interface Flags {
  readonly output: string;
  readonly framing: CropFraming;
  readonly size: number;
  readonly format: WrittenFormat;
  readonly face: FaceChoice;
  readonly json?: true;
}

async function run(folder: string, { json, ...flags }: Flags): Promise<void> {
  const words = { what: "cut out", kept: "crops" };
  const result = await withProgress(json === true, words, (shared) =>
    cropFaces(folder, { ...flags, ...shared }),
  );
  if (json === true) {
    console.log(JSON.stringify({ output: flags.output, ...result }));
    return;
  }
  const { written, kept, leftOut } = result;
  const before = kept === 0 ? "" : `, ${countText(kept)} ${kept === 1 ? "was" : "were"} there already`;
  say(`${counted(written, "crop")} in ${flags.output}${before}`);
  if (leftOut.length > 0) say(leftOutText(leftOut, join(flags.output, LEFT_OUT_FILE)));
}

export function cropCommand(command: Command): Command {
  command
    .argument("<folder>", "folder of photographs, or of one folder per person")
    .requiredOption(
      "--output <folder>",
      "folder of the crops; an earlier run with the same settings is continued",
    )
    .addOption(
      new Option(
        "--framing <name>",
        "aligned: ArcFace's template; lfw: as in LFW's photographs; centred: the face's box enlarged as in LFW",
      )
        .choices(Object.keys(CROP_FRAMINGS))
        .default("aligned"),
    )
    .addOption(new Option("--format <name>", "png loses nothing").choices(WRITTEN_FORMATS).default("png"))
    .addOption(faceOption("--face <which>", "face meant in a photograph with several").default("largest"))
    .option("--json", "print one JSON object");
  return addNumber(command, {
    flag: "size",
    help: "side of the crops in pixels",
    least: CROP_SIDES.least,
    most: CROP_SIDES.most,
    fallback: CROP_SIDES.usual,
  }).action(run);
}
