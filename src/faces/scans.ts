/** @file In which sizes and positions a photograph is shown to the detector. */
import type { Point } from "./face.ts";
import { type Similarity, similarityAbout } from "./similarity.ts";

/** A picture to be sampled from the photograph and searched. */
export interface Scan {
  /** Takes the picture's pixels to the photograph's. */
  readonly toPhotograph: Similarity;
  readonly width: number;
  readonly height: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The detector finds faces up to about this many pixels wide, which is also the coarsest picture's longest side. */
const COARSEST = 320;
/** A smaller photograph is enlarged until its longest side has this many pixels. */
const SMALLEST = 160;
/** A photograph that is searched at half its size has at least so many pixels along its longest side. */
const SMALLEST_HALF = 120;
/** Side of the picture in which a photograph that is all face lies within a black border. */
const BORDERED = 320;
/** Longest side of the photograph in it. */
const WITHIN = 192;

const middleOf = ({ width, height }: Size): Point => [(width - 1) / 2, (height - 1) / 2];

/** A photograph whose shorter side has fewer pixels in a picture shows no face there. */
const NARROWEST = 8;
/**
 * By how many times a turned picture may exceed the pixels of one that is searched. A square needs 2, 3:1 needs 2.7; a long strip
 * of a few kilobytes would need gigabytes.
 */
const MOST_TURNED = 3;

/** The sides that hold a photograph when it is turned. */
function turned({ width, height }: Size, turns: number): Size {
  const angle = (turns * Math.PI) / 2;
  // Quarter turns are exact, so that no row or column is added for the sake of rounding.
  const [cos, sin] = [Math.abs(Math.cos(angle)), Math.abs(Math.sin(angle))].map((value) =>
    value < 1e-9 ? 0 : value,
  );
  return { width: width * cos! + height * sin!, height: height * cos! + width * sin! };
}

/** The photograph turned and scaled about its middle, in the middle of a picture, whole unless the picture's size is given. */
function placed(photograph: Size, scale: number, turns: number, picture?: Size): Scan {
  const { width, height } = turned(photograph, turns);
  const size = picture ?? {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
  const angle = (turns * Math.PI) / 2;
  return { toPhotograph: similarityAbout(middleOf(size), middleOf(photograph), 1 / scale, -angle), ...size };
}

/**
 * The whole photograph in halving sizes, the finest first: from its own size, or the largest that `maxPixels` allow, to one
 * in which a face that fills it is found. None for a photograph so narrow that it has no room for a face.
 * @param turns quarter turns of the photograph, clockwise, before it is searched.
 * @param half begins at half of that size, in a quarter of the time.
 */
export function scansOf(photograph: Size, maxPixels: number, turns = 0, half = false): Scan[] {
  const longest = Math.max(photograph.width, photograph.height);
  const enlarged = Math.max(1, SMALLEST / longest);
  const scans: Scan[] = [];
  const most = half ? Math.max(0.5, Math.min(enlarged, SMALLEST_HALF / longest)) : enlarged;
  const largest = Math.sqrt(maxPixels / (photograph.width * photograph.height));
  const whole = turned(photograph, turns);
  const bearable = Math.sqrt((MOST_TURNED * maxPixels) / (whole.width * whole.height));
  const shortest = Math.min(photograph.width, photograph.height);
  let scale = Math.min(most, bearable, half ? largest / 2 : largest);
  while (shortest * scale >= NARROWEST) {
    scans.push(placed(photograph, scale, turns));
    if (longest * scale <= COARSEST) break;
    scale /= 2;
  }
  return scans;
}

/** The photograph small within a black border, where a face that reaches beyond it is found; none where it is too narrow for one. */
export function borderedScans(photograph: Size, turns = 0): Scan[] {
  const scale = WITHIN / Math.max(photograph.width, photograph.height);
  if (Math.min(photograph.width, photograph.height) * scale < NARROWEST) return [];
  return [placed(photograph, scale, turns, { width: BORDERED, height: BORDERED })];
}
