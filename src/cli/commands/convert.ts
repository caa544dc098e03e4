/** @file `faceid convert`: a SavedModel or an ONNX file becomes an ONNX file, or a SavedModel with everything in one file. */
import { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../base/files.ts";
import { lower } from "../../onnx/lower.ts";
import type { CallableModel } from "../../savedmodel/read.ts";
import { contentOf } from "../../savedmodel/rewrite.ts";
import { DEFAULT_SIGNATURE } from "../../savedmodel/signature.ts";
import { writeSavedModel } from "../../savedmodel/write.ts";
import { readAnyModel } from "../../workflow/read-model.ts";

interface Options {
  readonly onnx?: string;
  readonly savedModel?: string;
  readonly signature: string;
}

async function writeOnnx(model: CallableModel, signature: string, path: string): Promise<void> {
  if (!model.signatures.has(signature)) {
    throw new FaceError("MODEL_NOT_FOUND", `the model has no signature ${signature}`, {
      hint: `it has ${[...model.signatures.keys()].join(", ") || "none"}`,
    });
  }
  const { bytes } = lower({ outputs: (await model.program(signature)).outputs }, { runtimeOps: false });
  await writeFileAtomic(path, bytes);
  console.log(`${path}  ${bytes.length} bytes`);
}

async function run(path: string, { onnx, savedModel, signature }: Options): Promise<void> {
  if (onnx === undefined && savedModel === undefined) {
    throw new FaceError("CONFIG_INVALID", "there is nothing to write", {
      hint: "name an ONNX file by --onnx or a new version's folder by --saved-model",
    });
  }
  const model = await readAnyModel(path);
  if (onnx !== undefined) await writeOnnx(model, signature, onnx);
  if (savedModel === undefined) return;
  await writeSavedModel(savedModel, await contentOf(model));
  console.log(savedModel);
}

export function convertCommand(): Command {
  return new Command("convert")
    .description(
      "write a SavedModel or an ONNX file as an ONNX file, or as a SavedModel with constants for variables",
    )
    .argument("<path>", "a version's folder, or an ONNX file")
    .option("--onnx <file>", "the ONNX file to write")
    .option("--signature <name>", "which signature the ONNX file gets", DEFAULT_SIGNATURE)
    .option("--saved-model <folder>", "the version's folder to write, with all signatures")
    .action(run);
}
