/** @file Batches by people: a few photographs of each of many people, so that every image of a batch has likenesses in it. */
import { FaceError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Identity } from "./identity.ts";
import type { LabelledImage } from "./loader.ts";

export interface GroupOptions {
  /** How many images. */
  readonly count: number;
  /** Photographs of a person that stand together. */
  readonly groupSize: number;
  /** At most so many photographs of one person count for how often he or she is dealt. */
  readonly mostPhotos: number;
  /** A stream of its own, for instance `new Random(seed).fork("groups", epoch)`. */
  readonly random: Random;
}

/** A person's photographs in random order, over and over again. */
function* shuffledPhotos({ images }: Identity, random: Random) {
  for (;;) yield* random.shuffle(images);
}

/** Every person once for each group that his or her photographs fill, `mostPhotos` at most; in random order. */
function round(identities: readonly Identity[], { groupSize, mostPhotos, random }: GroupOptions): number[] {
  const turns = identities.flatMap(({ images }, label) => {
    const groups = Math.ceil(Math.min(images.length, mostPhotos) / groupSize);
    return Array.from({ length: groups }, () => label);
  });
  return random.shuffle(turns);
}

/**
 * Draws the images of one epoch, person by person: the same stream gives the same images. People with more photographs
 * come more often, up to `mostPhotos`; a person with fewer photographs than a group takes is shown twice from the same
 * one, which the random changes make two.
 * @param identities each with at least one image; their positions are the labels
 * @returns `count` images, `groupSize` in a row of each person
 * @throws FaceError `DATASET_INVALID` when there are fewer than two people.
 */
export function samplePhotoGroups(identities: readonly Identity[], options: GroupOptions): LabelledImage[] {
  const { count, groupSize, random } = options;
  if (identities.length < 2) {
    throw new FaceError(
      "DATASET_INVALID",
      `${identities.length} people have photographs enough to be told apart; two are needed`,
      { hint: "add people, add photographs, or lower FEWEST_PHOTOS" },
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
