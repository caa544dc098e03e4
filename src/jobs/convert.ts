/** @file Writes a SavedModel or an ONNX file as an ONNX file, or as a SavedModel with constants for variables. */
import { resolve } from "node:path";
import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import { FaceError } from "../base/errors.ts";
import { checkTarget, writeFileAtomic } from "../base/files.ts";
import { type Log, silentLog } from "../base/log.ts";
import { lower } from "../onnx/lower/lower.ts";
import type { CallableModel } from "../savedmodel/read/read.ts";
import { contentOf } from "../savedmodel/write/rewrite.ts";
import { writeSavedModel } from "../savedmodel/write/write.ts";
import { importedContent } from "./import-network.ts";
import type { NetworkFraming } from "./network-framings.ts";
import { readAnyModel } from "./read-model.ts";

export interface ConvertOptions {
  /** The ONNX file to write. */
  readonly onnx?: string | undefined;
  /** The signature that the ONNX file gets, and whose network is framed. Default `serving_default`. */
  readonly signature?: string | undefined;
  /** The version's folder to write, with all signatures. */
  readonly savedModel?: string | undefined;
  /**
   * How faces lie in the network's images. With it the SavedModel is a model of faceid, with the four signatures and a
   * description, which every other job takes; without it, the network as it is.
   */
  readonly framing?: NetworkFraming | undefined;
  /** Order and range of the colours that the network reads, such as `rgb,-1..1` or `bgr,0..255`. Needed with `framing`. */
  readonly pixels?: string | undefined;
  /** Height and width of its images, where the file leaves them open. */
  readonly imageShape?: readonly number[] | undefined;
  /** The output that is the embedding, where it has several. */
  readonly embedding?: string | undefined;
  /** Gets a line where the path left a choice, and where the result is not what the file was. Default: silent. */
  readonly log?: Log | undefined;
}

async function onnxBytes(model: CallableModel, signature: string): Promise<Uint8Array> {
  if (model.signatures.has(signature))
    return lower({ outputs: (await model.program(signature)).outputs }, { runtimeOps: false }).bytes;
  throw new FaceError("MODEL_NOT_FOUND", `the model has no signature ${signature}`, {
    hint: `it has ${[...model.signatures.keys()].join(", ") || "none"}`,
  });
}

/** The flags that describe a network need --framing and a SavedModel as the output. */
function checkNetworkOptions({ savedModel, framing, pixels, imageShape, embedding }: ConvertOptions): void {
  if (framing !== undefined && savedModel === undefined) {
    throw new FaceError("CONFIG_INVALID", "--framing describes a SavedModel, and none is named", {
      hint: "pass --saved-model DIR too",
    });
  }
  const [lone] = Object.entries({ pixels, "image-shape": imageShape, embedding }).filter(
    ([, value]) => framing === undefined && value !== undefined,
  );
  if (lone === undefined) return;
  throw new FaceError("CONFIG_INVALID", `--${lone[0]} goes with --framing, and there is none`, {
    hint: "say how faces lie in the network's images: --framing aligned, lfw, centred or none",
  });
}

/**
 * Converts a model.
 * @param path a SavedModel's version folder, an ONNX file, a version's folder with one, or the folder of versions.
 * @returns the files and folders written, with the size of files in bytes.
 * @throws FaceError `CONFIG_INVALID` without a target or for a network that is not described in full, `MODEL_…` for a model that cannot be read or lacks the signature.
 */
export async function convertModel(
  path: string,
  options: ConvertOptions,
): Promise<{ readonly path: string; readonly bytes?: number }[]> {
  const { onnx, signature = DEFAULT_SIGNATURE, savedModel, log = silentLog } = options;
  if (onnx === undefined && savedModel === undefined) {
    throw new FaceError(
      "CONFIG_INVALID",
      "nothing to write: neither an ONNX file nor a SavedModel is named",
      {
        hint: "pass --onnx FILE, or --saved-model DIR for a new version's folder",
      },
    );
  }
  checkNetworkOptions(options);
  if (onnx !== undefined && resolve(onnx) === resolve(path)) {
    throw new FaceError("CONFIG_INVALID", `--onnx would overwrite the model ${path}`, {
      hint: "choose another name",
    });
  }
  if (onnx !== undefined) await checkTarget(onnx, "file");
  if (savedModel !== undefined) await checkTarget(savedModel, "new folder");
  const written: { path: string; bytes?: number }[] = [];
  const model = await readAnyModel(path, log);
  const { dequantized = 0 } = model;
  if (dequantized > 0) {
    log.warn(
      `${dequantized} weights that ${path} stores in 8 bits or fewer are written as floats, multiplied out by their scales: the answers are the same, the file is larger`,
    );
  }
  if (onnx !== undefined) {
    const bytes = await onnxBytes(model, signature);
    await writeFileAtomic(onnx, bytes);
    written.push({ path: onnx, bytes: bytes.length });
  }
  if (savedModel !== undefined) {
    const { framing } = options;
    const content =
      framing === undefined
        ? await contentOf(model)
        : await importedContent(model, {
            ...options,
            framing,
            folder: savedModel,
            path,
            file: model.file,
            signature,
          });
    await writeSavedModel(savedModel, content);
    if (framing !== undefined) {
      log.info(
        `${savedModel} has no calibration record yet: faceid calibrate ${savedModel} --dataset-path PEOPLE measures thresholds on photographs of people, and then faceid verify decides by them`,
      );
    }
    written.push({ path: savedModel });
  }
  return written;
}
