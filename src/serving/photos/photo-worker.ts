/** @file The thread behind PhotoThreads: photographs through detector, choice of the face, crop and embedding. */

import { readFile } from "node:fs/promises";
import { FaceError } from "../../base/errors.ts";
import { collectWhenIdle, lowerPriority } from "../../base/worker.ts";
import { type Handlers, Moved, serveCalls } from "../../base/worker-client.ts";
import type { FacePick } from "../../faces/choose.ts";
import { cropFace, type FoundFaces } from "../../faces/found-faces.ts";
import { judged, meantFace } from "../../faces/meant-face.ts";
import { FacePipeline } from "../../faces/pipeline.ts";
import { MOST_PIXELS } from "../engine/image-input.ts";
import type { EmbeddedFace, PackFiles, PhotoCalls, Photograph, PhotoThreadData } from "./photo-threads.ts";

async function open({ precision, profile, ...files }: PackFiles): Promise<FacePipeline> {
  const [detector, embedding] = await Promise.all([
    readFile(files.detector),
    files.embedding === undefined ? undefined : readFile(files.embedding),
  ]);
  return FacePipeline.open({ detector, embedding }, { precision, profile });
}

async function find(
  pipeline: FacePipeline,
  { file, what }: Photograph,
  wanted?: FacePick,
): Promise<FoundFaces> {
  try {
    return await pipeline.find(file, { maxPixels: MOST_PIXELS, wanted });
  } catch (error) {
    if (!(error instanceof FaceError) || error.code !== "IMAGE_UNREADABLE") throw error;
    throw new FaceError(error.code, error.message.replace("the image", what), { cause: error });
  }
}

const handlersFor = async ({ files, niceness }: PhotoThreadData): Promise<Handlers<PhotoCalls>> => {
  lowerPriority(niceness);
  const pipeline = await open(files);
  // The contents of the files are several times what the sessions keep.
  collectWhenIdle();
  return {
    async faces(photograph) {
      return (await find(pipeline, photograph)).faces.map(judged);
    },
    async embeddings(photograph) {
      const found = await find(pipeline, photograph);
      const embedded: EmbeddedFace[] = [];
      for (const face of found.faces) {
        embedded.push({ face: judged(face), embedding: await pipeline.embed(found.photograph, face) });
      }
      return embedded;
    },
    async embedding(photograph, wish) {
      const found = await find(pipeline, photograph, wish.choice);
      const one = meantFace(found, photograph.what, wish);
      const embedding = await pipeline.embed(found.photograph, one.face);
      return { ...one, embedding };
    },
    async crop(photograph, wish, framing, side) {
      const found = await find(pipeline, photograph, wish.choice);
      const one = meantFace(found, photograph.what, wish);
      const crop = new Uint8Array(cropFace(found.photograph, one.face, framing, side).data);
      return new Moved({ ...one, crop }, [crop.buffer]);
    },
    [Symbol.asyncDispose]: () => pipeline.close(),
  };
};

// While the networks run on one photograph, the next one is decoded in a thread of libvips.
serveCalls(handlersFor, { concurrent: true });
