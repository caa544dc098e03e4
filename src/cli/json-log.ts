/** @file The only door to pino: log lines as JSON objects, for programs that gather logs. */
import { destination, pino, stdTimeFunctions } from "pino";
import type { Log } from "../base/log.ts";

/** Every line on standard error as one object with level, time, message and fields. */
export function jsonLog({ debug = process.env.FACEID_DEBUG !== undefined } = {}): Log {
  const lines = pino(
    {
      level: debug ? "debug" : "info",
      formatters: { level: (label) => ({ level: label }) },
      timestamp: stdTimeFunctions.isoTime,
    },
    // Written at once, so that the last words of a server that ends are not lost.
    destination({ fd: 2, sync: true }),
  );
  return {
    debug: (message, fields) => lines.debug(fields ?? {}, message),
    info: (message, fields) => lines.info(fields ?? {}, message),
    warn: (message, fields) => lines.warn(fields ?? {}, message),
    error: (message, fields) => lines.error(fields ?? {}, message),
  };
}
