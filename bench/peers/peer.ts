/** @file A job, and a process that runs it on request; a process of its own, so that peak memory is measured per side. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** One network, one batch size, one kind of work; both sides take it as JSON on their command line. */
export interface Job {
  readonly network: "faceid" | "mobilefacenet";
  /** Pairs in one run. */
  readonly batch: number;
  readonly work: "training" | "inference";
  /** What it computes in: `bfloat16` where a peer can, `int8` a network quantised to 8-bit integers. */
  readonly precision: Precision;
  readonly threads: number;
  /** The exported network as a SavedModel, for sides that run one. */
  readonly model: string;
}

export type Precision = "float32" | "bfloat16" | "int8";

/** Wall-clock time of a run, and processor time of all its threads. */
export interface Timing {
  readonly ms: number;
  readonly cpuMs: number;
}

/** The last message of a peer, after its runs. */
export interface Farewell {
  readonly peakMegabytes: number;
  readonly version: string;
}

type PeerProcess = ChildProcessByStdio<Writable, Readable, null>;

/** A line on standard input starts a run; a line on standard output reports its time. */
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
      // Libraries may print lines of their own.
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
