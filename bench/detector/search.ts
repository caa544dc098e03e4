/** @file How faces are looked for with the detector of our own. */
import type { DetectorOptions } from "../../src/faces/detector.ts";

/**
 * It learned turned faces, so its points show how far a face is turned. Its points are best well within the sizes of one
 * grid, and up to 7 % too close together where a grid's largest faces are (docs/notes/own-detector.md).
 */
export const OWN_SEARCH: DetectorOptions = {
  shownRoll: 1,
  closeUps: [
    { face: 139, side: 256 },
    { face: 70, side: 128 },
  ],
};
