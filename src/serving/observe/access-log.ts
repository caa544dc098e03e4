/** @file A line of JSON for each request, in a file or on standard output; what cannot be written is lost. */
import { appendFile } from "node:fs/promises";
import { FaceError, messageOf } from "../../base/errors.ts";
import { writeError } from "../../base/files.ts";
import type { Log } from "../../base/log.ts";
import type { FinishedRequest } from "./finished.ts";

/** Text that waits to be written; what comes beyond is lost. */
const MOST_WAITING = 4 * 2 ** 20;
const FLUSH_MS = 200;
/** Longest text of a client, in characters. */
const MOST_TEXT = 256;

/** Whatever moves the cursor, ends a line or changes the direction of text stays an escape. */
const UNSAFE = /[^\x20-\x7e]/g;

/** A line as JSON in ASCII, without its end. */
export function accessLine(request: FinishedRequest): string {
  const { at, protocol, method, route, model, status, ms, bytesIn, bytesOut, address } = request;
  const line = {
    time: new Date(at).toISOString(),
    protocol,
    method: cut(method),
    route: cut(route),
    ...(model !== "" && { model: cut(model) }),
    status,
    ms: Math.round(ms * 1000) / 1000,
    bytesIn,
    bytesOut,
    client: cut(address),
    ...(request.keyId !== undefined && { key: request.keyId }),
    request: cut(request.requestId),
    ...(request.trace !== undefined && { trace: request.trace.traceId }),
  };
  return JSON.stringify(line).replaceAll(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const cut = (text: string) => (text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text);

/** Writes lines in the order in which they came, some at a time. */
export class AccessLog {
  readonly #write: (text: string) => Promise<void>;
  readonly #log: Log;
  #waiting = "";
  #lost = 0;
  #isFailing = false;
  #writing: Promise<void> | undefined;
  readonly #timer: NodeJS.Timeout;

  private constructor(write: (text: string) => Promise<void>, log: Log) {
    this.#write = write;
    this.#log = log;
    this.#timer = setInterval(() => void this.#flush(), FLUSH_MS).unref();
  }

  /**
   * @param target `stdout`, or a file, which is opened anew for each piece, so that it may be moved away.
   * @throws FaceError `FILE_INVALID` or `DISK_FULL` for a file that cannot be written at the start.
   */
  static async open(target: string, log: Log): Promise<AccessLog> {
    if (target === "stdout") return new AccessLog(toStdout, log);
    const write = (text: string) => appendFile(target, text, { mode: 0o600 });
    await write("").catch((error: unknown) => {
      throw writeError(target, error);
    });
    return new AccessLog(write, log);
  }

  add(request: FinishedRequest): void {
    const line = accessLine(request);
    if (this.#waiting.length + line.length < MOST_WAITING) this.#waiting += `${line}\n`;
    else this.#lost++;
  }

  /** Writes what waits; one piece at a time. */
  async #flush(): Promise<void> {
    if (this.#writing !== undefined || this.#waiting === "") return;
    const piece = this.#waiting;
    this.#waiting = "";
    this.#writing = this.#write(piece).then(
      () => this.#succeeded(),
      (error: unknown) => this.#failed(piece, error),
    );
    await this.#writing;
    this.#writing = undefined;
  }

  #succeeded(): void {
    if (this.#lost > 0) this.#log.warn("lines of the access log were lost", { lines: this.#lost });
    this.#lost = 0;
    this.#isFailing = false;
  }

  #failed(piece: string, error: unknown): void {
    this.#lost += piece.split("\n").length - 1;
    if (!this.#isFailing) this.#log.error("the access log cannot be written", { cause: messageOf(error) });
    this.#isFailing = true;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.#flush();
  }
}

/** A reader that has ended fails the write, not the process. */
function toStdout(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(error);
    process.stdout.once("error", fail);
    process.stdout.write(text, (error) => {
      process.stdout.off("error", fail);
      if (error) reject(new FaceError("FILE_INVALID", messageOf(error), { cause: error }));
      else resolve();
    });
  });
}
