/** @file Requests that were made to hurt a server: small on the wire, large where they are read. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { gzipSync } from "node:zlib";

const MEGABYTE = 2 ** 20;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest > 127 ? (rest % 128) | 128 : rest);
    if (rest <= 127) return Buffer.from(bytes);
  }
}

/** A length-delimited field. */
export function field(number: number, content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

const number = (place: number, value: number) => Buffer.concat([varint(place * 8), varint(value)]);
const shape = (...sides: readonly number[]) =>
  field(2, Buffer.concat(sides.map((side) => field(2, number(1, side)))));

/** A PredictRequest whose input `x` is this TensorProto. */
export function predictOf(model: string, tensor: Uint8Array): Buffer {
  const entry = Buffer.concat([field(1, "x"), field(2, tensor)]);
  return Buffer.concat([field(1, field(1, model)), field(2, entry)]);
}

/** A TensorProto with a packed list of one-byte values. */
export function packedList(dtype: number, list: number, count: number): Buffer {
  return Buffer.concat([number(1, dtype), shape(2, 1), field(list, Buffer.alloc(count, 1))]);
}

/** A TensorProto with packed bytes. */
export function contentOf(dtype: number, sides: readonly number[], bytes: number): Buffer {
  return Buffer.concat([number(1, dtype), shape(...sides), field(4, Buffer.alloc(bytes))]);
}

/** A Regress or Classify request with this many examples of one float `x`. */
export function examplesOf(model: string, signature: string, count: number): Buffer {
  const value = Buffer.concat([Buffer.from([0x0a, 4]), Buffer.from(Float32Array.of(1).buffer)]);
  const entry = Buffer.concat([field(1, "x"), field(2, field(2, value))]);
  const example = field(1, field(1, field(1, entry)));
  const list = Buffer.alloc(example.length * count, example);
  return Buffer.concat([
    field(1, Buffer.concat([field(1, model), field(3, signature)])),
    field(2, field(1, list)),
  ]);
}

/** An answer over gRPC. */
export interface GrpcAnswer {
  readonly status: number;
  readonly message: string;
}

/** Sends one message and gives the status. @param options.isGzip whether it is compressed. */
export async function askGrpc(
  port: number,
  method: string,
  message: Uint8Array,
  { isGzip = false }: { readonly isGzip?: boolean } = {},
): Promise<GrpcAnswer> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  try {
    const call = session.request({
      ":method": "POST",
      ":path": `/tensorflow.serving.${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      ...(isGzip && { "grpc-encoding": "gzip" }),
    });
    const head = Buffer.alloc(5);
    head.writeUInt8(isGzip ? 1 : 0, 0);
    head.writeUInt32BE(message.length, 1);
    const told: { status?: unknown; message?: unknown } = {};
    const look = (headers: Record<string, unknown>) => {
      if (headers["grpc-status"] !== undefined) {
        Object.assign(told, { status: headers["grpc-status"], message: headers["grpc-message"] });
      }
    };
    call.on("response", look).on("trailers", look).resume();
    call.on("error", () => undefined);
    call.write(head);
    call.end(message);
    await once(call, "close");
    return { status: Number(told.status ?? -1), message: decodeURIComponent(String(told.message ?? "")) };
  } finally {
    session.destroy();
  }
}

/** An answer over REST. */
export interface RestAnswer {
  readonly status: number;
  readonly body: string;
}

/** Posts a body. */
export async function askRest(
  port: number,
  path: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<RestAnswer> {
  const request = httpRequest({ port, host: "127.0.0.1", method: "POST", path, headers, agent: false });
  request.on("error", () => undefined);
  request.end(body);
  const [response] = await once(request, "response");
  return { status: response.statusCode, body: await textOf(response) };
}

export const GZIP = { "content-encoding": "gzip" } as const;

/** 100 MB of spaces in 97 KB. */
export const spaces = (megabytes: number): Buffer =>
  gzipSync(Buffer.alloc(megabytes * MEGABYTE, 32), { level: 9 });

/** A JSON body with this many strings, compressed. */
export function manyStrings(count: number): Buffer {
  const body = Buffer.concat([
    Buffer.from('{"signature_name":"regress_x_to_y","instances":['),
    Buffer.alloc(count * 3, '"",'),
    Buffer.from('""]}'),
  ]);
  return gzipSync(body, { level: 9 });
}

/** DATA on stream 0. */
const ILLEGAL = Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 0, 1]);

/** Opens HTTP/2, sends settings and a frame that is not allowed, and waits until the server has closed the connection. */
export async function illegalFrame(port: number, frame: Uint8Array = ILLEGAL): Promise<void> {
  const socket: Socket = connectSocket({ port, host: "localhost", allowHalfOpen: true });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.resume();
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings, frame]));
  await Promise.race([once(socket, "end"), once(socket, "close")]);
  socket.destroy();
}
