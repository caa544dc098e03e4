/** @file The real command `faceid serve` in a process of its own, on ports that are free. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";

const BIN = join(import.meta.dirname, "../../bin/faceid.js");
const IS_READY = "Exporting HTTP/REST API";

/** A server that runs. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  readonly grpcPort: number;
  readonly restPort: number;
  /** What it has written so far. */
  readonly log: string;
  /** Whether it has said that its ports are open. */
  readonly isReady: boolean;
  /** Resolves once its log contains the text; rejects when it ends before. */
  until(text: string): Promise<void>;
  /** The exit code, once it has ended. */
  readonly ended: Promise<number | null>;
  /** Sends a signal and gives the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** A port that nobody listens on just now. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0);
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  return port;
}

class Running implements ServerProcess {
  readonly grpcPort: number;
  readonly restPort: number;
  readonly ended: Promise<number | null>;
  log = "";
  readonly #process: ChildProcess;
  readonly #waiting = new Set<() => void>();

  constructor(grpcPort: number, restPort: number, args: readonly string[]) {
    this.grpcPort = grpcPort;
    this.restPort = restPort;
    const ports = [`--port=${grpcPort}`, `--rest_api_port=${restPort}`];
    // The server was not started by npx, even where the tests were.
    const { npm_command: _npx, ...env } = process.env;
    this.#process = spawn(process.execPath, [BIN, "serve", ...ports, ...args], { env });
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      stream.on("data", (data: Buffer) => {
        this.log += data.toString();
        this.#tell();
      });
    }
    this.ended = once(this.#process, "close").then(() => this.#process.exitCode);
    void this.ended.then(() => this.#tell());
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get isReady(): boolean {
    return this.log.includes(IS_READY);
  }

  get #hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  #tell(): void {
    for (const look of [...this.#waiting]) look();
  }

  until(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const isThere = this.log.includes(text);
        if (!isThere && !this.#hasEnded) return;
        this.#waiting.delete(look);
        if (isThere) resolve();
        else reject(new Error(`the server ended without saying "${text}":\n${this.log}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.#process.kill(signal);
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Starts the server with these flags beside those of its ports, without waiting. */
export async function spawnServer(args: readonly string[]): Promise<ServerProcess> {
  return new Running(await freePort(), await freePort(), args);
}

/** Starts the server and waits until its ports are open. */
export async function serve(args: readonly string[]): Promise<ServerProcess> {
  const server = await spawnServer(args);
  await server.until(IS_READY);
  return server;
}
