/** @file The thread behind PhotoThreads: photographs through detector, choice of the face, crop and embedding. */

import { readFile } from "node:fs/promises";
import { FaceError } from "../../base/errors.ts";
import { collectWhenIdle, lowerPriority } from "../../base/worker.ts";
import { type Handlers, Moved, serveCalls } from "../../base/worker-client.ts";
import type { Framing } from "../../faces/alignment.ts";
import { EMBEDDING_SIDE } from "../../faces/embedder.ts";
import { cropFace, type FoundFaces } from "../../faces/found-faces.ts";
import { type FaceWish, judged, type MeantFace, meantFace } from "../../faces/meant-face.ts";
import { FacePipeline } from "../../faces/pipeline.ts";
import type { Sampled } from "../../faces/pyramid.ts";
import { MOST_PIXELS } from "../engine/image-input.ts";
import type { EmbeddedFace, PackFiles, PhotoCalls, Photograph, PhotoThreadData } from "./photo-threads.ts";

async function open({ precision, profile, ...files }: PackFiles): Promise<FacePipeline> {
  const [detector, embedding] = await Promise.all([
    readFile(files.detector),
    files.embedding === undefined ? undefined : readFile(files.embedding),
  ]);
  return FacePipeline.open({ detector, embedding }, { precision, profile });
}

/** Runs work on a photograph; its errors name it. */
async function named<T>({ what }: Photograph, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FaceError) || error.code !== "IMAGE_UNREADABLE") throw error;
    throw new FaceError(error.code, error.message.replace("the image", what), { cause: error });
  }
}

const find = (pipeline: FacePipeline, photograph: Photograph): Promise<FoundFaces> =>
  named(photograph, () => pipeline.find(photograph.file, { maxPixels: MOST_PIXELS }));

/** The face that is meant, cut out. */
function readFace(
  pipeline: FacePipeline,
  photograph: Photograph,
  wish: FaceWish,
  framing: Framing,
  side: number,
): Promise<MeantFace & { crop: Sampled }> {
  const options = { maxPixels: MOST_PIXELS, wanted: wish.choice };
  return named(photograph, () =>
    pipeline.read(photograph.file, options, (found) => {
      const meant = meantFace(found, photograph.what, wish);
      return { ...meant, crop: cropFace(found.photograph, meant.face, framing, side) };
    }),
  );
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
      const { crop, ...meant } = await readFace(
        pipeline,
        photograph,
        wish,
        { kind: "aligned" },
        EMBEDDING_SIDE,
      );
      return { ...meant, embedding: await pipeline.embedCrop(crop) };
    },
    async crop(photograph, wish, framing, side) {
      const { crop, ...meant } = await readFace(pipeline, photograph, wish, framing, side);
      const data = new Uint8Array(crop.data);
      return new Moved({ ...meant, crop: data }, [data.buffer]);
    },
    [Symbol.asyncDispose]: () => pipeline.close(),
  };
};

// While the networks run on one photograph, the next one is decoded in a thread of libvips.
serveCalls(handlersFor, { concurrent: true });
