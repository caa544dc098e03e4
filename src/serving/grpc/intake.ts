/** @file Messages on their way in: counted as they arrive and as they inflate, limited in size and time. */
// grpc-js limits one message, not all of them together: forty calls of 100 KB inflate to gigabytes. It has no option for
// this, so the parts of a call that receive are replaced here; a test fails where a version has other parts.
import { createGunzip, createInflate } from "node:zlib";
import { INFLATED_AT_ONCE, inflate } from "../inflate.ts";
import { join, type Pieces } from "../join.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import { RequestMemory } from "../request-memory.ts";
import { STATUS, StatusError, toStatusError } from "../status.ts";
import { type Frame, Frames, frameOf, takeFrame } from "./frames.ts";
import { LONGEST_NAMES } from "./request-messages.ts";

/** Private fields of a call of grpc-js. An interceptor's call wraps the one that reads. */
interface InnerCall {
  readonly call?: InnerCall;
  readonly nextCall?: InnerCall;
  readonly stream?: { once(event: "close", listener: () => void): void };
  readonly decoder?: Decoder;
  readonly metadata?: { get(name: string): (string | Buffer)[] };
  decompressMessage(message: Buffer, encoding: string): Buffer | Promise<Buffer>;
  serializeMessage(message: unknown): Buffer;
  sendStatus(status: { code: number; details: string; metadata: null }): void;
}

interface Decoder {
  write(data: Buffer): Buffer[];
}

/** How calls are received. */
export interface IntakeOptions {
  readonly budget: MemoryBudget;
  /** Largest message of calls that carry tensors, compressed or not. */
  readonly maxMessageBytes: number;
  /** Time for a message to arrive completely; 0 for no limit. */
  readonly receiveTimeoutMs: number;
}

/** Largest message of calls that carry names only, and of a configuration. */
const MOST_NAMES_BYTES = 64 * 1024;
const MOST_CONFIG_BYTES = 2 ** 20;
/** The field of all requests with tensors that names the model. */
const NAMING_FIELD = 1;
/** What a frame takes beside its bytes. */
const FRAME_OVERHEAD = 128;
const memories = new WeakMap<object, RequestMemory>();

/** The part of a call that reads. */
export function readerOf(call: object): InnerCall | undefined {
  let inner: InnerCall | undefined = call as InnerCall;
  while (inner !== undefined && inner.decoder === undefined) inner = inner.call ?? inner.nextCall;
  return inner;
}

/** The memory in which a call's message is counted; it is released when the call has ended. */
export function memoryOf(call: object): RequestMemory {
  const reader = readerOf(call);
  const memory = reader && memories.get(reader);
  if (memory === undefined) throw new Error("internal: a call of grpc-js has other parts than expected");
  return memory;
}

function limitOf(path: string, { maxMessageBytes }: IntakeOptions): number {
  if (path.endsWith("/HandleReloadConfigRequest")) return Math.min(MOST_CONFIG_BYTES, maxMessageBytes);
  const carriesTensors = /\/(?:Predict|Classify|Regress|MultiInference|ModelInfer)$/.test(path);
  return carriesTensors ? maxMessageBytes : Math.min(MOST_NAMES_BYTES, maxMessageBytes);
}

/** A status in the form of grpc-js. */
const failure = ({ status, message }: StatusError) => ({ code: STATUS[status].grpc, details: message });

/** Makes a call count what it receives. @param call as an interceptor of grpc-js gets it. */
export function meter(path: string, isStream: boolean, call: object, options: IntakeOptions): void {
  const reader = readerOf(call);
  if (reader?.decoder === undefined || reader.stream === undefined) return;
  const { decoder, stream } = reader;
  const memory = new RequestMemory(options.budget);
  memories.set(reader, memory);
  stream.once("close", () => memory.release());
  const maxBytes = limitOf(path, options);
  const timer = isStream ? undefined : lateness(reader, options.receiveTimeoutMs);
  if (timer !== undefined) stream.once("close", () => clearTimeout(timer));
  let arriving = 0;
  const frames = new Frames(maxBytes, { field: NAMING_FIELD, maxBytes: LONGEST_NAMES });
  decoder.write = (data) => {
    if (frames.isRefused) return [];
    memory.take(data.length + FRAME_OVERHEAD);
    arriving += data.length + FRAME_OVERHEAD;
    const headers = frames.write(data);
    if (headers.length === 0) return headers;
    clearTimeout(timer);
    memory.giveBack(arriving);
    arriving = 0;
    if (!isStream) for (const header of headers) memory.take(frameOf(header).length);
    return headers;
  };
  let isOver = false;
  stream.once("close", () => {
    isOver = true;
  });
  const decompress = reader.decompressMessage.bind(reader);
  reader.decompressMessage = (header, encoding) => {
    if (encoding === "identity") return joined(takeFrame(header), () => isOver);
    if (encoding !== "gzip" && encoding !== "deflate") return decompress(header, encoding);
    return inflated(takeFrame(header), encoding, { maxBytes, memory, isStream, isOver: () => isOver });
  };
}

/** @throws grpc-js' form of a status. */
async function joined({ pieces, length }: Frame, isOver: () => boolean): Promise<Buffer> {
  let whole: Uint8Array | undefined;
  try {
    whole = await join(pieces, length, isOver);
  } catch (error) {
    throw failure(toStatusError(error));
  }
  if (whole === undefined) throw failure(new StatusError("CANCELLED", "The client has cancelled the call."));
  return whole as Buffer;
}

interface InflateOptions {
  readonly maxBytes: number;
  readonly memory: RequestMemory;
  readonly isStream: boolean;
  readonly isOver: () => boolean;
}

/** @throws grpc-js' form of a status. */
async function inflated(
  { pieces, length }: Frame,
  encoding: "gzip" | "deflate",
  { maxBytes, memory, isStream, isOver }: InflateOptions,
): Promise<Buffer> {
  const options = { chunkSize: INFLATED_AT_ONCE };
  const stream = encoding === "gzip" ? createGunzip(options) : createInflate(options);
  const result = await inflate(pieces as Uint8Array[], stream, { maxBytes, memory }).catch(
    (error: unknown) => {
      throw error instanceof StatusError ? failure(error) : error;
    },
  );
  if (result === "broken") throw failure(new StatusError("INTERNAL", "Failed to decompress message"));
  if (result === "large") {
    const text = `Received message that decompresses to a size larger than ${maxBytes}`;
    throw failure(new StatusError("RESOURCE_EXHAUSTED", text));
  }
  // The pieces are garbage as soon as they are joined; the compressed message too.
  memory.giveBack(result.length + (isStream ? 0 : length));
  if (!isStream) memory.take(result.length);
  return await joined({ pieces: result.chunks as Pieces, length: result.length }, isOver);
}

/** Ends a call whose message does not arrive. */
function lateness(reader: InnerCall, afterMs: number): NodeJS.Timeout | undefined {
  if (afterMs <= 0) return undefined;
  const end = () => {
    const late = failure(new StatusError("DEADLINE_EXCEEDED", "The request did not arrive in time."));
    reader.sendStatus({ ...late, metadata: null });
  };
  return setTimeout(end, afterMs).unref();
}
