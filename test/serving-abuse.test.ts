/** @file What the world does to servers: slow, broken, huge and many clients. The real command is asked over sockets. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support/photos.ts";
import { writeHalfPlusTwo } from "./support/saved-models.ts";
import { type ServerProcess, serve } from "./support/server-process.ts";

const MEGABYTE = 2 ** 20;
const PATH = "/v1/models/half:predict";
const NO_INTERNALS = /\/(?:home|work|root|tmp|src|dist|node_modules)\/|\.[cm]?[jt]s\b|node:|at \S+ \(/;

let server: ServerProcess;
let impatient: ServerProcess;

beforeAll(async () => {
  const folder = await temporaryFolder();
  await writeHalfPlusTwo(join(folder, "half/1"));
  const flags = ["--model_name=half", `--model_base_path=${join(folder, "half")}`, "--lanes=1"];
  impatient = await serve([...flags, "--rest_api_receive_timeout_in_ms=1000"]);
  server = await serve([
    ...flags,
    `--rest_api_max_body_bytes=${128 * MEGABYTE}`,
    `--rest_api_max_total_body_bytes=${160 * MEGABYTE}`,
    "--rest_api_binary",
  ]);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await impatient[Symbol.asyncDispose]();
});

interface Asking {
  readonly port?: number;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly agent?: Agent | false;
}

async function ask(
  body: string | Uint8Array,
  { port = server.restPort, path = PATH, headers = {}, agent = false }: Asking = {},
): Promise<{ status: number; body: string }> {
  const request = httpRequest({ port, method: "POST", path, headers, agent });
  request.end(body);
  const [response] = await once(request, "response");
  // A server that refuses a body closes the connection, whether all of it was sent or not.
  request.on("error", () => undefined);
  return { status: response.statusCode, body: await textOf(response) };
}

async function raw(port: number, head: string): Promise<Socket> {
  const socket = connect(port, "localhost");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(head);
  return socket;
}

async function expectHealthy({ restPort: port } = server): Promise<void> {
  expect(await ask('{"instances": [2]}', { port })).toEqual({
    status: 200,
    body: '{\n    "predictions": [3.0\n    ]\n}',
  });
}

/** Milliseconds of each health check until `work` is done. */
async function healthDuring(work: Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  let isDone = false;
  const watch = (async () => {
    while (!isDone) {
      const startedMs = performance.now();
      expect((await fetch(`http://localhost:${server.restPort}/healthz`)).status).toBe(200);
      times.push(performance.now() - startedMs);
      await delay(20);
    }
  })();
  await work;
  isDone = true;
  await watch;
  return times;
}

describe("clients", () => {
  it("may be slow, half open, or gone: they are cut off, and the others are served", async () => {
    const { restPort } = impatient;
    const head = (length: number) => `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;
    const sockets = await Promise.all(
      ["POST /v1/mod", "GET / HTTP/1.1\r\n", head(100), `${head(100)}{"inst`].map((text) =>
        raw(restPort, text),
      ),
    );
    const cutOff = await raw(restPort, `${head(10)}{`);
    cutOff.destroy();
    await expectHealthy(impatient);
    // A request must arrive completely within the limit; then the connection is closed.
    for (const answer of await Promise.all(sockets.map(textOf))) {
      expect(answer).toMatch(/^HTTP\/1.1 408 Request Timeout\r\n/);
    }
    await expectHealthy(impatient);
  });

  it("may talk nonsense on either port", async () => {
    const nonsense = await raw(server.restPort, "\u0000\u0001 nonsense\r\n\r\n");
    expect(await textOf(nonsense)).toMatch(/^HTTP\/1.1 400 Bad Request/);
    for (const text of ["GET / HTTP/1.1\r\n\r\n", "\u0000".repeat(100)]) {
      const socket = await raw(server.grpcPort, text);
      socket.resume();
      await once(socket, "close");
    }
    await expectHealthy();
  });

  it("may be a thousand at once, and stay", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1000 });
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => ask('{"instances": [2]}', { agent })),
    );
    const counts = new Map<number, number>();
    for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
    // Nobody waits for ever: whoever finds the queue full is told so.
    expect([...counts.keys()].filter((status) => status !== 200 && status !== 503)).toEqual([]);
    expect(counts.get(200)).toBeGreaterThan(0);
    await expectHealthy();
    agent.destroy();
  });
});

describe("bodies", () => {
  it("may be a hundred megabytes; the server answers others meanwhile", async () => {
    const body = Buffer.alloc(100 * MEGABYTE, "0.12345678901234567, ");
    body.write('{"instances": ['.padEnd(21), 0);
    body.write(" 1]}".padEnd(22), body.length - 22);
    const answer = ask(body);
    const health = await healthDuring(answer);
    const { status, body: text } = await answer;
    expect(status).toBe(200);
    expect(text).toMatch(/^\{\n {4}"predictions": \[2\.061728\d*, 2\.061728/);
    expect(health.length).toBeGreaterThan(10);
    await expectHealthy();
  });

  it("may be nested without end", async () => {
    const deep = await ask(`{"instances": ${"[".repeat(500_000)}${"]".repeat(500_000)}}`);
    expect(deep.status).toBe(400);
    expect(deep.body).toContain("tensor parsing error: x");
    expect((await ask(`{"instances": ${"[".repeat(500_000)}`)).body).toContain(
      "JSON Parse error: Invalid value.",
    );
    await expectHealthy();
  });

  it("may ask for more memory than reading them is worth", async () => {
    const strings = Buffer.alloc(45 * MEGABYTE, '"",');
    strings.write('{"examples":  [{"x":[', 0);
    strings.write("]}]}   ", strings.length - 7);
    const asking = { path: "/v1/models/half:classify" };
    const { status, body } = await ask(strings, asking);
    expect(status).toBe(429);
    expect(body).toContain("hold more than 4000000 values");
    await expectHealthy();
  });

  it("may be bombs of gzip, one and many", async () => {
    const headers = { "content-encoding": "gzip" };
    const large = gzipSync(Buffer.alloc(99 * MEGABYTE, 32), { level: 9 });
    const tooLarge = gzipSync(Buffer.alloc(101 * MEGABYTE, 32), { level: 9 });
    for (const body of [tooLarge, large, large.subarray(0, 1000), Buffer.from("no gzip")]) {
      const answer = await ask(body, { headers });
      expect(answer.status).toBe(400);
      expect(answer.body).toContain("JSON Parse error: The document is empty");
    }
    const many = await Promise.all(Array.from({ length: 6 }, () => ask(large, { headers })));
    expect(many.filter(({ status }) => status !== 400 && status !== 503)).toEqual([]);
    await expectHealthy();
  });

  it("are refused beyond the limit, one by one and all together", async () => {
    const { status, body } = await ask(Buffer.alloc(129 * MEGABYTE));
    expect(status).toBe(413);
    expect(body).toContain("larger than the limit of 134217728 bytes");
    const bodies = Array.from({ length: 4 }, () => ask(Buffer.alloc(60 * MEGABYTE, 32)));
    const statuses = (await Promise.all(bodies)).map((answer) => answer.status);
    expect(statuses.filter((each) => each !== 400 && each !== 503)).toEqual([]);
    expect(statuses).toContain(503);
    await expectHealthy();
  });

  it.each([
    ["multipart/form-data", "--x\r\n"],
    ["multipart/form-data; boundary=x", '{"instances": [2]}'],
    ["image/png", '{"instances": [2]}'],
    ["application/octet-stream", "abc"],
  ])("may be of another type than %s says", async (type, body) => {
    const answer = await ask(body, { headers: { "content-type": type } });
    expect(answer.status).toBe(400);
    expect(answer.body).not.toMatch(NO_INTERNALS);
  });

  it.each([
    "",
    "{",
    '{"instances": [[[["x"]]]]}',
    '{"instances": [{"b64": "AA=="}]}',
    '{"inputs": [[1], [2, 3]]}',
  ])("are answered without a path, stack or internal of the server: %s", async (body) => {
    const answer = await ask(body);
    expect(answer.status).toBe(400);
    expect(answer.body).not.toMatch(NO_INTERNALS);
  });

  it.skipIf(process.platform !== "linux")("took a bounded amount of memory, all of the above", () => {
    const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
    const [, kilobytes] = /^VmHWM:\s*(\d+)/m.exec(status)!;
    expect(Number(kilobytes)).toBeLessThan(4 * 2 ** 20);
  });
});
