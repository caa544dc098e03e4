/** @file The built `faceid serve` as a process of its own, for tests and benches that treat it as its users do. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

const BIN = join(import.meta.dirname, "../../bin/faceid.js");

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0);
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}

/** A server that runs. */
export class ServedCommand implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly restPort: number;
  readonly grpcPort: number;
  readonly #exit: Promise<number | string>;
  #said = "";

  private constructor(process: ChildProcess, restPort: number, grpcPort: number) {
    this.process = process;
    this.restPort = restPort;
    this.grpcPort = grpcPort;
    process.stderr!.on("data", (data: Buffer) => {
      this.#said += data.toString();
    });
    this.#exit = once(process, "exit").then(([code, signal]) => code ?? signal);
  }

  /** Starts the command; resolves once the REST port answers. Ports and paths are added to the flags. */
  static async start(flags: readonly string[]): Promise<ServedCommand> {
    const [restPort, grpcPort] = [await freePort(), await freePort()];
    const ports = [`--rest_api_port=${restPort}`, `--port=${grpcPort}`];
    const child = spawn(process.execPath, [BIN, "serve", ...ports, ...flags], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const served = new ServedCommand(child, restPort, grpcPort);
    await served.until("Exporting HTTP/REST API");
    return served;
  }

  /** Everything it wrote to its log. */
  get log(): string {
    return this.#said;
  }

  /** Waits until the log has this text. */
  async until(text: string): Promise<void> {
    while (!this.#said.includes(text)) {
      const event = await Promise.race([once(this.process.stderr!, "data"), this.#exit]);
      if (!Array.isArray(event)) throw new Error(`the server ended with ${event}: ${this.#said}`);
    }
  }

  /** Sends a signal and gives what the process ends with. */
  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | string> {
    this.process.kill(signal);
    return this.#exit;
  }

  /** The most memory it ever had in megabytes; NaN where the system does not tell. */
  peakMegabytes(): number {
    return this.#statusKilobytes("VmHWM") / 1024;
  }

  /** The memory it has now in megabytes; NaN where the system does not tell. */
  megabytes(): number {
    return this.#statusKilobytes("VmRSS") / 1024;
  }

  #statusKilobytes(field: string): number {
    if (process.platform !== "linux") return Number.NaN;
    const status = readFileSync(`/proc/${this.process.pid}/status`, "utf8");
    return Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(status)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
  }
}
