/** @file Sorts an album into people: all faces of its photographs are embedded, clustered, and written as folders. */
import { constants, copyFile, link, mkdir, stat, writeFile } from "node:fs/promises";
import { join, parse, relative, resolve } from "node:path";
import { z } from "zod";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { nameWith, publishFolder } from "../base/files.ts";
import { eachLimited } from "../base/limiter.ts";
import { countText, type Log } from "../base/log.ts";
import type { Box, FaceQuality } from "../faces/face.ts";
import { clusterByAverage } from "../gallery/cluster.ts";
import { encodeJpeg } from "../image/decode.ts";
import { loadFaceModel } from "../verify/load-face-model.ts";
import type { PhotoEmbedding, PhotoModel } from "../verify/photo-model.ts";
import { clusterSheet } from "./cluster-sheet.ts";
import { Journal } from "./journal.ts";
import type { FileState, LeftOutFile, OnPhotoProgress } from "./photos-in.ts";
import { leftOutFile, photosIn, requireFolder, stateOf } from "./photos-in.ts";

export interface ClusterFolderOptions {
  /** A folder to write, with one folder for each person, `people.json` and `contact-sheet.png`. Default: none is written. */
  readonly output?: string | undefined;
  /** Whether the folders have hard links to the photographs instead of copies. Default false. */
  readonly links?: boolean | undefined;
  /** A model pack. Default: `opencv-sface`. */
  readonly model?: string | undefined;
  /** The calibrated false accept rate whose threshold clusters must reach on average. Default 0.0001. */
  readonly far?: number | undefined;
  readonly log?: Log | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnPhotoProgress | undefined;
}

const clusterOptions = z.strictObject({
  output: given.text.optional(),
  links: given.flag.optional(),
  model: given.text.optional(),
  far: given.far.optional(),
  log: given.log.optional(),
  signal: given.signal.optional(),
  onProgress: given.call.optional(),
} satisfies Record<keyof ClusterFolderOptions, z.ZodType>);

/** A face of a photograph of the album. */
export interface AlbumFace {
  /** The photograph, relative to the album. */
  readonly photo: string;
  /** Left, top, width and height in pixels of the upright photograph. */
  readonly box: Box;
  readonly score: number;
  readonly quality: FaceQuality;
  /** Quality numbers beyond their limits. */
  readonly warnings: readonly string[];
}

export interface AlbumPerson {
  /** `person-001`, the one with the most faces first. */
  readonly name: string;
  readonly faces: readonly AlbumFace[];
}

export interface ClusterResult {
  readonly photographs: number;
  readonly faces: number;
  readonly model: { readonly name: string; readonly digest: string };
  /** Least average similarity of two clusters that are one person. */
  readonly threshold: number;
  /** People with two faces or more. */
  readonly people: readonly AlbumPerson[];
  /** Faces that are like no other. */
  readonly single: readonly AlbumFace[];
  /** Faces too small, blurred, turned away, dark or cut off to be compared. */
  readonly unclear: readonly AlbumFace[];
  /** Photographs without a face. */
  readonly withoutFace: readonly string[];
  /** Photographs that could not be read, and files that are not read, such as videos. */
  readonly leftOut: readonly LeftOutFile[];
}

/** A face as the journal keeps it: embedding and crop in base64. */
type StoredFace = Omit<AlbumFace, "photo"> & { readonly embedding: string; readonly crop: string };

/** What the journal keeps of a photograph, with the state of its file. */
type PhotoRecord = FileState & { readonly path: string } & (
    | { readonly faces: readonly StoredFace[] }
    | { readonly leftOut: LeftOutFile }
  );

/** Photographs in work at once: one is decoded while another is embedded. */
const AT_ONCE = 2;
const CROP_QUALITY = 80;
/** The best of the pack's calibrated rates on LFW; docs/galleries.md has the figures of others. */
const USUAL_FAR = 1e-4;
const counted = (name: string, faces: number) =>
  `${name}, ${faces === 1 ? "1 face" : `${countText(faces)} faces`}`;
const SHEET = "contact-sheet.png";
const LIST = "people.json";
const SINGLE = "single";

async function storedFace({ embedding, face, crop }: PhotoEmbedding): Promise<StoredFace> {
  const { box, score, quality, warnings } = face!;
  const jpeg = await encodeJpeg(crop.data as Uint8Array, crop.width, crop.height, CROP_QUALITY);
  return {
    box,
    score,
    quality,
    warnings,
    embedding: Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength).toString("base64"),
    crop: Buffer.from(jpeg).toString("base64"),
  };
}

async function albumPhoto(
  model: PhotoModel,
  folder: string,
  path: string,
  before: FileState,
): Promise<PhotoRecord> {
  const state = { path, ...before };
  try {
    const faces: StoredFace[] = [];
    for (const each of await model.embedFaces(join(folder, path))) faces.push(await storedFace(each));
    return { ...state, faces };
  } catch (error) {
    await requireFolder(folder);
    return { ...state, leftOut: leftOutFile(path, error) };
  }
}

/** Embeds the faces of all photographs that the journal does not have. */
async function embedAlbum(
  model: PhotoModel,
  folder: string,
  paths: readonly string[],
  journal: Journal<PhotoRecord> | undefined,
  { signal, onProgress }: ClusterFolderOptions,
): Promise<PhotoRecord[]> {
  const before = new Map(journal?.records.map((record) => [record.path, record]));
  const records = new Map<string, PhotoRecord>();
  await eachLimited(paths, AT_ONCE, async (path) => {
    if (signal?.aborted === true) {
      throw new FaceError(
        "INTERRUPTED",
        `stopped after ${countText(records.size)} of ${countText(paths.length)} photographs`,
        {
          hint: journal === undefined ? "with `output` it could go on" : "run the command again to continue",
        },
      );
    }
    const known = before.get(path);
    const state = await stateOf(join(folder, path));
    const isKnown = known?.size === state.size && known.modified === state.modified;
    const record = isKnown ? known : await albumPhoto(model, folder, path, state);
    if (!isKnown) await journal?.append([record]);
    records.set(path, record);
    onProgress?.(records.size, paths.length);
  });
  return paths.map((path) => records.get(path)!);
}

/** A face with what is only needed on the way. */
interface FoundFace {
  readonly about: AlbumFace;
  readonly embedding: Float32Array;
  readonly crop: string;
}

const facesOf = (records: readonly PhotoRecord[]): FoundFace[] =>
  records.flatMap((record) =>
    "faces" in record
      ? record.faces.map(({ embedding, crop, ...face }) => ({
          about: { photo: record.path, ...face },
          embedding: new Float32Array(new Uint8Array(Buffer.from(embedding, "base64")).buffer),
          crop,
        }))
      : [],
  );

/** The clusters of two faces or more, and the faces that are like no other. */
function sorted(faces: readonly FoundFace[], threshold: number) {
  const clusters = clusterByAverage(
    faces.map(({ embedding }) => embedding),
    threshold,
  ).map((members) => members.map((i) => faces[i]!));
  const groups = clusters.filter(({ length }) => length > 1);
  const digits = Math.max(3, String(groups.length).length);
  return {
    groups: groups.map((group, i) => ({ name: `person-${String(i + 1).padStart(digits, "0")}`, group })),
    single: clusters.filter(({ length }) => length === 1).flat(),
  };
}

/** Puts a photograph into a folder of the output, under a name that the folder does not have. */
async function place(from: string, folder: string, taken: Set<string>, links: boolean): Promise<void> {
  const { name, ext, base } = parse(from);
  let free = base;
  for (let i = 2; taken.has(free.toLowerCase()); i++) free = nameWith(name, `-${i}${ext}`);
  taken.add(free.toLowerCase());
  const to = join(folder, free);
  try {
    await (links ? link(from, to) : copyFile(from, to, constants.COPYFILE_FICLONE));
  } catch (error) {
    if ((await stat(from).catch(() => undefined)) !== undefined) throw error;
    throw new FaceError("IMAGE_UNREADABLE", `cannot read ${from}: no such file, though it was there before`, {
      hint: "run the command again; the other photographs are not embedded again",
      cause: error,
    });
  }
}

async function placeAll(
  album: string,
  folder: string,
  faces: readonly AlbumFace[],
  links: boolean,
): Promise<void> {
  if (faces.length === 0) return;
  await mkdir(folder);
  const taken = new Set<string>();
  for (const photo of new Set(faces.map(({ photo: each }) => each))) {
    await place(join(album, photo), folder, taken, links);
  }
}

async function refuseOutput(folder: string, output: string): Promise<void> {
  if ((await stat(output).catch(() => undefined)) !== undefined) {
    throw new FaceError("CONFIG_INVALID", `${output} exists already`, { hint: "choose another `output`" });
  }
  if (!relative(resolve(folder), resolve(output)).startsWith("..")) {
    throw new FaceError("CONFIG_INVALID", `${output} lies in the album ${folder}`, {
      hint: "choose an `output` outside, so that its photographs are not sorted next time",
    });
  }
}

/** A threshold on cosines is wanted: those of a head that compares pairs have no average of directions. */
function thresholdOf(model: PhotoModel, far = USUAL_FAR): number {
  if (model.measure === "cosine") return model.decide(0, far).threshold;
  throw new FaceError("MODEL_UNSUPPORTED", `${model.name} compares pairs and cannot cluster`, {
    hint: "leave out `model`, for the pack opencv-sface",
  });
}

/**
 * Sorts the faces of an album's photographs into people. What is embedded is kept in a journal beside the output, so that a run
 * that was stopped continues; the output appears whole at the end.
 * @throws FaceError `CONFIG_INVALID` when the output exists, lies in the album, or for a rate that the model is not calibrated
 *   for; `DATASET_…`; `PACK_…`; `MODEL_UNSUPPORTED` for a model that is no pack; `DISK_FULL`; `INTERRUPTED` on the signal.
 */
export async function clusterFolder(
  folder: string,
  options: ClusterFolderOptions = {},
): Promise<ClusterResult> {
  checkPath("clusterFolder, the folder", folder);
  checkOptions("clusterFolder", clusterOptions, options);
  const { output, far, log, signal, links = false } = options;
  if (output !== undefined) await refuseOutput(folder, output);
  const { paths, unread } = await photosIn(folder);
  await using model = await loadFaceModel(options.model, { log, signal });
  const threshold = thresholdOf(model, far);
  const { name, digest } = model;
  const journal =
    output === undefined
      ? undefined
      : await Journal.open<PhotoRecord>(`${output}.part`, {
          journal: "faceid-cluster-1",
          model: name,
          digest,
        });
  const records = await embedAlbum(model, folder, paths, journal, options);
  const faces = facesOf(records);
  const { groups, single } = sorted(
    faces.filter(({ about }) => about.warnings.length === 0),
    threshold,
  );
  const result: ClusterResult = {
    photographs: records.length,
    faces: faces.length,
    model: { name, digest },
    threshold,
    people: groups.map(({ name: person, group }) => ({
      name: person,
      faces: group.map(({ about }) => about),
    })),
    single: single.map(({ about }) => about),
    unclear: faces.flatMap(({ about }) => (about.warnings.length > 0 ? [about] : [])),
    withoutFace: records.flatMap((each) => ("faces" in each && each.faces.length === 0 ? [each.path] : [])),
    leftOut: [...records.flatMap((each) => ("leftOut" in each ? [each.leftOut] : [])), ...unread],
  };
  if (output === undefined) return result;
  await publishFolder(output, async (temporary) => {
    for (const person of result.people) {
      await placeAll(folder, join(temporary, person.name), person.faces, links);
    }
    await placeAll(folder, join(temporary, SINGLE), result.single, links);
    await writeFile(join(temporary, LIST), `${JSON.stringify(result, undefined, 1)}\n`);
    const rows = groups.map(({ name: person, group }) => ({
      title: counted(person, group.length),
      crops: group.map(({ crop }) => crop),
    }));
    const drawn = [...rows, { title: counted(SINGLE, single.length), crops: single.map(({ crop }) => crop) }];
    await writeFile(
      join(temporary, SHEET),
      await clusterSheet(drawn.filter(({ crops }) => crops.length > 0)),
    );
  });
  await journal?.remove();
  return result;
}
