/** @file Photographs are decoded a few at a time, over all requests. */
import { availableParallelism } from "node:os";

/** Threads that libuv has to decode them. */
const LIBUV_THREADS = 4;
/**
 * Photographs in memory at full size at once. Each is handed from a thread of libuv to one of libvips and back; more of
 * them than cores would only stand in the way of the thread that talks to clients.
 */
const MOST_AT_ONCE = Math.min(LIBUV_THREADS, Math.max(2, availableParallelism()));
let free = MOST_AT_ONCE;
const waiting: (() => void)[] = [];

/** Does the work as soon as there is room for it, first come, first served. */
export async function decodeInTurn<T>(work: () => Promise<T>): Promise<T> {
  if (free > 0) free--;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  }
}
