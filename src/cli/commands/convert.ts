/** @file `faceid convert`: a SavedModel or an ONNX file as an ONNX file, or as a SavedModel with constants for variables. */
import type { Command } from "commander";
import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import type { ConvertOptions } from "../../jobs/convert.ts";
import { consoleLog } from "../process.ts";

async function run(path: string, options: ConvertOptions): Promise<void> {
  const { convertModel } = await import("../../jobs/convert.ts");
  for (const { path: written, bytes } of await convertModel(path, { ...options, log: consoleLog() }))
    console.log(bytes === undefined ? written : `${written}  ${bytes} bytes`);
}

export function convertCommand(command: Command): Command {
  return command
    .argument("<path>", "a version's folder, the folder of versions, or an ONNX file")
    .option("--onnx <file>", "ONNX file to write")
    .option("--signature <name>", "signature that the ONNX file gets", DEFAULT_SIGNATURE)
    .option("--saved-model <folder>", "version's folder to write, with all signatures")
    .action(run);
}
