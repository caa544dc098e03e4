/** @file `faceid train`: load, make the model, compile, fit, evaluate, freeze, save. */
import { access } from "node:fs/promises";
import { resolve as absolute, join } from "node:path";
import { Command } from "commander";
import { ERRORS, FaceError } from "../../base/errors.ts";
import { reportText } from "../../evaluate/report-text.ts";
import type { OnMeasureProgress } from "../../evaluate/watched-verifier.ts";
import { exportModel } from "../../jobs/export.ts";
import { type Measurement, measureRun } from "../../jobs/measure.ts";
import { REPORT_FILE, writeReport } from "../../jobs/report.ts";
import { tensorBoard } from "../../jobs/tensorboard.ts";
import { resume, type TrainResult, train } from "../../jobs/train.ts";
import type { TrainConfig } from "../../train/config.ts";
import { viewFolder } from "../../train/finish.ts";
import { BEST_CHECKPOINT, LAST_CHECKPOINT } from "../../train/listeners/checkpoints.ts";
import { RECIPE_NAMES, RECIPES, recipeSettings } from "../../train/recipes.ts";
import { onInterrupt } from "../interrupt.ts";
import { consoleLog } from "../log.ts";
import { addOptions, resolveOptions } from "../options.ts";
import { commandProgress, jsonLine, measureProgress } from "../progress.ts";
import { EVERY_SETTING, modelSettings, runSettings, trainSettings } from "../settings.ts";

interface Target {
  readonly savedModelPath: string;
  readonly modelName: string;
  readonly modelVersion: number;
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** A version is never overwritten; better to say so before training than after. */
async function refuseTaken({ savedModelPath, modelVersion }: Target): Promise<void> {
  const folder = join(savedModelPath, String(modelVersion));
  if (await exists(folder)) {
    throw new FaceError("CONFIG_INVALID", `${folder} exists already`, {
      hint: `pass --model-version ${modelVersion + 1}, another --saved-model-path, or --no-export`,
    });
  }
}

/** A run's folder is never overwritten by another run. */
async function refuseOldRun(folder: string): Promise<void> {
  const places = [folder, viewFolder(folder, 0)].map((place) => exists(join(place, LAST_CHECKPOINT)));
  if ((await Promise.all(places)).includes(true)) {
    throw new FaceError("CONFIG_INVALID", `${folder} holds a run already`, {
      hint: `go on with it by --resume ${folder}, or choose another --output`,
    });
  }
}

/** Every run ends in a measurement; better to say before training than after that nobody is there for it. */
function refuseUnmeasured({ testShare, excludePairs }: TrainConfig): void {
  if (testShare > 0 || excludePairs !== undefined) return;
  throw new FaceError("CONFIG_INVALID", "a test share of 0 leaves nobody to measure the network on", {
    hint: "hold some people out by --test-share, or name the pairs to measure on by --exclude-pairs",
  });
}

/** What a run that ended before its time means for the exit code. */
function refuseUnfinished({ end, folder }: TrainResult): void {
  if (end.reason === "interrupted") {
    throw new FaceError("INTERRUPTED", `${end.detail}; the state is in ${join(folder, LAST_CHECKPOINT)}`, {
      hint: `go on with: faceid train --resume ${folder}`,
    });
  }
  if (end.reason === "diverged") {
    throw new FaceError(
      "TRAINING_DIVERGED",
      `${end.detail}; checkpoints of earlier epochs are kept in ${folder}`,
      {
        hint: "lower --learning-rate, add --warmup-steps, or check the data",
      },
    );
  }
}

/** What a finished run leaves behind. */
interface Outcome {
  readonly measured: Measurement;
  readonly checkpoint: string;
  readonly reportPath: string;
  /** Folder of the exported version, where one was wanted. */
  readonly exported: string | undefined;
}

async function finish(
  result: TrainResult,
  target: Target | undefined,
  onProgress: OnMeasureProgress,
): Promise<Outcome> {
  refuseUnfinished(result);
  const { folder } = result;
  const [checkpoint, log] = [join(folder, BEST_CHECKPOINT), consoleLog()];
  const measured = await measureRun({ checkpoint, log, onProgress });
  const exported = target === undefined ? undefined : await exportModel({ checkpoint, measured, ...target });
  const reportPath = await writeReport({ model: folder, output: join(folder, REPORT_FILE), measured, log });
  return { measured, checkpoint, reportPath, exported };
}

/** The outcome for people. */
function outcomeText(
  { measured, checkpoint, reportPath, exported }: Outcome,
  target: Target | undefined,
): string {
  const lines = [`\n${reportText(measured.report)}`, `report ${reportPath}`];
  if (exported === undefined || target === undefined)
    return [...lines, `checkpoint ${checkpoint}`].join("\n");
  const models = absolute(target.savedModelPath);
  return [
    ...lines,
    `saved model ${exported}\n`,
    "serve it:",
    `  faceid serve --model_name ${target.modelName} --model_base_path ${models} --port 8500 --rest_api_port 8501`,
  ].join("\n");
}

/** The outcome for programs. */
function outcomeJson({ measured, checkpoint, reportPath, exported }: Outcome): string {
  const { report, calibration } = measured;
  return [
    jsonLine("measured", { ...report, calibration }),
    jsonLine("files", { checkpoint, report: reportPath, savedModel: exported }),
  ].join("");
}

/** The settings, with those of a recipe where it is named and nobody says otherwise. */
function resolveRecipe(
  flags: Record<string, unknown>,
): ReturnType<typeof resolveOptions<typeof trainSettings>> {
  const sources = { flags, everyKey: EVERY_SETTING };
  const settings = resolveOptions(trainSettings, sources);
  const { recipe, dataset } = settings;
  if (recipe === undefined) return settings;
  return resolveOptions(trainSettings, { ...sources, preset: recipeSettings(recipe, dataset) });
}

async function runCommand(flags: Record<string, unknown>): Promise<void> {
  const {
    resume: resumed,
    export: exporting,
    ...rest
  } = flags as { resume?: string | true; export: boolean };
  const settings = resolveRecipe(rest);
  const pick = (schema: { shape: object }) =>
    Object.fromEntries(Object.keys(schema.shape).map((key) => [key, settings[key as keyof typeof settings]]));
  const target = exporting ? (pick(modelSettings) as unknown as Target) : undefined;
  if (target !== undefined) await refuseTaken(target);
  const outside = new Set([...Object.keys(modelSettings.shape), ...Object.keys(runSettings.shape)]);
  const config = Object.fromEntries(
    Object.entries(settings).filter(([key]) => !outside.has(key)),
  ) as TrainConfig;

  using interrupt = onInterrupt(() =>
    console.error("\nstopping after this step; press Ctrl-C again to stop at once"),
  );
  const { progress, tensorboard } = settings;
  const common = {
    listeners: [commandProgress(progress), ...(tensorboard === undefined ? [] : [tensorBoard(tensorboard)])],
    log: consoleLog(),
    signal: interrupt.signal,
  };
  const trained = () => {
    if (resumed === undefined) return train({ ...common, config, folder: settings.output });
    const epochs = rest["epochs" as keyof typeof rest] === undefined ? {} : { epochs: settings.epochs };
    return resume(resumed === true ? settings.output : resumed, { ...common, ...epochs });
  };
  if (resumed === undefined) {
    refuseUnmeasured(config);
    await refuseOldRun(settings.output);
  }
  const outcome = await finish(
    await trained(),
    target,
    measureProgress(progress, progress === "json" ? process.stdout : process.stderr),
  );
  process.stdout.write(progress === "json" ? outcomeJson(outcome) : `${outcomeText(outcome, target)}\n`);
}

const recipesText = (): string =>
  ["", "Recipes:", ...RECIPE_NAMES.map((name) => `  ${name.padEnd(10)} ${RECIPES[name].summary}`)].join("\n");

export function trainCommand(): Command {
  const command = new Command("train").description(
    "train a verifier on a folder of people, measure and export it",
  );
  addOptions(command, trainSettings)
    .option("--resume [run]", "go on with a run, by default the one in --output")
    .option("--no-export", "keep the checkpoints only")
    .addHelpText("after", recipesText())
    .action((flags: Record<string, unknown>) => runCommand(flags));
  return command.addHelpText(
    "after",
    `\nSettings come from flags, then the environment, then .env, then the defaults above.\nExit code ${ERRORS.INTERRUPTED.exit} means interrupted, ${ERRORS.TRAINING_DIVERGED.exit} diverged.`,
  );
}
