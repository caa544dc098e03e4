/** @file Photographs that do not look like the others of their person: two people under one name. */
import type { EnrolledFace } from "../gallery/faces.ts";
import type { PhotoModel } from "../verify/photo-model.ts";

/** A photograph that is not alike enough to the others of its person. */
export interface Unlike {
  readonly image: string;
  readonly person: string;
  /** To the nearest of the photographs that it was expected to resemble. */
  readonly similarity: number;
  /** That photograph's file name. */
  readonly closest: string | null;
  /** From which similarity on two photographs show one person. */
  readonly threshold: number;
}

type Face = Pick<EnrolledFace, "id" | "source" | "modelDigest"> & { readonly embedding: Float32Array };

/** Faces of one person that are compared with each other; more would take long and tell no more. */
const MOST = 100;

/** Groups of numbers below `count` that links join, the largest first, of equal ones the one with the smallest number. */
function joinedGroups(count: number, links: Iterable<readonly [number, number]>): number[][] {
  const parent = Array.from({ length: count }, (_, i) => i);
  const root = (i: number): number => (parent[i] === i ? i : root(parent[i]!));
  for (const [a, b] of links) parent[Math.max(root(a), root(b))] = Math.min(root(a), root(b));
  const groups = new Map<number, number[]>();
  for (const i of parent.keys()) groups.set(root(i), [...(groups.get(root(i)) ?? []), i]);
  return [...groups.values()].toSorted((a, b) => b.length - a.length || a[0]! - b[0]!);
}

/**
 * New faces that neither resemble the earlier faces of their person nor, by way of others, those that do; without earlier
 * faces, those outside the largest group that resemble each other.
 * @param faces all of the person.
 * @param added the new ones: ids and paths.
 */
export async function findUnlike(
  model: PhotoModel,
  person: string,
  faces: readonly Face[],
  added: ReadonlyMap<string, string>,
): Promise<Unlike[]> {
  const { threshold } = model.decide(0);
  const comparable = faces.filter(({ modelDigest }) => modelDigest === model.digest);
  const isNew = ({ id }: Face) => added.has(id);
  const old = comparable.filter((face) => !isNew(face)).slice(-MOST);
  // The earlier faces come first.
  const all = [...old, ...comparable.filter(isNew).slice(0, MOST)];
  const similarity = new Map<string, number>();
  const links: [number, number][] = old.map((_, i) => [0, i]);
  for (let b = old.length; b < all.length; b++) {
    for (let a = 0; a < b; a++) {
      const value = await model.similarity(all[a]!.embedding, all[b]!.embedding);
      similarity.set(`${a} ${b}`, value);
      if (value >= threshold) links.push([a, b]);
    }
  }
  const groups = joinedGroups(all.length, links);
  const wanted = old.length > 0 ? groups.find((group) => group.includes(0))! : (groups[0] ?? []);
  const between = (a: number, b: number) => similarity.get(`${Math.min(a, b)} ${Math.max(a, b)}`)!;
  return groups
    .filter((group) => group !== wanted)
    .flat()
    .toSorted((a, b) => a - b)
    .map((face) => {
      const nearest = wanted.reduce((best, each) =>
        between(each, face) > between(best, face) ? each : best,
      );
      return {
        image: added.get(all[face]!.id)!,
        person,
        similarity: between(nearest, face),
        closest: all[nearest]!.source,
        threshold,
      };
    });
}
