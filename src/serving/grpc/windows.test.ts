/** @file The room for large gRPC messages, seen from a bare HTTP/2 client. */
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants, createServer, type Settings } from "node:http2";
import type { AddressInfo } from "node:net";
import { Client, credentials, Server, ServerCredentials, type ServerInterceptingCall } from "@grpc/grpc-js";
import { describe, expect, it, vi } from "vitest";
import { illegalFrame } from "../../../test/support/attacks.ts";
import { loadProgram, modelFolder } from "../../../test/support/servables.ts";
import { silentLog } from "../../base/log.ts";
import { MemoryBudget } from "../memory-budget.ts";
import { singleModelConfig } from "../repository/model-config.ts";
import { startServer } from "../server.ts";
import { meter } from "./intake.ts";
import { FRAME_BYTES, tuneConnections, WINDOW_BYTES, widenCalls } from "./windows.ts";

const LIMITS = { maxConnections: 100, settleMs: 200 };
const FIRST_WINDOW = 65_535;
const MESSAGE_BYTES = 3 * 2 ** 20;

/** The header of a gRPC message. */
function header(length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

async function session(port: number): Promise<ClientHttp2Session> {
  const client = connect(`http://localhost:${port}`);
  await once(client, "remoteSettings");
  return client;
}

interface EchoCall {
  readonly request: Buffer;
}

/**
 * A server with one method that answers with what it got.
 * @param seen what the widening gets to see of it. @param look what else is done in a call.
 */
async function echoServer(
  seen: (server: Server) => object,
  look: (call: EchoCall) => void = () => undefined,
  budget?: MemoryBudget,
) {
  const interceptors =
    budget === undefined
      ? []
      : [
          (_: unknown, call: object) => {
            meter("/test/Predict", false, call, { budget, maxMessageBytes: 2 ** 30, receiveTimeoutMs: 0 });
            return call as ServerInterceptingCall;
          },
        ];
  const server = new Server({ "grpc.max_receive_message_length": -1, interceptors });
  widenCalls(seen(server));
  const same = (bytes: Buffer) => bytes;
  const echo = {
    path: "/test/Echo",
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  server.addService(
    { echo },
    {
      echo: (call: EchoCall, answer: (error: null, value: Buffer) => void) => {
        look(call);
        answer(null, call.request);
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("localhost:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  tuneConnections(seen(server), LIMITS);
  const ask = (message: Buffer) =>
    new Promise<Buffer>((resolve, reject) => {
      const client = new Client(`localhost:${port}`, credentials.createInsecure());
      client.makeUnaryRequest(echo.path, same, same, message, (error, value) => {
        client.close();
        if (error === null) resolve(value!);
        else reject(error);
      });
    });
  return { port, ask, [Symbol.dispose]: () => server.forceShutdown() };
}

/** A call of the echo whose message is not sent yet. */
function echoCall(client: ClientHttp2Session, i: number) {
  const message = Buffer.alloc(200_000 + i, i);
  const stream = client.request({
    ":method": "POST",
    ":path": "/test/Echo",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => undefined);
  const answer: Buffer[] = [];
  stream.on("data", (piece: Buffer) => answer.push(piece));
  const ended = once(stream, "close").then(() => Buffer.concat(answer));
  return { stream, ended, framed: Buffer.concat([header(message.length), message]) };
}

interface SentCall extends ReturnType<typeof echoCall> {
  /** Reset in the middle of its message. */
  readonly isLeft: boolean;
}

/** Sends pieces of odd lengths, one of each call in turn, so that headers and messages are cut everywhere. */
function sendInterleaved(client: ClientHttp2Session, calls: readonly SentCall[]): void {
  for (let at = 0, step = 1; at < 210_000; at += step, step = (step * 7 + 3) % 40_009) {
    for (const { stream, framed, isLeft } of calls) {
      if (isLeft && at > 100_000) stream.close(constants.NGHTTP2_CANCEL);
      else if (at < framed.length) stream.write(framed.subarray(at, at + step));
    }
    client.setLocalWindowSize(FIRST_WINDOW + step);
  }
}

describe("a gRPC connection", () => {
  it("takes megabytes ahead in one call and in all of them together", async () => {
    await using folder = await modelFolder();
    await folder.add("half", 1, "half_plus_two");
    await using server = await startServer({
      models: singleModelConfig("half", `${folder.path}/half`),
      loader: loadProgram,
      log: silentLog,
      grpcPort: 0,
      restPort: undefined,
      maxLoadRetries: 0,
    });
    const client = await session(server.grpcPort!);
    try {
      expect(client.remoteSettings.initialWindowSize).toBe(WINDOW_BYTES);
      expect(client.remoteSettings.maxFrameSize).toBe(FRAME_BYTES);
      // The word on the connection follows that on its calls.
      await new Promise((resolve) => client.ping(resolve));
      expect(client.state.remoteWindowSize).toBe(WINDOW_BYTES);
    } finally {
      client.destroy();
    }
  });

  it("lets three megabytes in though nobody reads them", async () => {
    const widened: { commonServerOptions: { settings?: Settings } } = { commonServerOptions: {} };
    widenCalls(widened);
    const listener = createServer(widened.commonServerOptions);
    listener.on("stream", (stream) => stream.on("error", () => undefined).pause());
    tuneConnections({ http2Servers: new Map([[listener, undefined]]) }, LIMITS);
    await once(listener.listen(0), "listening");
    const client = await session((listener.address() as AddressInfo).port);
    try {
      const call = client.request({ ":method": "POST" });
      call.write(Buffer.alloc(MESSAGE_BYTES));
      // Each goes to the server and back behind what could be sent before it.
      for (let i = 0; i < 50; i++) await new Promise((resolve) => client.ping(resolve));
      expect(call.writableLength).toBe(0);
    } finally {
      client.destroy();
      listener.close();
    }
  });

  it("stays as narrow as HTTP/2 begins where grpc-js keeps its insides elsewhere, and answers all the same", async () => {
    using server = await echoServer(() => ({}));
    const client = await session(server.port);
    expect(client.remoteSettings.initialWindowSize).toBe(FIRST_WINDOW);
    await new Promise((resolve) => client.ping(resolve));
    expect(client.state.remoteWindowSize).toBe(FIRST_WINDOW);
    client.destroy();
    const message = Buffer.alloc(MESSAGE_BYTES, 7);
    expect((await server.ask(message)).equals(message)).toBe(true);
  });

  it("does not keep the pieces of a message beside the message", async () => {
    const kept: number[] = [];
    const pieces = (call: object) =>
      (call as { call: { decoder: { readPartialMessage: Buffer[] } } }).call.decoder.readPartialMessage
        .length;
    const look = (call: EchoCall) => void kept.push(pieces(call));
    const message = Buffer.alloc(MESSAGE_BYTES, 7);
    const budget = new MemoryBudget(8 * MESSAGE_BYTES);
    for (const isMetered of [false, true]) {
      using server = await echoServer((whole) => whole, look, isMetered ? budget : undefined);
      expect((await server.ask(message)).equals(message)).toBe(true);
    }
    expect(kept[0]).toBeGreaterThan(1);
    expect(kept[1]).toBe(0);
    expect(budget.totalBytes).toBe(0);
  });

  it("answers interleaved calls whole while others are reset in the middle, and gives back what they held", async () => {
    const budget = new MemoryBudget(64 * MESSAGE_BYTES);
    using server = await echoServer((whole) => whole, undefined, budget);
    const client = await session(server.port);
    const calls = Array.from({ length: 24 }, (_, i) => ({ ...echoCall(client, i), isLeft: i % 3 === 0 }));
    sendInterleaved(client, calls);
    for (const { stream, isLeft } of calls) if (!isLeft) stream.end();
    for (const { ended, framed, isLeft } of calls) {
      expect((await ended).equals(isLeft ? Buffer.alloc(0) : framed)).toBe(true);
    }
    await vi.waitFor(() => expect(budget.totalBytes).toBe(0));
    client.destroy();
  });

  it("stays open for others when one connection opens and resets thousands of calls", async () => {
    const budget = new MemoryBudget(64 * MESSAGE_BYTES);
    using server = await echoServer((whole) => whole, undefined, budget);
    const client = await session(server.port);
    client.on("error", () => undefined);
    for (let i = 0; i < 3000 && !client.destroyed; i++) {
      const stream = client.request({
        ":method": "POST",
        ":path": "/test/Echo",
        "content-type": "application/grpc",
      });
      stream.on("error", () => undefined);
      stream.write(header(1000));
      stream.close(constants.NGHTTP2_CANCEL);
      if (i % 100 === 0) await new Promise((done) => setImmediate(done));
    }
    const message = Buffer.from("still there");
    expect((await server.ask(message)).equals(message)).toBe(true);
    client.destroy();
    await vi.waitFor(() => expect(budget.totalBytes).toBe(0));
  });

  it.each([
    ["a window that grows beyond all bounds", [0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]],
    ["a window that grows by nothing", [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["a reset of no call", [0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 0, 8]],
    ["a reset of a call that was never opened", [0, 0, 4, 3, 0, 0, 0, 0, 9, 0, 0, 0, 8]],
    ["data of no call", [0, 0, 1, 0, 0, 0, 0, 0, 0, 1]],
    ["settings of a wrong length", [0, 0, 5, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]],
    ["a frame that is too long", [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]],
    ["a continuation of nothing", [0, 0, 1, 9, 4, 0, 0, 0, 1, 0]],
    ["headers that cannot be decoded", [0, 0, 3, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff]],
  ])("is closed after an illegal frame: %s", async (_, frame) => {
    using server = await echoServer((whole) => whole);
    await illegalFrame(server.port, Buffer.from(frame));
    const message = Buffer.from("still there");
    expect((await server.ask(message)).equals(message)).toBe(true);
  });
});
