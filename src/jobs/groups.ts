/** @file The groups that an evaluation is broken down by: columns of a CSV file, and the quality of the faces. */
import { readFile } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { FaceError, messageOf } from "../base/errors.ts";
import { decodeText } from "../base/files.ts";
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
import { PhotoThreads } from "../serving/photos/photo-threads.ts";

/** What error rates are broken down by. */
export interface GroupOptions {
  /** A CSV file with a column `person` or `path` and one for each attribute. */
  readonly groups?: string | undefined;
  /** Whether by yaw, size and sharpness of the faces of whole photographs too. Default false. */
  readonly byQuality?: boolean | undefined;
}

/** Names of the column that says whom or what a row is about. */
const KEYS = ["person", "path"] as const;

/**
 * The attributes of a CSV file: each column beside `person`, a person's name in the dataset, or `path`, a photograph's in
 * the dataset's folder. An empty field puts nobody in a group.
 * @param personOf the person on an image.
 * @throws FaceError `FILE_INVALID` without such a column, without another, or with a key twice.
 */
async function groupsOfFile(
  file: string,
  datasetPath: string | undefined,
  personOf: (image: ImageRef) => string | undefined,
): Promise<Attribute[]> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new FaceError("FILE_INVALID", `cannot read ${file}: ${messageOf(error)}`, { cause: error });
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
  return columns.map((name) => ({
    name,
    groupsOf({ left, right }: Pair) {
      const [a, b] = [left, right].map((image) => rowOf(image)?.[name]?.trim());
      return a && b ? [a, b] : undefined;
    },
  }));
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
    const photograph = { file: await readFile(image.path), what: image.path };
    try {
      const { face } = await threads.crop(photograph, wish, { kind: "aligned" }, 112, signal ?? never);
      found.set(image.index, face.quality);
    } catch (error) {
      // Of a photograph without a face there is no quality.
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
