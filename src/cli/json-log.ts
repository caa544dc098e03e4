/** @file The only door to pino: log lines as JSON objects, for programs that gather logs. */
import { destination, pino, stdTimeFunctions } from "pino";
import type { Log } from "../base/log.ts";
import { writeLine } from "./process.ts";

/** Every line on standard error as one object with level, time, message and fields. */
export function jsonLog({ debug = process.env.FACEID_DEBUG !== undefined } = {}): Log {
  // Written at once, so that the last words of a server that ends are not lost.
  const output = destination({ fd: 2, sync: true });
  output.on("error", () => undefined);
  const lines = pino(
    {
      level: debug ? "debug" : "info",
      formatters: { level: (label) => ({ level: label }) },
      timestamp: stdTimeFunctions.isoTime,
    },
    output,
  );
  return {
    debug: (message, fields) => writeLine(() => lines.debug(fields ?? {}, message)),
    info: (message, fields) => writeLine(() => lines.info(fields ?? {}, message)),
    warn: (message, fields) => writeLine(() => lines.warn(fields ?? {}, message)),
    error: (message, fields) => writeLine(() => lines.error(fields ?? {}, message)),
  };
}
