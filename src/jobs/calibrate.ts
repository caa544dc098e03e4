/** @file Chooses a model's thresholds on one's own people, and writes them as its next version or, for a pack, as a file. */
import { cp, readdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { writeCalibrationFile } from "../artifact/calibration-file.ts";
import { descriptionText, readDescription } from "../artifact/description.ts";
import { DESCRIPTION_FILE, versionsIn } from "../artifact/files.ts";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { publishFolder } from "../base/files.ts";
import { countText, silentLog } from "../base/log.ts";
import { Random } from "../base/random.ts";
import type { Identity } from "../data/identity.ts";
import type { Pair } from "../data/pairs.ts";
import { readPairs } from "../data/pairs-file.ts";
import { findPairs } from "../data/protocol.ts";
import { countPairs } from "../evaluate/scores.ts";
import { calibratePopulation, POPULATION_FARS, peopleNeeded, supportsFar } from "../evaluate/thresholds.ts";
import { packModelNamed } from "../faces/packs/catalogue.ts";
import { allPairs } from "../train/adapt.ts";
import { type DataConfig, openPeople } from "../train/people.ts";
import { packIdentity } from "../verify/face-comparer.ts";
import {
  type EvaluateOptions,
  evaluateOptions,
  isFresh,
  measureOptions,
  openMeasured,
  scoreChosen,
  warnLeftOut,
} from "./evaluate.ts";
import { withJournal } from "./measure-journal.ts";

/** Pairs of each kind, at most: those of two people support a rate of 1 in 10,000. */
const DEFAULT_PAIRS = 100_000;

export interface CalibrateOptions extends EvaluateOptions {
  /** LFW-style pairs.txt to choose thresholds on; all pairs of the people, up to a number, when left out. */
  readonly pairsFile?: string | undefined;
  /** Rates that are wanted. Default 0.1, 0.01, 0.001 and 0.0001. */
  readonly fars?: readonly number[] | undefined;
  /** The version's folder to write, or for a pack the file. Default: the next version, or `NAME-calibration.json`. */
  readonly output?: string | undefined;
}

/** What a wanted rate would take. */
export interface WantedRate {
  readonly far: number;
  /** Whether the people's pairs support it. */
  readonly supported: boolean;
  /** About how many people with as many photographs each, in all and beyond those that there are. */
  readonly people: number;
  readonly more: number;
}

export interface Calibrated {
  readonly calibration: CalibrationRecord;
  /** People with photographs that were compared. */
  readonly people: number;
  readonly photographs: number;
  readonly wanted: readonly WantedRate[];
  /** What was written. */
  readonly output: string;
}

/** The people whom the model was not trained on, or the pairs of a file. */
async function chosenPairs(
  config: DataConfig,
  { pairsFile, pairs = DEFAULT_PAIRS, log = silentLog }: CalibrateOptions,
  cut: Parameters<typeof openPeople>[2],
): Promise<{ pairs: Pair[]; people: readonly Identity[]; dataset: string }> {
  // Where the model was trained on none of them, there is nobody to keep apart.
  const held = isFresh(config) ? { ...config, validationFraction: 0, testFraction: 1 } : config;
  const { dataset, split } = await openPeople(held, log, { ...cut, leastTrained: 0 });
  warnLeftOut(dataset, log);
  const { name } = dataset;
  if (pairsFile !== undefined) {
    const file = await readPairs(pairsFile);
    const { folds, missing } = findPairs(file, dataset.identities, dataset.path);
    for (const line of [...file.remarks, ...missing]) log.warn(line);
    return { pairs: folds.flat(), people: dataset.identities, dataset: name };
  }
  const people = [...split.validation, ...split.test];
  const random = new Random(config.seed).fork("calibration");
  return { pairs: allPairs(people, pairs, random), people, dataset: name };
}

/** The next version beside a version's folder, or the one that is wanted. */
async function versionFolder(folder: string, output: string | undefined): Promise<string> {
  const wanted =
    output ??
    join(dirname(folder), String(Math.max(0, ...versionsIn(await readdir(dirname(folder))).map(Number)) + 1));
  const isTaken = await stat(wanted).then(
    () => true,
    () => false,
  );
  if (!isTaken) return wanted;
  throw new FaceError("CONFIG_INVALID", `${wanted} exists already`, {
    hint: "choose another --output, or leave it out for the next version",
  });
}

/** A copy of a version with another record, published as a whole. */
async function writeVersion(folder: string, output: string, calibration: CalibrationRecord): Promise<void> {
  const description = await readDescription(folder);
  if (description === undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `${folder} has no description that could hold a calibration`, {
      hint: "calibrate a version that `faceid train` or `faceid export` wrote",
    });
  }
  const version = Number(/(\d+)\/*$/.exec(output)?.[1] ?? description.version + 1);
  await publishFolder(output, async (temporary) => {
    await cp(folder, temporary, { recursive: true });
    await writeFile(
      join(temporary, DESCRIPTION_FILE),
      descriptionText({ ...description, version, calibration }),
    );
  });
}

const calibrateOptions = z.strictObject({
  ...evaluateOptions,
  pairsFile: given.text.optional(),
  fars: z.array(given.far).optional(),
  output: given.text.optional(),
} satisfies Record<keyof CalibrateOptions, z.ZodType>);

/**
 * Measures a model on people of one's own and writes a new calibration record: for an exported model a new version, for a
 * model pack a file that `verify --calibration` takes.
 * @param model a version's folder, the folder of the versions, or the name of a pack.
 * @throws FaceError as `evaluate`; `CONFIG_INVALID` when the output exists; `MODEL_UNSUPPORTED` for a checkpoint, which has
 *   no record.
 */
export async function calibrateModel(model: string, options: CalibrateOptions = {}): Promise<Calibrated> {
  checkPath("calibrate, the model", model);
  checkOptions("calibrate", calibrateOptions, options);
  const opened = await openMeasured(model, options);
  await using _verifier = opened.verifier;
  const { pack, path } = opened;
  if (path.endsWith(".safetensors")) {
    throw new FaceError("MODEL_UNSUPPORTED", `${path} is a checkpoint, which holds no thresholds`, {
      hint: "export it first: faceid export",
    });
  }
  const output =
    pack === undefined
      ? await versionFolder(path, options.output)
      : (options.output ?? `${pack}-calibration.json`);
  const how = measureOptions(model, opened, options.data);
  const { pairs, people, dataset } = await chosenPairs(how.config, options, {
    framing: how.framing,
    mode: how.mode,
    trained: how.trained,
  });
  const scored = await withJournal(opened, options.log, (verifier) =>
    scoreChosen(verifier, pairs, { ...options, ...how }),
  );
  const images = new Set(scored.pairs.flatMap(({ left, right }) => [left.index, right.index]));
  const compared = people.filter((person) => person.images.some(({ index }) => images.has(index)));
  const { fars = POPULATION_FARS } = options;
  const calibration = calibratePopulation(scored, { dataset, people: `${compared.length} people` }, fars);
  if (pack === undefined) await writeVersion(path, output, calibration);
  else {
    const named = packModelNamed(pack)!;
    const { digest } = packIdentity(named);
    await writeCalibrationFile(output, { model: pack, digest, calibration });
  }
  const { negatives, positives } = countPairs(scored);
  const each = images.size / Math.max(1, compared.length);
  const wanted = fars.map((far) => {
    const needed = peopleNeeded(far, each);
    const supported = supportsFar(negatives, far);
    return { far, supported, people: needed, more: supported ? 0 : Math.max(1, needed - compared.length) };
  });
  if (!wanted.some(({ supported }) => supported)) {
    options.log?.warn(
      `${countText(positives + negatives)} pairs are too few for any of these rates: ${output} knows one threshold, which may be far off; keep the earlier thresholds until there are more people`,
    );
  }
  return { calibration, people: compared.length, photographs: images.size, wanted, output };
}
