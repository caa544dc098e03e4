/** @file How a pack computes: in floats or 8-bit integers, by its usual pipeline or a fast one. */

/**
 * What an embedding computes in. `int8` is for speed: 8-bit integers, one close-up of each face, no mirror image. Its embeddings are not to
 * be compared with those in floats, and have thresholds of their own.
 */
export type Precision = "float32" | "int8";

export const PRECISIONS = ["float32", "int8"] as const satisfies readonly Precision[];

/**
 * How much is done for a face. `fast` searches the photograph in smaller sizes, places the points in the search itself where
 * it can, and leaves the mirror image out. Its embeddings are not to be compared with the usual ones, and have thresholds of their own.
 */
export type Profile = "standard" | "fast";

export const PROFILES = ["standard", "fast"] as const satisfies readonly Profile[];

/** How a pack computes. */
export interface Mode {
  readonly precision: Precision;
  readonly profile: Profile;
}

/** What holds where nothing else is wanted. */
export const USUAL_MODE: Mode = { precision: "float32", profile: "standard" };

/** All of them. */
export const MODES: readonly Mode[] = PROFILES.flatMap((profile) =>
  PRECISIONS.map((precision) => ({ precision, profile })),
);

/** A wish with what it leaves open. */
export const modeOf = ({ precision, profile }: { [Key in keyof Mode]?: Mode[Key] | undefined }): Mode => ({
  precision: precision ?? USUAL_MODE.precision,
  profile: profile ?? USUAL_MODE.profile,
});

export const isUsual = ({ precision, profile }: Mode): boolean =>
  precision === USUAL_MODE.precision && profile === USUAL_MODE.profile;

/** What tells a mode from the usual one in names: nothing, `-int8`, `-fast`, or `-int8-fast`. */
export const modeSuffix = ({ precision, profile }: Mode): string =>
  [precision, profile]
    .filter((part) => part !== USUAL_MODE.precision && part !== USUAL_MODE.profile)
    .map((part) => `-${part}`)
    .join("");
