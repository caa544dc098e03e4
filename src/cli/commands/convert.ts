/** @file `faceid convert`: a SavedModel as an ONNX file, or as a SavedModel with constants for variables. */
import type { Command } from "commander";
import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import { type ConvertOptions, convertModel } from "../../jobs/convert.ts";

async function run(folder: string, options: ConvertOptions): Promise<void> {
  for (const { path, bytes } of await convertModel(folder, options))
    console.log(bytes === undefined ? path : `${path}  ${bytes} bytes`);
}

export function convertCommand(command: Command): Command {
  return command
    .argument("<folder>", "a version's folder")
    .option("--onnx <file>", "ONNX file to write")
    .option("--signature <name>", "signature that the ONNX file gets", DEFAULT_SIGNATURE)
    .option("--saved-model <folder>", "version's folder to write, with all signatures")
    .action(run);
}
