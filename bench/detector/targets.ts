/** @file What each cell of the three grids should say of a picture's faces. */
import type { Detection } from "../../src/faces/face.ts";
import { STRIDES } from "../../src/faces/yunet.ts";

/** Numbers of a box and its points in one cell. */
export const PLACE_NUMBERS = 14;

/** The targets of a batch, row by row of pictures and cells, in the order of strides, rows and columns. */
export interface Targets {
  /** `[pictures, cells]`: 1 in the middle of a face, 0 elsewhere. */
  readonly score: Float32Array;
  /** `[pictures, cells]`: 0 where a cell may say either. */
  readonly scoreWeight: Float32Array;
  /** `[pictures, cells, 14]`: box and points as YuNet encodes them. */
  readonly place: Float32Array;
  /** `[pictures, cells]`: cells of the grid to the face's size where there is a face, 0 elsewhere. */
  readonly placeWeight: Float32Array;
}

/** A face of a picture. */
export interface Target extends Detection {
  /** Whether the label is sure; an unsure one teaches nothing. */
  readonly sure: boolean;
}

/** Sizes of the faces that the grid of each stride finds: geometric means of width and height in pixels. */
const SIZES: Readonly<Record<number, readonly [from: number, to: number]>> = {
  8: [12, 52],
  16: [40, 108],
  32: [84, 260],
};
/** A grid may find faces that are smaller or larger by this factor, but need not. */
const NEAR_SIZE = 1.3;
/** Cells at most this far from a face's centre, as a part of its size and in cells, should find it. */
const MIDDLE = 0.16;
const MIDDLE_CELLS = 0.71;
/** Cells at most this far, as a part of its size, may find it. */
const AROUND = 0.38;

/** Cells of all grids of a picture. */
export const cellCount = (side: number): number =>
  STRIDES.reduce((sum, stride) => sum + (side / stride) ** 2, 0);

export function emptyTargets(pictures: number, side: number): Targets {
  const cells = pictures * cellCount(side);
  return {
    score: new Float32Array(cells),
    scoreWeight: new Float32Array(cells).fill(1),
    place: new Float32Array(cells * PLACE_NUMBERS),
    placeWeight: new Float32Array(cells),
  };
}

/** Box and points as the cell at a column and row of a grid encodes them. */
export function encodedPlace(
  { box, landmarks }: Detection,
  column: number,
  row: number,
  stride: number,
): number[] {
  const [x, y, width, height] = box;
  return [
    (x + width / 2) / stride - column,
    (y + height / 2) / stride - row,
    Math.log(width / stride),
    Math.log(height / stride),
    ...landmarks.flatMap(([px, py]) => [px / stride - column, py / stride - row]),
  ];
}

/** A grid of one picture in the targets of a batch. */
interface Grid {
  readonly targets: Targets;
  readonly stride: number;
  readonly columns: number;
  /** The place of its first cell. */
  readonly first: number;
  /** Cells between each cell that finds a face and the face's centre. */
  readonly distances: Float32Array;
}

/** Calls `visit` for the cells at most `around` cells from a place of the grid. */
function forCellsAround(
  { columns }: Grid,
  [x, y]: readonly [number, number],
  around: number,
  visit: (column: number, row: number, distance: number) => void,
): void {
  const [firstRow, lastRow] = [Math.max(0, Math.floor(y - around)), Math.min(columns - 1, y + around)];
  const [firstColumn, lastColumn] = [Math.max(0, Math.floor(x - around)), Math.min(columns - 1, x + around)];
  for (let row = firstRow; row <= lastRow; row++) {
    for (let column = firstColumn; column <= lastColumn; column++) {
      // In YuNet's encoding a cell lies at its first corner; what it sees lies about its middle.
      const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      if (distance <= around) visit(column, row, distance);
    }
  }
}

/** Writes one face into a grid, if that may find it. */
function writeFace(grid: Grid, face: Target): void {
  const { targets, stride, columns, first, distances } = grid;
  const [smallest, largest] = SIZES[stride]!;
  const [x, y, width, height] = face.box;
  const size = Math.sqrt(width * height);
  if (size < smallest / NEAR_SIZE || size > largest * NEAR_SIZE) return;
  const teaches = face.sure && size >= smallest && size <= largest;
  const middle = Math.max((MIDDLE * size) / stride, MIDDLE_CELLS);
  const around = Math.max((AROUND * size) / stride, middle + 1);
  const centre = [(x + width / 2) / stride, (y + height / 2) / stride] as const;
  forCellsAround(grid, centre, around, (column, row, distance) => {
    const cell = row * columns + column;
    const at = first + cell;
    if (!teaches || distance > middle) {
      if (targets.placeWeight[at] === 0) targets.scoreWeight[at] = 0;
    } else if (distance < distances[cell]!) {
      distances[cell] = distance;
      targets.score[at] = 1;
      targets.scoreWeight[at] = 1;
      targets.placeWeight[at] = stride / size;
      targets.place.set(encodedPlace(face, column, row, stride), at * PLACE_NUMBERS);
    }
  });
}

/** Writes one picture's faces into the targets of a batch. A cell in the middle of several faces finds the nearest. */
export function writeTargets(
  targets: Targets,
  picture: number,
  side: number,
  faces: readonly Target[],
): void {
  let first = picture * cellCount(side);
  for (const stride of STRIDES) {
    const columns = side / stride;
    const cells = columns * columns;
    const distances = new Float32Array(cells).fill(Number.POSITIVE_INFINITY);
    const grid: Grid = { targets, stride, columns, first, distances };
    for (const face of faces) writeFace(grid, face);
    first += cells;
  }
}
