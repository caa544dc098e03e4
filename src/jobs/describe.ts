/** @file The layers of a model, by its path or by its settings, and the file of a drawing of them. */
import { extname } from "node:path";
import { readDescription } from "../artifact/description.ts";
import { FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { rasterizeSvg } from "../image/decode.ts";
import { describe, type ModelDescription } from "../model/description.ts";
import { readCheckpoint } from "../train/checkpoint.ts";
import { modelConfigOf, type NetworkSettings } from "../train/config.ts";
import { locateModel, trainingConfig } from "../verify/open-model.ts";

async function settingsAt(path: string): Promise<NetworkSettings> {
  const place = await locateModel(path);
  if (place.kind === "checkpoint") return (await readCheckpoint(place.path)).config;
  const description = await readDescription(place.path);
  if (description === undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `${place.path} does not say which network of faceid it is`, {
      hint: "faceid inspect shows the signatures and operations of any model",
    });
  }
  return { ...trainingConfig(place.path, description), model: description.network };
}

/**
 * Describes a model as it is used: its backbones, projection and head. Nothing is run.
 * @param model a path as for `loadModel`, or the settings of a network.
 * @throws FaceError `MODEL_NOT_FOUND`, `CHECKPOINT_INVALID`, `CONFIG_INVALID` for an unknown network, or
 *   `MODEL_UNSUPPORTED` for a model that faceid did not export.
 */
export async function describeModel(model: string | NetworkSettings): Promise<ModelDescription> {
  const settings = typeof model === "string" ? await settingsAt(model) : model;
  return describe(modelConfigOf(settings));
}

/** Columns of a PNG: twice the width of a common screen, so that letters stay sharp. */
const PNG_WIDTH = 2000;

/**
 * Writes a drawing as SVG or PNG.
 * @param path ends in `.svg` or `.png`.
 * @throws FaceError `CONFIG_INVALID` for any other ending, or as writing a file does.
 */
export async function writeDrawing(path: string, svg: string): Promise<void> {
  const ending = extname(path).toLowerCase();
  if (ending !== ".svg" && ending !== ".png")
    throw new FaceError("CONFIG_INVALID", `--output: got ${path}, expected a name ending in .svg or .png`);
  await writeFileAtomic(path, ending === ".svg" ? svg : await rasterizeSvg(svg, { width: PNG_WIDTH }));
}
