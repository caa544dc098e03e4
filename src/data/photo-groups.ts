/** @file Draws images person by person, so that a batch has several images of each of its people. */

import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Identity } from "./identity.ts";
import type { LabelledImage } from "./loader.ts";

export interface GroupOptions {
  /** How many images. */
  readonly count: number;
  /** Consecutive images of one person. */
  readonly groupSize: number;
  /** Cap on the images that decide how often a person is drawn. */
  readonly maxImagesPerId: number;
  /** A stream of its own, for instance `new Random(seed).fork("groups", epoch)`. */
  readonly random: Random;
}

/** Yields a person's images in random order, again and again. */
function* shuffledPhotos({ images }: Identity, random: Random) {
  for (;;) yield* random.shuffle(images);
}

/** Every person once for each group that the capped number of images fills, in random order. */
function round(
  identities: readonly Identity[],
  { groupSize, maxImagesPerId, random }: GroupOptions,
): number[] {
  const turns = identities.flatMap(({ images }, label) => {
    const groups = Math.ceil(Math.min(images.length, maxImagesPerId) / groupSize);
    return Array.from({ length: groups }, () => label);
  });
  return random.shuffle(turns);
}

/**
 * Draws the images of one epoch in groups of one person; the same stream gives the same images. People with more images
 * are drawn more often, up to `maxImagesPerId`. Where a person has fewer images than a group, images repeat, and the
 * augmentation makes them differ.
 * @param identities each with at least one image; their indices are the labels.
 * @returns `count` images, `groupSize` of each person in a row.
 * @throws FaceError `DATASET_INVALID` when there are fewer than two people.
 */
export function samplePhotoGroups(identities: readonly Identity[], options: GroupOptions): LabelledImage[] {
  const { count, groupSize, random } = options;
  if (identities.length < 2) {
    throw new FaceError(
      "DATASET_INVALID",
      `only ${countText(identities.length)} people have enough images; two are needed`,
      { hint: "add people, add images, or lower `minImagesPerId` (MIN_IMAGES_PER_ID)" },
    );
  }
  const photos = identities.map((person) => shuffledPhotos(person, random.fork("photos", person.name)));
  const drawn: LabelledImage[] = [];
  let turns: number[] = [];
  while (drawn.length < count) {
    if (turns.length === 0) turns = round(identities, options);
    const label = turns.pop()!;
    for (let i = 0; i < groupSize && drawn.length < count; i++) {
      drawn.push({ image: photos[label]!.next().value!, label });
    }
  }
  return drawn;
}
