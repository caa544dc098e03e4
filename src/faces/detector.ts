/** @file Finds the faces of a photograph, whatever their size and angle, and places their five points. */
import { alignTo } from "./alignment.ts";
import type { FacePick } from "./choose.ts";
import type { Box, Detection, Point } from "./face.ts";
import type { Mode } from "./mode.ts";
import { buffers } from "./network.ts";
import { type Pyramid, sample } from "./pyramid.ts";
import { borderedScans, type Scan, scansOf } from "./scans.ts";
import { angleOf, applySimilarity, type Similarity, scaleOf, similarityAbout } from "./similarity.ts";
import { meanDetection, mergeDetections, overlap, suppressOverlaps } from "./yunet.ts";
import type { YunetNetwork } from "./yunet-network.ts";

export interface DetectorOptions {
  /** Lowest score of a face, 0 to 1. Default 0.6. */
  readonly threshold?: number;
  /** Most pixels of one picture that is searched; a larger photograph is scaled down to it. Default 3 million. */
  readonly maxPixels?: number;
  /** Most faces of a photograph, the surest ones. Default 100. */
  readonly limit?: number;
  /** How each face is looked at again; not at all where the list is empty. Default: in three sizes. */
  readonly closeUps?: readonly CloseUp[];
  /** Lowest score in the search of what is looked at again, 0 to 1. Default 0.4. */
  readonly candidate?: number;
  /** Whether the search begins at half of the photograph's size, where that is enough. Default false. */
  readonly half?: boolean;
  /**
   * The score from which a face that the search shows upright and large enough is not looked at again, 0 to 1. Default: every
   * face is.
   */
  readonly sure?: number;
  /**
   * How a photograph is searched again whose largest face is not upright for sure: one that lies or stands on its head is often
   * found as if it were upright. Default: not again.
   */
  readonly otherwise?: DetectorOptions | undefined;
  /** By how many times its angle in the network's points a face is turned. Default 3, as YuNet was trained on upright faces. */
  readonly shownRoll?: number;
}

/** Cells below this say nothing. */
const CELL_THRESHOLD = 0.3;
/** A second look at a face is of the same face where the boxes share this much. */
const SAME_PLACE = 0.3;

/** A second look at a face: the size of its box in it, and the side of the picture around it. */
export interface CloseUp {
  readonly face: number;
  readonly side: number;
}

const radians = (degrees: number) => (degrees * Math.PI) / 180;

/** Faces that score at least this are upright; those in a wrong position score less (docs/faces.md). */
const SURE = 0.905;
/** A face in a close-up counts as upright up to this angle. */
const UPRIGHT = radians(8);
/** The same where no close-up is taken: those that turn a face cost more than the search. */
const ALMOST_UPRIGHT = radians(15);
/** People hold their heads aside by less; beyond it the photograph or the person lies. */
const TILTED = radians(30);
/** A face is turned by about three times what YuNet's points say: it was trained on upright ones (docs/faces.md). */
const SHOWN_ROLL = 3;
/** How often a close-up is turned to follow the face. */
const MOST_TURNS = 3;

/** The first is the one that decides the face's position. Three sizes scatter by a third less than one does (docs/faces.md). */
const CLOSE_UPS: readonly CloseUp[] = [
  { face: 108, side: 192 },
  { face: 87, side: 160 },
  { face: 139, side: 256 },
];

/** A face of at least so many pixels in the search needs no close-up where its score is sure. */
const CLEAR = 40;

/**
 * A picture in which the largest face has at least so many pixels shows all upright faces half as wide. With 48 pixels a second
 * face that lay or stood on its head was missed in 4 of 14 scenes, with 96 in 3.
 */
const LARGEST = 96;

/**
 * A close-up's frame lies on a grid: 64 sizes to a doubling, eighths of a pixel of the close-up, 2,048 angles. So the last
 * bits of what the frame comes from, which differ between runtimes, hardly ever change a pixel of it.
 */
const SIZES_TO_A_DOUBLING = 64;
const PLACES_TO_A_PIXEL = 8;
const ANGLE_STEP = Math.PI / 1024;

const QUARTER = Math.PI / 2;
/** Quarter turns in which a photograph is searched until something is found. */
const TURNS = [0, 1, 3, 2, 0.5, 3.5, 1.5, 2.5];

const DEFAULTS: Required<DetectorOptions> = {
  threshold: 0.6,
  maxPixels: 3_000_000,
  limit: 100,
  closeUps: CLOSE_UPS,
  candidate: 0.4,
  half: false,
  sure: Number.POSITIVE_INFINITY,
  otherwise: undefined,
  shownRoll: SHOWN_ROLL,
};

/** One close-up, where time counts more than the steadiness of the points. */
const ONE_CLOSE_UP: DetectorOptions = { closeUps: CLOSE_UPS.slice(0, 1) };
/** A small one, and none where the search has seen enough. */
const FAST: DetectorOptions = {
  closeUps: [{ face: 50, side: 96 }],
  candidate: 0.6,
  half: true,
  sure: SURE,
  otherwise: {},
};

/** How faces are looked for in a mode. */
export function searchOf({ precision, profile }: Mode): DetectorOptions {
  if (profile === "fast") return FAST;
  return precision === "int8" ? ONE_CLOSE_UP : {};
}

/** Radians by which a face is turned clockwise. */
const rollOf = ({ landmarks }: Detection) => -angleOf(alignTo(landmarks));
/** The same angle between −π and π. */
const wrapped = (angle: number) => Math.atan2(Math.sin(angle), Math.cos(angle));
/** Whether a face is turned by more than a head is. */
const isTilted = (angle: number) => Math.abs(wrapped(angle)) > TILTED;
const sizeOf = ({ box: [, , width, height] }: Detection) => Math.sqrt(width * height);
const largestOf = (faces: readonly Detection[]): Detection | undefined =>
  faces.toSorted((a, b) => sizeOf(b) - sizeOf(a))[0];

/** Whether the largest face is upright for sure in the fast search. */
function isLargestUpright(faces: readonly Detection[]): boolean {
  const largest = largestOf(faces);
  return largest !== undefined && largest.score >= SURE && !isTilted(rollOf(largest));
}

// A box's edges lie between pixels, half a pixel before the first one's centre.
const centreOf = ({ box: [x, y, width, height] }: Detection): Point => [
  x + width / 2 - 0.5,
  y + height / 2 - 0.5,
];

const rounded = (value: number, step: number) => Math.round(value / step) * step;

/** The angle of the grid that is next to another. */
const onGrid = (angle: number) => rounded(angle, ANGLE_STEP);

/** The frame of a close-up: a square around a candidate, whose box has the size that is wanted, turned by an angle of the grid. */
function frameOf(candidate: Detection, angle: number, { face, side }: CloseUp): Scan {
  const size = Math.log2(sizeOf(candidate) / face);
  const scale = 2 ** rounded(size, 1 / SIZES_TO_A_DOUBLING);
  const [x, y] = centreOf(candidate);
  const middle: Point = [(side - 1) / 2, (side - 1) / 2];
  const step = scale / PLACES_TO_A_PIXEL;
  const about: Point = [rounded(x, step), rounded(y, step)];
  const toPhotograph = similarityAbout(middle, about, scale, angle);
  return { toPhotograph, width: side, height: side };
}

/** A detection elsewhere: its box stays upright, and lies down where the face does. */
function moved(detection: Detection, by: Similarity): Detection {
  const place = (point: Point) => applySimilarity(by, point);
  const scale = scaleOf(by);
  const [x, y] = place(centreOf(detection));
  const [, , boxWidth, boxHeight] = detection.box;
  const lies = Math.abs(by.b) > Math.abs(by.a);
  const [width, height] = lies
    ? [boxHeight * scale, boxWidth * scale]
    : [boxWidth * scale, boxHeight * scale];
  const box: Box = [x + 0.5 - width / 2, y + 0.5 - height / 2, width, height];
  const [a, b, c, d, e] = detection.landmarks;
  return { box, landmarks: [place(a), place(b), place(c), place(d), place(e)], score: detection.score };
}

type Search = (photograph: Pyramid, scans: readonly Scan[], upright: number) => Promise<Detection[]>;

/** A face in a close-up, and the angle at which it is upright. */
interface Placed {
  readonly face: Detection;
  readonly angle: number;
}

/** Finds faces with YuNet. */
export class Detector {
  readonly #network: YunetNetwork;
  readonly #options: Required<DetectorOptions>;
  readonly #otherwise: Detector | undefined;

  constructor(network: YunetNetwork, options: DetectorOptions = {}) {
    this.#network = network;
    this.#options = { ...DEFAULTS, ...options };
    const { threshold, maxPixels, limit, otherwise } = this.#options;
    this.#otherwise = otherwise && new Detector(network, { threshold, maxPixels, limit, ...otherwise });
  }

  /**
   * The faces of a photograph, the surest first. A photograph in which nothing is found upright is searched within a black
   * border, for a face that fills it, and on its sides and its head.
   * @param wanted with `largest`, the answer may be one face alone, where all others are less than half as wide; they are not
   *   looked for then.
   */
  async find(photograph: Pyramid, wanted?: FacePick): Promise<Detection[]> {
    const faces = await this.#find(photograph, wanted);
    if (this.#otherwise === undefined || isLargestUpright(faces)) return faces;
    return await this.#otherwise.find(photograph, wanted);
  }

  async #find(photograph: Pyramid, wanted?: FacePick): Promise<Detection[]> {
    const { size } = photograph;
    const search = wanted === "largest" ? this.#searchLargest : this.#search;
    for (const turns of TURNS) {
      const bordered = borderedScans(size, turns);
      const scans = scansOf(size, this.#options.maxPixels, turns, this.#options.half);
      for (const attempt of turns === 0 ? [scans, bordered] : [[...scans, ...bordered]]) {
        if (attempt.length === 0) continue;
        const faces = await search.call(this, photograph, attempt, -turns * QUARTER);
        if (faces.length > 0) return await this.#withThoseBeside(photograph, faces, { turns, search });
      }
    }
    return [];
  }

  /**
   * Where the largest face is turned by more than a sixteenth, the photograph may be: faces beside it are often found only in a
   * picture that shows them upright.
   */
  async #withThoseBeside(
    photograph: Pyramid,
    faces: Detection[],
    { turns: searched, search }: { readonly turns: number; readonly search: Search },
  ): Promise<Detection[]> {
    const { maxPixels, half, limit } = this.#options;
    const turns = (4 + rounded(-rollOf(largestOf(faces)!) / QUARTER, 0.5)) % 4;
    if (turns === searched) return faces;
    const scans = scansOf(photograph.size, maxPixels, turns, half);
    const others = await search.call(this, photograph, scans, -turns * QUARTER);
    return suppressOverlaps([...faces, ...others], limit);
  }

  /** @param upright the angle at which the scans show what is upright. */
  async #search(photograph: Pyramid, scans: readonly Scan[], upright: number): Promise<Detection[]> {
    const candidates: Detection[] = [];
    for (const scan of scans) candidates.push(...(await this.#candidates(photograph, scan)));
    return await this.#judge(photograph, candidates, scans[0]!, upright);
  }

  /** The same from the coarsest picture on, until one shows a single face, beside which there are only ones less than half as wide. */
  async #searchLargest(photograph: Pyramid, scans: readonly Scan[], upright: number): Promise<Detection[]> {
    let candidates: Detection[] = [];
    let faces: Detection[] = [];
    for (const scan of scans.toReversed()) {
      const seen = await this.#candidates(photograph, scan);
      candidates = [...seen, ...candidates];
      const enough = LARGEST * scaleOf(scan.toPhotograph);
      const isEnough = (score: number) => (face: Detection) => face.score >= score && sizeOf(face) >= enough;
      const isLast = scan === scans[0];
      if (!isLast && !candidates.some(isEnough(this.#options.threshold))) continue;
      faces = await this.#judge(photograph, candidates, scan, upright);
      if (faces.length === 1 && faces.every(isEnough(SURE))) break;
    }
    return faces;
  }

  /** What may be a face in one picture. */
  async #candidates(photograph: Pyramid, scan: Scan): Promise<Detection[]> {
    const { threshold, candidate, limit } = this.#options;
    return mergeDetections(await this.#cells(photograph, scan), Math.min(threshold, candidate), limit);
  }

  /** The faces among candidates. @param finest of the pictures that were searched. */
  async #judge(
    photograph: Pyramid,
    candidates: readonly Detection[],
    finest: Scan,
    upright: number,
  ): Promise<Detection[]> {
    const { threshold, limit } = this.#options;
    const faces: Detection[] = [];
    const clear = CLEAR * scaleOf(finest.toPhotograph);
    for (const each of mergeDetections(candidates, 0, limit)) {
      const face = this.#isSure(each, clear, upright)
        ? each
        : await this.#lookAgain(photograph, each, upright);
      if (face !== undefined && face.score >= threshold) faces.push(face);
    }
    // Two candidates may have become one face, which the better one sees best: a mean would mix right points with wrong ones.
    return suppressOverlaps(faces, limit);
  }

  /** Whether the search has placed a face's points as well as a close-up would. @param clear size that is enough for it. */
  #isSure(candidate: Detection, clear: number, upright: number): boolean {
    const { sure } = this.#options;
    const angle = wrapped(this.#trueAngle(candidate, upright) - upright);
    return candidate.score >= sure && sizeOf(candidate) >= clear && Math.abs(angle) < ALMOST_UPRIGHT;
  }

  /** The angle at which a face is upright, from one found in a picture turned by `angle`. */
  #trueAngle(face: Detection, angle: number): number {
    return angle + this.#options.shownRoll * wrapped(rollOf(face) - angle);
  }

  async #cells(photograph: Pyramid, { toPhotograph, width, height }: Scan): Promise<Detection[]> {
    const cells = await buffers.lend(width * height * 3, (memory) =>
      this.#network.detect(sample(photograph, toPhotograph, width, height, memory), CELL_THRESHOLD),
    );
    return cells.map((cell) => moved(cell, toPhotograph));
  }

  /** The face of a candidate in one of the sizes that the network places points best in, turned upright by `angle`. */
  async #closeUp(photograph: Pyramid, candidate: Detection, angle: number, closeUp: CloseUp) {
    const cells = await this.#cells(photograph, frameOf(candidate, angle, closeUp));
    return mergeDetections(cells, CELL_THRESHOLD, this.#options.limit).find(
      ({ box }) => overlap(box, candidate.box) > SAME_PLACE,
    );
  }

  /** The same, turned again until the face in it is upright, and the angle at which it is. */
  async #upright(photograph: Pyramid, candidate: Detection, angle: number, closeUp: CloseUp) {
    let frame = onGrid(angle);
    let face = await this.#closeUp(photograph, candidate, frame, closeUp);
    for (let i = 0; face !== undefined; i++) {
      const last = frame;
      frame = onGrid(this.#trueAngle(face, last));
      if (Math.abs(frame - last) < UPRIGHT || i === MOST_TURNS) return { face, angle: frame };
      face = await this.#closeUp(photograph, face, frame, closeUp);
    }
    return undefined;
  }

  /** The mean of what a face's close-up and further ones show; each miss lowers the score. */
  async #mean(photograph: Pyramid, { face, angle }: Placed, others: readonly CloseUp[]): Promise<Detection> {
    const seen = [face];
    for (const closeUp of others) {
      const again = await this.#closeUp(photograph, face, angle, closeUp);
      if (again !== undefined) seen.push(again);
    }
    const score = seen.reduce((sum, each) => sum + each.score, 0) / (others.length + 1);
    return { ...meanDetection(seen), score };
  }

  /**
   * Finds a face again, upright and in several sizes, and averages what is seen; each miss lowers the score. A face that lies
   * or stands on its head is often found as if it were upright, unsurely and with points in wrong places: then the other
   * quarter turns are tried.
   */
  async #lookAgain(
    photograph: Pyramid,
    candidate: Detection,
    scanned: number,
  ): Promise<Detection | undefined> {
    const [first, ...others] = this.#options.closeUps;
    if (first === undefined) return candidate;
    const roll = this.#trueAngle(candidate, scanned);
    let best: Detection | undefined;
    for (const turn of [0, 0.5, 1.5, 1]) {
      const upright = await this.#upright(photograph, candidate, roll + turn * Math.PI, first);
      if (upright === undefined) continue;
      const face = await this.#mean(photograph, upright, others);
      if (face.score > (best?.score ?? 0)) best = face;
      if (best !== undefined && best.score >= SURE) break;
    }
    return best;
  }
}
