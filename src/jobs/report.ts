/** @file Writes the report page of a run or an exported model: its figures, its training, its worst mistakes. */

import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { IMPORTED } from "../artifact/description.ts";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError, systemCode } from "../base/errors.ts";
import { checkTarget, readWhole, writeFileAtomic } from "../base/files.ts";
import { VERSION } from "../base/platform.ts";
import { isFaceError } from "../data/face-crop.ts";
import { type ImageRef, imageName, readPixels } from "../data/identity.ts";
import type { Pair } from "../data/pairs.ts";
import type { Learning, PicturedMistake, ReportContent, ReportedEpoch } from "../evaluate/report.ts";
import { reportHtml } from "../evaluate/report.ts";
import { type Mistake, worstMistakes } from "../evaluate/scores.ts";
import { decodeImage, encodeJpeg } from "../image/decode.ts";
import { describe } from "../model/description.ts";
import { modelConfigOf, settingsOf, trainConfigSchema } from "../train/config.ts";
import { RUN_LOG } from "../train/listeners.ts";
import type { DataConfig } from "../train/people.ts";
import type { OpenedModel } from "../verify/open-model.ts";
import {
  type EvaluateOptions,
  evaluateOptions,
  type Measurement,
  measureHeldOut,
  measureOptions,
  openMeasured,
} from "./evaluate.ts";
import { measureIdentified } from "./identification.ts";

export interface ReportOptions extends EvaluateOptions {
  /** A run's folder, a `.safetensors` file, a version's folder, the folder of the versions, or the name of a pack. */
  readonly model: string;
  /** The HTML file to write. */
  readonly output: string;
  /** Heading of the page; by default the model's path. */
  readonly title?: string | undefined;
  /** A measurement of this model; measured now when left out. */
  readonly measured?: Measurement;
  /** Shows the photographs of the most confident mistakes, so that the page contains faces. Default true. */
  readonly photos?: boolean;
  /** Measures searches among many people too. Default false. */
  readonly identification?: boolean;
}

/** Name of the page in a run's folder. */
export const REPORT_FILE = "report.html";

/** Mistakes shown of each kind. */
const MISTAKES = 8;
const JPEG_QUALITY = 82;

/** An image's caption: its path within the dataset. */
const placeOf = ({ datasetPath }: Pick<DataConfig, "datasetPath">, image: ImageRef): string =>
  image.kind === "file" && datasetPath !== undefined ? relative(datasetPath, image.path) : imageName(image);

async function picture(mistake: Mistake, pair: Pair, config: DataConfig): Promise<PicturedMistake> {
  const settings = settingsOf(config);
  // Where no face was found, the whole photograph shows why.
  const whole = (image: ImageRef) => (error: unknown) => {
    if (!(error instanceof FaceError && isFaceError(error.code) && image.kind === "file")) throw error;
    return decodeImage(image.path, settings);
  };
  const jpeg = async (image: ImageRef) =>
    encodeJpeg(
      await readPixels(image, settings).catch(whole(image)),
      settings.width,
      settings.height,
      JPEG_QUALITY,
    );
  const [left, right] = await Promise.all([jpeg(pair.left), jpeg(pair.right)]);
  return {
    score: mistake.score,
    same: mistake.same,
    left,
    right,
    captions: [placeOf(config, pair.left), placeOf(config, pair.right)],
  };
}

/** The worst decisions at the calibrated threshold, with their photographs. */
async function pictures(
  { scored, pairs, report }: Measurement,
  config: DataConfig,
): Promise<PicturedMistake[]> {
  const { falseAccepts, falseRejects } = worstMistakes(scored, report.calibrated?.threshold ?? 0.5, MISTAKES);
  return await Promise.all(
    [...falseAccepts, ...falseRejects].map((mistake) => picture(mistake, pairs[mistake.pair]!, config)),
  );
}

/**
 * The epochs of a run's log. A resumed run may log an epoch twice; the later record counts.
 * @returns an empty list without a log.
 */
async function loggedEpochs(runFolder: string): Promise<ReportedEpoch[]> {
  let text: string;
  try {
    text = String(await readWhole(join(runFolder, RUN_LOG)));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
  const epochs = new Map<number, ReportedEpoch>();
  for (const line of text.split("\n").filter((each) => each.startsWith('{"kind":"epoch"'))) {
    const record = JSON.parse(line) as ReportedEpoch & { epoch: number };
    epochs.set(record.epoch, record);
  }
  return [...epochs].toSorted(([a], [b]) => a - b).map(([, record]) => record);
}

/** Settings as readable text, without those that are not set. */
function settingsText(settings: Readonly<Record<string, unknown>>): Record<string, string> {
  const text = (name: string, value: unknown) =>
    Array.isArray(value) ? value.join(name === "imageShape" ? " × " : ", ") || "none" : String(value);
  return Object.fromEntries(
    Object.entries(settings)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, text(name, value)]),
  );
}

const learningSchema = z.object(
  trainConfigSchema.pick({ loss: true, sampling: true, photosPerPerson: true }).shape,
);

/** How a run was trained, if its settings are known. */
function learningOf(settings: Readonly<Record<string, unknown>> | undefined): { learning?: Learning } {
  const parsed = learningSchema.safeParse(settings);
  return parsed.success ? { learning: parsed.data } : {};
}

async function contentOf(opened: OpenedModel, options: ReportOptions): Promise<ReportContent> {
  const { model, title = model, photos = true } = options;
  const how = measureOptions(model, opened, options.data);
  const measured = options.measured ?? (await measureHeldOut(opened.verifier, { ...options, ...how }));
  const logged = opened.path.endsWith(".safetensors") ? await loggedEpochs(dirname(opened.path)) : [];
  return {
    title,
    made: `faceid ${VERSION}, ${new Date().toISOString().slice(0, 10)}`,
    ...(opened.network === undefined || opened.network === IMPORTED
      ? {}
      : { model: describe(modelConfigOf({ ...opened.config, model: opened.network })) }),
    ...(opened.settings === undefined ? {} : { settings: settingsText(opened.settings) }),
    epochs: logged.length === 0 ? opened.history : logged,
    ...learningOf(opened.settings),
    evaluation: measured,
    groups: measured.groups,
    ...(options.identification === true
      ? { identification: await measureIdentified(model, opened, { ...options, log: undefined }) }
      : {}),
    ...(photos ? { mistakes: await pictures(measured, how.config) } : {}),
  };
}

const reportOptions = z.strictObject({
  ...evaluateOptions,
  model: given.text,
  output: given.text,
  title: z.string().optional(),
  measured: given.other,
  photos: given.flag.optional(),
  identification: given.flag.optional(),
} satisfies Record<keyof ReportOptions, z.ZodType>);

/**
 * Writes the report page of a model: one HTML file that loads nothing else.
 * @returns the file's path.
 * @throws FaceError as opening and measuring the model do.
 */
export async function writeReport(options: ReportOptions): Promise<string> {
  checkOptions("writeReport", reportOptions, options);
  await checkTarget(options.output, "file");
  const opened = await openMeasured(options.model, options);
  await using _verifier = opened.verifier;
  await writeFileAtomic(options.output, reportHtml(await contentOf(opened, options)));
  return options.output;
}
