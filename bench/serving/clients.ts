/** @file Clients with little overhead, since they share the cores with the server that they measure. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Sends one prepared request and waits for its answer. */
export interface BenchClient extends Disposable {
  ask(): Promise<void>;
}

const HEAD_END = Buffer.from("\r\n\r\n");

/** A connection that stays open, without an HTTP library. */
class RestClient implements BenchClient {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #received = Buffer.alloc(0);
  #finish: { resolve(): void; reject(error: Error): void } | undefined;

  constructor(socket: Socket, request: Buffer) {
    this.#socket = socket;
    this.#request = request;
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", (error) => this.#finish?.reject(error));
    socket.on("close", () => this.#finish?.reject(new Error("the server closed the connection")));
  }

  ask(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#finish = { resolve, reject };
      this.#socket.write(this.#request);
    });
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.#received.toString("latin1", 0, headEnd);
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1]);
    if (this.#received.length < headEnd + HEAD_END.length + length) return;
    const body = this.#received.toString("utf8", headEnd + HEAD_END.length);
    this.#received = Buffer.alloc(0);
    const finish = this.#finish;
    this.#finish = undefined;
    if (head.startsWith("HTTP/1.1 200")) finish?.resolve();
    else finish?.reject(new Error(`${head.split("\r\n")[0]}: ${body}`));
  }

  [Symbol.dispose](): void {
    this.#finish = undefined;
    this.#socket.destroy();
  }
}

/** An open connection to a port of this machine. */
export async function connection(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return socket;
}

/** Connects to the REST port. */
export async function restClient(port: number, request: Buffer): Promise<BenchClient> {
  return new RestClient(await connection(port), request);
}
