/** @file Cuts the faces out of a dataset's photographs and writes them in the same layout. */
import { readdir, rm, stat } from "node:fs/promises";
import { join, posix, resolve } from "node:path";
import { z } from "zod";
import { framingSchema, type Framing as NamedFraming } from "../artifact/description.ts";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError, systemCode } from "../base/errors.ts";
import { checkTarget, nameWith, readWhole, TEMPORARY_FILE, writeFileAtomic } from "../base/files.ts";
import { counted, silentLog } from "../base/log.ts";
import { type Framing, framingName, framingText, LFW_ENLARGEMENT, LFW_FRAMING } from "../faces/alignment.ts";
import { FACE_CHOICES } from "../faces/choose.ts";
import { openPack } from "../faces/models.ts";
import { encodePixels, WRITTEN_FORMATS, type WrittenFormat } from "../image/decode.ts";
import { DECODING_AHEAD, PhotoThreads } from "../serving/photos/photo-threads.ts";
import { Journal } from "./journal.ts";
import type { FileState, LeftOutFile, PhotosJobOptions } from "./photos-in.ts";
import {
  byPath,
  eachPhoto,
  leftOutCsv,
  leftOutFile,
  photosIn,
  photoThreads,
  readPhoto,
  stateOf,
} from "./photos-in.ts";

/** `aligned`: by ArcFace's template; `lfw`: as faces lie in LFW's photographs; `centred`: the box enlarged as in LFW. */
export const CROP_FRAMINGS = {
  aligned: { kind: "aligned" },
  lfw: LFW_FRAMING,
  centred: { kind: "centred", factor: LFW_ENLARGEMENT },
} as const satisfies Readonly<Record<string, Framing>>;
export type CropFraming = keyof typeof CROP_FRAMINGS;

/** What a folder of crops holds, in its own file. */
export const CROPS_FILE = "faceid-crops.json";
/** Photographs without a crop. */
export const LEFT_OUT_FILE = "left-out.csv";
/** Which crops were made of which photographs. */
const MADE_FILE = ".crops.jsonl";
const JOURNAL_FILE = ".left-out.jsonl";

const PACK = "opencv-sface";
/** Pixels. */
export const CROP_SIDES = { least: 16, most: 1024, usual: 112 } as const;

const cropsSchema = z.object({
  format: z.literal("faceid-crops-1"),
  framing: framingSchema,
  side: z.number().int().positive(),
  files: z.string(),
  face: z.string(),
  pack: z.string(),
  /** SHA-256 of the detector. */
  detector: z.string(),
});
type Crops = z.infer<typeof cropsSchema>;

export interface CropOptions extends PhotosJobOptions {
  /** Folder of the crops: a new or empty one, or that of an earlier run with the same settings, which is continued. */
  readonly output: string;
  /** Default `aligned`. */
  readonly framing?: CropFraming | undefined;
  /** Side of the crops in pixels, from 16 to 1024. Default 112. */
  readonly size?: number | undefined;
  /** Default `png`, which loses nothing. */
  readonly format?: WrittenFormat | undefined;
}

const cropOptions = z.strictObject({
  output: given.text,
  framing: z.enum(Object.keys(CROP_FRAMINGS) as CropFraming[]).optional(),
  size: z.number().int().min(CROP_SIDES.least).max(CROP_SIDES.most).optional(),
  format: z.enum(WRITTEN_FORMATS).optional(),
  face: z.enum(FACE_CHOICES).optional(),
  log: given.log.optional(),
  signal: given.signal.optional(),
  onProgress: given.call.optional(),
} satisfies Record<keyof CropOptions, z.ZodType>);

export interface CropResult {
  /** Crops that this run wrote. */
  readonly written: number;
  /** Crops of earlier runs, which were not made again. */
  readonly kept: number;
  readonly leftOut: readonly LeftOutFile[];
  /** Crops in `output` of photographs that the folder does not hold: taken away since, or of another folder. */
  readonly others: readonly string[];
}

/** The description of a folder of crops; undefined for any other folder. */
async function readCrops(folder: string): Promise<Crops | undefined> {
  try {
    const parsed = cropsSchema.safeParse(JSON.parse(String(await readWhole(join(folder, CROPS_FILE)))));
    if (parsed.success) return parsed.data;
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new FaceError("FILE_INVALID", `${join(folder, CROPS_FILE)} is damaged`, {
    hint: "cut the faces out again, into another folder",
  });
}

/** How faces lie in the images of a folder that `faceid crop` wrote; undefined for any other folder. */
export async function framingOfCrops(folder: string | undefined): Promise<NamedFraming | undefined> {
  return folder === undefined ? undefined : (await readCrops(folder))?.framing;
}

/** What crops were made with, by the options that set it. */
function settingsOf({ framing, side, files, face, pack, detector }: Crops): Record<string, string> {
  const names = Object.keys(CROP_FRAMINGS) as CropFraming[];
  const isOf = (name: CropFraming) =>
    JSON.stringify(framingName(CROP_FRAMINGS[name], side)) === JSON.stringify(framing);
  return {
    "`framing`": names.find(isOf) ?? framingText(framing),
    "`size`": String(side),
    "`format`": files,
    "`face`": face,
    "the detector of": `${pack} with SHA-256 ${detector.slice(0, 8)}…`,
  };
}

/** Begins a folder of crops, or continues one with the same settings. */
async function claim(output: string, crops: Crops): Promise<void> {
  const names = await readdir(output).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  });
  const before = await readCrops(output);
  if (before === undefined && names.some((name) => !TEMPORARY_FILE.test(name))) {
    throw new FaceError("CONFIG_INVALID", `${output} is not empty and holds no crops of faceid`, {
      hint: "choose a new folder with `output`",
    });
  }
  if (before === undefined) {
    await writeFileAtomic(join(output, CROPS_FILE), `${JSON.stringify(crops, null, 2)}\n`);
  } else if (JSON.stringify(before) !== JSON.stringify(crops)) {
    const [had, wanted] = [settingsOf(before), settingsOf(crops)];
    const other = Object.keys(had).filter((name) => had[name] !== wanted[name]);
    throw new FaceError(
      "CONFIG_INVALID",
      `${output} holds crops with other settings: ${other.map((name) => `${name} ${had[name]}`).join(", ")}`,
      { hint: "repeat these settings to continue, or choose another `output`" },
    );
  }
}

/** Removes what a run that was killed left half written. */
async function sweep(output: string): Promise<void> {
  for (const name of await readdir(output, { recursive: true })) {
    if (TEMPORARY_FILE.test(name.split(/[/\\]/).at(-1)!)) await rm(join(output, name), { force: true });
  }
}

/**
 * The crop's path for each photograph, another for each: photographs that differ in their ending only keep it, and so does
 * `a.jpg.gif` beside `a.jpg`. Some file systems take capital and small letters for the same.
 */
function targetsOf(paths: readonly string[], format: WrittenFormat): Map<string, string> {
  const stemOf = (path: string) => path.replace(/\.[^./]*$/, "");
  const taken = new Set(paths.map((path) => path.toLowerCase()));
  const stems = new Map<string, number>();
  for (const path of paths) {
    const stem = stemOf(path).toLowerCase();
    stems.set(stem, (stems.get(stem) ?? 0) + 1);
  }
  const keepsEnding = (stem: string) => stems.get(stem)! > 1 || taken.has(stem);
  return new Map(
    paths.map((path) => {
      const stem = stemOf(path);
      const name = keepsEnding(stem.toLowerCase()) ? path : stem;
      return [path, posix.join(posix.dirname(name), nameWith(posix.basename(name), `.${format}`))];
    }),
  );
}

/** What the journal keeps of a photograph without a crop, with the state of its file. */
type LeftOutRecord = FileState & { readonly leftOut: LeftOutFile };

/** A crop that was made, and the state of its photograph then. */
type CropRecord = FileState & { readonly crop: string };

const isThere = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined)) !== undefined;

/**
 * Whether the crop that is there was made of this file. A crop that is merely newer may be that of a photograph with the
 * same name in another folder, or of one that an older one has replaced.
 */
async function isDone(source: FileState, made: CropRecord | undefined, target: string): Promise<boolean> {
  const isSame = made !== undefined && made.size === source.size && made.modified === source.modified;
  return isSame && source.modified >= 0 && (await isThere(target));
}

/** Crops that were made and are there, but not of the photographs that are cropped now. */
async function othersIn(
  output: string,
  made: Iterable<string>,
  targets: Iterable<string>,
): Promise<string[]> {
  const wanted = new Set(targets);
  const others: string[] = [];
  for (const crop of made) if (!wanted.has(crop) && (await isThere(join(output, crop)))) others.push(crop);
  return others.toSorted();
}

/**
 * Cuts the face out of every photograph of a folder and of the folders in it. A run that was stopped or killed continues
 * with the crops that are missing; every file appears whole or not at all.
 * @throws FaceError `CONFIG_INVALID` for options that are none, or an output folder that is not empty and not of these settings; `DATASET_…` for a
 *   folder without photographs; `PACK_…`; `DISK_FULL`; `INTERRUPTED` on the signal.
 */
export async function cropFaces(folder: string, options: CropOptions): Promise<CropResult> {
  checkPath("cropFaces, the folder", folder);
  checkOptions("cropFaces", cropOptions, options);
  const {
    output,
    framing: named = "aligned",
    size = CROP_SIDES.usual,
    format = "png",
    face = "largest",
  } = options;
  const { log = silentLog } = options;
  if (`${resolve(output)}/`.startsWith(`${resolve(folder)}/`)) {
    throw new FaceError("CONFIG_INVALID", `the crops would lie among the photographs of ${folder}`, {
      hint: "choose an `output` outside that folder",
    });
  }
  await checkTarget(output, "folder");
  const framing: Framing = CROP_FRAMINGS[named];
  const { paths, unread } = await photosIn(folder);
  const { files, about } = await openPack(PACK, { log });
  const job: Crops = {
    format: "faceid-crops-1",
    framing: framingName(framing, size),
    side: size,
    files: format,
    face,
    pack: PACK,
    detector: about.files.detector.sha256,
  };
  await claim(output, job);
  await sweep(output);
  const journal = await Journal.open<LeftOutRecord>(join(output, JOURNAL_FILE), job);
  const made = await Journal.open<CropRecord>(join(output, MADE_FILE), job);
  const crops = new Map(made.records.map((record) => [record.crop, record]));
  const targets = targetsOf(paths, format);
  const before = new Map(journal.records.map((record) => [record.leftOut.path, record]));
  const list: LeftOutFile[] = [...unread];
  let [written, kept] = [0, 0];
  await using photos = await PhotoThreads.open(
    { detector: files.detector },
    photoThreads(),
    0,
    DECODING_AHEAD,
  );
  await eachPhoto(paths, options, async (path, signal) => {
    const name = targets.get(path)!;
    const target = join(output, name);
    const { size: bytes, modified } = await stateOf(join(folder, path));
    const known = before.get(path);
    if (await isDone({ size: bytes, modified }, crops.get(name), target)) kept++;
    else if (known?.size === bytes && known.modified === modified) list.push(known.leftOut);
    else {
      try {
        const file = await readPhoto(folder, path);
        const wish = { choice: face, strict: false };
        const { crop } = await photos.crop({ file, what: path }, wish, framing, size, signal);
        await writeFileAtomic(target, await encodePixels({ data: crop, width: size, height: size }, format));
        await made.append([{ size: bytes, modified, crop: name }]);
        written++;
      } catch (error) {
        const leftOut = leftOutFile(path, error);
        list.push(leftOut);
        // What is there shows the photograph that had this name before.
        if (modified >= 0) await rm(target, { force: true });
        await journal.append([{ size: bytes, modified, leftOut }]);
      }
    }
  });
  await writeFileAtomic(join(output, LEFT_OUT_FILE), leftOutCsv(list));
  await journal.remove();
  const others = await othersIn(output, crops.keys(), targets.values());
  if (others.length > 0) {
    log.warn(
      `${output} holds ${counted(others.length, "crop")} of photographs that ${folder} does not hold, such as ${others[0]}; delete what you do not want to keep`,
    );
  }
  return { written, kept, leftOut: list.toSorted(byPath), others };
}
