/** @file Photographs that spoil a dataset, by embeddings: wrong labels, one person under two names, near duplicates. */
import { countText } from "../base/log.ts";

/** A photograph with the embedding of its face, of length 1. */
export interface LabelledPhoto {
  readonly path: string;
  readonly person: string;
  readonly embedding: Float32Array;
}

/** Two photographs, by position, of two people whose faces are alike. */
export interface StrongPair {
  readonly a: number;
  readonly b: number;
  readonly similarity: number;
}

/** From the gravest on: a photograph is listed for the first that applies. */
export const FINDINGS = [
  "wrong label",
  "labels in conflict",
  "two names",
  "duplicate",
  "near duplicate",
  "no usable face",
  "unreadable",
] as const;
export type Finding = (typeof FINDINGS)[number];

/** A photograph that should be looked at. */
export interface Suspect {
  readonly path: string;
  readonly person: string;
  readonly finding: Finding;
  readonly reason: string;
  /** The photograph that gives the reason. */
  readonly other?: string;
  /** Cosine. */
  readonly similarity?: number;
}

/** Cosines of SFace. */
export interface SuspectLimits {
  /** Two photographs of one person are at least so alike: the pack's threshold at FAR 0.001. */
  readonly alike: number;
  /** Below, they are of two people, however few photographs a person has: the pack's threshold at FAR 0.01. */
  readonly apart: number;
  /** From here on photographs of two names are of one person: of 50 million pairs of LFW 214, of which most are errors of its labels. */
  readonly strong: number;
  /** Two prints or frames of one photograph. */
  readonly equal: number;
}

export const SUSPECT_LIMITS: SuspectLimits = { alike: 0.363, apart: 0.301, strong: 0.5, equal: 0.95 };

function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Photographs of one name that belong together because each is like another. */
function components(own: readonly number[], isAlike: (a: number, b: number) => boolean): number[][] {
  const left = new Set(own);
  const groups: number[][] = [];
  for (const first of own) {
    if (!left.delete(first)) continue;
    const group = [first];
    for (const member of group) {
      for (const other of left) if (isAlike(member, other) && left.delete(other)) group.push(other);
    }
    groups.push(group);
  }
  return groups.toSorted((a, b) => b.length - a.length);
}

/** What is known of all photographs. */
class Labels {
  readonly photos: readonly LabelledPhoto[];
  readonly limits: SuspectLimits;
  readonly people = new Map<string, number[]>();
  /** The most alike photograph under another name, where there is a strong one. */
  readonly elsewhere = new Map<number, StrongPair>();

  constructor(photos: readonly LabelledPhoto[], strong: readonly StrongPair[], limits: SuspectLimits) {
    this.photos = photos;
    this.limits = limits;
    for (const [i, { person }] of photos.entries()) {
      const own = this.people.get(person);
      if (own === undefined) this.people.set(person, [i]);
      else own.push(i);
    }
    for (const { a, b, similarity } of strong) {
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        if (similarity > (this.elsewhere.get(from)?.similarity ?? 0)) {
          this.elsewhere.set(from, { a: from, b: to, similarity });
        }
      }
    }
  }

  similarity(a: number, b: number): number {
    return cosine(this.photos[a]!.embedding, this.photos[b]!.embedding);
  }

  /** The most alike of others, which are not itself. */
  nearest(i: number, others: readonly number[]): StrongPair | undefined {
    let best: StrongPair | undefined;
    for (const b of others) {
      if (b === i) continue;
      const similarity = this.similarity(i, b);
      if (best === undefined || similarity > best.similarity) best = { a: i, b, similarity };
    }
    return best;
  }

  suspect(i: number, finding: Finding, reason: string, about: StrongPair): Suspect {
    const { path, person } = this.photos[i]!;
    const other = this.photos[about.b]!.path;
    return { path, person, finding, reason, other, similarity: Number(about.similarity.toFixed(3)) };
  }
}

/** Photographs under one name that do not show the person of the others. */
function wrongLabels(labels: Labels, own: readonly number[]): Map<number, Suspect> {
  const found = new Map<number, Suspect>();
  if (own.length < 2) return found;
  const { alike, apart } = labels.limits;
  const groups = components(own, (a, b) => labels.similarity(a, b) >= alike);
  const [core, second] = groups;
  const isClear = core!.length >= 2 && core!.length > (second?.length ?? 0);
  for (const i of isClear ? own.filter((each) => !core!.includes(each)) : own) {
    const place = labels.elsewhere.get(i);
    const nearest = labels.nearest(i, isClear ? core! : own)!;
    if (place !== undefined && (isClear || nearest.similarity < alike)) {
      const { person } = labels.photos[place.b]!;
      found.set(i, labels.suspect(i, "wrong label", `shows the person of ${person}`, place));
    } else if (nearest.similarity < apart && isClear) {
      const reason = `is unlike the other ${countText(core!.length)} photographs of this name`;
      found.set(i, labels.suspect(i, "wrong label", reason, nearest));
    } else if (nearest.similarity < apart) {
      const reason = "the photographs of this name show different people, and it is not clear who is meant";
      found.set(i, labels.suspect(i, "labels in conflict", reason, nearest));
    }
  }
  // Where all but one of the photographs in conflict belong elsewhere, that one is right.
  const doubtful = [...found].filter(([, { finding }]) => finding === "labels in conflict");
  if (doubtful.length === 1 && found.size === own.length && own.length > 1) found.delete(doubtful[0]![0]);
  return found;
}

/** Names whose photographs are of one person: those of the name with fewer photographs. */
function twoNames(
  labels: Labels,
  strong: readonly StrongPair[],
  wrong: ReadonlyMap<number, Suspect>,
): Suspect[] {
  const { photos, people, limits } = labels;
  const pairs = new Map<string, StrongPair>();
  for (const pair of strong) {
    if (wrong.has(pair.a) || wrong.has(pair.b)) continue;
    const key = [photos[pair.a]!.person, photos[pair.b]!.person].toSorted().join("\n");
    if (pair.similarity > (pairs.get(key)?.similarity ?? 0)) pairs.set(key, pair);
  }
  const found = new Map<number, Suspect>();
  for (const { a, b, similarity } of pairs.values()) {
    const [left, right] = [a, b].map((i) =>
      people.get(photos[i]!.person)!.filter((each) => !wrong.has(each)),
    );
    const [few, many] = left!.length <= right!.length ? [left!, right!] : [right!, left!];
    const mean =
      few.reduce((sum, i) => sum + many.reduce((part, j) => part + labels.similarity(i, j), 0), 0) /
      (few.length * many.length);
    const { person } = photos[many[0]!]!;
    if (mean < limits.alike) {
      // One photograph of both, such as one of the two together.
      const [i, j] = few.includes(a) ? [a, b] : [b, a];
      const finding = similarity >= limits.equal ? "near duplicate" : "wrong label";
      found.set(i, labels.suspect(i, finding, `shows the person of ${person}`, { a: i, b: j, similarity }));
      continue;
    }
    for (const i of few) {
      const nearest = labels.nearest(i, many)!;
      found.set(i, labels.suspect(i, "two names", `this name and ${person} are one person`, nearest));
    }
  }
  return [...found.values()];
}

/** Photographs of one name that are nearly the same picture; the first is kept. */
function nearDuplicates(labels: Labels, own: readonly number[], skipped: ReadonlySet<string>): Suspect[] {
  const kept: number[] = [];
  return own.flatMap((i) => {
    if (skipped.has(labels.photos[i]!.path)) return [];
    const nearest = labels.nearest(i, kept);
    if (nearest !== undefined && nearest.similarity >= labels.limits.equal) {
      return [
        labels.suspect(i, "near duplicate", "nearly the same picture as another of this name", nearest),
      ];
    }
    kept.push(i);
    return [];
  });
}

/**
 * Looks for photographs whose labels contradict their faces. A photograph is wrongly labelled when the larger part of the
 * photographs of its name are alike and it is not like them, or when it is like another name's; two photographs that differ
 * and match nobody else are in conflict.
 * @param strong all pairs of photographs under two names whose cosine is at least `limits.strong`.
 */
export function findSuspects(
  photos: readonly LabelledPhoto[],
  strong: readonly StrongPair[],
  limits: SuspectLimits = SUSPECT_LIMITS,
): Suspect[] {
  const labels = new Labels(photos, strong, limits);
  const wrong = new Map([...labels.people.values()].flatMap((own) => [...wrongLabels(labels, own)]));
  const names = twoNames(labels, strong, wrong);
  const found = [...wrong.values(), ...names];
  const skipped = new Set(found.map(({ path }) => path));
  return [...found, ...[...labels.people.values()].flatMap((own) => nearDuplicates(labels, own, skipped))];
}
