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

/** The photograph turned and scaled about its middle, in the middle of a picture, whole unless the picture's size is given. */
function placed(photograph: Size, scale: number, turns: number, picture?: Size): Scan {
  const angle = (turns * Math.PI) / 2;
  // Quarter turns are exact, so that no row or column is added for the sake of rounding.
  const [cos, sin] = [Math.abs(Math.cos(angle)), Math.abs(Math.sin(angle))].map((value) =>
    value < 1e-9 ? 0 : value,
  );
  const reach = (along: number, across: number) =>
    Math.max(1, Math.round((along * cos! + across * sin!) * scale));
  const size = picture ?? {
    width: reach(photograph.width, photograph.height),
    height: reach(photograph.height, photograph.width),
  };
  return { toPhotograph: similarityAbout(middleOf(size), middleOf(photograph), 1 / scale, -angle), ...size };
}

/**
 * The whole photograph in halving sizes, the finest first: from its own size, or the largest that `maxPixels` allow, to one
 * in which a face that fills it is found.
 * @param turns quarter turns of the photograph, clockwise, before it is searched.
 * @param half begins at half of that size, in a quarter of the time.
 */
export function scansOf(photograph: Size, maxPixels: number, turns = 0, half = false): Scan[] {
  const longest = Math.max(photograph.width, photograph.height);
  const enlarged = Math.max(1, SMALLEST / longest);
  const scans: Scan[] = [];
  const most = half ? Math.max(0.5, Math.min(enlarged, SMALLEST_HALF / longest)) : enlarged;
  const largest = Math.sqrt(maxPixels / (photograph.width * photograph.height));
  let scale = Math.min(most, half ? largest / 2 : largest);
  for (;;) {
    scans.push(placed(photograph, scale, turns));
    if (longest * scale <= COARSEST) return scans;
    scale /= 2;
  }
}

/** The photograph small within a black border, where a face that reaches beyond it is found. */
export function borderedScan(photograph: Size, turns = 0): Scan {
  const longest = Math.max(photograph.width, photograph.height);
  return placed(photograph, WITHIN / longest, turns, { width: BORDERED, height: BORDERED });
}
