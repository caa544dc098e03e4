/** @file Draws the pairs file of a dataset: folds of different people, with as many pairs of one person as of two. */

import { parse, relative, sep } from "node:path";
import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { type Dataset, type Identity, type ImageRef, imageName } from "./identity.ts";
import { evaluationPairs, type Pair } from "./pairs.ts";

export interface PairsOptions {
  readonly folds: number;
  /** Pairs of each kind in a fold, at most. */
  readonly pairs: number;
  readonly seed: number;
}

export interface DrawnPairs {
  readonly text: string;
  readonly folds: number;
  /** Pairs of each kind in every fold. */
  readonly pairs: number;
}

/** People with two images that a fold needs. */
const LEAST_PEOPLE = 2;

/** Deals the people out to folds, those with two images first, so that each fold has its share of them. */
function foldsOf(identities: readonly Identity[], folds: number, random: Random): Identity[][] {
  const shuffled = random.shuffle(identities);
  const pairable = shuffled.filter(({ images }) => images.length >= 2);
  if (pairable.length < LEAST_PEOPLE * folds) {
    const most = Math.floor(pairable.length / LEAST_PEOPLE);
    throw new FaceError(
      "DATASET_INVALID",
      `${folds} folds of different people need ${countText(LEAST_PEOPLE * folds)} people with two or more images, got ${countText(pairable.length)}`,
      { hint: most > 0 ? `pass --folds ${most} or fewer` : "add a second image of at least two people" },
    );
  }
  const dealt = [...pairable, ...shuffled.filter(({ images }) => images.length < 2)];
  return Array.from({ length: folds }, (_, k) => dealt.filter((_, i) => i % folds === k));
}

/** Writes an image as LFW does, `Name<tab>7`, in the layout whose files have such numbers, else as its path. */
function imageText(dataset: Dataset): (image: ImageRef, isSecond: boolean) => string {
  const root = dataset.path ?? "";
  if (dataset.kind !== "lfw") return (image) => relative(root, imageName(image)).split(sep).join("/");
  return (image, isSecond) => {
    const [name = "", file = ""] = relative(root, imageName(image)).split(sep);
    const number = Number(parse(file).name.slice(-4));
    return isSecond ? String(number) : `${name.normalize("NFC")}\t${number}`;
  };
}

/**
 * Draws pairs for the k-fold protocol; the same seed gives the same file. No person is in two folds.
 * @throws FaceError `DATASET_INVALID` when a fold would have fewer than two people with two images, or the images are no files.
 */
export function drawPairsFile(
  dataset: Dataset,
  { folds: count, pairs: wanted, seed }: PairsOptions,
): DrawnPairs {
  if (dataset.path === undefined || dataset.kind === "module")
    throw new FaceError(
      "DATASET_INVALID",
      `a pairs file names files of a folder, got a dataset of kind ${dataset.kind}`,
    );
  const random = new Random(seed).fork("pairs file");
  const drawn = foldsOf(dataset.identities, count, random).map((people, k) =>
    evaluationPairs(people, { count: 2 * wanted, random: random.fork("fold", k) }),
  );
  const kindsOf = (fold: readonly Pair[]) =>
    [true, false].map((same) => fold.filter((pair) => pair.same === same));
  const pairs = Math.min(...drawn.flatMap(kindsOf).map(({ length }) => length));
  const write = imageText(dataset);
  const isPlain = dataset.kind === "lfw";
  const line = ({ left, right, same }: Pair) =>
    [write(left, false), write(right, same), ...(isPlain ? [] : [same ? "1" : "0"])].join("\t");
  const lines = drawn.flatMap((fold) => kindsOf(fold).flatMap((kind) => kind.slice(0, pairs).map(line)));
  return { text: `${[`${count}\t${pairs}`, ...lines].join("\n")}\n`, folds: count, pairs };
}
