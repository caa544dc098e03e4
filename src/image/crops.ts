/** @file Whether a picture can be the crop of a face that a model reads, by its size beside that of the model's images. */

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Crops are cut out at about the size that a model takes; a whole photograph is larger, and seldom has the same shape. */
const MOST_ENLARGED = 2;
/** A picture with less than this part of a model's pixels across was hardly ever a face that one could recognise (docs/faces.md). */
const LEAST_PART = 4;
/** Sides are whole pixels, so that shapes agree only nearly. */
const SHAPE_TOLERANCE = 0.03;

/** What becomes of a picture before a model compares it. */
export interface CropUse {
  /** What is done with a picture: it is sent to a server, or taken here. */
  readonly how: "sent" | "taken";
  /** Whether the model reads pictures that are cut out at any size, such as whole photographs of LFW. Default false. */
  readonly ofAnySize?: boolean | undefined;
}

/**
 * What makes a picture doubtful as the crop of a face, to follow its name. A model answers about a whole photograph as surely as
 * about a crop, and wrongly.
 * @param picture its own size in pixels, upright.
 * @param input the size that it is scaled to.
 * @returns `undefined` for a picture that may be a crop.
 */
export function cropDoubt(
  picture: Size,
  input: Size,
  { how, ofAnySize = false }: CropUse,
): string | undefined {
  const { width, height } = picture;
  const [size, scaled] = [`${width}x${height}`, `${input.width}x${input.height}`];
  if (LEAST_PART * height < input.height || LEAST_PART * width < input.width)
    return `has ${size} pixels, enlarged to ${scaled}: too few to tell people apart`;
  const hasShape = Math.abs((width * input.height) / (height * input.width) - 1) <= SHAPE_TOLERANCE;
  if (hasShape && (ofAnySize || height <= MOST_ENLARGED * input.height)) return undefined;
  return `has ${size} pixels and was ${how} whole, scaled to ${scaled}; the model compares crops of a face, and no face was looked for`;
}
