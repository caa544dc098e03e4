/** @file `faceid convert`: a SavedModel becomes an ONNX file, or one file with everything in it. */
import { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../base/files.ts";
import { lower } from "../../onnx/lower/lower.ts";
import { type ReadModel, readSavedModel } from "../../savedmodel/read/read.ts";
import { DEFAULT_SIGNATURE } from "../../savedmodel/signature.ts";
import { contentOf } from "../../savedmodel/write/rewrite.ts";
import { writeSavedModel } from "../../savedmodel/write/write.ts";

interface Options {
  readonly onnx?: string;
  readonly savedModel?: string;
  readonly signature: string;
}

async function writeOnnx(model: ReadModel, signature: string, path: string): Promise<void> {
  if (!model.signatures.has(signature)) {
    throw new FaceError("MODEL_NOT_FOUND", `the model has no signature ${signature}`, {
      hint: `it has ${[...model.signatures.keys()].join(", ") || "none"}`,
    });
  }
  const { bytes } = lower({ outputs: (await model.program(signature)).outputs }, { runtimeOps: false });
  await writeFileAtomic(path, bytes);
  console.log(`${path}  ${bytes.length} bytes`);
}

async function run(folder: string, { onnx, savedModel, signature }: Options): Promise<void> {
  if (onnx === undefined && savedModel === undefined) {
    throw new FaceError("CONFIG_INVALID", "there is nothing to write", {
      hint: "name an ONNX file by --onnx or a new version's folder by --saved-model",
    });
  }
  const model = await readSavedModel(folder);
  if (onnx !== undefined) await writeOnnx(model, signature, onnx);
  if (savedModel === undefined) return;
  await writeSavedModel(savedModel, await contentOf(model));
  console.log(savedModel);
}

export function convertCommand(): Command {
  return new Command("convert")
    .description("write a SavedModel as an ONNX file, or as a SavedModel with constants for variables")
    .argument("<folder>", "a version's folder")
    .option("--onnx <file>", "the ONNX file to write")
    .option("--signature <name>", "which signature the ONNX file gets", DEFAULT_SIGNATURE)
    .option("--saved-model <folder>", "the version's folder to write, with all signatures")
    .action(run);
}
