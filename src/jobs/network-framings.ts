/** @file The names of how faces lie in the images of a network from elsewhere, without the code that cuts them out. */

/** As `faceid crop` cuts them, or `none` for crops of one's own. */
export const NETWORK_FRAMINGS = ["aligned", "lfw", "centred", "none"] as const;
export type NetworkFraming = (typeof NETWORK_FRAMINGS)[number];
