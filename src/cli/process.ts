/** @file A command's side of its process: log lines on standard error, Ctrl-C and SIGTERM. */
import { ERRORS } from "../base/errors.ts";
import type { Log } from "../base/log.ts";

/**
 * Lines that cannot be written, since the disk is full or their reader has ended, are lost; the program goes on. A file
 * throws, a pipe reports its error later.
 */
export function writeLine(write: () => void): void {
  try {
    write();
  } catch {
    // There is no place left to say so.
  }
}
process.stderr.on("error", () => undefined);

/** Writes warnings and errors always, information unless `quiet`; fields follow the message as `key=value`. */
export function consoleLog({ quiet = false, debug = process.env.FACEID_DEBUG !== undefined } = {}): Log {
  const say = (prefix: string, message: string, fields: Record<string, unknown> = {}) => {
    const details = Object.entries(fields).map(
      ([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    writeLine(() => process.stderr.write(`${prefix}${message}${details.join("")}\n`));
  };
  return {
    debug: (message, fields) => {
      if (debug) say("", message, fields);
    },
    info: (message, fields) => {
      if (!quiet) say("", message, fields);
    },
    warn: (message, fields) => say("warning: ", message, fields),
    error: (message, fields) => say("error: ", message, fields),
  };
}

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
}

/** Aborts at the first SIGINT or SIGTERM and calls `notice`; a second one ends the process. */
export function onInterrupt(notice: () => void): Interrupt {
  const controller = new AbortController();
  const handle = () => {
    if (controller.signal.aborted) process.exit(ERRORS.INTERRUPTED.exit);
    controller.abort();
    notice();
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off("SIGINT", handle);
      process.off("SIGTERM", handle);
    },
  };
}
