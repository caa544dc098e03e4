/** @file Draws pairs of images, of one person or of two people, for training and evaluation. */

import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Identity, ImageRef } from "./identity.ts";

export interface Pair {
  readonly left: ImageRef;
  readonly right: ImageRef;
  /** Whether both are the same person. */
  readonly same: boolean;
}

export interface PairOptions {
  /** How many pairs. */
  readonly count: number;
  /** A stream of its own, for instance `new Random(seed).fork("pairs", epoch)`. */
  readonly random: Random;
  /** Fraction of pairs of one person, in [0, 1]. Default 0.5. */
  readonly positiveFraction?: number;
}

/** Yields people in rounds, each in a new order, so that all are drawn equally often. */
class Dealer {
  readonly #people: readonly Identity[];
  readonly #random: Random;
  #round: Identity[] = [];

  constructor(people: readonly Identity[], random: Random) {
    this.#people = people;
    this.#random = random;
  }

  next(): Identity {
    if (this.#round.length === 0) this.#round = this.#random.shuffle(this.#people);
    return this.#round.pop()!;
  }

  /** The next person who is not this one. */
  nextExcept(other: Identity): Identity {
    const person = this.next();
    if (person !== other) return person;
    const instead = this.next();
    this.#round.push(person);
    return instead;
  }
}

/** People with at least one image, and those with at least two. Throws when a wanted kind of pair is impossible. */
function checkPeople(identities: readonly Identity[], positives: number, negatives: number) {
  const pictured = identities.filter((identity) => identity.images.length >= 1);
  const pairable = identities.filter((identity) => identity.images.length >= 2);
  if (positives > 0 && pairable.length === 0) {
    throw new FaceError(
      "DATASET_INVALID",
      `no pair of one person is possible: none of ${countText(identities.length)} people has two images`,
      { hint: "add a second image of at least one person; faceid dataset info counts the images" },
    );
  }
  if (negatives > 0 && pictured.length < 2) {
    throw new FaceError(
      "DATASET_INVALID",
      `no pair of two people is possible: there are images of ${countText(pictured.length)} people`,
      { hint: "add the images of a second person" },
    );
  }
  return { pictured, pairable };
}

/** Two different images of one person, in random order. */
function positivePair({ images }: Identity, random: Random): Pair {
  const left = random.integer(images.length);
  const right = (left + 1 + random.integer(images.length - 1)) % images.length;
  return { left: images[left]!, right: images[right]!, same: true };
}

function negativePair(a: Identity, b: Identity, random: Random): Pair {
  return { left: random.pick(a.images), right: random.pick(b.images), same: false };
}

/** Checks the options and returns the numbers of pairs of each kind with functions that draw one. */
function pairDraws(identities: readonly Identity[], { count, random, positiveFraction = 0.5 }: PairOptions) {
  if (!(Number.isInteger(count) && count >= 0 && positiveFraction >= 0 && positiveFraction <= 1)) {
    throw new FaceError(
      "CONFIG_INVALID",
      `cannot draw ${countText(count)} pairs with a fraction ${positiveFraction} of positives`,
      { hint: "the count is a whole number from 0, the fraction lies between 0 and 1" },
    );
  }
  const positives = Math.round(count * positiveFraction);
  const negatives = count - positives;
  const { pictured, pairable } = checkPeople(identities, positives, negatives);
  const same = new Dealer(pairable, random);
  const different = new Dealer(pictured, random);
  return {
    positives,
    negatives,
    drawPositive: () => positivePair(same.next(), random),
    drawNegative: () => {
      const person = different.next();
      return negativePair(person, different.nextExcept(person), random);
    },
  };
}

/**
 * Draws pairs for one epoch of training; the same stream gives the same pairs. People are drawn equally often, however
 * many images they have, and the images of a person with equal probability.
 * @throws FaceError `DATASET_INVALID` when nobody has two images, or all images are of one person.
 */
export function samplePairs(identities: readonly Identity[], options: PairOptions): Pair[] {
  const { positives, negatives, drawPositive, drawNegative } = pairDraws(identities, options);
  return options.random.shuffle([
    ...Array.from({ length: positives }, drawPositive),
    ...Array.from({ length: negatives }, drawNegative),
  ]);
}

/** A key that is equal for the same two images in either order. */
const pairKey = ({ left, right }: Pair) =>
  left.index < right.index ? `${left.index} ${right.index}` : `${right.index} ${left.index}`;

/** Draws until enough different pairs are found, or too many draws in a row were repetitions. */
function drawDifferent(wanted: number, draw: () => Pair): Pair[] {
  const found = new Map<string, Pair>();
  for (let repeats = 0; found.size < wanted && repeats < MAX_REPEATS + found.size; ) {
    const pair = draw();
    const key = pairKey(pair);
    repeats = found.has(key) ? repeats + 1 : 0;
    if (!found.has(key)) found.set(key, pair);
  }
  return [...found.values()];
}

const MAX_REPEATS = 1000;

/**
 * Draws different pairs for an evaluation. When there are too few pairs of one kind, the other kind is reduced to keep
 * the fraction, and the result has fewer than `count` pairs.
 * @throws FaceError `DATASET_INVALID` as `samplePairs`.
 */
export function evaluationPairs(identities: readonly Identity[], options: PairOptions): Pair[] {
  const { positives, negatives, drawPositive, drawNegative } = pairDraws(identities, options);
  const samePairs = drawDifferent(positives, drawPositive);
  const differentPairs = drawDifferent(negatives, drawNegative);
  const fill = Math.min(samePairs.length / (positives || 1), differentPairs.length / (negatives || 1));
  const scale = positives === 0 || negatives === 0 ? 1 : fill;
  return options.random.shuffle([
    ...samePairs.slice(0, Math.round(positives * scale)),
    ...differentPairs.slice(0, Math.round(negatives * scale)),
  ]);
}
