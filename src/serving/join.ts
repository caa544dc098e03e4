/** @file Joins the pieces of a large message in short steps, so that others are answered in between. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { Limiter } from "../base/limiter.ts";

/** Bytes copied between two turns of the event loop, in about half a millisecond; messages up to this size are joined at once. */
const STEP = 2 ** 20;

/** A few large messages are joined at a time: while one is, its bytes are in memory twice. */
const turns = new Limiter(2);

/** Pieces of a message, in order; they are let go as they are copied. */
export type Pieces = (Uint8Array | undefined)[];

function copy(pieces: Pieces, whole: Uint8Array, from: number, at: number): readonly [number, number] {
  let [next, end] = [from, at];
  while (next < pieces.length && end - at < STEP) {
    const piece = pieces[next]!;
    whole.set(piece, end);
    end += piece.length;
    pieces[next++] = undefined;
  }
  return [next, end];
}

/**
 * One array in a buffer of its own, which can move to a thread; small messages may share a buffer with others.
 * @param isOver asked before each step; a message that nobody waits for is not joined any further.
 * @returns undefined when it was over.
 * @throws RangeError where there is no memory.
 */
export function join(
  pieces: Pieces,
  length: number,
  isOver: () => boolean,
): Uint8Array | Promise<Uint8Array | undefined> {
  if (length <= STEP) return Buffer.concat(pieces.splice(0) as Uint8Array[], length);
  return turns.run(async () => {
    if (isOver()) return undefined;
    const whole = Buffer.from(new ArrayBuffer(length));
    let [next, at] = [0, 0];
    while (next < pieces.length) {
      [next, at] = copy(pieces, whole, next, at);
      await nextTurn();
      if (isOver()) return undefined;
    }
    return whole;
  });
}
