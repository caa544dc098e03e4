/** @file Finds byte-equal photographs, under one person and under two. */
import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { FaceError } from "../base/errors.ts";
import { sha256OfFile } from "../base/files.ts";
import { eachLimited } from "../base/limiter.ts";
import type { Dataset } from "./identity.ts";

/** A photograph that is stored twice. */
export interface Duplicate {
  readonly path: string;
  /** The first file with the same bytes. */
  readonly original: string;
}

/** Byte-equal photographs: every file that repeats an earlier one. */
export interface Duplicates {
  /** Both show the same person: such a pair teaches and measures nothing. */
  readonly ofOnePerson: readonly Duplicate[];
  /** They are filed under two people, of whom one is wrong. */
  readonly ofTwoPeople: readonly Duplicate[];
}

/** Concurrent reads. */
const MAX_READS = 16;
/** Bytes of a file's middle that tell most files of one size apart. */
const PROBE_BYTES = 4096;

interface Photograph {
  readonly path: string;
  /** Index of the person. */
  readonly person: number;
}

/** Items with a key that another item has too, by key, in order; a key of undefined is nobody's. */
async function alike<T>(
  items: readonly T[],
  keyOf: (item: T) => Promise<string | undefined>,
  signal: AbortSignal | undefined,
): Promise<T[][]> {
  const keys: (string | undefined)[] = [];
  await eachLimited(items, MAX_READS, async (item, index) => {
    if (signal?.aborted) throw new FaceError("INTERRUPTED", "stopped while looking for equal photographs");
    // A file that cannot be read equals no other; decoding will give the reason.
    keys[index] = await keyOf(item).catch(() => undefined);
  });
  const groups = new Map<string, T[]>();
  for (const [index, item] of items.entries()) {
    const key = keys[index];
    if (key === undefined) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()].filter(({ length }) => length > 1);
}

/** Digest of a piece in the middle of a file. */
async function probe({ path }: Photograph): Promise<string> {
  await using file = await open(path);
  const { size } = await file.stat();
  const piece = Buffer.alloc(Math.min(PROBE_BYTES, size));
  await file.read(piece, 0, piece.length, Math.floor((size - piece.length) / 2));
  return createHash("sha1").update(piece).digest("base64");
}

/**
 * Finds files with the same bytes: first those of one size, of these the ones with the same middle, of these the ones with
 * the same digest, so that most files are never read as a whole.
 * @throws FaceError `INTERRUPTED` on the signal.
 */
export async function findDuplicates(dataset: Dataset, signal?: AbortSignal): Promise<Duplicates> {
  const photographs = dataset.identities.flatMap(({ images }, person) =>
    images.flatMap((image): Photograph[] => (image.kind === "file" ? [{ path: image.path, person }] : [])),
  );
  const ofOnePerson: Duplicate[] = [];
  const ofTwoPeople: Duplicate[] = [];
  const sizeOf = async ({ path }: Photograph) => {
    const { size } = await stat(path);
    return size === 0 ? undefined : String(size);
  };
  for (const sized of await alike(photographs, sizeOf, signal)) {
    for (const probed of await alike(sized, probe, signal)) {
      for (const [first, ...repeats] of await alike(probed, ({ path }) => sha256OfFile(path), signal)) {
        for (const { path, person } of repeats) {
          const list = person === first!.person ? ofOnePerson : ofTwoPeople;
          list.push({ path, original: first!.path });
        }
      }
    }
  }
  return { ofOnePerson, ofTwoPeople };
}
