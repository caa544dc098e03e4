/** @file `faceid summary` and `faceid plot`: the layers of a model as a table and as a drawing. */
import type { Command } from "commander";
import type { z } from "zod";
import { FaceError } from "../../base/errors.ts";
import { describeModel, writeDrawing } from "../../jobs/describe.ts";
import type { ModelDescription } from "../../model/description.ts";
import { plotSvg } from "../../model/plot.ts";
import { summarySvg, summaryText } from "../../model/summary.ts";
import { trainConfigSchema } from "../../train/config.ts";
import { addOptions, flagOf, resolveOptions } from "../options.ts";
import { EVERY_SETTING } from "../settings.ts";
import { columnsOf } from "../terminal.ts";

/** The settings that define the layers of a model. */
const networkSettings: z.ZodObject<
  Pick<
    typeof trainConfigSchema.shape,
    "model" | "imageShape" | "crop" | "crops" | "gaborCrops" | "mirror" | "projectionDim"
  >
> = trainConfigSchema.pick({
  model: true,
  imageShape: true,
  crop: true,
  crops: true,
  gaborCrops: true,
  mirror: true,
  projectionDim: true,
});

const MODEL_ARGUMENT =
  "a run, a checkpoint, any SavedModel or an ONNX file; without it, the model that the options describe";

type Flags = Readonly<Record<string, unknown>>;

/** The model at a path, or the one that flags, environment and `.env` describe. */
async function modelOf(path: string | undefined, flags: Flags): Promise<ModelDescription> {
  if (path === undefined)
    return await describeModel(resolveOptions(networkSettings, { flags, everyKey: EVERY_SETTING }));
  const [first] = Object.keys(flags);
  if (first === undefined) return await describeModel(path);
  throw new FaceError("CONFIG_INVALID", `${flagOf(first)} cannot change the layers of ${path}`, {
    hint: "leave out one of them",
  });
}

/** The command that prints a summary, for the title of its picture. */
function commandText(path: string | undefined, flags: Flags, model: ModelDescription): string {
  const given = Object.entries<unknown>({ model: model.name, ...flags }).map(([key, value]) =>
    value === true ? flagOf(key) : `${flagOf(key)} ${String(value)}`,
  );
  return ["faceid", "summary", ...(path === undefined ? given : [path])].join(" ");
}

async function summary(path: string | undefined, { output, ...flags }: Flags): Promise<void> {
  const model = await modelOf(path, flags);
  if (output !== undefined)
    await writeDrawing(String(output), summarySvg(model, commandText(path, flags, model)));
  console.log(summaryText(model, columnsOf(process.stdout)));
  if (output !== undefined) console.log(`\nwrote ${output}`);
}

async function plot(path: string | undefined, { output, ...flags }: Flags): Promise<void> {
  await writeDrawing(String(output), plotSvg(await modelOf(path, flags)));
  console.log(`wrote ${output}`);
}

export function summaryCommand(command: Command): Command {
  command
    .argument("[model]", MODEL_ARGUMENT)
    .option("--output <file>", "write the table as a picture too, .svg or .png");
  return addOptions(command, networkSettings).action(summary);
}

export function plotCommand(command: Command): Command {
  command
    .argument("[model]", MODEL_ARGUMENT)
    .requiredOption("--output <file>", "picture to write, .svg or .png");
  return addOptions(command, networkSettings).action(plot);
}
