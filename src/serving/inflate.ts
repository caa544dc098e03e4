/** @file Inflates what clients compress, counting while it grows: a few kilobytes can hold gigabytes. */
import type { Gunzip, Inflate } from "node:zlib";
import type { RequestMemory } from "./request-memory.ts";

/** Bytes that a step of inflation gives. */
export const INFLATED_AT_ONCE = 2 ** 16;

/** Inflated bytes in the pieces in which they came; counted in the request's memory. */
export interface Inflated {
  readonly chunks: readonly Uint8Array[];
  readonly length: number;
}

/** Limits of one inflation. */
export interface InflateLimits {
  readonly maxBytes: number;
  readonly memory: RequestMemory;
}

/**
 * Inflates one message. Nothing of it stays counted where it fails.
 * @returns `broken` for bytes that cannot be inflated, `large` for more than the limit.
 * @throws StatusError `UNAVAILABLE` when all requests together hold too much.
 */
export function inflate(
  compressed: readonly Uint8Array[],
  stream: Gunzip | Inflate,
  { maxBytes, memory }: InflateLimits,
): Promise<Inflated | "broken" | "large"> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    const giveUp = (finish: () => void) => {
      stream.destroy();
      memory.giveBack(length);
      length = 0;
      chunks.length = 0;
      finish();
    };
    stream.on("error", () => giveUp(() => resolve("broken")));
    stream.on("data", (chunk: Uint8Array) => {
      if (length + chunk.length > maxBytes) {
        giveUp(() => resolve("large"));
        return;
      }
      try {
        memory.take(chunk.length);
      } catch (error) {
        giveUp(() => reject(error));
        return;
      }
      length += chunk.length;
      chunks.push(chunk);
    });
    stream.on("end", () => resolve({ chunks, length }));
    for (const piece of compressed) stream.write(piece);
    stream.end();
  });
}
