/** @file How many people a search by an index finds, of those whom a comparison with everybody finds. */

import { wilson } from "../artifact/wilson.ts";
import { FaceError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import type { Queries } from "./database.ts";
import type { EmbeddingKind } from "./faces.ts";
import { searchedRows, selectNearest } from "./search.ts";

/** What a measurement of an index found; kept with the gallery. */
export interface IndexMeasure {
  /** How many of the nearest a search asks the index for. */
  readonly candidates: number;
  /** Share of the people whom an exact search finds that a search by the index finds, with its 95 % interval. */
  readonly recall: number;
  readonly low: number;
  readonly high: number;
  /** Searches that an exact search answered rightly: the number behind the share. */
  readonly searches: number;
  /** How many comparisons an exact search made then. */
  readonly comparisons: number;
}

/** Below this an index is not used: one enrolled person in a hundred would be taken for a stranger for want of a better search. */
export const LEAST_RECALL = 0.99;

/**
 * At most so many searches: fewer where their interval lies above the bound before (381 without a miss). An index that finds 99.9 % is
 * then used with a probability of 99 %, one that finds 98.5 % with 0.5 %.
 */
const SEARCHES = 1000;
/** A share so low that it misses as many is known well enough. */
const MOST_MISSED = 50;
/** How many of the nearest an index is asked for: the fewest that suffice; the last is pgvector's limit. */
const CANDIDATES = [400, 600, 800, 1000] as const;

/**
 * Noise beside an enrolled face: a cosine of 1 / √(1 + s²) = 0.6 to it. Two photographs of one person on LFW have 0.75 in the
 * median; about 0.6 is the threshold among 100,000 people at an FPIR of 1 %, so that these are the hardest searches which count.
 */
const NOISE = 4 / 3;

/** An enrolled face as another photograph might show it: the same length, another direction. */
function asAnotherPhoto(enrolled: readonly number[], random: Random): Float32Array {
  const noise = enrolled.map(() => random.normal());
  const [length, loudness] = [Math.hypot(...enrolled), Math.hypot(...noise)];
  const moved = enrolled.map((value, i) => value + (NOISE * length * noise[i]!) / loudness);
  const scale = length / Math.hypot(...moved);
  return Float32Array.from(moved, (value) => value * scale);
}

interface Probe {
  readonly personId: string;
  readonly embedding: Float32Array;
}

/** The same people and the same noise each time, so that a figure changes only with the gallery. */
async function drawProbes(queries: Queries, id: number, kind: EmbeddingKind): Promise<Probe[]> {
  const { table, vector, where } = searchedRows(id, kind);
  const person = kind.template === "centroid" ? "id" : "person_id";
  const rows = await queries.rows<{ personId: string; values: number[] }>(
    `SELECT ${person} AS "personId", ${vector}::real[] AS values FROM ${table} WHERE ${where}
     ORDER BY md5(id::text) LIMIT ${SEARCHES}`,
  );
  if (rows.length === 0) return [];
  const random = new Random(1).fork("recall");
  return Array.from({ length: SEARCHES }, (_, i) => {
    const { personId, values } = rows[i % rows.length]!;
    return { personId, embedding: asAnotherPhoto(values, random) };
  });
}

/** Whether an index finds people surely enough to be used. */
export const isEnough = ({ low }: Pick<IndexMeasure, "low">): boolean => low >= LEAST_RECALL;

/**
 * Searches by the index for people who are enrolled, with the fewest candidates that suffice, and exactly for those whom it misses:
 * whom an exact search misses as well is not counted.
 * @param queries a connection whose setting of pgvector may be changed.
 * @throws FaceError `INTERRUPTED` on the signal.
 */
export async function measureIndex(
  queries: Queries,
  id: number,
  kind: EmbeddingKind,
  { comparisons, signal }: { readonly comparisons: number; readonly signal: AbortSignal },
): Promise<IndexMeasure> {
  const probes = await drawProbes(queries, id, kind);
  const finds = async ({ personId, embedding }: Probe, fromIndex?: number) => {
    if (signal.aborted)
      throw new FaceError("INTERRUPTED", "the measurement of the index was stopped", {
        hint: "searches compare with everybody until faceid gallery check or enrol has measured it",
      });
    const [first] = await selectNearest(queries, id, kind, embedding, { limit: 1, fromIndex });
    return first?.personId === personId;
  };
  const foundExactly = new Map<Probe, boolean>();
  const measure = async (candidates: number): Promise<IndexMeasure> => {
    await queries.run(`SET hnsw.ef_search = ${candidates}`);
    let [found, missed] = [0, 0];
    const result = (): IndexMeasure => {
      const searches = found + missed;
      const [low, high] = wilson(found, searches);
      return { candidates, recall: searches === 0 ? 0 : found / searches, low, high, searches, comparisons };
    };
    for (const probe of probes) {
      if (await finds(probe, candidates)) found++;
      else {
        if (!foundExactly.has(probe)) foundExactly.set(probe, await finds(probe));
        if (foundExactly.get(probe)) missed++;
      }
      if (isEnough(result()) || missed === MOST_MISSED) break;
      // More candidates are tried as soon as these cannot suffice.
      const [best] = wilson(probes.length - missed, probes.length);
      if (candidates !== CANDIDATES.at(-1) && best < LEAST_RECALL) break;
    }
    return result();
  };
  try {
    let measured = await measure(CANDIDATES[0]);
    for (const candidates of CANDIDATES.slice(1)) {
      if (isEnough(measured)) break;
      measured = await measure(candidates);
    }
    return measured;
  } finally {
    await queries.run("RESET hnsw.ef_search").catch(() => undefined);
  }
}
