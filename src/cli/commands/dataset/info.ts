/** @file `faceid dataset info`: counts the people and images of a dataset, what is left out, unreadable files and equal ones. */
import { dirname } from "node:path";
import { Command } from "commander";
import { FaceError } from "../../../base/errors.ts";
import { counted, countText, reasonOf, shown } from "../../../base/log.ts";
import { type Dataset, openConfigured } from "../../../data/dataset.ts";
import { findDatasetFaces, type LeftOutPhoto, withFaces } from "../../../data/dataset-faces.ts";
import { type Duplicate, type Duplicates, findDuplicates } from "../../../data/duplicates.ts";
import { leftOutText } from "../../../data/left-out.ts";
import { findUnreadable, type Survey, surveyDataset, type Unreadable } from "../../../data/survey.ts";
import { trainConfigSchema } from "../../../train/config.ts";
import { TRAINED_FRAMING } from "../../../train/people.ts";
import { addOptions, resolveOptions } from "../../options.ts";
import { consoleLog, onInterrupt, STOPPING_MS, say } from "../../process.ts";
import { StatusLine } from "../../progress.ts";
import { EVERY_SETTING, peopleOf, peopleSettings, sizeOf, sizeSettings } from "../../settings.ts";

interface Flags {
  readonly check: boolean;
  readonly json?: true;
  readonly strict?: true;
}

/** Files of one kind that the text names; `--json` lists all. */
const NAMED = 20;

/** Lines for a list, the first of them only. */
function namedLines<T>(list: readonly T[], line: (item: T) => string): string[] {
  const more = list.length - NAMED;
  return [
    ...list.slice(0, NAMED).map((item) => `  ${shown(line(item))}`),
    ...(more > 0 ? [`  and ${countText(more)} more; --json lists them all`] : []),
  ];
}

/** Equal photographs of two people, by the two. */
function byPeople(list: readonly Duplicate[]): (readonly [Duplicate, ...Duplicate[]])[] {
  const groups = new Map<string, [Duplicate, ...Duplicate[]]>();
  for (const each of list) {
    const key = [each.path, each.original]
      .map((path) => dirname(path))
      .sort()
      .join("\n");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [each]);
    else group.push(each);
  }
  return [...groups.values()];
}

/** Settings of which faces are looked for. */
const faceSettings = trainConfigSchema.pick({ faces: true, face: true });

/** Photographs in which no face was found, or several where one was wanted; undefined where nobody looked. */
async function facesNotFound(
  dataset: Dataset,
  flags: Readonly<Record<string, unknown>>,
  line: StatusLine,
  signal: AbortSignal,
): Promise<readonly LeftOutPhoto[] | undefined> {
  const { faces, face } = resolveOptions(faceSettings, { flags, everyKey: EVERY_SETTING });
  if (faces === "none") return undefined;
  const log = consoleLog({ quiet: true });
  const { identities } = await withFaces(dataset, { framing: TRAINED_FRAMING, choice: face }, log);
  const found = await findDatasetFaces(identities, {
    settings: sizeOf(flags),
    log,
    signal,
    onProgress: (done, total) =>
      line.show(`looking for the faces of ${countText(done)} of ${countText(total)} photographs`),
  });
  return found.facesNotFound;
}

/** What a closer look at the files found; undefined where there was none. */
interface Checked {
  readonly unreadable: readonly Unreadable[] | undefined;
  readonly duplicates: Duplicates | undefined;
  readonly withoutFace: readonly LeftOutPhoto[] | undefined;
}

function surveyText(survey: Survey, { unreadable, duplicates, withoutFace }: Checked): string {
  const { least, median, mean, most } = survey.imagesPerIdentity;
  const { leftOut, remarks } = survey;
  const row = (name: string, value: unknown) => `${name.padEnd(21)}${value}`;
  const checked = (list: readonly unknown[] | undefined) => list?.length ?? "not checked";
  const equal = ({ path, original }: Duplicate) => `${path} = ${original}`;
  return [
    row("dataset", shown(survey.name)),
    row("layout", survey.layout),
    row("identities", survey.identities),
    row("images", survey.images),
    row("images per identity", `${least} to ${most}, median ${median}, mean ${mean.toFixed(2)}`),
    row(
      "with two or more",
      `${survey.pairable}, giving ${counted(survey.positivePairs, "pair")} of one person`,
    ),
    row(
      "left out",
      leftOut.reduce((sum, { count }) => sum + count, 0),
    ),
    ...leftOut.map(leftOutText).map((line) => `  ${line}`),
    row("unreadable files", checked(unreadable)),
    ...namedLines(unreadable ?? [], reasonOf),
    row("equal, one person", checked(duplicates?.ofOnePerson)),
    ...namedLines(duplicates?.ofOnePerson ?? [], equal),
    row("equal, two people", checked(duplicates?.ofTwoPeople)),
    ...namedLines(byPeople(duplicates?.ofTwoPeople ?? []), ([first, ...more]) =>
      more.length === 0
        ? equal(first)
        : `${equal(first)}, and ${countText(more.length)} more of the same two people`,
    ),
    ...(withoutFace === undefined ? [] : [row("faces not found", withoutFace.length)]),
    ...namedLines(withoutFace ?? [], ({ path, reason }) => `${shown(path)}: ${reason}`),
    ...remarks.map((remark) => `note: ${shown(remark)}`),
  ].join("\n");
}

async function info({ check, json, strict, ...rest }: Flags & Record<string, unknown>): Promise<void> {
  const { faces, face, imageShape, ...people } = rest;
  const dataset = await openConfigured(peopleOf(people));
  const survey = surveyDataset(dataset);
  using line = new StatusLine();
  using interrupt = onInterrupt(() => undefined, { patience: () => STOPPING_MS });
  const onProgress = (tried: number) =>
    line.show(`reading ${countText(tried)} of ${countText(survey.images)} images`);
  const unreadable = check
    ? await findUnreadable(dataset, { onProgress, signal: interrupt.signal })
    : undefined;
  line.show("looking for equal photographs");
  const duplicates = check ? await findDuplicates(dataset, interrupt.signal) : undefined;
  const withoutFace = await facesNotFound(dataset, { faces, face, imageShape }, line, interrupt.signal);
  line[Symbol.dispose]();
  if (json === true) {
    const about = { ...survey, unreadable, duplicates, facesNotFound: withoutFace?.length, withoutFace };
    console.log(JSON.stringify(about));
  } else say(surveyText(survey, { unreadable, duplicates, withoutFace }));
  if (strict === true && unreadable !== undefined && unreadable.length > 0) {
    throw new FaceError(
      "IMAGE_UNREADABLE",
      `${countText(unreadable.length)} of ${countText(survey.images)} images cannot be read`,
      {
        hint: "remove or replace these files",
      },
    );
  }
}

export function infoCommand(): Command {
  const command = new Command("info")
    .description("count a dataset's people and images, and decode and compare all files")
    .option("--no-check", "count only, without reading the files")
    .option("--strict", "fail when a file cannot be read")
    .option("--json", "print one JSON object and nothing else on standard output");
  addOptions(command, peopleSettings);
  addOptions(command, faceSettings);
  return addOptions(command, sizeSettings).action(info);
}
