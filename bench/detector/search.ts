/** @file How faces are looked for with the detector of our own. */
import type { DetectorOptions } from "../../src/faces/detector.ts";

/** It learned turned faces, so its points show how far a face is turned. */
export const OWN_SEARCH: DetectorOptions = { shownRoll: 1 };
