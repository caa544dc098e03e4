/** @file Opens the galleries that a server answers from, with the pack that searches them and who may ask. */

import { resolve } from "node:path";
import { calibrationPoints } from "../artifact/calibration.ts";
import { FaceError, messageOf } from "../base/errors.ts";
import { readWhole } from "../base/files.ts";
import { cosineSimilarity } from "../faces/cosine.ts";
import { EMBEDDING_SIZE } from "../faces/embedder.ts";
import { isUsual } from "../faces/mode.ts";
import {
  filesOf,
  licencesOf,
  type PackFile,
  type PackModel,
  type PackRole,
  packNamed,
} from "../faces/packs/catalogue.ts";
import { Gallery, type GalleryModel } from "../gallery/gallery.ts";
import type { TokenOptions } from "../serving/access/tokens.ts";
import { isLoopback } from "../serving/galleries/access.ts";
import type { GalleriesOptions, ServedModel } from "../serving/galleries/service.ts";
import type { PackFiles } from "../serving/photos/photo-threads.ts";
import { packIdentity } from "../verify/face-comparer.ts";
import { packCalibration } from "../verify/pack-calibrations.ts";

/** The pack that searches galleries where none is named. */
export const GALLERY_PACK = "opencv-sface";

/** A gallery to serve. */
export interface GalleryChoice {
  /** By which clients ask for it. */
  readonly name: string;
  /** A folder, or `postgres://user:password@host/database`. */
  readonly address: string;
  /** Its name among those at the address. Default `default`. */
  readonly gallery?: string | undefined;
}

const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,62}$/u;

/**
 * Reads `NAME=ADDRESS` or `NAME=ADDRESS#GALLERY`.
 * @throws FaceError `CONFIG_INVALID`.
 */
export function galleryChoice(text: string): GalleryChoice {
  const [, name, address, gallery] = /^([^=/\\]+)=([^#]+)(?:#(.+))?$/.exec(text) ?? [];
  if (name !== undefined && address !== undefined && NAME.test(name)) return { name, address, gallery };
  // The text may hold a password.
  throw new FaceError("CONFIG_INVALID", "--gallery: expected NAME=FOLDER or NAME=postgres://…", {
    hint: "such as --gallery staff=./people; clients then ask for /v1/galleries/staff",
  });
}

/** The description of a pack for clients. */
function servedModel(served: ServedPack): ServedModel {
  const { files, note, ...entry } = packNamed(served.pack);
  const calibration = packCalibration(served);
  const { detector, embedding } = files;
  const factsOf = ({ sha256, bytes }: PackFile) => ({ sha256, bytes });
  return {
    name: served.modelName,
    measure: "cosine",
    licence: licencesOf({ ...entry, files, note }),
    trainedOn: files.embedding.trainedOn,
    note,
    calibration:
      calibration === undefined
        ? null
        : { threshold: calibration.threshold, points: calibrationPoints(calibration), ...calibration.data },
    files: isUsual(served) ? { detector: factsOf(detector), embedding: factsOf(embedding) } : null,
    report: served.report !== undefined,
  };
}

export interface ServedPack extends PackModel {
  /** Under which the server answers `:verify` and `:detect`. */
  readonly modelName: string;
  /** Paths of its files. */
  readonly files: Pick<PackFiles, PackRole>;
  /** Its report page, as `faceid report` writes it. Default: none. */
  readonly report?: string | undefined;
}

/** The beginning of a page, after a byte-order mark. */
const HTML = /^\uFEFF?\s*<(?:!doctype html|html)\b/i;

/**
 * The whole path of a report page.
 * @throws FaceError `FILE_INVALID` for a file that is none, or cannot be read.
 */
async function reportPage(path: string): Promise<string> {
  const hint = "name the page that faceid report writes: faceid report opencv-sface --output report.html";
  const page = await readWhole(path).catch((error: unknown) => {
    throw new FaceError("FILE_INVALID", `\`report\`: cannot read ${path}: ${messageOf(error)}`, {
      hint,
      cause: error,
    });
  });
  if (!HTML.test(String(page)))
    throw new FaceError("FILE_INVALID", `\`report\`: ${path} is no HTML page`, { hint });
  return resolve(path);
}

/** Where galleries are served. */
export interface ServingPlace {
  /** The address that the server listens on. */
  readonly bindAddress?: string | undefined;
  readonly apiKeysFile?: string | undefined;
  readonly tokens?: TokenOptions | undefined;
  /** Whether a missing gallery is made. Default false. */
  readonly create?: boolean;
  /** Stops the making of a gallery. */
  readonly signal?: AbortSignal | undefined;
}

/** Paths of the files that are sent by their digests: none for a model that is not theirs as they are. */
function sentFiles(served: ServedPack): ReadonlyMap<string, string> {
  if (!isUsual(served)) return new Map();
  const { pack, files } = served;
  return new Map(
    filesOf(packNamed(pack)).flatMap(([role, { sha256 }]) => {
      const path = files[role];
      return path === undefined ? [] : [[sha256, path] as const];
    }),
  );
}

/** What the galleries of a pack must have been made with. */
export function packGalleryModel(pack: PackModel): GalleryModel {
  return { ...packIdentity(pack), dimensions: EMBEDDING_SIZE, template: "centroid" };
}

/**
 * Opens galleries for a server.
 * @throws FaceError `CONFIG_INVALID` for a name that comes twice, or a server without keys that others can reach;
 *   `FILE_INVALID` for a report that is none; `GALLERY_NOT_FOUND`, `GALLERY_MISMATCH` or what else a gallery says.
 */
export async function openGalleries(
  choices: readonly GalleryChoice[],
  served: ServedPack,
  { bindAddress, apiKeysFile, tokens, create = false, signal }: ServingPlace,
): Promise<GalleriesOptions> {
  if (apiKeysFile === undefined && tokens === undefined && !isLoopback(bindAddress)) {
    throw new FaceError("CONFIG_INVALID", "a gallery is never served without keys beyond this machine", {
      hint: "add `bindAddress` 127.0.0.1, or `apiKeysFile` FILE (faceid keys add makes it)",
    });
  }
  const report = served.report === undefined ? undefined : await reportPage(served.report);
  const model = packGalleryModel(served);
  const open = new Map<string, Gallery>();
  try {
    for (const { name, address, gallery: inner } of choices) {
      if (open.has(name)) throw new FaceError("CONFIG_INVALID", `--gallery: the name ${name} comes twice`);
      const gallery = await Gallery.open(address, {
        name: inner,
        signal,
        ...(create ? { create: model } : {}),
      });
      open.set(name, gallery);
      gallery.requireModel(model);
    }
  } catch (error) {
    for (const gallery of open.values()) await gallery[Symbol.asyncDispose]();
    throw error;
  }
  const calibration = packCalibration(served);
  return {
    open,
    matcher: { measure: "cosine", calibration, similarity: cosineSimilarity },
    model: servedModel(served),
    files: sentFiles(served),
    report,
  };
}
