/** @file Log lines of a command, on standard error: readable on a terminal, JSON where asked for. */
import type { Log } from "../base/log.ts";

/** Warnings and errors always, information too unless it is quiet; fields follow as `key=value`. */
export function consoleLog({ quiet = false, debug = process.env.FACEID_DEBUG !== undefined } = {}): Log {
  const say = (prefix: string, message: string, fields: Record<string, unknown> = {}) => {
    const details = Object.entries(fields).map(
      ([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    process.stderr.write(`${prefix}${message}${details.join("")}\n`);
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
