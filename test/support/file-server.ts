/** @file A real server of one's own for tests of downloads: it keeps ranges, and breaks what a test wants broken. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Sending {
  /** Close the connection after so many bytes of the body … */
  readonly cutAt?: number;
  /** … once the client has written the file up to there: what it has not read when the connection is cut is lost. */
  readonly arrived?: (bytes: number) => boolean;
  /** Send half of the body, and the rest when this calls what it is given. */
  readonly rest?: (send: () => void) => void;
  /** Send so many bytes every few milliseconds. */
  readonly slowly?: number;
  readonly etag?: string;
  readonly ignoreRange?: boolean;
}

/** Sends a file as a well-behaved server does, unless told otherwise. */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  content: Buffer,
  { etag = '"v1"', cutAt, slowly, arrived = () => true, rest, ignoreRange = false }: Sending = {},
): void {
  const wanted = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  const start =
    wanted === null || ignoreRange || request.headers["if-range"] !== etag ? 0 : Number(wanted[1]);
  const body = content.subarray(start);
  const range =
    start > 0 ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {};
  response.writeHead(start > 0 ? 206 : 200, { etag, "content-length": body.length, ...range });
  if (slowly !== undefined) trickle(response, body, slowly);
  else if (rest !== undefined) {
    response.write(body.subarray(0, body.length / 2));
    rest(() => response.end(body.subarray(body.length / 2)));
  } else if (cutAt === undefined) response.end(body);
  else {
    response.write(body.subarray(0, cutAt));
    const timer = setInterval(() => {
      if (!response.destroyed && !arrived(Math.min(start + cutAt, content.length))) return;
      clearInterval(timer);
      response.destroy();
    }, 5);
  }
}

function trickle(response: ServerResponse, body: Buffer, bytes: number): void {
  let at = 0;
  const timer = setInterval(() => {
    response.write(body.subarray(at, at + bytes));
    at += bytes;
    if (at >= body.length) response.end();
    if (at >= body.length || response.destroyed) clearInterval(timer);
  }, 10);
}

export interface AskedFor {
  readonly path: string;
  readonly range: string | undefined;
}

/** Decides one answer; `attempt` counts from 1 over the whole server. */
export type Answer = (request: IncomingMessage, response: ServerResponse, attempt: number) => void;

/** A running server and what it was asked for. */
export class FileServer implements AsyncDisposable {
  readonly asked: AskedFor[] = [];
  answer: Answer;
  readonly #server;

  private constructor(answer: Answer) {
    this.answer = answer;
    this.#server = createServer((request, response) => {
      this.asked.push({ path: request.url!, range: request.headers.range });
      this.answer(request, response, this.asked.length);
    });
  }

  static async start(answer: Answer): Promise<FileServer> {
    const server = new FileServer(answer);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
