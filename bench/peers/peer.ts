/** @file A program that runs a job when told to, in a process of its own, so that its peak memory is its own too. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** How long a run took, and how much time of all threads together. */
export interface Timing {
  readonly ms: number;
  readonly cpuMs: number;
}

/** What a peer says of itself when it has done its runs. */
export interface Farewell {
  readonly peakMegabytes: number;
  readonly version: string;
}

type PeerProcess = ChildProcessByStdio<Writable, Readable, null>;

/** One line in starts a run, one line out tells how long it took. */
export class Peer {
  readonly #process: PeerProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(process: PeerProcess) {
    this.#process = process;
    this.#lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  }

  /** Starts the program and waits until it is ready to run. */
  static async start(command: string, args: readonly string[]): Promise<Peer> {
    const environment = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "" };
    const peer = new Peer(
      spawn(command, args, { env: environment, stdio: ["pipe", "pipe", "inherit"] }) as PeerProcess,
    );
    await peer.#next();
    return peer;
  }

  async #next(): Promise<unknown> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`the program ended early: ${this.#process.spawnargs.join(" ")}`);
      // Libraries may print what they like in between.
      if (value.startsWith("{")) return JSON.parse(value);
    }
  }

  async run(): Promise<Timing> {
    this.#process.stdin.write("run\n");
    return (await this.#next()) as Timing;
  }

  async end(): Promise<Farewell> {
    this.#process.stdin.end();
    return (await this.#next()) as Farewell;
  }
}
