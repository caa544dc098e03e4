/** @file Image files as inputs of a signature: decoded, resized and in the range that the model takes. */

import { Limiter } from "../../base/limiter.ts";
import { usableCores } from "../../base/platform.ts";
import { float32, type Tensor, type TensorMap } from "../../base/tensor.ts";
import { type DecodeOptions, decodeInto, imageFormat } from "../../image/decode.ts";
import { type ImageSettings, imageSize } from "../../image/settings.ts";
import type { GraphDef } from "../../proto/tensorflow/graph_pb.ts";
import { matchDecodeLoops } from "../../savedmodel/read/match-decode-loop.ts";
import type { Signature, SignatureTensor } from "../../savedmodel/signature.ts";
import { allOf, holding, type RequestMemory } from "../request-memory.ts";
import { invalidArgument, StatusError } from "../status.ts";
import type { InputStep } from "./servable.ts";

/** Threads of libuv, each of which decodes one image. */
const LIBUV_THREADS = 4;
/**
 * Limits the images in memory at full size, over all requests. Each moves from a thread of libuv to one of libvips and
 * back; more of them than cores would only delay the thread that talks to clients.
 */
const decoding = new Limiter(Math.min(LIBUV_THREADS, Math.max(2, usableCores())));

const RGB_CHANNELS = 3;
/** Far more than a photograph; a small file can claim more pixels than fit the memory. */
export const MOST_PIXELS = 50_000_000;

/** The size of an input of RGB images as floats, `[batch, height, width, 3]`; `undefined` for other inputs. */
export function imageSettingsOf({ dtype, shape }: SignatureTensor): ImageSettings | undefined {
  const [, height = 0, width = 0, channels] = shape ?? [];
  const isImage = dtype === "float32" && shape?.length === 4 && channels === RGB_CHANNELS;
  return isImage && height > 0 && width > 0 ? { height, width, channels: RGB_CHANNELS } : undefined;
}

/** Largest batch of images at the size that the model takes, in bytes. */
const LARGEST_BATCH = 256 * 2 ** 20;

function checkTotal(files: number, size: number): void {
  const bytes = files * size * Float32Array.BYTES_PER_ELEMENT;
  if (bytes <= LARGEST_BATCH) return;
  throw new StatusError(
    "RESOURCE_EXHAUSTED",
    `${files} images take ${bytes} bytes at the size of the model, at most ${LARGEST_BATCH} at a time`,
  );
}

/**
 * Image files as a batch: upright, resized, RGB in [0, 1].
 * @param options how files are decoded where it is not upright and in sRGB.
 * @throws FaceError `IMAGE_UNREADABLE`.
 */
export async function imageBatch(
  files: readonly Uint8Array[],
  settings: ImageSettings,
  memory: RequestMemory | undefined,
  options: DecodeOptions = {},
): Promise<Tensor> {
  const size = imageSize(settings);
  checkTotal(files.length, size);
  const images = memory?.array("float32", files.length * size) ?? new Float32Array(files.length * size);
  const work = files.map((file, index) =>
    decoding.run(() =>
      decodeInto(file, settings, images, index * size, { ...options, maxPixels: MOST_PIXELS }),
    ),
  );
  await holding(memory, () => allOf(work));
  return float32([files.length, settings.height, settings.width, settings.channels], images);
}

/** @throws StatusError `INVALID_ARGUMENT` for anything but a list of JPEG and PNG files. */
function checkFiles(alias: string, { shape, data }: Tensor): readonly Uint8Array[] {
  if (shape.length !== 1) {
    throw invalidArgument(`${alias} takes a list of JPEG or PNG files, got shape [${shape.join(",")}]`);
  }
  const files = data as readonly Uint8Array[];
  for (const [index, file] of files.entries()) {
    const format = imageFormat(file);
    if (format === "jpeg" || format === "png") continue;
    throw invalidArgument(`${alias}, file ${index}: neither JPEG nor PNG`);
  }
  return files;
}

/** What TensorFlow's decoding operator does, which knows neither orientation nor colour profiles. */
const AS_TENSORFLOW: DecodeOptions = { orient: false, storedColours: true };

/**
 * The step in place of a signature's decode loop, or `undefined` where its inputs are not image files.
 * @param isDescribed whether the model's description says how its images are read: upright and in sRGB, as by every other
 *   way into the server. A model without one gets what TensorFlow's operator gives.
 */
export function decodeStep(
  graph: GraphDef,
  declared: Signature,
  isDescribed: boolean,
): InputStep | undefined {
  const found = matchDecodeLoops(graph, declared);
  if (found === undefined) return undefined;
  const { signature, sizes } = found;
  return {
    signature,
    parse: async (given: TensorMap, memory?: RequestMemory) => {
      const options = isDescribed ? {} : AS_TENSORFLOW;
      const files = [...sizes].map(
        ([alias, size]) => [alias, size, checkFiles(alias, given.get(alias)!)] as const,
      );
      return new Map(
        await allOf(
          files.map(
            async ([alias, size, each]): Promise<[string, Tensor]> => [
              alias,
              await imageBatch(each, { ...size, channels: RGB_CHANNELS }, memory, options),
            ],
          ),
        ),
      );
    },
  };
}
