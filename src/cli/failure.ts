/** @file How a failed command ends: one clear line, what to do, and an exit code. */
import { CommanderError } from "commander";
import { ERRORS, FaceError, messageOf, systemCode } from "../base/errors.ts";

/** What goes to standard error, and the code to exit with. */
export interface Failure {
  readonly text: string;
  readonly exitCode: number;
}

/** Describes any thrown value; the stack is shown only where FACEID_DEBUG asks for it or the mistake is ours. */
export function describeFailure(error: unknown, debug = process.env.FACEID_DEBUG !== undefined): Failure {
  if (error instanceof CommanderError) {
    // Commander has printed its own line already.
    return { text: "", exitCode: error.exitCode === 0 ? 0 : ERRORS.CONFIG_INVALID.exit };
  }
  if (error instanceof FaceError) {
    const lines = [`error: ${error.message}`, ...(error.hint === undefined ? [] : [`  ${error.hint}`])];
    if (debug && error.stack !== undefined) lines.push(error.stack);
    return { text: lines.join("\n"), exitCode: error.exitCode };
  }
  if (systemCode(error) !== undefined)
    return { text: `error: ${messageOf(error)}`, exitCode: ERRORS.FILE_INVALID.exit };
  const stack = error instanceof Error ? error.stack : undefined;
  return {
    text: `error: ${messageOf(error)}${stack === undefined ? "" : `\n${stack}`}`,
    exitCode: ERRORS.INTERNAL.exit,
  };
}
