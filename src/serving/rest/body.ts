/** @file The body of a REST request: collected within limits, inflated within limits. */
import type { IncomingMessage } from "node:http";
import { createGunzip } from "node:zlib";
import { INFLATED_AT_ONCE, inflate } from "../inflate.ts";
import { join, type Pieces } from "../join.ts";
import { copyBytes, type RequestMemory } from "../request-memory.ts";
import { invalidArgument, StatusError } from "../status.ts";

/** Largest inflated body. As in TensorFlow Serving, a larger one counts as empty. */
export const MAX_INFLATED_BYTES = 104_857_600;
/** Shorter bodies gain nothing from shared memory. */
const LEAST_SHARED_BYTES = 16 * 1024;

/** A body larger than the server takes; the connection is closed after the answer. */
export class BodyTooLarge extends Error {}

const BROKEN =
  "the body has the header Content-Encoding: gzip, but its bytes are no gzip, are cut off, or go on behind its end";
/** Names for a body as it is. */
const NOT_ENCODED: ReadonlySet<string> = new Set(["", "identity"]);
/** Most characters of a header that an error repeats. */
const MOST_NAMED = 40;

/** How long a refused body is still read, and dropped, so that its sender reads the answer instead of failing to write. */
const LINGER_MS = 2000;
/** What a chunk takes beside its bytes: a client may send one byte at a time. */
const CHUNK_OVERHEAD = 128;

/** How to read a body. */
export interface BodyOptions {
  readonly maxBytes: number;
  /** What the body takes is counted here until the request is over. */
  readonly memory: RequestMemory;
  /** Whether the body's reader can read shared memory. */
  readonly mayShare: boolean;
  /**
   * Whether a body that is not encoded as it says is refused. TensorFlow Serving takes one for empty, and does not look at other
   * encodings than gzip.
   */
  readonly refuseWrong?: boolean;
}

/**
 * Collects a body and inflates gzip.
 * @throws BodyTooLarge, or StatusError `UNAVAILABLE` when all requests together hold too much; `INVALID_ARGUMENT` for a wrong
 *   encoding that is to be refused.
 */
export async function collectBody(
  request: IncomingMessage,
  { maxBytes, memory, mayShare, refuseWrong = false }: BodyOptions,
): Promise<Uint8Array> {
  const tooLarge = () => new BodyTooLarge(`The request body is larger than the limit of ${maxBytes} bytes.`);
  const announced = Number(request.headers["content-length"] ?? 0);
  const encoding = request.headers["content-encoding"]?.toLowerCase();
  const isLarge = announced >= LEAST_SHARED_BYTES && announced <= maxBytes;
  const shared = isLarge && encoding === undefined && mayShare ? memory.text(announced) : undefined;
  const chunks: Uint8Array[] = [];
  let taken = 0;
  let counted = 0;
  const count = (bytes: number) => {
    memory.take(bytes);
    counted += bytes;
  };
  await eachChunk(request, (chunk) => {
    if (announced > maxBytes) throw tooLarge();
    taken += chunk.length;
    if (taken > maxBytes) throw tooLarge();
    if (shared !== undefined) copyBytes(chunk, shared.subarray(taken - chunk.length, taken));
    else if (chunk.length > 0) {
      count(chunk.length + CHUNK_OVERHEAD);
      chunks.push(chunk);
    }
  });
  if (shared !== undefined) return shared;
  if (encoding?.includes("gzip") && taken > 0) {
    const body = await inflated(chunks, memory, request);
    memory.giveBack(counted);
    if (typeof body !== "string") return body;
    if (!refuseWrong) return new Uint8Array(0);
    if (body === "broken") throw invalidArgument(BROKEN);
    throw new BodyTooLarge(
      `The request body has more than ${MAX_INFLATED_BYTES} bytes when it is decompressed.`,
    );
  }
  if (
    refuseWrong &&
    taken > 0 &&
    encoding !== undefined &&
    !encoding.includes("gzip") &&
    !NOT_ENCODED.has(encoding)
  ) {
    throw invalidArgument(
      `the body has the header Content-Encoding: ${encoding.slice(0, MOST_NAMED)}; send gzip, or the body as it is`,
    );
  }
  // The pieces are garbage as soon as they are joined.
  memory.giveBack(counted);
  return await joined(chunks, taken, memory, request);
}

/** Calls `take` with each chunk. Unlike iteration, it leaves the connection open for an answer when `take` throws. */
function eachChunk(request: IncomingMessage, take: (chunk: Uint8Array) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let refusal: unknown;
    let timer: NodeJS.Timeout | undefined;
    const finish = (act: () => void) => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("error", onError).off("close", onClose);
      act();
    };
    const refuse = () => {
      request.pause();
      finish(() => reject(refusal));
    };
    const onData = (chunk: Uint8Array) => {
      if (refusal !== undefined) return;
      try {
        take(chunk);
      } catch (error) {
        refusal = error;
        timer = setTimeout(refuse, LINGER_MS);
      }
    };
    const onEnd = () => finish(() => (refusal === undefined ? resolve() : reject(refusal)));
    const onError = (error: Error) => finish(() => reject(error));
    const onClose = () => finish(() => reject(new StatusError("CANCELLED", "The client has left.")));
    // A body whose announced length is too large is refused before any of it arrives.
    onData(new Uint8Array(0));
    request.on("data", onData).on("end", onEnd).on("error", onError).on("close", onClose);
  });
}

/** One array in a buffer of its own, which can be moved to a thread. It is counted. */
async function joined(
  chunks: readonly Uint8Array[],
  length: number,
  memory: RequestMemory,
  { socket }: IncomingMessage,
): Promise<Uint8Array> {
  memory.take(length);
  const body = await join(chunks as Pieces, length, () => socket?.destroyed === true);
  if (body === undefined) throw new StatusError("CANCELLED", "The client has left.");
  return body;
}

/** @returns why there is none: the bytes are no gzip, or part of one, or more follow; or it is too large. */
async function inflated(
  chunks: readonly Uint8Array[],
  memory: RequestMemory,
  request: IncomingMessage,
): Promise<Uint8Array | "broken" | "large"> {
  const gunzip = createGunzip({ chunkSize: INFLATED_AT_ONCE });
  const inflating = await inflate(chunks, gunzip, { maxBytes: MAX_INFLATED_BYTES, memory });
  if (typeof inflating === "string") return inflating;
  memory.giveBack(inflating.length);
  // Bytes behind the end are not read, and nothing is said of them.
  if (gunzip.bytesWritten < chunks.reduce((sum, { length }) => sum + length, 0)) return "broken";
  return await joined(inflating.chunks, inflating.length, memory, request);
}
