/** @file Whom a model was trained on, kept with it as digests of their names, so that it need not name anybody. */
import { createHash } from "node:crypto";
import { z } from "zod";

/** Characters of one digest: the first 48 bits of SHA-256 in base64url. */
const LENGTH = 8;

const digests = z.string().regex(new RegExp(`^(?:[\\w-]{${LENGTH}})*$`));

/** Digests of the people of a training, without anything between them, in their own order. */
export const trainedPeopleSchema = z.object({
  /** Whom the weights were fitted to. */
  train: digests,
  /** Who chose checkpoint, probabilities and thresholds. */
  validation: digests,
});

export type TrainedPeople = z.infer<typeof trainedPeopleSchema>;

function digestOf(name: string): string {
  return createHash("sha256").update(name.normalize("NFC")).digest("base64url").slice(0, LENGTH);
}

const digestsOf = (people: readonly { readonly name: string }[]): string =>
  people
    .map(({ name }) => digestOf(name))
    .toSorted()
    .join("");

/** The record of a split. */
export function trainedPeople(split: {
  readonly train: readonly { readonly name: string }[];
  readonly validation: readonly { readonly name: string }[];
}): TrainedPeople {
  return { train: digestsOf(split.train), validation: digestsOf(split.validation) };
}

/** Deals people out as a training did; whom it does not know it did not see, so that they can be measured on. */
export function splitAsTrained<Person extends { readonly name: string }>(
  people: readonly Person[],
  { train, validation }: TrainedPeople,
): { train: Person[]; validation: Person[]; test: Person[] } {
  const known = (text: string) => new Set(text.match(new RegExp(`.{${LENGTH}}`, "g")) ?? []);
  const [trained, choosing] = [known(train), known(validation)];
  const split: { train: Person[]; validation: Person[]; test: Person[] } = {
    train: [],
    validation: [],
    test: [],
  };
  for (const person of people) {
    const digest = digestOf(person.name);
    split[trained.has(digest) ? "train" : choosing.has(digest) ? "validation" : "test"].push(person);
  }
  return split;
}
