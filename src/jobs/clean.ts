/** @file Looks through a dataset for wrong labels, people under two names, duplicates, and photographs without a usable face. */
import { stat } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { z } from "zod";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { type Log, silentLog } from "../base/log.ts";
import { float32, floats } from "../base/tensor.ts";
import { openDataset } from "../data/dataset.ts";
import { usualChoice } from "../data/dataset-faces.ts";
import { type Duplicate, findDuplicates } from "../data/duplicates.ts";
import {
  FINDINGS,
  type Finding,
  findSuspects,
  type StrongPair,
  SUSPECT_LIMITS,
  type Suspect,
} from "../data/suspects.ts";
import { DEFAULT_QUALITY_LIMITS, qualityWarnings } from "../faces/quality-limits.ts";
import * as g from "../graph/build.ts";
import { decodeImage, encodePng } from "../image/decode.ts";
import { imageSettings } from "../image/settings.ts";
import { lower } from "../onnx/lower/lower.ts";
import { Session } from "../onnx/runtime/session.ts";
import { csvLine } from "./csv.ts";
import { embeddedFaces } from "./embed.ts";
import type { EmbeddedPhoto } from "./embedding-files.ts";
import { warnLeftOut } from "./evaluate.ts";
import { type OnPhotoProgress, personOf } from "./photos-in.ts";

export interface CleanOptions {
  /** The CSV file to write. */
  readonly output: string;
  /** A PNG that shows each finding beside the photograph that gives the reason. */
  readonly sheet?: string | undefined;
  readonly log?: Log | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnPhotoProgress | undefined;
}

export interface CleanResult {
  readonly people: number;
  readonly photographs: number;
  readonly counts: Readonly<Record<Finding, number>>;
  readonly suspects: readonly Suspect[];
  /** The files written. */
  readonly files: readonly string[];
}

const cleanOptions = z.strictObject({
  output: given.text,
  sheet: given.text.optional(),
  log: given.log.optional(),
  signal: given.signal.optional(),
  onProgress: given.call.optional(),
} satisfies Record<keyof CleanOptions, z.ZodType>);

/** Photographs compared with all others in one run of the engine. */
const BLOCK = 256;

/** All pairs of photographs under two names whose cosine is at least a number. */
export async function strongPairs(
  photos: readonly { readonly person: string; readonly embedding: Float32Array }[],
  least: number,
): Promise<StrongPair[]> {
  if (photos.length < 2) return [];
  const count = photos.length;
  const size = photos[0]!.embedding.length;
  const values = new Float32Array(count * size);
  for (const [i, { embedding }] of photos.entries()) values.set(embedding, i * size);
  const all = float32([count, size], values);
  const [block, others] = [g.input("block", ["rows", size]), g.input("all", [count, size])];
  const cosines = g.matmul(block, others, { transposeB: true });
  await using session = await Session.open(lower({ outputs: { cosines } }));
  const found: StrongPair[] = [];
  for (let from = 0; from < count; from += BLOCK) {
    const rows = Math.min(BLOCK, count - from);
    const part = float32([rows, size], values.slice(from * size, (from + rows) * size));
    const results = await session.run(
      new Map([
        ["block", part],
        ["all", all],
      ]),
    );
    const scores = floats(results.get("cosines")!);
    for (let row = 0; row < rows; row++) {
      const a = from + row;
      for (let b = 0; b < a; b++) {
        const similarity = scores[row * count + b]!;
        if (similarity >= least && photos[a]!.person !== photos[b]!.person) found.push({ a, b, similarity });
      }
    }
  }
  return found;
}

/** Byte-equal files. */
function duplicates(root: string, list: readonly Duplicate[], reason: string): Suspect[] {
  return list.map(({ path, original }) => {
    const [own, other] = [path, original].map((each) => relative(root, each).replaceAll("\\", "/"));
    return { path: own!, person: personOf(own!) ?? "", finding: "duplicate", reason, other: other! };
  });
}

const side = 96;
const GAP = 4;
const MOST_SHOWN = 60;
const GREY = 235;

/** Each finding in a row: the photograph, then the one that gives the reason. */
async function contactSheet(root: string, suspects: readonly Suspect[]): Promise<Uint8Array> {
  const shown = suspects.filter(({ finding }) => finding !== "unreadable").slice(0, MOST_SHOWN);
  const columns = 4;
  const cell = 2 * (side + GAP) + GAP;
  const width = columns * cell;
  const height = Math.ceil(Math.max(1, shown.length) / columns) * (side + 2 * GAP);
  const data = new Uint8Array(width * height * 3).fill(GREY);
  const place = async (path: string, left: number, top: number) => {
    const pixels = await decodeImage(join(root, path), imageSettings(side)).catch(() => undefined);
    for (let y = 0; pixels !== undefined && y < side; y++) {
      data.set(pixels.subarray(y * side * 3, (y + 1) * side * 3), ((top + y) * width + left) * 3);
    }
  };
  for (const [i, { path, other }] of shown.entries()) {
    const left = (i % columns) * cell + GAP;
    const top = Math.floor(i / columns) * (side + 2 * GAP) + GAP;
    await place(path, left, top);
    if (other !== undefined) await place(other, left + side + GAP, top);
  }
  return await encodePng(data, width, height);
}

/** The CSV of findings, which `--exclude` takes. */
export function suspectsCsv(suspects: readonly Suspect[]): string {
  const rows = suspects.map(({ path, person, finding, reason, other, similarity }) =>
    csvLine([path, person, finding, reason, other, similarity]),
  );
  return `${[csvLine(["path", "person", "finding", "reason", "other", "similarity"]), ...rows].join("\n")}\n`;
}

/** A face that the limits on quality refuse. */
function unfit({ path, person, quality }: EmbeddedPhoto): Suspect[] {
  const beyond = qualityWarnings(quality, DEFAULT_QUALITY_LIMITS);
  if (beyond.length === 0) return [];
  const reason = beyond.map(({ message }) => message).join("; ");
  return [{ path, person: person ?? "", finding: "no usable face", reason }];
}

/**
 * Looks through a folder with one folder of photographs per person. A run that was stopped continues with what it has.
 * @throws FaceError `CONFIG_INVALID` when the output exists; as `openDataset` and `openPack` do; `INTERRUPTED`.
 */
export async function cleanDataset(folder: string, options: CleanOptions): Promise<CleanResult> {
  checkPath("dataset clean, the folder", folder);
  checkOptions("dataset clean", cleanOptions, options);
  const { output, sheet, log = silentLog, signal, onProgress } = options;
  for (const path of [output, sheet]) {
    if (path === undefined || (await stat(path).catch(() => undefined)) === undefined) continue;
    throw new FaceError("CONFIG_INVALID", `${path} exists already`, {
      hint: "choose another --output, or delete it",
    });
  }
  const root = resolve(folder);
  const dataset = await openDataset({ path: root });
  warnLeftOut(dataset, log);
  const face = usualChoice(dataset.kind);
  const { rows, leftOut, journal } = await embeddedFaces(root, `${output}.part`, {
    face,
    log,
    signal,
    onProgress,
  });
  const photos = rows.flatMap((row) => (row.person === null ? [] : [{ ...row, person: row.person }]));
  const suspects = findSuspects(photos, await strongPairs(photos, SUSPECT_LIMITS.strong));
  const equal = await findDuplicates(dataset, signal);
  const bytes = [
    ...duplicates(root, equal.ofOnePerson, "the same file as another of this name"),
    ...duplicates(root, equal.ofTwoPeople, "the same file as one under another name"),
  ];
  const unusable = leftOut.map(({ path, code, reason }): Suspect => {
    const finding = code === "IMAGE_UNREADABLE" ? "unreadable" : "no usable face";
    return { path, person: personOf(path) ?? "", finding, reason };
  });
  const all = [...bytes, ...suspects, ...unusable, ...photos.flatMap(unfit)];
  const byFinding = FINDINGS.flatMap((finding) =>
    all.filter((each) => each.finding === finding).toSorted((a, b) => (a.path < b.path ? -1 : 1)),
  );
  const listed = new Set<string>();
  const ordered = byFinding.filter(({ path }) => !listed.has(path) && listed.add(path));
  await writeFileAtomic(output, suspectsCsv(ordered));
  const files = [output];
  if (sheet !== undefined && ordered.length > 0) {
    await writeFileAtomic(sheet, await contactSheet(root, ordered));
    files.push(sheet);
  }
  await journal.remove();
  const counts = Object.fromEntries(
    FINDINGS.map((finding) => [finding, ordered.filter((each) => each.finding === finding).length]),
  ) as Record<Finding, number>;
  return {
    people: dataset.identities.length,
    photographs: rows.length + leftOut.length,
    counts,
    suspects: ordered,
    files,
  };
}
