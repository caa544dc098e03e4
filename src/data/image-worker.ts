/** @file The thread behind `ImageThreads`: decodes or draws images, changes them at random, hands out floats. */
import { parentPort, workerData } from "node:worker_threads";
import { FaceError, messageOf } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { augmentImage } from "../image/augment.ts";
import { prepareInto } from "../image/prepare.ts";
import { imageSize } from "../image/settings.ts";
import type { ImageRef } from "./identity.ts";
import type { Failure, ImageJob, LoadedImages, ThreadReply, ThreadSettings } from "./image-threads.ts";
import { PixelCache } from "./pixel-cache.ts";
import { readPixels } from "./read-pixels.ts";

const { settings, cacheFolder, cacheMegabytes } = workerData as ThreadSettings;
const size = imageSize(settings);
const cache = openCache();
let complained = false;

function send(reply: ThreadReply): void {
  parentPort?.postMessage(reply, reply.kind === "loaded" ? [reply.values.buffer as ArrayBuffer] : []);
}

function openCache(): PixelCache | undefined {
  if (cacheFolder === undefined) return undefined;
  try {
    return new PixelCache(cacheFolder, settings, cacheMegabytes);
  } catch (error) {
    send({ kind: "uncached", reason: messageOf(error) });
    return undefined;
  }
}

async function pixelsOf(image: ImageRef): Promise<Uint8Array> {
  const read = () => readPixels(image, settings);
  if (cache === undefined) return read();
  const pixels = await cache.pixels(image, read);
  if (cache.failure !== undefined && !complained) {
    complained = true;
    send({ kind: "uncached", reason: cache.failure });
  }
  return pixels;
}

async function load({ images, augment, seed, first }: ImageJob): Promise<LoadedImages> {
  const values = new Float32Array(images.length * size);
  const failures: Failure[] = [];
  const loadOne = async (image: ImageRef, position: number) => {
    try {
      const pixels = await pixelsOf(image);
      // Drawn from the image's number in the epoch, not from when its turn comes: threads may be fast or slow.
      const random = () => new Random(seed).fork(first + position);
      const changed = augment === undefined ? pixels : augmentImage(pixels, settings, augment, random());
      prepareInto(changed, values, position * size);
    } catch (error) {
      if (!(error instanceof FaceError)) throw error;
      failures.push({ position, message: error.message });
    }
  };
  await Promise.all(images.map(loadOne));
  return { values, failures: failures.sort((a, b) => a.position - b.position) };
}

parentPort?.on("message", (job: ImageJob) => {
  load(job).then(
    (loaded) => send({ kind: "loaded", id: job.id, ...loaded }),
    (error: unknown) => send({ kind: "crashed", id: job.id, reason: messageOf(error) }),
  );
});
