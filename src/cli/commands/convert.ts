/** @file `faceid convert`: a signature of a SavedModel becomes an ONNX file. */
import { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../base/files.ts";
import { lower } from "../../onnx/lower.ts";
import { readSavedModel } from "../../savedmodel/read.ts";
import { DEFAULT_SIGNATURE } from "../../savedmodel/signature.ts";

async function run(folder: string, { onnx, signature }: { onnx: string; signature: string }): Promise<void> {
  const model = await readSavedModel(folder);
  if (!model.signatures.has(signature)) {
    throw new FaceError("MODEL_NOT_FOUND", `${folder} has no signature ${signature}`, {
      hint: `it has ${[...model.signatures.keys()].join(", ") || "none"}`,
    });
  }
  const { bytes } = lower({ outputs: (await model.program(signature)).outputs }, { runtimeOps: false });
  await writeFileAtomic(onnx, bytes);
  console.log(`${onnx}  ${bytes.length} bytes`);
}

export function convertCommand(): Command {
  return new Command("convert")
    .description("write a signature of a SavedModel as an ONNX file")
    .argument("<folder>", "a version's folder")
    .requiredOption("--onnx <file>", "the file to write")
    .option("--signature <name>", "which signature", DEFAULT_SIGNATURE)
    .action(run);
}
