/** @file A network from elsewhere as a model of faceid: the four signatures, and a description that says how faces lie in its images. */
import { createHash } from "node:crypto";
import { basename, dirname, resolve } from "node:path";
import {
  descriptionText,
  type ExportedModel,
  IMPORTED,
  MODEL_FORMAT,
  type Framing as NamedFraming,
} from "../artifact/description.ts";
import { DESCRIPTION_FILE } from "../artifact/files.ts";
import { COMPARE, EMBED } from "../artifact/signatures.ts";
import { FaceError } from "../base/errors.ts";
import { readWhole } from "../base/files.ts";
import { VERSION } from "../base/platform.ts";
import { framingName } from "../faces/alignment.ts";
import { isOp } from "../graph/ops.ts";
import { imageSettings } from "../image/settings.ts";
import {
  cosineScore,
  type ImportedNetwork,
  importedComparer,
  importedEmbedder,
  importedEmbeddingSize,
  importedSize,
  type PixelFormat,
} from "../model/imported-network.ts";
import { WARMUP_FILE, warmupFile } from "../savedmodel/format/warmup-file.ts";
import type { CallableModel } from "../savedmodel/read/read.ts";
import type { Signature, SignatureTensor } from "../savedmodel/signature.ts";
import type { SavedModelContent, SignatureGraph } from "../savedmodel/write/write.ts";
import { CROP_FRAMINGS } from "./crop.ts";
import { signaturesFrom, warmupRequests } from "./export.ts";
import type { NetworkFraming } from "./network-framings.ts";

/** Facts about a converted network that its file does not hold. */
export interface NetworkOptions {
  readonly framing: NetworkFraming;
  /** Order and range of the colours that it reads, such as `rgb,-1..1`. */
  readonly pixels?: string | undefined;
  /** Height and width of its images, where the file leaves them open. */
  readonly imageShape?: readonly number[] | undefined;
  /** The output that is the embedding. Default: the only one. */
  readonly embedding?: string | undefined;
}

const NUMBER = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?`;
const RANGE = new RegExp(`^(${NUMBER})\\.\\.(${NUMBER})$`, "i");
const PIXELS_HINT =
  "give the order and the values of black and white: --pixels rgb,-1..1 or bgr,0..255; three ranges for one per channel: rgb,-2.118..2.249/-2.036..2.429/-1.804..2.640";

/**
 * Reads a format of pixels, such as `rgb,-1..1` or `bgr,0..255`.
 * @throws FaceError `CONFIG_INVALID`.
 */
export function pixelFormat(text: string): PixelFormat {
  const [order, ranges = "", ...more] = text
    .trim()
    .toLowerCase()
    .split(/[\s,]+/);
  const read = ranges.split("/").map((range) => RANGE.exec(range)?.slice(1).map(Number) ?? []);
  const isValid =
    (order === "rgb" || order === "bgr") &&
    more.length === 0 &&
    (read.length === 1 || read.length === 3) &&
    read.every(([black, white]) => Number.isFinite(black) && Number.isFinite(white) && black !== white);
  if (isValid) return { order, ranges: read.map(([black, white]) => [black!, white!]) };
  throw new FaceError("CONFIG_INVALID", `--pixels: got ${text}, expected an order and a range of colours`, {
    hint: PIXELS_HINT,
  });
}

const unsupported = (message: string, hint: string) => new FaceError("MODEL_UNSUPPORTED", message, { hint });
const shapeOf = ({ shape }: SignatureTensor) => `[${shape?.join(",") ?? "?"}]`;

/** The input that takes the images, with their size; any number of them. */
function imageInput(path: string, { inputs }: Signature, imageShape: readonly number[] | undefined) {
  const [only, ...others] = [...inputs];
  const [name, port] = only ?? [];
  const sides = port?.shape ?? [];
  const channels = sides[1] === 3 ? 1 : 3;
  if (others.length > 0 || port?.dtype !== "float32" || sides.length !== 4 || sides[channels] !== 3) {
    const takes = [...inputs].map(([each, tensor]) => `${each} ${tensor.dtype} ${shapeOf(tensor)}`);
    throw unsupported(
      `${path} takes ${takes.join(", ")}; a face embedding takes one input of RGB images, float32 [-1,3,height,width] or [-1,height,width,3]`,
      "convert it without --framing, to serve it as it is",
    );
  }
  const [height, width] = channels === 1 ? [2, 3] : [1, 2];
  const shape = [-1, ...sides.slice(1)];
  for (const [axis, wanted] of [
    [height, imageShape?.[0]],
    [width, imageShape?.[1]],
  ] as const) {
    if (wanted !== undefined && sides[axis]! > 0 && sides[axis] !== wanted) {
      throw new FaceError("CONFIG_INVALID", `--image-shape: ${path} takes images of ${shapeOf(port)}`, {
        hint: "leave it out",
      });
    }
    shape[axis] = sides[axis]! > 0 ? sides[axis]! : (wanted ?? -1);
  }
  if (shape[height]! > 0 && shape[width]! > 0) return { name: name!, port: { ...port, shape } };
  throw new FaceError("CONFIG_INVALID", `${path} takes images of any size ${shapeOf(port)}`, {
    hint: "say what it was trained on: --image-shape 112x112",
  });
}

function outputName(path: string, { outputs }: Signature, wanted: string | undefined): string {
  const names = [...outputs.keys()];
  if (wanted === undefined && names.length === 1) return names[0]!;
  if (wanted !== undefined && names.includes(wanted)) return wanted;
  const listed = [...outputs].map(([name, tensor]) => `${name} ${shapeOf(tensor)}`).join(", ");
  throw new FaceError(
    "CONFIG_INVALID",
    wanted === undefined ? `${path} has several outputs` : `${path} has no output ${wanted}`,
    { hint: `name the one that is the embedding, --embedding NAME: ${listed}` },
  );
}

async function networkOf(
  path: string,
  model: CallableModel,
  signature: string,
  { pixels, imageShape, embedding }: NetworkOptions,
): Promise<ImportedNetwork> {
  const declared = model.signatures.get(signature);
  if (declared === undefined) {
    throw new FaceError("MODEL_NOT_FOUND", `${path} has no signature ${signature}`, {
      hint: `it has ${[...model.signatures.keys()].join(", ") || "none"}; choose by --signature`,
    });
  }
  if (pixels === undefined) {
    throw new FaceError("CONFIG_INVALID", "no file says which colours its network reads", {
      hint: PIXELS_HINT,
    });
  }
  const format = pixelFormat(pixels);
  const { name, port } = imageInput(path, declared, imageShape);
  const chosen = outputName(path, declared, embedding);
  const program = await model.program(signature, { ...declared, inputs: new Map([[name, port]]) });
  const [image, output] = [program.inputs[name]!, program.outputs[chosen]!];
  if (isOp(image, "input") && typeof image.shape[0] === "string") return { image, output, pixels: format };
  throw unsupported(
    `${path} takes ${image.shape[0]} images at a time and cannot be read for any number of them`,
    "export it with a free batch",
  );
}

function namedFraming(
  framing: NetworkFraming,
  { height, width }: { height: number; width: number },
): NamedFraming {
  if (framing === "none") return { kind: "none" };
  if (height === width) return framingName(CROP_FRAMINGS[framing], height);
  throw unsupported(
    `the network takes images of ${width}x${height} pixels, and faces are cut out as squares`,
    "pass --framing none, and compare crops of your own with --no-detect",
  );
}

function signaturesOfNetwork(network: ImportedNetwork): Record<string, SignatureGraph> {
  return signaturesFrom({
    pair([anchor, verification]) {
      const [a, b] = [importedEmbedder(network, anchor), importedEmbedder(network, verification)];
      const classifier = cosineScore(a.embedding, b.embedding);
      return { anchorImage: a.image, verificationImage: b.image, classifier };
    },
    single: importedEmbedder(network, EMBED.image),
    top: importedComparer(network, COMPARE),
  });
}

/** The name and the number of a version's folder, `…/NAME/1`. */
function nameOf(folder: string): { readonly name: string; readonly version: number } {
  const full = resolve(folder);
  const isNumbered = /^\d+$/.test(basename(full));
  return {
    name: basename(isNumbered ? dirname(full) : full),
    version: isNumbered ? Number(basename(full)) : 1,
  };
}

/**
 * The content of a version's folder for a network from elsewhere. Its decision needs a calibration record, which
 * `faceid calibrate` measures; until then `classifier` is a score, not a probability.
 * @param folder where it will be written.
 * @throws FaceError `CONFIG_INVALID` for what is missing or does not fit, `MODEL_UNSUPPORTED` for a network that is no
 *   embedding of one image.
 */
export async function importedContent(
  model: CallableModel,
  options: NetworkOptions & {
    readonly folder: string;
    readonly path: string;
    readonly file: string;
    readonly signature: string;
  },
): Promise<SavedModelContent> {
  const { folder, path, file, signature, framing } = options;
  const network = await networkOf(path, model, signature, options);
  const size = importedSize(network);
  const embeddingSize = importedEmbeddingSize(network);
  const { name, version } = nameOf(folder);
  const signatures = signaturesOfNetwork(network);
  const description: ExportedModel = {
    format: MODEL_FORMAT,
    faceid: VERSION,
    name,
    version,
    network: IMPORTED,
    embeddingSize,
    image: { ...imageSettings(size.height, size.width), range: [0, 1] },
    framing: namedFraming(framing, size),
    imported: {
      file: basename(file),
      sha256: createHash("sha256")
        .update(await readWhole(file))
        .digest("hex"),
      pixels: options.pixels!,
    },
    training: {
      epochs: 0,
      steps: 0,
      config: { imageShape: [size.height, size.width], ...(framing === "none" ? {} : { faces: "align" }) },
      history: [],
    },
  };
  return {
    signatures,
    parameters: new Map(),
    files: {
      [DESCRIPTION_FILE]: descriptionText(description),
      [WARMUP_FILE]: warmupFile(name, await warmupRequests(signatures, size)),
    },
  };
}
