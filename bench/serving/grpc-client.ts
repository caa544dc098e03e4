/** @file A minimal gRPC client that sends one request, whose frames are encoded once. */
import type { Socket } from "node:net";
import { type BenchClient, connection } from "./clients.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATH = "/tensorflow.serving.PredictionService/Predict";
const HEAD_BYTES = 9;
/** Frame size that every server accepts; a server may announce a larger one. */
const LEAST_FRAME_BYTES = 16_384;
const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const END_STREAM = 0x1;
const ACK = 0x1;
const END_HEADERS = 0x4;
const INITIAL_WINDOW = 4;
const MAX_FRAME = 5;
const FIRST_WINDOW = 65_535;
const LARGEST_WINDOW = 2 ** 31 - 1;

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header field as a literal that is not indexed. */
function field(name: string, value: string): Buffer {
  return Buffer.from(
    `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
  );
}

function requestFrames(message: Uint8Array, frameBytes: number): Buffer[] {
  const headers = Buffer.concat([
    field(":method", "POST"),
    field(":scheme", "http"),
    field(":path", PATH),
    field(":authority", "localhost"),
    field("content-type", "application/grpc"),
    field("te", "trailers"),
  ]);
  const prefixed = Buffer.alloc(5 + message.length);
  prefixed.writeUInt32BE(message.length, 1);
  prefixed.set(message, 5);
  const frames = [frame(FRAME.headers, END_HEADERS, 0, headers)];
  for (let at = 0; at < prefixed.length; at += frameBytes) {
    const isLast = at + frameBytes >= prefixed.length;
    frames.push(frame(FRAME.data, isLast ? END_STREAM : 0, 0, prefixed.subarray(at, at + frameBytes)));
  }
  return frames;
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

class GrpcClient implements BenchClient {
  readonly #socket: Socket;
  readonly #message: Uint8Array;
  readonly #messageBytes: number;
  /** The message in frames, and the offsets of their stream ids. */
  #request: Buffer = Buffer.alloc(0);
  #streamPlaces: number[] = [];
  #stream = -1;
  #received: Buffer = Buffer.alloc(0);
  #answer: Buffer = Buffer.alloc(0);
  #connectionWindow = FIRST_WINDOW;
  #callWindow = FIRST_WINDOW;
  #waiting: (() => void) | undefined;
  #finish: { resolve(): void; reject(error: Error): void } | undefined;

  constructor(socket: Socket, message: Uint8Array) {
    this.#socket = socket;
    this.#message = message;
    this.#messageBytes = message.length + 5;
    this.#frameMessage(LEAST_FRAME_BYTES);
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
    socket.write(PREFACE);
    socket.write(frame(FRAME.settings, 0, 0, Buffer.alloc(0)));
    socket.write(frame(FRAME.windowUpdate, 0, 0, word(LARGEST_WINDOW - FIRST_WINDOW)));
  }

  #frameMessage(frameBytes: number): void {
    const frames = requestFrames(this.#message, frameBytes);
    this.#request = Buffer.concat(frames);
    this.#streamPlaces = [];
    let at = 0;
    for (const { length } of frames) {
      this.#streamPlaces.push(at + 5);
      at += length;
    }
  }

  async ask(): Promise<void> {
    while (Math.min(this.#connectionWindow, this.#callWindow) < this.#messageBytes) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    this.#connectionWindow -= this.#messageBytes;
    this.#stream += 2;
    for (const place of this.#streamPlaces) this.#request.writeUInt32BE(this.#stream, place);
    this.#answer = Buffer.alloc(0);
    return new Promise((resolve, reject) => {
      this.#finish = { resolve, reject };
      this.#socket.write(this.#request);
    });
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.#received.readUIntBE(0, 3);
      if (this.#received.length < end) return;
      const [type, flags] = [this.#received[3]!, this.#received[4]!];
      this.#takeFrame(type, flags, this.#received.subarray(HEAD_BYTES, end));
      this.#received = this.#received.subarray(end);
    }
  }

  #takeFrame(type: number, flags: number, payload: Buffer): void {
    if (type === FRAME.data) this.#answer = Buffer.concat([this.#answer, payload]);
    else if (type === FRAME.settings && (flags & ACK) === 0) this.#adjust(payload);
    else if (type === FRAME.windowUpdate) this.#connectionWindow += payload.readUInt32BE(0);
    else if (type === FRAME.ping && (flags & ACK) === 0)
      this.#socket.write(frame(FRAME.ping, ACK, 0, payload));
    else if (type === FRAME.reset || type === FRAME.goAway) this.#fail(new Error("the server gave up"));
    if ((type === FRAME.data || type === FRAME.headers) && (flags & END_STREAM) !== 0) this.#check();
    if (type === FRAME.settings || type === FRAME.windowUpdate) this.#waiting?.();
  }

  #adjust(settings: Buffer): void {
    for (let at = 0; at < settings.length; at += 6) {
      const [setting, value] = [settings.readUInt16BE(at), settings.readUInt32BE(at + 2)];
      if (setting === INITIAL_WINDOW) this.#callWindow = value;
      else if (setting === MAX_FRAME) this.#frameMessage(value);
    }
    this.#socket.write(frame(FRAME.settings, ACK, 0, Buffer.alloc(0)));
  }

  /** A failed call ends without a message. */
  #check(): void {
    const answer = this.#answer;
    const isWhole = answer.length > 5 && answer[0] === 0 && answer.readUInt32BE(1) === answer.length - 5;
    if (!isWhole) this.#fail(new Error("the call failed"));
    const finish = this.#finish;
    this.#finish = undefined;
    finish?.resolve();
  }

  #fail(error: Error): void {
    const finish = this.#finish;
    this.#finish = undefined;
    finish?.reject(error);
  }

  [Symbol.dispose](): void {
    this.#finish = undefined;
    this.#socket.destroy();
  }
}

/**
 * Connects to the gRPC port. It sends a message in one go, so the server's window must hold a whole message; otherwise no
 * request is sent.
 */
export async function grpcClient(port: number, message: Uint8Array): Promise<BenchClient> {
  return new GrpcClient(await connection(port), message);
}
