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
/** Faces that are too small in half of the photograph's size cannot be compared either. */
const HALF = 0.5;
/** But no picture is made smaller than this for that reason. */
const SMALLEST_HALF = 125;
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

/** The scale of the finest picture of a photograph. @param fine whether its own size is wanted. */
function finest({ width, height }: Size, maxPixels: number, fine: boolean): number {
  const longest = Math.max(width, height);
  const whole = Math.max(1, SMALLEST / longest);
  const wanted = fine || longest < SMALLEST ? whole : Math.max(HALF, Math.min(1, SMALLEST_HALF / longest));
  return Math.min(wanted, Math.sqrt(maxPixels / (width * height)));
}

/**
 * The whole photograph in halving sizes, the finest first: from half its size, or the largest that `maxPixels` allow, to one
 * in which a face that fills it is found.
 * @param turns quarter turns of the photograph, clockwise, before it is searched.
 */
export function scansOf(photograph: Size, maxPixels: number, turns = 0): Scan[] {
  const longest = Math.max(photograph.width, photograph.height);
  const scans: Scan[] = [];
  let scale = finest(photograph, maxPixels, false);
  for (;;) {
    scans.push(placed(photograph, scale, turns));
    if (longest * scale <= COARSEST) return scans;
    scale /= 2;
  }
}

/** The photograph in its own size, or the largest that `maxPixels` allow; none where `scansOf` has that already. */
export function fineScans(photograph: Size, maxPixels: number, turns = 0): Scan[] {
  const scale = finest(photograph, maxPixels, true);
  return scale === finest(photograph, maxPixels, false) ? [] : [placed(photograph, scale, turns)];
}

/** The photograph small within a black border, where a face that reaches beyond it is found. */
export function borderedScan(photograph: Size, turns = 0): Scan {
  const longest = Math.max(photograph.width, photograph.height);
  return placed(photograph, WITHIN / longest, turns, { width: BORDERED, height: BORDERED });
}
