/** @file What the commands that draw a model share: which model, and a file to draw it into. */
import { extname } from "node:path";
import type { z } from "zod";
import { FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { rasterizeSvg } from "../image/decode.ts";
import { imageSettings } from "../image/settings.ts";
import { describe, type ModelDescription } from "../model/description.ts";
import { networkNamed } from "../model/networks.ts";
import { trainConfigSchema } from "../train/config.ts";
import { resolveOptions } from "./options.ts";
import { EVERY_SETTING } from "./settings.ts";

/** What decides the layers of a model. */
export const networkSettings: z.ZodObject<Pick<typeof trainConfigSchema.shape, "model" | "imageShape">> =
  trainConfigSchema.pick({ model: true, imageShape: true });

/** Columns of a PNG: twice what screens of common width show, so that letters stay sharp. */
const PNG_WIDTH = 2000;

/**
 * Describes the model that flags, environment and `.env` ask for.
 * @throws FaceError `CONFIG_INVALID` for an unknown model or an impossible image size.
 */
export function modelOf(flags: Readonly<Record<string, unknown>>): ModelDescription {
  const { model, imageShape } = resolveOptions(networkSettings, { flags, everyKey: EVERY_SETTING });
  return describe(networkNamed(model), imageSettings(imageShape[0]!, imageShape[1]!));
}

/**
 * Writes a drawing as the file's name asks.
 * @param path ends in `.svg` or `.png`.
 * @throws FaceError `CONFIG_INVALID` for any other ending, or as writing a file does.
 */
export async function writeDrawing(path: string, svg: string): Promise<void> {
  const ending = extname(path).toLowerCase();
  if (ending !== ".svg" && ending !== ".png") {
    throw new FaceError("CONFIG_INVALID", `--output: got ${path}, expected a name ending in .svg or .png`);
  }
  await writeFileAtomic(path, ending === ".svg" ? svg : await rasterizeSvg(svg, { width: PNG_WIDTH }));
}
