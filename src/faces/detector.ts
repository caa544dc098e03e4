/** @file Finds the faces of a photograph, whatever their size and angle, and places their five points. */
import { alignTo } from "./alignment.ts";
import type { Box, Detection, Point } from "./face.ts";
import { type Pyramid, sample } from "./pyramid.ts";
import { borderedScan, type QuarterTurns, type Scan, scansOf } from "./scans.ts";
import { angleOf, applySimilarity, type Similarity, scaleOf, similarityAbout } from "./similarity.ts";
import { meanDetection, mergeDetections, overlap } from "./yunet.ts";
import type { YunetNetwork } from "./yunet-network.ts";

export interface DetectorOptions {
  /** Lowest score of a face, 0 to 1. Default 0.6. */
  readonly threshold?: number;
  /** Most pixels of one picture that is searched; a larger photograph is scaled down to it. Default 2 million. */
  readonly maxPixels?: number;
  /** Most faces of a photograph, the surest ones. Default 100. */
  readonly limit?: number;
  /** How each face is looked at again; not at all where the list is empty. Default: in three sizes. */
  readonly closeUps?: readonly CloseUp[];
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

/** Three sizes scatter by a third less than one does (docs/faces.md). */
const CLOSE_UPS: readonly CloseUp[] = [
  { face: 87, side: 160 },
  { face: 108, side: 192 },
  { face: 139, side: 256 },
];

const DEFAULTS: Required<DetectorOptions> = {
  threshold: 0.6,
  maxPixels: 2_000_000,
  limit: 100,
  closeUps: CLOSE_UPS,
};

const sizeOf = ({ box: [, , width, height] }: Detection) => Math.sqrt(width * height);
// A box's edges lie between pixels, half a pixel before the first one's centre.
const centreOf = ({ box: [x, y, width, height] }: Detection): Point => [
  x + width / 2 - 0.5,
  y + height / 2 - 0.5,
];

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

/** Finds faces with YuNet. */
export class Detector {
  readonly #network: YunetNetwork;
  readonly #options: Required<DetectorOptions>;

  constructor(network: YunetNetwork, options: DetectorOptions = {}) {
    this.#network = network;
    this.#options = { ...DEFAULTS, ...options };
  }

  /**
   * The faces of a photograph, the surest first. A photograph in which nothing is found upright is searched within a black
   * border, for a face that fills it, and on its sides and its head.
   */
  async find(photograph: Pyramid): Promise<Detection[]> {
    const { pixels } = photograph.level(0);
    const attempts: (() => Scan[])[] = [
      () => scansOf(pixels, this.#options.maxPixels),
      () => [borderedScan(pixels)],
      ...([1, 3, 2] as QuarterTurns[]).map((turns) => () => [
        ...scansOf(pixels, this.#options.maxPixels, turns),
        borderedScan(pixels, turns),
      ]),
    ];
    for (const attempt of attempts) {
      const faces = await this.#search(photograph, attempt());
      if (faces.length > 0) return faces;
    }
    return [];
  }

  async #search(photograph: Pyramid, scans: readonly Scan[]): Promise<Detection[]> {
    const { threshold, limit } = this.#options;
    const candidates: Detection[] = [];
    for (const scan of scans) {
      candidates.push(...mergeDetections(await this.#cells(photograph, scan), threshold, limit));
    }
    const faces: Detection[] = [];
    for (const candidate of mergeDetections(candidates, threshold, limit)) {
      const face = await this.#lookAgain(photograph, candidate);
      if (face.score >= threshold) faces.push(face);
    }
    // Two candidates may have become one face.
    return mergeDetections(faces, threshold, limit);
  }

  async #cells(photograph: Pyramid, { toPhotograph, width, height }: Scan): Promise<Detection[]> {
    const picture = sample(photograph, toPhotograph, width, height);
    const cells = await this.#network.detect(picture, false, CELL_THRESHOLD);
    return cells.map((cell) => moved(cell, toPhotograph));
  }

  /** Finds a face again, upright and in sizes that the network places points best in; each miss lowers its score. */
  async #lookAgain(photograph: Pyramid, candidate: Detection): Promise<Detection> {
    if (this.#options.closeUps.length === 0) return candidate;
    const angle = -angleOf(alignTo(candidate.landmarks));
    const seen: Detection[] = [];
    for (const { face, side } of this.#options.closeUps) {
      const middle: Point = [(side - 1) / 2, (side - 1) / 2];
      const toPhotograph = similarityAbout(middle, centreOf(candidate), sizeOf(candidate) / face, angle);
      const cells = await this.#cells(photograph, { toPhotograph, width: side, height: side });
      const again = mergeDetections(cells, CELL_THRESHOLD, this.#options.limit).find(
        ({ box }) => overlap(box, candidate.box) > SAME_PLACE,
      );
      if (again !== undefined) seen.push(again);
    }
    if (seen.length === 0) return { ...candidate, score: 0 };
    const score = seen.reduce((sum, each) => sum + each.score, 0) / this.#options.closeUps.length;
    return { ...meanDetection(seen), score };
  }
}
