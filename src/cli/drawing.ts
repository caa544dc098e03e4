/** @file What the commands that draw a model share: which model, and a file to draw it into. */
import { extname } from "node:path";
import type { z } from "zod";
import { FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { rasterizeSvg } from "../image/decode.ts";
import { describeModel } from "../jobs/describe.ts";
import { describe, type ModelDescription } from "../model/description.ts";
import { networkNamed } from "../model/networks.ts";
import { trainConfigSchema } from "../train/config.ts";
import { networkImageOf } from "../train/people.ts";
import { flagOf, resolveOptions } from "./options.ts";
import { EVERY_SETTING } from "./settings.ts";

/** What decides the layers of a model. */
export const networkSettings: z.ZodObject<
  Pick<
    typeof trainConfigSchema.shape,
    "model" | "imageShape" | "crop" | "views" | "texture" | "mirror" | "metric"
  >
> = trainConfigSchema.pick({
  model: true,
  imageShape: true,
  crop: true,
  views: true,
  texture: true,
  mirror: true,
  metric: true,
});

/** What help says of the path. */
export const MODEL_ARGUMENT =
  "a run, a checkpoint or an exported version; without it, the model that the options describe";

/** Columns of a PNG: twice what screens of common width show, so that letters stay sharp. */
const PNG_WIDTH = 2000;

/**
 * Describes the model at a path, or the one that flags, environment and `.env` ask for.
 * @throws FaceError `CONFIG_INVALID` for an unknown model, an impossible image size, or flags beside a path; as
 *   `describeModel`.
 */
export async function modelOf(
  path: string | undefined,
  flags: Readonly<Record<string, unknown>>,
): Promise<ModelDescription> {
  const [first] = Object.keys(flags);
  if (path !== undefined && first !== undefined) {
    throw new FaceError("CONFIG_INVALID", `${path} says what its layers are, ${flagOf(first)} cannot`, {
      hint: "leave out one of them",
    });
  }
  if (path !== undefined) return await describeModel(path);
  const settings = resolveOptions(networkSettings, { flags, everyKey: EVERY_SETTING });
  return describe(networkNamed(settings.model), networkImageOf(settings));
}

/** The command that prints this, for the title of its picture. */
export const commandText = (
  name: string,
  path: string | undefined,
  flags: Readonly<Record<string, unknown>>,
  model: ModelDescription,
): string => {
  const given = Object.entries<unknown>({ model: model.name, ...flags }).map(([key, value]) =>
    value === true ? flagOf(key) : `${flagOf(key)} ${String(value)}`,
  );
  return ["faceid", name, ...(path === undefined ? given : [path])].join(" ");
};

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
