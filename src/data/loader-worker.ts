/** @file The worker thread of a loader: decodes or draws images, changes them at random, hands out floats. */
import { parentPort, workerData } from "node:worker_threads";
import { FaceError, messageOf } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { augmentImage } from "../image/augment.ts";
import { decodeImage } from "../image/decode.ts";
import { prepareInto } from "../image/prepare.ts";
import { imageSize } from "../image/settings.ts";
import type { ImageRef } from "./identity.ts";
import type { LoaderJob, LoaderReply, LoaderWorkerSettings } from "./loader.ts";
import { drawPhoto } from "./synthetic/draw.ts";

const { settings, cacheBytes } = workerData as LoaderWorkerSettings;
const size = imageSize(settings);

/** Decoded pixels of the images seen first; when the room is used up, later ones are decoded each time. */
const decoded = new Map<number, Uint8Array>();

async function pixelsOf(image: ImageRef): Promise<Uint8Array> {
  const known = decoded.get(image.index);
  if (known !== undefined) return known;
  const pixels =
    image.kind === "file" ? await decodeImage(image.path, settings) : drawPhoto(image.photo, settings);
  if ((decoded.size + 1) * size <= cacheBytes) decoded.set(image.index, pixels);
  return pixels;
}

async function load({ id, images, augment, seed, first }: LoaderJob): Promise<LoaderReply> {
  const values = new Float32Array(images.length * size);
  const failures: LoaderReply["failures"][number][] = [];
  await Promise.all(
    images.map(async (image, i) => {
      try {
        const pixels = await pixelsOf(image);
        const changed =
          augment === undefined
            ? pixels
            : augmentImage(pixels, settings, augment, new Random(seed).fork(first + i));
        prepareInto(changed, values, i * size);
      } catch (error) {
        if (!(error instanceof FaceError)) throw error;
        failures.push({ position: i, message: error.message });
      }
    }),
  );
  return { id, values, failures: failures.toSorted((a, b) => a.position - b.position) };
}

parentPort?.on("message", (job: LoaderJob) => {
  load(job).then(
    (reply) => parentPort?.postMessage(reply, [reply.values.buffer as ArrayBuffer]),
    (error: unknown) => parentPort?.postMessage({ id: job.id, crash: messageOf(error) }),
  );
});
