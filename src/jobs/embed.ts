/** @file Embeds the faces of a folder's photographs into one file, alone or as one of several processes. */

import { createHash } from "node:crypto";
import { rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { checkTarget, writeFileAtomic } from "../base/files.ts";
import { type Log, silentLog } from "../base/log.ts";
import { FACE_CHOICES } from "../faces/choose.ts";
import { EMBEDDING_SIZE } from "../faces/embedder.ts";
import { roundedFace } from "../faces/face.ts";
import type { FaceWish, MeantFace } from "../faces/meant-face.ts";
import { openPack } from "../faces/models.ts";
import {
  DEFAULT_PACK,
  type PackModel,
  packDigest,
  packModelName,
  packModelNamed,
} from "../faces/packs/catalogue.ts";
import { prepare } from "../image/settings.ts";
import type { Photograph } from "../serving/photos/photo-threads.ts";
import { DECODING_AHEAD, PhotoThreads } from "../serving/photos/photo-threads.ts";
import { framingOf, requireVerifier, weightsDigest } from "../verify/face-comparer.ts";
import { openModel } from "../verify/open-model.ts";
import { type EmbeddedPhoto, type EmbeddingFormat, formatOf, writeEmbeddings } from "./embedding-files.ts";
import { Journal } from "./journal.ts";
import type { FileState, LeftOutFile, PhotosJobOptions } from "./photos-in.ts";
import {
  byPath,
  eachPhoto,
  leftOutCsv,
  leftOutFile,
  personOf,
  photosIn,
  photoThreads,
  readPhoto,
  stateOf,
} from "./photos-in.ts";

/** One of several processes that share a folder's photographs. */
export interface Shard {
  /** From 0. */
  readonly index: number;
  readonly count: number;
}

export interface EmbedFolderOptions extends PhotosJobOptions {
  /** The file to write, ending in .parquet, .npy or .jsonl. */
  readonly output: string;
  /** A pack's name, also with `-int8`, `-fast` or `-int8-fast`, or a path as for `loadFaceModel`. Default: the pack `opencv-sface`. */
  readonly model?: string | undefined;
  /** Whether faces beyond the limits on quality are left out. Default false. */
  readonly strict?: boolean | undefined;
  /** Embeds only this part of the photographs, chosen by their paths. */
  readonly shard?: Shard | undefined;
}

const embedOptions = z.strictObject({
  output: given.text,
  model: given.text.optional(),
  face: z.enum(FACE_CHOICES).optional(),
  strict: given.flag.optional(),
  shard: z
    .strictObject({ index: z.number().int().nonnegative(), count: given.count })
    .refine(({ index, count }) => index < count, "a number below the count")
    .optional(),
  log: given.log.optional(),
  signal: given.signal.optional(),
  onProgress: given.call.optional(),
} satisfies { readonly [K in keyof EmbedFolderOptions]-?: z.ZodType });

export interface EmbedResult {
  /** Rows of the file. */
  readonly rows: number;
  /** Rows that an earlier run had computed. */
  readonly kept: number;
  readonly leftOut: readonly LeftOutFile[];
  /** The files written. */
  readonly files: readonly string[];
}

/** A model that embeds whole photographs. */
interface PhotoEmbedder extends AsyncDisposable {
  readonly name: string;
  /** SHA-256 of the file with the weights. */
  readonly digest: string;
  readonly size: number;
  embed(
    photograph: Photograph,
    wish: FaceWish,
    signal: AbortSignal,
  ): Promise<MeantFace & { readonly embedding: Float32Array }>;
}

async function packEmbedder(model: PackModel, log: Log): Promise<PhotoEmbedder> {
  const { files } = await openPack(model.pack, { log });
  const { precision, profile } = model;
  const threads = await PhotoThreads.open(
    { ...files, precision, profile },
    photoThreads(),
    0,
    DECODING_AHEAD,
  );
  return {
    name: packModelName(model),
    digest: packDigest(model),
    size: EMBEDDING_SIZE,
    embed: (photograph, wish, signal) => threads.embedding(photograph, wish, signal),
    [Symbol.asyncDispose]: () => threads.close(),
  };
}

async function modelEmbedder(path: string, log: Log): Promise<PhotoEmbedder> {
  const opened = await openModel(path, undefined, log);
  try {
    const verifier = requireVerifier(path, opened.verifier);
    const framing = framingOf(path, opened);
    const { files } = await openPack(DEFAULT_PACK, { log });
    const threads = await PhotoThreads.open({ detector: files.detector }, photoThreads(), 0, DECODING_AHEAD);
    return {
      // The folders above are this machine's business.
      name: join(basename(dirname(opened.path)), basename(opened.path)),
      digest: await weightsDigest(opened.path),
      size: verifier.embeddingSize,
      async embed(photograph, wish, signal) {
        const { crop, ...meant } = await threads.crop(
          photograph,
          wish,
          framing,
          verifier.image.height,
          signal,
        );
        return { ...meant, embedding: await verifier.embed(prepare(crop), 1) };
      },
      async [Symbol.asyncDispose]() {
        await threads.close();
        await verifier[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await opened.verifier[Symbol.asyncDispose]();
    throw error;
  }
}

/** Whether a photograph belongs to a shard: by a hash of its path, so that new photographs move no others. */
export function isInShard(path: string, { index, count }: Shard): boolean {
  return createHash("sha256").update(path).digest().readUInt32BE(0) % count === index;
}

/** What the journal keeps of a photograph, with the state of its file. */
type Record = FileState &
  (
    | { readonly row: Omit<EmbeddedPhoto, "embedding"> & { readonly embedding: string } }
    | { readonly leftOut: LeftOutFile }
  );

const pathOf = (record: Record) => ("row" in record ? record.row.path : record.leftOut.path);

const encoded = (values: Float32Array) =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");

const decoded = (text: string) => new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);

async function refuseTaken(output: string): Promise<void> {
  if ((await stat(output).catch(() => undefined)) === undefined) return;
  throw new FaceError("CONFIG_INVALID", `${output} exists already`, {
    hint: "choose another `output`, or delete the file",
  });
}

interface Work {
  readonly folder: string;
  readonly paths: readonly string[];
  readonly embedder: PhotoEmbedder;
  readonly journal: Journal<Record>;
}

/** Embeds what the journal does not have; returns the records of all photographs by path. */
async function embedAll(
  { folder, paths, embedder, journal }: Work,
  options: Omit<EmbedFolderOptions, "output">,
): Promise<{ records: Map<string, Record>; kept: number }> {
  const records = new Map<string, Record>();
  const before = new Map(journal.records.map((record) => [pathOf(record), record]));
  const { face: choice = "largest", strict = false } = options;
  const embedOne = async (path: string, signal: AbortSignal) => {
    const photograph = { file: await readPhoto(folder, path), what: path };
    const { face, embedding } = await embedder.embed(photograph, { choice, strict }, signal);
    const { box, score, quality } = roundedFace(face);
    const person = personOf(path) ?? null;
    return { path, person, box, score, quality, warnings: face.warnings, embedding: encoded(embedding) };
  };
  let kept = 0;
  await eachPhoto(paths, options, async (path, signal) => {
    const { size, modified } = await stateOf(join(folder, path));
    const known = before.get(path);
    if (known?.size === size && known.modified === modified) {
      kept++;
      records.set(path, known);
      return;
    }
    const record = await embedOne(path, signal).then(
      (row): Record => ({ size, modified, row }),
      (error: unknown): Record => ({ size, modified, leftOut: leftOutFile(path, error) }),
    );
    records.set(path, record);
    await journal.append([record]);
  });
  return { records, kept };
}

/** The faces of a folder's photographs in path order, the photographs without one, and the files that are not read; the journal keeps what is done. */
export async function embeddedFaces(
  folder: string,
  journalPath: string,
  options: Omit<EmbedFolderOptions, "output">,
) {
  const { model = DEFAULT_PACK, face = "largest", strict = false, shard, log = silentLog } = options;
  const all = await photosIn(folder);
  const isOurs = (path: string) => shard === undefined || isInShard(path, shard);
  const paths = all.paths.filter(isOurs);
  const unread = all.unread.filter(({ path }) => isOurs(path));
  const named = packModelNamed(model);
  await using embedder = await (named === undefined ? modelEmbedder(model, log) : packEmbedder(named, log));
  const { name, digest, size } = embedder;
  const journal = await Journal.open<Record>(journalPath, {
    journal: "faceid-embed-1",
    model: name,
    digest,
    face,
    strict,
    shard: shard ?? null,
  });
  const { records, kept } = await embedAll({ folder, paths, embedder, journal }, options);
  const ordered = paths.toSorted().map((path) => records.get(path)!);
  const rows = ordered.flatMap((record): EmbeddedPhoto[] =>
    "row" in record ? [{ ...record.row, embedding: decoded(record.row.embedding) }] : [],
  );
  const leftOut = ordered.flatMap((record) => ("leftOut" in record ? [record.leftOut] : []));
  return { rows, leftOut, unread, kept, journal, model: { model: name, digest, size } };
}

/**
 * Embeds the face of each photograph of a folder and of the folders in it, and writes them in path order. What is done
 * is kept in a journal beside the output, so that a run that was stopped or killed continues; the output itself appears
 * whole at the end.
 * @throws FaceError `CONFIG_INVALID` for options that are none, or when the output exists or has another ending;
 *   `FILE_INVALID` for the journal of a run with other settings; `DATASET_…`; `PACK_…` and `MODEL_…`; `DISK_FULL`; `INTERRUPTED` on the signal.
 */
export async function embedFolder(folder: string, options: EmbedFolderOptions): Promise<EmbedResult> {
  checkPath("embedFolder, the folder", folder);
  checkOptions("embedFolder", embedOptions, options);
  const { output } = options;
  const format: EmbeddingFormat = formatOf(output);
  await refuseTaken(output);
  await checkTarget(output, "file");
  const { rows, kept, journal, model, ...rest } = await embeddedFaces(folder, `${output}.part`, options);
  const leftOut = [...rest.leftOut, ...rest.unread].toSorted(byPath);
  const files = await writeEmbeddings(output, format, rows, model);
  const list = output.replace(/\.\w+$/, ".left-out.csv");
  // One of an earlier run of this name would be taken for this run's.
  if (leftOut.length === 0) await rm(list, { force: true });
  else {
    await writeFileAtomic(list, leftOutCsv(leftOut));
    files.push(list);
  }
  await journal.remove();
  return { rows: rows.length, kept, leftOut, files };
}
