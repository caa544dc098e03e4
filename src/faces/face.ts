/** @file A face found in a photograph: where it is, and the numbers that say how well it can be compared. */

/** A place in a photograph in pixels, x to the right, y down; the centre of the first pixel is at (0, 0). */
export type Point = readonly [x: number, y: number];

/** Left, top, width and height in pixels. A box may reach over the photograph's border. */
export type Box = readonly [x: number, y: number, width: number, height: number];

/**
 * Five points of a face in the order of ArcFace's template: the eye on the image's left (the person's right), the other
 * eye, the tip of the nose, the corner of the mouth on the image's left, the other corner. Left and right are those of
 * the upright face.
 */
export type Landmarks = readonly [Point, Point, Point, Point, Point];

/** What a detector finds. */
export interface Detection {
  readonly box: Box;
  readonly landmarks: Landmarks;
  /** The detector's confidence, 0 to 1. */
  readonly score: number;
}

/** Numbers that say how well a face can be compared. */
export interface FaceQuality {
  /** The detector's confidence, 0 to 1. */
  readonly score: number;
  /** Distance between the eyes in pixels of the photograph. */
  readonly eyeDistance: number;
  /** Degrees by which the head is turned to the image's right; 0 faces the camera. Estimated from five points. */
  readonly yaw: number;
  /** Degrees by which the head is bent down. Estimated from five points. */
  readonly pitch: number;
  /** Degrees by which the face is turned clockwise in the photograph, -180 to 180. */
  readonly roll: number;
  /** Detail of the aligned face beside that at a quarter of its size, 0 (blank) upwards: low for a blurred face, and one that was enlarged. */
  readonly sharpness: number;
  /** Mean luminance of the aligned face, 0 (black) to 1 (white). */
  readonly brightness: number;
  /** Standard deviation of the aligned face's luminance, 0 to 0.5. */
  readonly contrast: number;
  /** Share of the aligned crop that lies inside the photograph, 0 to 1. */
  readonly inside: number;
}

/** A face with the numbers that say how well it can be compared. */
export interface Face extends Detection {
  readonly quality: FaceQuality;
}

const rounded = (digits: number) => (value: number) => Number(value.toFixed(digits));
/** Hundredths of a pixel. */
const pixels = rounded(2);
/** Four decimals are below what a detector can tell. */
const share = rounded(4);

/** A face as answers give it: without digits that are noise. */
export function roundedFace({ box, landmarks, score, quality }: Face): Face {
  const numbers = Object.entries(quality).map(([name, value]) => [name, share(value)]);
  return {
    box: box.map(pixels) as unknown as Box,
    landmarks: landmarks.map((point) => point.map(pixels)) as unknown as Landmarks,
    score: share(score),
    quality: Object.fromEntries(numbers) as FaceQuality,
  };
}
