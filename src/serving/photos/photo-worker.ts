/** @file The thread behind PhotoThreads: one photograph at a time through detector, choice of the face, crop and embedding. */
import { readFile } from "node:fs/promises";
import { FaceError } from "../../base/errors.ts";
import { lowerPriority } from "../../base/worker.ts";
import { Moved, serveCalls } from "../../base/worker-client.ts";
import { chooseFace, rivalWarning } from "../../faces/choose.ts";
import type { Face } from "../../faces/face.ts";
import { cropFace, FacePipeline, type FoundFaces } from "../../faces/pipeline.ts";
import { qualityWarnings, requireQuality } from "../../faces/quality-limits.ts";
import { MOST_PIXELS } from "../engine/image-input.ts";
import type {
  EmbeddedFace,
  FaceWish,
  JudgedFace,
  MeantFace,
  PackFiles,
  PhotoCalls,
  Photograph,
  PhotoThreadData,
} from "./photo-threads.ts";

const judged = (face: Face): JudgedFace => ({
  ...face,
  warnings: qualityWarnings(face.quality).map(({ message }) => message),
});

async function open(files: PackFiles): Promise<FacePipeline> {
  const [detector, embedding] = await Promise.all([readFile(files.detector), readFile(files.embedding)]);
  return FacePipeline.open({ detector, embedding }, { precision: files.precision });
}

async function find(pipeline: FacePipeline, { file, what }: Photograph): Promise<FoundFaces> {
  try {
    return await pipeline.find(file, { maxPixels: MOST_PIXELS });
  } catch (error) {
    if (!(error instanceof FaceError) || error.code !== "IMAGE_UNREADABLE") throw error;
    throw new FaceError(error.code, error.message.replace("the image", what), { cause: error });
  }
}

/** The face that is meant. */
function meant({ photograph, faces }: FoundFaces, what: string, { choice, strict }: FaceWish): MeantFace {
  const size = photograph.level(0).pixels;
  const chosen = chooseFace(faces, choice, size, what);
  if (strict) requireQuality(qualityWarnings(chosen.quality), what);
  const face = judged(chosen);
  const rival = rivalWarning(faces, chosen, size);
  const warnings = rival === undefined ? face.warnings : [...face.warnings, rival];
  return { face: { ...face, warnings }, found: faces.length };
}

serveCalls<PhotoCalls, PhotoThreadData>(async ({ files, niceness }) => {
  lowerPriority(niceness);
  const pipeline = await open(files);
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
      const found = await find(pipeline, photograph);
      const one = meant(found, photograph.what, wish);
      const embedding = await pipeline.embed(found.photograph, one.face);
      return { ...one, embedding };
    },
    async crop(photograph, wish, framing, side) {
      const found = await find(pipeline, photograph);
      const one = meant(found, photograph.what, wish);
      const crop = new Uint8Array(cropFace(found.photograph, one.face, framing, side).data);
      return new Moved({ ...one, crop }, [crop.buffer]);
    },
    [Symbol.asyncDispose]: () => pipeline.close(),
  };
});
