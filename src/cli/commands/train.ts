/** @file `faceid train`: trains a verifier, measures it, exports it. */

import { existsSync } from "node:fs";
import { resolve as absolute, join } from "node:path";
import { type Command, Help } from "commander";
import { ERRORS } from "../../base/errors.ts";
import { checkTarget } from "../../base/files.ts";
import { counted, countText, shown } from "../../base/log.ts";
import { reportText } from "../../evaluate/report-text.ts";
import type { ExportTarget } from "../../jobs/export.ts";
import type * as TrainJob from "../../jobs/train.ts";
import type { TrainOutcome } from "../../jobs/train.ts";
import type { Fit, FitChoice, FitTrial, Tuning } from "../../train/choose-fit.ts";
import type { TrainConfig } from "../../train/config.ts";
import type { TrainListener } from "../../train/listeners.ts";
import { RECIPE_NAMES, RECIPES, recipeOf, recipeSettings } from "../../train/recipes.ts";
import type { StartSummary } from "../../train/start-summary.ts";
import { addOptions, givenOptions, resolveOptions } from "../options.ts";
import { asTyped, commandText, consoleLog, onInterrupt } from "../process.ts";
import { commandProgress, durationText, jsonLine, measureProgress, type ProgressStyle } from "../progress.ts";
import { EVERY_SETTING, modelSettings, runSettings, trainSettings } from "../settings.ts";
import { COMMAND_NAMES } from "../summaries.ts";
import { wrapped } from "../terminal.ts";

const FITS = {
  none: "nothing was fitted: the model decides by the cosine of the pretrained embeddings",
  cosine: "a projection was fitted, and the cosine of what it gives decides",
  dense: "a projection and the head's two dense layers were fitted",
} as const;

/** What an adaptation chose, and why. */
function choiceText({ folds, people, trials, chosen }: FitChoice): string {
  const kind = chosen.projection === undefined ? "none" : chosen.head;
  if (folds === 0) {
    const few = people === 0 ? "there are too few people" : `${countText(people)} people are too few`;
    return `${FITS[kind]}, since ${few} to fit to and to check on`;
  }
  const [plain, ...others] = trials;
  const of = (fit: Fit) =>
    trials.find((trial) => trial.fit.head === fit.head && trial.fit.projection === fit.projection) ?? plain!;
  const shown = kind === "none" ? others.reduce((a, b) => (b.loss < a.loss ? b : a)) : of(chosen);
  const percent = (rate: number) => `${(100 * rate).toFixed(2)} %`;
  const figures = `on people held out in turn (${countText(people)} in ${folds} folds) the best fit has a loss of ${shown.loss.toFixed(4)} and an equal error rate of ${percent(shown.eer)}, the plain cosine ${plain!.loss.toFixed(4)} and ${percent(plain!.eer)}`;
  return `${FITS[kind]}; ${figures}${kind === "none" ? ", so the cosine stays" : ""}`;
}

/** Whether the network that was trained further is kept, and why. */
function tuningText({ folds, people, plain, tuned, isKept }: Tuning): string {
  const percent = (rate: number) => `${(100 * rate).toFixed(2)} %`;
  const of = ({ loss, eer }: FitTrial) =>
    `a loss of ${loss.toFixed(4)} and an equal error rate of ${percent(eer)}`;
  const figures = `on people held out (${countText(people)} in ${folds} parts) it has ${of(tuned)}, the plain cosine before ${of(plain)}`;
  return isKept
    ? `all of the network was trained further; ${figures}`
    : `all of the network was trained further, but not better; ${figures}, so the network stays as it was and is adapted`;
}

/** The outcome for people. */
function outcomeText(
  { measured, choice, tuning, checkpoint, reportPath, exported }: TrainOutcome,
  target: ExportTarget | undefined,
  faces: Settings["faces"],
): string {
  const lines = [
    ...(tuning === undefined ? [] : [`\n${tuningText(tuning)}`]),
    ...(choice === undefined ? [] : [`\n${choiceText(choice)}`]),
    `\n${reportText(measured.report)}`,
    `report ${reportPath}`,
  ];
  if (exported === undefined || target === undefined)
    return [...lines, `checkpoint ${checkpoint}`].join("\n");
  const models = absolute(target.savedModelPath);
  // A model of aligned faces takes whole photographs only where the server finds the faces.
  const detector = faces === "align" ? ["--pack", "opencv-sface"] : [];
  return [
    ...lines,
    `saved model ${exported}\n`,
    "serve it:",
    `  ${commandText("serve", "--model_name", target.modelName, "--model_base_path", models, ...detector, "--port", "8500", "--rest_api_port", "8501")}`,
  ].join("\n");
}

/** The outcome for programs. */
function outcomeJson({ measured, choice, tuning, checkpoint, reportPath, exported }: TrainOutcome): string {
  const { report, calibration } = measured;
  return [
    ...(tuning === undefined ? [] : [jsonLine("finetuned", tuning)]),
    ...(choice === undefined ? [] : [jsonLine("adapted", choice)]),
    jsonLine("measured", { ...report, calibration }),
    jsonLine("files", { checkpoint, report: reportPath, savedModel: exported }),
  ].join("");
}

type Settings = ReturnType<typeof resolveOptions<typeof trainSettings>>;

/** The settings, with those of a recipe as defaults if one is named. */
function resolveRecipe(flags: Record<string, unknown>): Settings {
  const sources = { flags, everyKey: EVERY_SETTING };
  const settings = resolveOptions(trainSettings, sources);
  const recipe = recipeOf(settings);
  const { dataset } = settings;
  if (recipe === undefined) return settings;
  // Before the recipe is known, `faces` has its default, whether somebody said so or not.
  const { faces: said } = givenOptions(trainSettings, sources);
  return resolveOptions(trainSettings, { ...sources, preset: recipeSettings(recipe, dataset, said) });
}

/** The settings without those of the run and of the exported model. */
function trainConfigOf(settings: Settings): TrainConfig {
  const outside = new Set([...Object.keys(modelSettings.shape), ...Object.keys(runSettings.shape)]);
  return Object.fromEntries(Object.entries(settings).filter(([key]) => !outside.has(key))) as TrainConfig;
}

/** What is about to happen, for people. */
export function startText(summary: StartSummary, folder: string, target: ExportTarget | undefined): string {
  const { path, dataset, people, photographs, split, excluded, network, parameters } = summary;
  const kept = excluded === 0 ? "" : `, ${countText(excluded)} kept out by --exclude-pairs`;
  const unused = summary.leftOut.reduce((sum, { count }) => sum + count, 0);
  const rows = [
    [
      "found",
      `${counted(people, "person", "people")}, ${counted(photographs, "photograph")} in ${shown(path ?? dataset)}`,
    ],
    [
      "left out",
      unused === 0
        ? "nothing"
        : `${counted(unused, "file or folder", "files or folders")} (${commandText("dataset", "info", ...(path === undefined ? [] : ["--dataset-path", path]))} lists them)`,
    ],
    [
      "people",
      `${countText(split.train)} to train on, ${countText(split.validation)} for thresholds, ${countText(split.test)} to measure on${kept}`,
    ],
    [
      "network",
      `${network}, ${countText(parameters)} parameters, ${summary.frozen ? "kept as they are" : `trained for ${counted(summary.epochs, "epoch")} of ${countText(summary.datasetSize)} pairs or images`}`,
    ],
    ["run", folder],
    [
      "model",
      target === undefined
        ? "not exported"
        : `${target.savedModelPath}/${target.modelVersion}, called ${target.modelName}`,
    ],
  ] as const;
  return [
    ...rows.map(([name, value]) => `${name.padEnd(9)}${value}`),
    ...summary.warnings.map((warning) => `warning: ${shown(asTyped(warning, COMMAND_NAMES))}`),
  ].join("\n");
}

/** Steps after which the speed is known well enough. */
const TIMED_STEPS = 5;

/** Says once how long the run will take, where no bar shows it. */
function expectedTime(style: ProgressStyle | undefined): TrainListener {
  let left = TIMED_STEPS;
  let seconds = 0;
  let totalSteps = 0;
  let batchSize = 1;
  return {
    onRunStart({ config, stepsPerEpoch }) {
      totalSteps = stepsPerEpoch * config.epochs;
      batchSize = config.batchSize;
    },
    onStep({ step, pairsPerSecond }) {
      if (left === 0 || style === "json" || (style !== "plain" && process.stderr.isTTY === true)) return;
      seconds += batchSize / pairsPerSecond / TIMED_STEPS;
      if (--left > 0 || totalSteps - step < TIMED_STEPS) return;
      process.stderr.write(`about ${durationText((totalSteps - step) * seconds)} to train\n`);
    },
  };
}

/** Where the model goes: what flags say now, else what the run was first asked for, else the settings. */
async function targetOf(
  { recordedTarget }: typeof TrainJob,
  flags: Record<string, unknown>,
  resumed: string | undefined,
  exporting: boolean,
  { savedModelPath, modelName, modelVersion, weights }: ExportTarget,
): Promise<ExportTarget | undefined> {
  if (!exporting) return undefined;
  const recorded = resumed === undefined ? undefined : await recordedTarget(resumed);
  const isSaid = (key: string) => flags[key] !== undefined;
  if (recorded === null && !Object.keys(modelSettings.shape).some(isSaid)) return undefined;
  return {
    savedModelPath: isSaid("savedModelPath") ? savedModelPath : (recorded?.savedModelPath ?? savedModelPath),
    modelName: isSaid("modelName") ? modelName : (recorded?.modelName ?? modelName),
    modelVersion: isSaid("modelVersion") ? modelVersion : (recorded?.modelVersion ?? modelVersion),
    weights: isSaid("weights") ? weights : (recorded?.weights ?? weights),
  };
}

/** Whether steps are being done, after which a checkpoint is worth waiting for. */
function trainingWatch(): { readonly isTraining: () => boolean; readonly listener: TrainListener } {
  let training = false;
  const set = (value: boolean) => () => {
    training = value;
  };
  return { isTraining: () => training, listener: { onStep: set(true), onRunEnd: set(false) } };
}

/** What a run that ends at once leaves, and how to go on. */
function keptText(
  { keptCheckpoint }: typeof TrainJob,
  folder: string,
  target: ExportTarget | undefined,
): string {
  const version = target && join(target.savedModelPath, String(target.modelVersion));
  if (version !== undefined && existsSync(version)) return `the model is in ${version}, the run in ${folder}`;
  const checkpoint = keptCheckpoint(folder);
  return checkpoint === undefined
    ? "no checkpoint was written yet; start the same command again"
    : `the state is in ${checkpoint}\n  continue with: ${commandText("train", "--resume", folder)}`;
}

interface Flags {
  readonly resume?: string | true;
  readonly export: boolean;
}

async function run({ resume, export: exporting, ...flags }: Flags & Record<string, unknown>): Promise<void> {
  const settings = resolveRecipe(flags);
  const { progress, tensorboard } = settings;
  const folder = typeof resume === "string" ? resume : settings.output;
  const job = await import("../../jobs/train.ts");
  const target = await targetOf(job, flags, resume === undefined ? undefined : folder, exporting, settings);
  if (tensorboard !== undefined) await checkTarget(tensorboard, "folder");
  const board =
    tensorboard === undefined ? [] : [(await import("../../jobs/tensorboard.ts")).tensorBoard(tensorboard)];
  const watched = trainingWatch();
  using interrupt = onInterrupt(
    () => console.error("\nstopping after this step; press Ctrl-C again to stop at once"),
    {
      patience: () => (watched.isTraining() ? Number.POSITIVE_INFINITY : 0),
      kept: () => keptText(job, folder, target),
    },
  );
  const outcome = await job.trainAndExport({
    config: trainConfigOf(settings),
    folder,
    command: ["faceid", ...process.argv.slice(2)],
    onStart: (summary) => {
      if (progress === "json") process.stdout.write(jsonLine("data", { ...summary, run: folder, target }));
      else process.stderr.write(`${wrapped(startText(summary, folder, target), process.stderr)}\n`);
    },
    resume: resume !== undefined,
    epochs: flags.epochs === undefined ? undefined : settings.epochs,
    target,
    listeners: [commandProgress(progress), expectedTime(progress), watched.listener, ...board],
    log: consoleLog(),
    signal: interrupt.signal,
    onProgress: measureProgress(progress, progress === "json" ? process.stdout : process.stderr),
  });
  process.stdout.write(
    progress === "json"
      ? outcomeJson(outcome)
      : `${wrapped(outcomeText(outcome, target, settings.faces), process.stdout)}\n`,
  );
}

const boxed = (text: string) => new Help().boxWrap(text, 66).replaceAll("\n", `\n${" ".repeat(13)}`);

const HELP = `
Recipes:
${RECIPE_NAMES.map((name) => `  ${name.padEnd(10)} ${boxed(RECIPES[name].summary)}`).join("\n")}

Settings come from flags, then the environment, then .env, then the defaults
above.
Exit codes ${ERRORS.INTERRUPTED.exit} (Ctrl-C) and 143 (SIGTERM) mean interrupted, ${ERRORS.TRAINING_DIVERGED.exit} diverged.`;

export function trainCommand(command: Command): Command {
  return addOptions(command, trainSettings)
    .option("--resume [run]", "continue a run, by default the one in --output")
    .option("--no-export", "keep the checkpoints only")
    .addHelpText("after", HELP)
    .action(run);
}
