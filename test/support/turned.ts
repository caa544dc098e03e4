/** @file Photographs that lie or stand on their head. */
import sharp from "sharp";

/** A photograph turned clockwise by an angle in degrees, on black, as PNG. */
export const turnedPhotograph = (path: string, angle: number): Promise<Buffer> =>
  sharp(path).rotate(angle).png().toBuffer();
