/** @file `faceid convert`: a SavedModel or an ONNX file as an ONNX file, or as a SavedModel with constants for variables. */
import { type Command, Option } from "commander";
import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import { FaceError } from "../../base/errors.ts";
import { bytesText } from "../../base/log.ts";
import type { ConvertOptions } from "../../jobs/convert.ts";
import { NETWORK_FRAMINGS } from "../../jobs/network-framings.ts";
import { consoleLog } from "../process.ts";

interface Flags extends Omit<ConvertOptions, "imageShape"> {
  readonly imageShape?: string;
}

/** Height and width, such as `112x112`. */
function sides(text: string): number[] {
  const [, height, width] = /^(\d+)[x,](\d+)$/.exec(text.trim()) ?? [];
  if (Number(height) > 0 && Number(width) > 0) return [Number(height), Number(width)];
  throw new FaceError("CONFIG_INVALID", `--image-shape: got ${text}, expected two numbers such as 112x112`);
}

async function run(path: string, { imageShape, ...flags }: Flags): Promise<void> {
  const options = imageShape === undefined ? flags : { ...flags, imageShape: sides(imageShape) };
  if (flags.savedModel !== undefined) {
    const { requireFreeVersion } = await import("../next-version.ts");
    await requireFreeVersion(flags.savedModel, "--saved-model");
  }
  const { convertModel } = await import("../../jobs/convert.ts");
  for (const { path: written, bytes } of await convertModel(path, { ...options, log: consoleLog() }))
    console.log(bytes === undefined ? written : `${written}  ${bytesText(bytes)}`);
}

export function convertCommand(command: Command): Command {
  return command
    .argument("<path>", "a version's folder, the folder of versions, or an ONNX file")
    .option("--onnx <file>", "ONNX file to write")
    .option(
      "--signature <name>",
      "signature that the ONNX file gets, or --framing describes",
      DEFAULT_SIGNATURE,
    )
    .option("--saved-model <folder>", "version's folder to write, with all signatures")
    .addOption(
      new Option(
        "--framing <name>",
        "how faces lie in the images of a face embedding; the SavedModel then has faceid's signatures and description, for every other command",
      ).choices(NETWORK_FRAMINGS),
    )
    .option(
      "--pixels <order,range>",
      "colours that the network reads, such as rgb,-1..1 or bgr,0..255 (with --framing)",
    )
    .option("--image-shape <HxW>", "size of its images, where the file leaves it open (with --framing)")
    .option("--embedding <name>", "output that is the embedding, where it has several (with --framing)")
    .action(run);
}
