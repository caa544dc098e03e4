/** @file The layers of a model, by its path or by its settings, and the file of a drawing of them. */
import { stat } from "node:fs/promises";
import { basename, dirname, extname, resolve } from "node:path";
import { IMPORTED, readDescription } from "../artifact/description.ts";
import { findModel } from "../artifact/find-model.ts";
import { modelPath } from "../artifact/shipped.ts";
import { DEFAULT_SIGNATURE, EMBED } from "../artifact/signatures.ts";
import { FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { rasterizeSvg } from "../image/decode.ts";
import { describe, type ModelDescription } from "../model/description.ts";
import { describeGraph } from "../model/graph-description.ts";
import { readCheckpoint } from "../train/checkpoint.ts";
import { modelConfigOf, type NetworkSettings } from "../train/config.ts";
import { locateModel, trainingConfig } from "../verify/open-model.ts";
import { readAnyModel } from "./read-model.ts";

/** The layers of a network of ours, or the operations of any other model. */
async function describedAt(path: string): Promise<ModelDescription> {
  const place = await locateModel(path);
  if (place.kind === "checkpoint") return describe(modelConfigOf((await readCheckpoint(place.path)).config));
  const description = await readDescription(place.path);
  const described =
    description === undefined || description.network === IMPORTED
      ? await describedGraph(description === undefined ? path : place.path)
      : describe(modelConfigOf({ ...trainingConfig(place.path, description), model: description.network }));
  const { file } = await findModel(modelPath(path));
  return { ...described, file: { name: basename(file), bytes: (await stat(file)).size } };
}

/** The file's name, or that of the folder of versions. */
function nameOf(path: string): string {
  const full = resolve(path);
  return basename(/^\d+$/.test(basename(full)) ? dirname(full) : full);
}

/** The graph behind a model's signature: its embedding, where it has one, else what it answers by default. */
async function describedGraph(path: string): Promise<ModelDescription> {
  const model = await readAnyModel(path);
  const wanted = [EMBED.signature, DEFAULT_SIGNATURE].find((name) => model.signatures.has(name));
  const signature = wanted ?? [...model.signatures.keys()][0];
  if (signature === undefined)
    throw new FaceError("MODEL_UNSUPPORTED", `${path} has no signature`, {
      hint: "faceid inspect shows what it has",
    });
  return describeGraph(nameOf(path), Object.values((await model.program(signature)).outputs));
}

/**
 * Describes a model as it is used: its backbones, projection and head, or the operations of a model from elsewhere. Nothing
 * is run.
 * @param model a path as for `loadModel`, or the settings of a network.
 * @throws FaceError `MODEL_NOT_FOUND`, `CHECKPOINT_INVALID`, `CONFIG_INVALID` for an unknown network, or
 *   `MODEL_UNSUPPORTED` naming every operation that cannot be read.
 */
export async function describeModel(model: string | NetworkSettings): Promise<ModelDescription> {
  return typeof model === "string" ? await describedAt(model) : describe(modelConfigOf(model));
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
