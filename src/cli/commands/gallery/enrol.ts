/** @file `faceid gallery create`, `enrol` and `add`: people and their faces go into a gallery. */

import { existsSync } from "node:fs";
import { basename } from "node:path";
import { Command, Option } from "commander";
import { scoreText } from "../../../artifact/rates.ts";
import { FaceError } from "../../../base/errors.ts";
import { checkTarget } from "../../../base/files.ts";
import { counted, countText, shown } from "../../../base/log.ts";
import { isLoss, kindByName, leftOutText } from "../../../data/left-out.ts";
import { FACE_CHOICES, type FaceChoice } from "../../../faces/choose.ts";
import { isServerAddress } from "../../../gallery/database.ts";
import type { Consent } from "../../../gallery/people.ts";
import { createGallery } from "../../../jobs/gallery.ts";
import {
  type EnrolledPhoto,
  type EnrolOptions,
  type EnrolSummary,
  enrolPeople,
  enrolPhotos,
  nobodyEnrolled,
  peopleIn,
} from "../../../jobs/gallery-enrol.ts";
import { isFolder } from "../../../jobs/photos-in.ts";
import { shellWord } from "../../process.ts";
import {
  AFTER_PHOTOGRAPH,
  continuing,
  type GalleryFlags,
  type JobContext,
  jobContext,
  print,
  unusedIndexLines,
} from "./common.ts";

interface EnrolFlags extends GalleryFlags {
  readonly face: FaceChoice;
  readonly strict?: true;
  readonly keepPhotos?: true;
  readonly consent?: string;
  readonly consentGiven?: Date;
  readonly expires?: Date;
}

const MODEL_HELP = "a model pack or an exported model's folder (default: the gallery's)";

async function create(flags: GalleryFlags): Promise<void> {
  using context = jobContext(flags);
  if (!isServerAddress(flags.gallery)) await checkTarget(flags.gallery, "folder");
  await using opened = await createGallery(context.options);
  const { gallery } = opened;
  const { name, address, model, isNew } = gallery;
  const where = `gallery ${name} in ${address}, for the model ${model.name}`;
  const { people, faces } = await gallery.counts();
  print(flags, { gallery: name, address, model, isNew }, () =>
    isNew
      ? `made the ${where}`
      : `there was a ${where}: ${counted(people, "person", "people")}, ${counted(faces, "face")}; it is as it was`,
  );
}

function percentLeft(done: number, total: number): string {
  return `${countText(done)} of ${countText(total)} photographs (${Math.floor((100 * done) / total)} %)`;
}

/** How photographs are enrolled, from flags. */
function enrolOptions(
  flags: EnrolFlags,
  { line, options }: JobContext,
): EnrolOptions & { consent?: Consent; expiresAt?: Date } {
  const { face, strict, keepPhotos, consent, consentGiven, expires } = flags;
  if (consent === undefined && consentGiven !== undefined) {
    throw new FaceError("CONFIG_INVALID", "--consent-given says when, but not how", {
      hint: 'add --consent, such as --consent "signed form"',
    });
  }
  return {
    face,
    strict,
    keepPhotos,
    ...(consent === undefined
      ? {}
      : { consent: { given: (consentGiven ?? new Date()).toISOString(), how: consent } }),
    ...(expires === undefined ? {} : { expiresAt: expires }),
    signal: options.signal,
    onBuild: options.onBuild,
    onPhoto: (photo: EnrolledPhoto, done, total) => {
      if (photo.state === "left out") line.say(`left out: ${photo.error.message}`);
      line.show(percentLeft(done, total));
    },
  };
}

function summaryText(summary: EnrolSummary): string {
  const { people, enrolled, known, leftOut, unused, remarks, resemblances, unlike, index } = summary;
  return [
    `${counted(enrolled, "photograph")} of ${counted(people, "person", "people")} enrolled`,
    ...(known === 0 ? [] : [`${countText(known)} were in the gallery already`]),
    ...(leftOut.length === 0 ? [] : [`${countText(leftOut.length)} left out, as said above`]),
    ...unused.filter(isLoss).map((each) => `left out: ${leftOutText(each)}`),
    ...remarks.map((remark) => `warning: ${remark}`),
    ...unlike.map(
      ({ image, person, similarity, closest, threshold }) =>
        `warning: ${image} does not look like the other photographs of ${person} (similarity ${scoreText(similarity)} to ${closest ?? "the nearest"}, one person has ${scoreText(threshold)} or more): two people under one name, or a wrong name`,
    ),
    ...resemblances.map(
      ({ image, person, resembles }) =>
        `warning: ${image} of ${person} looks like ${resembles.person} (similarity ${scoreText(resembles.similarity)}): one person under two names, a wrong name, or people who look alike`,
    ),
    ...unusedIndexLines(index),
  ].join("\n");
}

function summaryObject({ leftOut, resemblances, ...rest }: EnrolSummary): object {
  return {
    ...rest,
    leftOut: leftOut.map(({ image, person, error: { code, message } }) => ({
      image,
      person,
      error: { code, message },
    })),
    resemblances: resemblances.map(({ image, person, resembles }) => ({ image, person, resembles })),
  };
}

async function enrol(folder: string, flags: EnrolFlags): Promise<void> {
  if (existsSync(folder) && isPhotoName(folder) && !(await isFolder(folder))) {
    throw new FaceError("CONFIG_INVALID", `${folder} is a photograph, a folder is wanted`, {
      hint: `enrol it with the person's name: faceid gallery add NAME ${shellWord(folder)}`,
    });
  }
  using context = jobContext(flags, { goesOn: true, after: AFTER_PHOTOGRAPH });
  const options = enrolOptions(flags, context);
  const found = await peopleIn(folder);
  const summary = await continuing(async () => {
    await using opened = await createGallery(context.options);
    return await enrolPeople(opened, found, options);
  });
  context.line[Symbol.dispose]();
  print(flags, summaryObject(summary), () =>
    [summaryText(summary), ...doubtfulCount(summary.doubtful)].join("\n"),
  );
  failWithNothing(summary);
}

type Doubtful = EnrolSummary["doubtful"][number];

/** Which of several faces was enrolled, and what makes it doubtful. */
function doubtfulLines({ image, faces, box, warnings }: Doubtful): string[] {
  const [x, y, width, height] = (box ?? []).map(Math.round);
  return [
    ...(faces > 1 && box !== undefined
      ? [
          `${shown(image)}: of ${countText(faces)} faces, the one at ${x},${y} of ${width}x${height} pixels was enrolled; --face chooses another`,
        ]
      : []),
    ...warnings.map((warning) => `warning: ${shown(image)}: ${warning}`),
  ];
}

/** The same for the photographs of a folder, of which there may be thousands. */
function doubtfulCount(doubtful: readonly Doubtful[]): string[] {
  const warned = doubtful.filter(({ warnings }) => warnings.length > 0);
  const [first] = warned;
  if (first === undefined) return [];
  return [
    `warning: ${counted(warned.length, "photograph")} enrolled with a doubtful face, such as ${shown(first.image)}: ${first.warnings[0]}; --json lists them, --strict leaves out those of doubtful quality`,
  ];
}

const isPhotoName = (path: string) => kindByName(basename(path)) === "photograph";

/**
 * Refuses a photograph in the place of the name: a person of that name would be made, with what comes behind it as photographs.
 * @throws FaceError `CONFIG_INVALID`.
 */
function requireName(name: string, photos: readonly string[]): void {
  const missing = photos.filter((path) => !existsSync(path));
  const meant = missing.find((path) => !isPhotoName(path));
  const isThere = existsSync(name);
  // People may have folders of their names here, so a folder says nothing alone.
  const isSwapped = isPhotoName(name) ? isThere || missing.length > 0 : isThere && meant !== undefined;
  if (!isSwapped) return;
  const rest = photos.filter((path) => path !== meant);
  throw new FaceError(
    "CONFIG_INVALID",
    `the person's name comes first: got ${JSON.stringify(name)}, which is ${isPhotoName(name) ? "a photograph" : "a file or folder"}`,
    {
      hint: ["faceid gallery add", ...[meant ?? "NAME", name, ...rest].map((word) => shellWord(word))].join(
        " ",
      ),
    },
  );
}

async function add(name: string, photos: readonly string[], flags: EnrolFlags): Promise<void> {
  requireName(name, photos);
  using context = jobContext(flags, { goesOn: true, after: AFTER_PHOTOGRAPH });
  const options = enrolOptions(flags, context);
  const summary = await continuing(async () => {
    const none = await nobodyEnrolled(name, photos, options);
    if (none !== undefined) return none;
    await using opened = await createGallery(context.options);
    return await enrolPhotos(opened, name, photos, options);
  });
  context.line[Symbol.dispose]();
  print(flags, summaryObject(summary), () =>
    [...summary.doubtful.flatMap(doubtfulLines), summaryText(summary)].join("\n"),
  );
  failWithNothing(summary);
}

/** A script must notice that nothing of what it gave is in the gallery. */
function failWithNothing({ enrolled, known, leftOut }: EnrolSummary): void {
  if (enrolled + known === 0) process.exitCode = leftOut[0]?.error.exitCode ?? 0;
}

/** A day that the calendar has; Date takes 31 February for 3 March. */
function isDay(text: string): boolean {
  const day = /^\d{4}-\d{2}-\d{2}/.exec(text)?.[0];
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day!);
}

/** Today begins earlier in the east than the day of a date without a time. */
const DAY_MS = 86_400_000;

/** Reads a date or a time of a flag, which lies in the future or not. */
const parseDate = (flag: string, isFuture: boolean) => (text: string) => {
  const date = new Date(text);
  if (!isDay(text) || Number.isNaN(date.getTime())) {
    const wanted = `expected a date such as ${isFuture ? "2030-12-31" : "2026-11-30"}`;
    throw new FaceError("CONFIG_INVALID", `${flag}: got ${JSON.stringify(text)}, ${wanted}`);
  }
  if (date.getTime() > Date.now() + (isFuture ? 0 : DAY_MS) === isFuture) return date;
  throw new FaceError("CONFIG_INVALID", `${flag}: ${text} lies in the ${isFuture ? "past" : "future"}`, {
    hint: isFuture
      ? "give the day from which on the person is no longer found"
      : "give the day when they agreed",
  });
};

/** @param who whom consent and expiry are said of. */
function addEnrolOptions(command: Command, who: string): Command {
  return command
    .option("--model <name|folder>", MODEL_HELP)
    .addOption(
      new Option("--face <choice>", "which face is meant where there are several")
        .choices(FACE_CHOICES)
        .default("largest"),
    )
    .option("--strict", "leave out faces that are small, blurred, turned away or cut off")
    .option("--keep-photos", "keep the photographs too, so that another model can read them")
    .option("--consent <how>", `how ${who} agreed, such as a signed form`)
    .option("--consent-given <date>", "when they did (default now)", parseDate("--consent-given", false))
    .option("--expires <date>", `from when on ${who} is no longer found`, parseDate("--expires", true));
}

export function enrolCommands(): Command[] {
  return [
    new Command("create")
      .description("make an empty gallery")
      .option("--model <name|folder>", MODEL_HELP)
      .action(create),
    addEnrolOptions(
      new Command("enrol")
        .alias("enroll")
        .description("enrol a folder of people, one folder each")
        .argument("<folder>", "the folder"),
      "each new person",
    ).action(enrol),
    addEnrolOptions(
      new Command("add")
        .description("enrol photographs of one person")
        .argument("<name>", "the person")
        .argument("<photos...>", "photographs"),
      "the person",
    ).action(add),
  ];
}
