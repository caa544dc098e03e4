/** @file The groups that an evaluation is broken down by: columns of a CSV file, and the quality of the faces. */
import { isAbsolute, join, resolve } from "node:path";
import { asFaceError, FaceError, messageOf } from "../base/errors.ts";
import { decodeText, readWhole } from "../base/files.ts";
import { eachLimited } from "../base/limiter.ts";
import { usableCores } from "../base/platform.ts";
import { parseCsv } from "../data/csv.ts";
import { DETECTOR_PACK } from "../data/dataset-faces.ts";
import { type Identity, type ImageRef, imageName } from "../data/identity.ts";
import type { Pair } from "../data/pairs.ts";
import { type Attribute, type AttributeReport, groupReport } from "../evaluate/groups.ts";
import type { ScoredPairs } from "../evaluate/scores.ts";
import type { FaceQuality } from "../faces/face.ts";
import { openPack } from "../faces/models.ts";
import { readImageFile } from "../image/decode.ts";
import { PhotoThreads } from "../serving/photos/photo-threads.ts";

/** What error rates are broken down by. */
export interface GroupOptions {
  /** A CSV file with a column `person` or `path` and one for each attribute. */
  readonly groups?: string | undefined;
  /** Whether by yaw, size and sharpness of the faces of whole photographs too. Default false. */
  readonly byQuality?: boolean | undefined;
}

/** A number of years, of which the difference between a pair's photographs makes groups. */
interface Gap {
  readonly name: string;
  /** Undefined for text that is none. */
  readonly years: (text: string) => number | undefined;
  readonly wanted: string;
  /** Whether the column's own values are groups too. */
  readonly isGroup: boolean;
}

const MONTHS = 12;
const DAYS = 365.25;

/** The years of a date, with the fraction of the last one as far as it is known. */
function yearsOf(text: string): number | undefined {
  const [, year, month = "01", day = "01"] = /^(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?$/.exec(text) ?? [];
  if (year === undefined) return undefined;
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`);
  if (Number.isNaN(date.getTime()) || date.getUTCDate() !== Number(day)) return undefined;
  return Number(year) + (Number(month) - 1) / MONTHS + (Number(day) - 1) / DAYS;
}

const DATES: Gap = {
  name: "time between the photographs",
  years: yearsOf,
  wanted: "a date such as 2021, 2021-05 or 2021-05-30",
  isGroup: false,
};

/** Columns of a file by photographs that say when each was taken, or how old the person on it is. */
const GAPS: Readonly<Record<string, Gap>> = {
  date: DATES,
  year: DATES,
  age: {
    name: "age gap",
    years: (text) => (/^\d{1,3}(\.\d+)?$/.test(text) ? Number(text) : undefined),
    wanted: "a number of years",
    isGroup: true,
  },
};

/** Years at which groups of a gap end. */
const GAP_ENDS = [1, 5, 10];
const GAP_UNIT = " years";

/** Names of the column that says whom or what a row is about. */
const KEYS = ["person", "path"] as const;

/** Groups of pairs by the years between what a column says of both photographs. */
function gapAttribute({ name, years }: Gap, textOf: (image: ImageRef) => string | undefined): Attribute {
  const groups = [...GAP_ENDS.keys(), GAP_ENDS.length].map((at) =>
    between(GAP_ENDS[at - 1], GAP_ENDS[at], at === 0 ? " year" : GAP_UNIT),
  );
  return {
    name,
    order: groups,
    groupsOf({ left, right }: Pair) {
      const [a, b] = [left, right].map((image) => years(textOf(image) ?? ""));
      if (a === undefined || b === undefined) return undefined;
      const at = GAP_ENDS.findIndex((end) => Math.abs(a - b) < end);
      const group = groups.at(at)!;
      return [group, group];
    },
  };
}

/**
 * The attributes of a CSV file: each column beside `person`, a person's name in the dataset, or `path`, a photograph's in
 * the dataset's folder. An empty field puts nobody in a group. By photographs, a column `date`, `year` or `age` groups pairs by
 * the years between the two.
 * @param personOf the person on an image.
 * @throws FaceError `FILE_INVALID` without such a column, without another, with a key twice, or with a date or an age that is none.
 */
async function groupsOfFile(
  file: string,
  datasetPath: string | undefined,
  personOf: (image: ImageRef) => string | undefined,
): Promise<Attribute[]> {
  const bytes = await readWhole(file).catch((error: unknown) => {
    throw new FaceError("FILE_INVALID", `cannot read ${file}: ${messageOf(error)}`, {
      hint: asFaceError(error)?.hint,
      cause: error,
    });
  });
  const { names, rows } = parseCsv(decodeText(bytes), file);
  const key = KEYS.find((each) => names.includes(each));
  const columns = names.filter((name) => name !== key && name !== "");
  if (key === undefined || columns.length === 0) {
    throw new FaceError("FILE_INVALID", `${file} has the columns ${names.join(", ")}`, {
      hint: "name one column person or path, and each attribute in another: person,sex,age",
    });
  }
  const place = (path: string) =>
    isAbsolute(path) ? resolve(path) : resolve(join(datasetPath ?? ".", path));
  const byKey = new Map<string, Record<string, string>>();
  for (const row of rows) {
    const value = key === "path" ? place(row.path!) : row.person!.trim().normalize("NFC");
    if (byKey.has(value)) throw new FaceError("FILE_INVALID", `${file} has two rows for ${row[key]}`);
    byKey.set(value, row);
  }
  const rowOf = (image: ImageRef) =>
    byKey.get(key === "path" ? resolve(imageName(image)) : (personOf(image) ?? ""));
  return columns.flatMap((name) => {
    const textOf = (image: ImageRef) => rowOf(image)?.[name]?.trim();
    const plain: Attribute = {
      name,
      groupsOf({ left, right }: Pair) {
        const [a, b] = [left, right].map(textOf);
        return a && b ? [a, b] : undefined;
      },
    };
    // Of a person as a whole a date or an age says nothing about two photographs.
    const gap = key === "path" ? GAPS[name] : undefined;
    if (gap === undefined) return [plain];
    for (const row of rows) {
      const text = row[name]!.trim();
      if (text === "" || gap.years(text) !== undefined) continue;
      throw new FaceError("FILE_INVALID", `${file} has the ${name} ${JSON.stringify(text)} for ${row.path}`, {
        hint: `write ${gap.wanted}, or nothing where it is not known; or give the column another name`,
      });
    }
    return [...(gap.isGroup ? [plain] : []), gapAttribute(gap, textOf)];
  });
}

/** Qualities that faces are grouped by: which number, whether low or high is bad, and where groups end. */
const QUALITIES: readonly {
  readonly name: string;
  readonly numberOf: (quality: FaceQuality) => number;
  readonly worse: "low" | "high";
  readonly ends: readonly number[];
  readonly text: (low: number | undefined, high: number | undefined) => string;
}[] = [
  {
    name: "yaw of the face turned away more",
    numberOf: ({ yaw }) => Math.abs(yaw),
    worse: "high",
    ends: [15, 30, 45],
    text: (low, high) => between(low, high, "°"),
  },
  {
    name: "distance of the eyes in the smaller face",
    numberOf: ({ eyeDistance }) => eyeDistance,
    worse: "low",
    ends: [20, 40, 60],
    text: (low, high) => between(low, high, " px"),
  },
  {
    name: "sharpness of the face less sharp",
    numberOf: ({ sharpness }) => sharpness,
    worse: "low",
    ends: [0.25, 0.5, 0.75],
    text: (low, high) => between(low, high, ""),
  },
];

function between(low: number | undefined, high: number | undefined, unit: string): string {
  if (low === undefined) return `under ${high}${unit}`;
  return high === undefined ? `from ${low}${unit}` : `${low} to ${high}${unit}`;
}

/** Groups by the quality of the worse face of a pair. Those of sharpness are quarters of the faces: its numbers depend on the camera. */
async function groupsOfQuality(pairs: readonly Pair[], signal?: AbortSignal): Promise<Attribute[]> {
  const images = new Map(
    pairs.flatMap(({ left, right }) => [left, right]).map((image) => [image.index, image]),
  );
  const { files } = await openPack(DETECTOR_PACK);
  await using threads = await PhotoThreads.open({ detector: files.detector }, usableCores(), 0);
  const never = new AbortController().signal;
  const found = new Map<number, FaceQuality>();
  await eachLimited([...images.values()], 2 * usableCores(), async (image) => {
    if (image.kind !== "file") return;
    const wish = { choice: image.face?.choice ?? "largest", strict: false } as const;
    try {
      const photograph = { file: await readImageFile(image.path), what: image.path };
      const { face } = await threads.crop(photograph, wish, { kind: "aligned" }, 112, signal ?? never);
      found.set(image.index, face.quality);
    } catch (error) {
      // Of a photograph without a face, or one that cannot be read, there is no quality.
      if (!(error instanceof FaceError)) throw error;
    }
  });
  return QUALITIES.map(({ name, numberOf, worse, ends, text }) => {
    const values = [...found.values()].map(numberOf).toSorted((a, b) => a - b);
    const cuts = name.startsWith("sharpness")
      ? ends.map((share) => Number((values[Math.floor(share * values.length)] ?? 0).toPrecision(2)))
      : ends;
    const groupOf = (value: number) => {
      const at = cuts.findIndex((end) => value < end);
      return at < 0 ? text(cuts.at(-1), undefined) : text(cuts[at - 1], cuts[at]);
    };
    return {
      name,
      order: [text(undefined, cuts[0]), ...cuts.map((cut, i) => text(cut, cuts[i + 1]))],
      groupsOf({ left, right }: Pair) {
        const both = [left, right].map(({ index }) => found.get(index)).filter((each) => each !== undefined);
        if (both.length < 2) return undefined;
        const group = groupOf(Math[worse === "low" ? "min" : "max"](...both.map(numberOf)));
        return [group, group] as const;
      },
    };
  });
}

/** Scored pairs of a dataset's people, and the threshold for all of them. */
interface Judged {
  readonly identities: readonly Identity[];
  readonly scored: ScoredPairs;
  readonly pairs: readonly Pair[];
  readonly threshold: number;
}

/**
 * Error rates by what is asked for; empty where nothing is.
 * @throws FaceError `FILE_INVALID` for a file of groups that cannot be read.
 */
export async function groupReports(
  {
    config,
    groups,
    byQuality = false,
  }: GroupOptions & { readonly config: { datasetPath?: string | undefined } },
  { identities, scored, pairs, threshold }: Judged,
): Promise<AttributeReport[]> {
  const names = new Map(
    identities.flatMap(({ name, images }) => images.map(({ index }) => [index, name] as const)),
  );
  const ofFile =
    groups === undefined
      ? []
      : await groupsOfFile(groups, config.datasetPath, ({ index }) => names.get(index));
  const attributes = [...ofFile, ...(byQuality ? await groupsOfQuality(pairs) : [])];
  return attributes.map((attribute) => groupReport(scored, pairs, attribute, threshold));
}
