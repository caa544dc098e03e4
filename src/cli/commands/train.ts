/** @file `faceid train`: trains a verifier, measures it, exports it. */
import { resolve as absolute } from "node:path";
import { type Command, Help } from "commander";
import { ERRORS } from "../../base/errors.ts";
import { reportText } from "../../evaluate/report-text.ts";
import type { ExportTarget } from "../../jobs/export.ts";
import { tensorBoard } from "../../jobs/tensorboard.ts";
import { type TrainOutcome, trainAndExport } from "../../jobs/train.ts";
import type { TrainConfig } from "../../train/config.ts";
import { RECIPE_NAMES, RECIPES, recipeSettings } from "../../train/recipes.ts";
import { addOptions, resolveOptions } from "../options.ts";
import { commandText, consoleLog, onInterrupt } from "../process.ts";
import { commandProgress, jsonLine, measureProgress } from "../progress.ts";
import { EVERY_SETTING, modelSettings, runSettings, trainSettings } from "../settings.ts";

/** The outcome for people. */
function outcomeText(
  { measured, checkpoint, reportPath, exported }: TrainOutcome,
  target: ExportTarget | undefined,
): string {
  const lines = [`\n${reportText(measured.report)}`, `report ${reportPath}`];
  if (exported === undefined || target === undefined)
    return [...lines, `checkpoint ${checkpoint}`].join("\n");
  const models = absolute(target.savedModelPath);
  return [
    ...lines,
    `saved model ${exported}\n`,
    "serve it:",
    `  ${commandText("serve", "--model_name", target.modelName, "--model_base_path", models, "--port", "8500", "--rest_api_port", "8501")}`,
  ].join("\n");
}

/** The outcome for programs. */
function outcomeJson({ measured, checkpoint, reportPath, exported }: TrainOutcome): string {
  const { report, calibration } = measured;
  return [
    jsonLine("measured", { ...report, calibration }),
    jsonLine("files", { checkpoint, report: reportPath, savedModel: exported }),
  ].join("");
}

type Settings = ReturnType<typeof resolveOptions<typeof trainSettings>>;

/** The settings, with those of a recipe as defaults if one is named. */
function resolveRecipe(flags: Record<string, unknown>): Settings {
  const sources = { flags, everyKey: EVERY_SETTING };
  const settings = resolveOptions(trainSettings, sources);
  const { recipe, dataset } = settings;
  if (recipe === undefined) return settings;
  return resolveOptions(trainSettings, { ...sources, preset: recipeSettings(recipe, dataset) });
}

/** The settings without those of the run and of the exported model. */
function trainConfigOf(settings: Settings): TrainConfig {
  const outside = new Set([...Object.keys(modelSettings.shape), ...Object.keys(runSettings.shape)]);
  return Object.fromEntries(Object.entries(settings).filter(([key]) => !outside.has(key))) as TrainConfig;
}

interface Flags {
  readonly resume?: string | true;
  readonly export: boolean;
}

async function run({ resume, export: exporting, ...flags }: Flags & Record<string, unknown>): Promise<void> {
  const settings = resolveRecipe(flags);
  const { progress, tensorboard, savedModelPath, modelName, modelVersion } = settings;
  const target = exporting ? { savedModelPath, modelName, modelVersion } : undefined;
  using interrupt = onInterrupt(() =>
    console.error("\nstopping after this step; press Ctrl-C again to stop at once"),
  );
  const outcome = await trainAndExport({
    config: trainConfigOf(settings),
    folder: typeof resume === "string" ? resume : settings.output,
    resume: resume !== undefined,
    epochs: flags.epochs === undefined ? undefined : settings.epochs,
    target,
    listeners: [commandProgress(progress), ...(tensorboard === undefined ? [] : [tensorBoard(tensorboard)])],
    log: consoleLog(),
    signal: interrupt.signal,
    onProgress: measureProgress(progress, progress === "json" ? process.stdout : process.stderr),
  });
  process.stdout.write(progress === "json" ? outcomeJson(outcome) : `${outcomeText(outcome, target)}\n`);
}

const boxed = (text: string) => new Help().boxWrap(text, 66).replaceAll("\n", `\n${" ".repeat(13)}`);

const HELP = `
Recipes:
${RECIPE_NAMES.map((name) => `  ${name.padEnd(10)} ${boxed(RECIPES[name].summary)}`).join("\n")}

Settings come from flags, then the environment, then .env, then the defaults
above.
Exit code ${ERRORS.INTERRUPTED.exit} means interrupted, ${ERRORS.TRAINING_DIVERGED.exit} diverged.`;

export function trainCommand(command: Command): Command {
  return addOptions(command, trainSettings)
    .option("--resume [run]", "continue a run, by default the one in --output")
    .option("--no-export", "keep the checkpoints only")
    .addHelpText("after", HELP)
    .action(run);
}
