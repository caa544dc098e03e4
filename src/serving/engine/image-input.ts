/** @file Image files as inputs of a signature: decoded, resized and in the range that the model takes. */
import { usableCores } from "../../base/cores.ts";
import { Limiter } from "../../base/limiter.ts";
import { float32, type Tensor, type TensorMap } from "../../base/tensor.ts";
import { decodeImage, decodePixels, imageFormat } from "../../image/decode.ts";
import { resizeInto } from "../../image/resize.ts";
import { type ImageSettings, imageSize, prepareInto } from "../../image/settings.ts";
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

/**
 * Image files as a batch: upright, resized, RGB in [0, 1].
 * @throws FaceError `IMAGE_UNREADABLE`.
 */
export async function imageBatch(
  files: readonly Uint8Array[],
  settings: ImageSettings,
  memory: RequestMemory,
): Promise<Tensor> {
  const size = imageSize(settings);
  checkTotal("the form", files.length, size);
  const decoded = await Promise.all(
    files.map((file) => decoding.run(() => decodeImage(file, settings, { maxPixels: MOST_PIXELS }))),
  );
  const batch = memory.array("float32", files.length * size);
  for (const [index, pixels] of decoded.entries()) prepareInto(pixels, batch, index * size);
  return float32([files.length, settings.height, settings.width, settings.channels], batch);
}

/** Largest batch of images at the size that the model takes, in bytes. */
const LARGEST_BATCH = 256 * 2 ** 20;

function checkTotal(alias: string, files: number, size: number): void {
  const bytes = files * size * Float32Array.BYTES_PER_ELEMENT;
  if (bytes <= LARGEST_BATCH) return;
  throw new StatusError(
    "RESOURCE_EXHAUSTED",
    `${alias}: ${files} images take ${bytes} bytes at the size of the model, at most ${LARGEST_BATCH} at a time`,
  );
}

/** The images that the decode loop of the graph makes of files, to rounding. */
async function imagesOf(
  alias: string,
  { shape, data }: Tensor,
  settings: ImageSettings,
  memory: RequestMemory | undefined,
): Promise<Tensor> {
  if (shape.length !== 1) {
    throw invalidArgument(`${alias} takes a list of JPEG or PNG files, got shape [${shape.join(",")}]`);
  }
  const files = data as readonly Uint8Array[];
  const size = imageSize(settings);
  // All files are looked at before there is memory for any.
  for (const [index, file] of files.entries()) {
    const format = imageFormat(file);
    if (format !== "jpeg" && format !== "png") {
      throw invalidArgument(`${alias}, file ${index}: neither JPEG nor PNG`);
    }
  }
  checkTotal(alias, files.length, size);
  const images = memory?.array("float32", files.length * size) ?? new Float32Array(files.length * size);
  const work = files.map(async (file, index) => {
    const options = { maxPixels: MOST_PIXELS, orient: false, storedColours: true };
    await decoding.run(async () =>
      resizeInto(await decodePixels(file, options), settings, images, index * size),
    );
  });
  await holding(memory, () => allOf(work));
  return float32([files.length, settings.height, settings.width, settings.channels], images);
}

/** The step in place of a signature's decode loop, or `undefined` where its inputs are not image files. */
export function decodeStep(graph: GraphDef, declared: Signature): InputStep | undefined {
  const found = matchDecodeLoops(graph, declared);
  if (found === undefined) return undefined;
  const { signature, sizes } = found;
  return {
    signature,
    parse: async (given: TensorMap, memory?: RequestMemory) =>
      new Map(
        await Promise.all(
          [...sizes].map(
            async ([alias, size]): Promise<[string, Tensor]> => [
              alias,
              await imagesOf(alias, given.get(alias)!, { ...size, channels: 3 }, memory),
            ],
          ),
        ),
      ),
  };
}
