/** @file The faces of decoded pixels with their quality, and their crops. Without imports of Node, as the page finds them too. */
import { cropOf, type Framing } from "./alignment.ts";
import type { FacePick } from "./choose.ts";
import type { Detector } from "./detector.ts";
import type { Face, Landmarks } from "./face.ts";
import { type Pyramid, type Sampled, sample } from "./pyramid.ts";
import { QUALITY_SIDE, qualityOf } from "./quality.ts";

/** A decoded photograph with the faces found in it, the surest first. */
export interface FoundFaces {
  readonly photograph: Pyramid;
  readonly faces: readonly Face[];
}

/** Crops that quality was measured on, by the points of their face: the packs read the same ones. */
const measured = new WeakMap<Landmarks, Sampled>();

/** The crop of a face that a model reads. */
export function cropFace(photograph: Pyramid, face: Face, framing: Framing, side: number): Sampled {
  const { kind, ...form } = framing;
  const isMeasured = kind === "aligned" && Object.keys(form).length === 0 && side === QUALITY_SIDE;
  const known = isMeasured ? measured.get(face.landmarks) : undefined;
  return known ?? sample(photograph, cropOf(face, framing, side), side, side);
}

/** Finds the faces of a photograph and measures their quality. @param wanted as `Detector.find` takes it. */
export async function findFaces(
  detector: Detector,
  photograph: Pyramid,
  wanted?: FacePick,
): Promise<FoundFaces> {
  const detections = await detector.find(photograph, wanted);
  const faces = detections.map((detection): Face => {
    const toPhotograph = cropOf(detection, { kind: "aligned" }, QUALITY_SIDE);
    const crop = sample(photograph, toPhotograph, QUALITY_SIDE, QUALITY_SIDE);
    measured.set(detection.landmarks, crop);
    return { ...detection, quality: qualityOf(detection, crop) };
  });
  return { photograph, faces };
}
