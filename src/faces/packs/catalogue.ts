/** @file The catalogue of model packs: their files, digests, origins, licences, and what they were trained on. */

import { didYouMean, FaceError } from "../../base/errors.ts";
import { MODES, type Mode, modeOf, modeSuffix, USUAL_MODE } from "../mode.ts";

/** What a file of a pack is for. */
export type PackRole = "detector" | "embedding";

/** One file of a pack. */
export interface PackFile {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 in lower-case hexadecimal digits; a file with another one is never used. */
  readonly sha256: string;
  /** URLs of its publishers, in the order in which they are tried. */
  readonly origins: readonly string[];
  /** Description of what it does. */
  readonly holds: string;
  /** SPDX identifier of the licence of the weights. */
  readonly licence: string;
  /** The training data, as far as its publishers say. */
  readonly trainedOn: string;
}

/**
 * Files that work together. The name stands for these very bytes: other files, such as a newer detector, make a pack of
 * another name, since programs of several versions share one folder.
 */
export interface Pack {
  readonly name: string;
  readonly files: Readonly<Record<PackRole, PackFile>>;
  /** What users must know beyond the licences, as one line. */
  readonly note: string;
}

/** OpenCV's model zoo at a fixed commit, from the host of its Git LFS files. */
const ZOO =
  "https://media.githubusercontent.com/media/opencv/opencv_zoo/47534e27c9851bb1128ccc0102f1145e27f23f98/models";
/** The same files in OpenCV's organisation on Hugging Face. */
const HUGGING_FACE = "https://huggingface.co/opencv";

/** Both hosts have a file of the zoo in a folder of the same name. */
const originsOf = (folder: string, name: string): readonly string[] => [
  `${ZOO}/${folder}/${name}`,
  `${HUGGING_FACE}/${folder}/resolve/main/${name}`,
];

const YUNET = "face_detection_yunet_2023mar_int8bq.onnx";
const SFACE = "face_recognition_sface_2021dec_int8bq.onnx";

const opencvSface: Pack = {
  name: "opencv-sface",
  files: {
    detector: {
      name: YUNET,
      bytes: 122_489,
      sha256: "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
      origins: originsOf("face_detection_yunet", YUNET),
      holds: "YuNet: finds faces and five points of each",
      licence: "MIT",
      trainedOn: "WIDER FACE",
    },
    embedding: {
      name: SFACE,
      bytes: 10_667_852,
      sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
      origins: originsOf("face_recognition_sface", SFACE),
      holds: "SFace: an aligned face as 128 numbers",
      licence: "Apache-2.0",
      trainedOn: "CASIA-WebFace, VGGFace2 or MS1M (not published which)",
    },
  },
  note: "trained on faces under research terms, like all public face models",
};

/** The pack that is used when no model is named, and whose detector serves exported models. */
export const DEFAULT_PACK = "opencv-sface";

/** All packs. */
export const PACKS: readonly Pack[] = [opencvSface];

/**
 * A pack's entry in the catalogue.
 * @throws FaceError `PACK_UNKNOWN` for any other name
 */
export function packNamed(name: string, catalogue: readonly Pack[] = PACKS): Pack {
  const found = catalogue.find((pack) => pack.name === name);
  if (found !== undefined) return found;
  const names = catalogue.map((pack) => pack.name);
  const text = `there is no model pack ${JSON.stringify(name)}${didYouMean(String(name), names)}`;
  throw new FaceError("PACK_UNKNOWN", text, {
    hint: `the catalogue has ${names.join(", ")}`,
  });
}

/** A pack, and how it computes. */
export interface PackModel extends Mode {
  readonly pack: string;
}

/** The model of a pack as answers and embeddings name it: `opencv-sface`, or `opencv-sface-int8-fast` in another mode. */
export const packModelName = (model: PackModel): string => `${model.pack}${modeSuffix(model)}`;

/**
 * The model of that name; undefined where no pack has it.
 * @param wish what holds where the name leaves it open.
 */
export function packModelNamed(name: string, wish: Partial<Mode> = {}): PackModel | undefined {
  const found = PACKS.flatMap((pack) => MODES.map((mode) => ({ pack: pack.name, ...mode }))).find(
    (model) => packModelName(model) === name,
  );
  if (found === undefined) return undefined;
  const { pack, precision, profile } = found;
  const wanted = modeOf(wish);
  return {
    pack,
    precision: precision === USUAL_MODE.precision ? wanted.precision : precision,
    profile: profile === USUAL_MODE.profile ? wanted.profile : profile,
  };
}

/** What tells embeddings apart that cannot be compared: SHA-256 of the weights, with the mode where it is not the usual one. */
export function packDigest(model: PackModel): string {
  return `${packNamed(model.pack).files.embedding.sha256}${modeSuffix(model)}`;
}

/** The files of a pack with their roles. */
export function filesOf({ files }: Pack): readonly (readonly [PackRole, PackFile])[] {
  return Object.entries(files) as [PackRole, PackFile][];
}

/** Bytes of all files of a pack. */
export function bytesOf(pack: Pack): number {
  return filesOf(pack).reduce((sum, [, { bytes }]) => sum + bytes, 0);
}

/** The licences of a pack's files, each once: `MIT and Apache-2.0`. */
export function licencesOf(pack: Pack): string {
  return [...new Set(filesOf(pack).map(([, { licence }]) => licence))].join(" and ");
}
