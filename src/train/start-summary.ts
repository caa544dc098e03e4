/** @file What a run is about to do: the people found and left out, the split, the network, and what speaks against it. */
import { counted, countText } from "../base/log.ts";
import { type Duplicates, findDuplicates } from "../data/duplicates.ts";
import { countImages, type Identity } from "../data/identity.ts";
import { isLoss, type LeftOut, leftOutText } from "../data/left-out.ts";
import { POPULATION_FARS, peopleNeeded } from "../evaluate/thresholds.ts";
import { describe } from "../model/description.ts";
import { LEAST_FITTED } from "./adapt.ts";
import { modelConfigOf, type SettledConfig } from "./config.ts";
import { LEAST_TUNED, tunedSettings } from "./finetune.ts";
import type { People } from "./people.ts";

/** What is known before the first step. */
export interface StartSummary {
  readonly dataset: string;
  readonly path: string | undefined;
  readonly people: number;
  readonly photographs: number;
  /** What the folder holds that is not used, by reason. */
  readonly leftOut: readonly LeftOut[];
  /** Numbers of people. */
  readonly split: { readonly train: number; readonly validation: number; readonly test: number };
  /** People whom a pairs file keeps out. */
  readonly excluded: number;
  /** Byte-equal photographs; absent where there are too many to compare. */
  readonly duplicates?: { readonly ofOnePerson: number; readonly ofTwoPeople: number };
  readonly network: string;
  /** Whether the network is kept as it is, and only what compares its embeddings is fitted. */
  readonly frozen: boolean;
  readonly parameters: number;
  readonly epochs: number;
  /** Pairs, or images, of an epoch. */
  readonly datasetSize: number;
  /** What may disappoint, and what to do about it. */
  readonly warnings: readonly string[];
}

/** Fewer people with two photographs teach a network of its own too little. */
const LEAST_TRAINED = 100;
/** Fewer held-out people leave the error rates wide open. */
const LEAST_MEASURED = 10;
/** More photographs are not compared before training, since reading them takes minutes. */
const MOST_COMPARED = 100_000;

const pairable = (people: readonly Identity[]) => people.filter(({ images }) => images.length >= 2).length;

function tooFew({ split, dataset }: People): string[] {
  if (dataset.kind === "synthetic") return [];
  const trained = pairable(split.train);
  const measured = pairable(split.test);
  return [
    ...(trained < LEAST_TRAINED
      ? [
          `${counted(trained, "person", "people")} with two or more photographs ${trained === 1 ? "is" : "are"} too few to train a network on: expect many mistakes about people it has not seen; use ${LEAST_TRAINED} or more, or compare faces with the pretrained network, without training: faceid verify a.jpg b.jpg`,
        ]
      : []),
    ...(split.test.length > 0 && measured < LEAST_MEASURED
      ? [
          `${counted(measured, "person", "people")} with two or more photographs ${measured === 1 ? "is" : "are"} held out to measure on: the error rates will be uncertain; raise --test-fraction or add people`,
        ]
      : []),
  ];
}

const photographsEach = (people: readonly Identity[]) =>
  people.length === 0 ? 0 : countImages(people) / people.length;

/** What can and what cannot be fitted to these people, and be measured on them. */
function adaptable({ split }: People): string[] {
  const { train, validation, test } = split;
  if (validation.length === 0) {
    return [
      `only ${countText(pairable(test))} people have two or more photographs: the pretrained network is used as it is, with its pack's thresholds. The evaluation shows whether these people are told apart, not how often a stranger is accepted. With ${LEAST_FITTED} such people or more, faceid tries to adapt it`,
    ];
  }
  const each = Math.max(1, photographsEach(validation));
  const supported = POPULATION_FARS.filter((far) => peopleNeeded(far, each) <= validation.length);
  const next = POPULATION_FARS.find((far) => !supported.includes(far));
  if (next === undefined) return [];
  const lowest = supported.at(-1);
  const share = validation.length / (train.length + validation.length + test.length);
  const more = Math.ceil(peopleNeeded(next, each) / share);
  return [
    `the ${countText(validation.length)} people for thresholds support ${lowest === undefined ? "no false accept rate" : `a false accept rate of ${lowest}`} of their own; ${next} takes about ${countText(more)} people in all`,
  ];
}

/** Whether all of the network can be trained further. */
function tunable(
  { split: { train } }: People,
  { validationFraction, testFraction }: SettledConfig,
): string[] {
  if (train.length >= LEAST_TUNED) return [];
  const inAll = Math.ceil(LEAST_TUNED / (1 - validationFraction - testFraction));
  return [
    `${counted(train.length, "person", "people")} with two or more photographs ${train.length === 1 ? "is" : "are"} left to train on, too few to train the network further, which takes ${LEAST_TUNED} (about ${inAll} before people are set aside): it is adapted instead`,
  ];
}

function duplicateWarnings({ ofOnePerson, ofTwoPeople }: Duplicates): string[] {
  const [first] = ofTwoPeople;
  const [again] = ofOnePerson;
  return [
    ...(first === undefined
      ? []
      : [
          `${counted(ofTwoPeople.length, "photograph")} ${ofTwoPeople.length === 1 ? "is" : "are"} filed under two people (${first.path} = ${first.original}); delete the wrong one of each`,
        ]),
    ...(again === undefined
      ? []
      : [
          `${counted(ofOnePerson.length, "photograph")} ${ofOnePerson.length === 1 ? "is" : "are"} stored twice (${again.path} = ${again.original})`,
        ]),
  ];
}

/**
 * Describes a run whose people are known.
 * @throws FaceError `INTERRUPTED` on the signal.
 */
export async function startSummary(
  people: People,
  config: SettledConfig,
  signal?: AbortSignal,
): Promise<StartSummary> {
  const { dataset, split, excluded } = people;
  const images = countImages(dataset.identities);
  const isComparable = dataset.kind !== "synthetic" && images <= MOST_COMPARED;
  const found = isComparable ? await findDuplicates(dataset, signal) : undefined;
  const { leftOut = [], remarks = [] } = dataset;
  const isTuned = config.finetune && split.train.length >= LEAST_TUNED;
  const { datasetSize } = isTuned ? tunedSettings(config, split.train) : config;
  return {
    dataset: dataset.name,
    path: dataset.path,
    people: dataset.identities.length,
    photographs: images,
    leftOut,
    split: { train: split.train.length, validation: split.validation.length, test: split.test.length },
    excluded,
    ...(found === undefined
      ? {}
      : {
          duplicates: {
            ofOnePerson: found.ofOnePerson.length,
            ofTwoPeople: found.ofTwoPeople.length,
          },
        }),
    network: config.model,
    frozen: config.frozen,
    parameters: describe(modelConfigOf(config)).total,
    epochs: config.epochs,
    datasetSize,
    warnings: [
      ...remarks,
      ...leftOut.filter(isLoss).map((item) => `left out: ${leftOutText(item)}`),
      ...(found === undefined ? [] : duplicateWarnings(found)),
      ...(config.frozen || config.finetune ? adaptable(people) : tooFew(people)),
      ...(config.finetune ? tunable(people, config) : []),
    ],
  };
}
