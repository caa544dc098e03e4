/** @file Messages on their way in: counted as they arrive and as they inflate, limited in size and time. */
// grpc-js limits one message, not all of them together: forty calls of 100 KB inflate to gigabytes. It has no option for
// this, so the parts of a call that receive are replaced here; a test fails where a version has other parts.
import { createGunzip, createInflate } from "node:zlib";
import { INFLATED_AT_ONCE, inflate } from "../inflate.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import { RequestMemory } from "../request-memory.ts";
import { STATUS, StatusError } from "../status.ts";

/** Private fields of a call of grpc-js. An interceptor's call wraps the one that reads. */
interface InnerCall {
  readonly call?: InnerCall;
  readonly nextCall?: InnerCall;
  readonly stream?: { once(event: "close", listener: () => void): void };
  readonly decoder?: Decoder;
  readonly metadata?: { get(name: string): (string | Buffer)[] };
  maxReceiveMessageSize: number;
  decompressMessage(message: Buffer, encoding: string): Buffer | Promise<Buffer>;
  serializeMessage(message: unknown): Buffer;
  sendStatus(status: { code: number; details: string; metadata: null }): void;
}

interface Decoder {
  maxReadMessageLength: number;
  readPartialMessage: Uint8Array[];
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
/** What a frame takes beside its bytes. */
const FRAME_OVERHEAD = 128;
/** Flag and length in front of a message. */
const HEADER_BYTES = 5;

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
  decoder.maxReadMessageLength = maxBytes;
  reader.maxReceiveMessageSize = maxBytes;
  const timer = isStream ? undefined : lateness(reader, options.receiveTimeoutMs);
  if (timer !== undefined) stream.once("close", () => clearTimeout(timer));
  let arriving = 0;
  const write = decoder.write.bind(decoder);
  decoder.write = (data) => {
    memory.take(data.length + FRAME_OVERHEAD);
    arriving += data.length + FRAME_OVERHEAD;
    const messages = write(data);
    if (messages.length === 0) return messages;
    clearTimeout(timer);
    // grpc-js keeps the pieces of a message until the call ends. Memory that outlives a few young collections is freed
    // by a full one only, which takes long.
    decoder.readPartialMessage = [];
    memory.giveBack(arriving);
    arriving = 0;
    if (!isStream) for (const message of messages) memory.take(message.length);
    return messages;
  };
  const decompress = reader.decompressMessage.bind(reader);
  reader.decompressMessage = (message, encoding) =>
    encoding === "gzip" || encoding === "deflate"
      ? inflated(message, encoding, { maxBytes, memory, isStream })
      : decompress(message, encoding);
}

interface InflateOptions {
  readonly maxBytes: number;
  readonly memory: RequestMemory;
  readonly isStream: boolean;
}

/** @throws grpc-js' form of a status. */
async function inflated(
  message: Buffer,
  encoding: "gzip" | "deflate",
  { maxBytes, memory, isStream }: InflateOptions,
): Promise<Buffer> {
  const options = { chunkSize: INFLATED_AT_ONCE };
  const stream = encoding === "gzip" ? createGunzip(options) : createInflate(options);
  const result = await inflate([message.subarray(HEADER_BYTES)], stream, { maxBytes, memory }).catch(
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
  memory.giveBack(result.length + (isStream ? 0 : message.length));
  if (!isStream) memory.take(result.length);
  // In a buffer of its own, which can move to a thread.
  const whole = Buffer.from(new ArrayBuffer(result.length));
  let at = 0;
  for (const chunk of result.chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Ends a call whose message does not arrive. */
function lateness(reader: InnerCall, afterMs: number): NodeJS.Timeout | undefined {
  if (afterMs <= 0) return undefined;
  const late = failure(new StatusError("DEADLINE_EXCEEDED", "The request did not arrive in time."));
  return setTimeout(() => reader.sendStatus({ ...late, metadata: null }), afterMs).unref();
}
