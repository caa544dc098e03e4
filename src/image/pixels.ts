/** @file Decoded pixels of any size, before they take a model's form. */

/** Eight-bit RGB, row-major `[height, width, 3]`. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}
