/** @file A command's side of its process: log lines on standard error, Ctrl-C and SIGTERM, how it was started. */

import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { basename, relative } from "node:path";
import { ERRORS, FaceError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { shown, shownLines } from "../base/log.ts";
import { COMMAND_NAMES } from "./summaries.ts";
import { clearLines, wrapped } from "./terminal.ts";

const SAFE = /^[\w@%+=:,./-]+$/;

/** A word as the shell takes it: unchanged where it has no special characters, otherwise in quotes. */
export function shellWord(word: string, platform: NodeJS.Platform = process.platform): string {
  if (SAFE.test(word)) return word;
  // PowerShell and cmd both take double quotes.
  return platform === "win32" ? `"${word.replaceAll('"', '""')}"` : `'${word.replaceAll("'", "'\\''")}'`;
}

/** How this process was started, as the user would type it again: `npx faceid`, `node bin/faceid.js` or `faceid`. */
export function programText(argv: readonly string[] = process.argv, environment = process.env): string {
  // npm sets it for `npx`, `npm exec` and `npm run`; a clone and a project both have the command for npx.
  if (environment.npm_command !== undefined) return "npx faceid";
  const script = argv[1] ?? "";
  if (basename(script) !== "faceid.js") return "faceid";
  return `node ${shellWord(relative("", script) || script)}`;
}

/** A command to be pasted into a shell. */
export const commandText = (...words: readonly string[]): string =>
  [programText(), ...words.map((word) => shellWord(word))].join(" ");

/** A text in which commands, such as `faceid models list`, begin as this process was started. @param names of commands. */
export function asTyped(text: string, names: readonly string[]): string {
  const command = new RegExp(`(?<!npx |node )\\bfaceid (?=(?:${names.join("|")})\\b)`, "g");
  return text.replaceAll(command, `${programText()} `);
}

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

/** Writes an answer in words to standard output, wrapped on a terminal. */
export function say(text: string): void {
  console.log(wrapped(text, process.stdout));
}

/** Writes a message to standard error, wrapped on a terminal. */
export function complain(text: string): void {
  console.error(wrapped(text, process.stderr));
}

/** Writes warnings and errors always, information unless `quiet`; fields follow the message as `key=value`. */
export function consoleLog({ quiet = false, debug = process.env.FACEID_DEBUG !== undefined } = {}): Log {
  const say = (prefix: string, message: string, fields: Record<string, unknown> = {}) => {
    const details = Object.entries(fields).map(
      ([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    writeLine(() => {
      clearLines();
      const text = `${prefix}${shownLines(asTyped(message, COMMAND_NAMES))}${details.map(shown).join("")}`;
      process.stderr.write(`${wrapped(text, process.stderr)}\n`);
    });
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
  /**
   * Lets a signal that has come already be handled, before an answer is printed: none follows a signal.
   * @throws FaceError `INTERRUPTED` after a signal.
   */
  requireNone(): Promise<void>;
}

const WATCH_MS = 500;

/** The parent of this process and, where the system tells, the parent's parent: npx puts a shell between itself and us. */
function starters(): string {
  const parent = process.ppid;
  try {
    const [, after = ""] = readFileSync(`/proc/${parent}/stat`, "utf8").split(/\) (?!.*\) )/);
    return `${parent} ${after.split(" ")[1]}`;
  } catch {
    return String(parent);
  }
}

/** Calls `end` once when npx, which does not pass on every signal, is gone. Nothing where npx did not start this process. */
function watchNpx(end: () => void): NodeJS.Timeout | undefined {
  if (process.env.npm_command !== "exec") return undefined;
  const before = starters();
  const timer = setInterval(() => {
    if (starters() === before) return;
    clearInterval(timer);
    end();
  }, WATCH_MS);
  return timer.unref();
}

/** What a signal does to a command. */
export interface InterruptOptions {
  /**
   * Milliseconds in which the work ends by itself after the signal; then the process ends. Default: as long as it takes.
   * Files are written whole or not at all, so that the process may end at any time.
   */
  readonly patience?: () => number;
  /** What is kept and how to go on, as a clause; for a process that ends at once. */
  readonly kept?: () => string;
}

interface Layer extends InterruptOptions {
  readonly controller: AbortController;
  readonly notice: () => void;
}

/** The innermost holds. */
const layers: Layer[] = [];
let firstSignal: NodeJS.Signals | undefined;
let firstAt = 0;

/** The exit code of a command that a signal ended: 130 for Ctrl-C, 143 for SIGTERM. */
export const interruptedExit = (): number =>
  firstSignal === undefined ? ERRORS.INTERRUPTED.exit : 128 + constants.signals[firstSignal];

function endNow({ kept = () => "what was not finished is not written" }: InterruptOptions): never {
  writeLine(() => {
    clearLines();
    const by = firstSignal === "SIGINT" ? "Ctrl-C" : firstSignal;
    process.stderr.write(`${wrapped(`error: stopped by ${by}; ${kept()}`, process.stderr)}\n`);
  });
  process.exit(interruptedExit());
}

/** Enough for the photographs in work. */
export const STOPPING_MS = 3000;

/** npx passes on a signal that the terminal has sent to us as well. */
const ECHO_MS = 20;

function handle(signal: NodeJS.Signals): void {
  const layer = layers.at(-1)!;
  const { controller, notice, patience } = layer;
  const isEcho = process.env.npm_command === "exec" && performance.now() - firstAt < ECHO_MS;
  if (firstSignal !== undefined && isEcho) return;
  const isSecond = controller.signal.aborted;
  [firstSignal, firstAt] = [firstSignal ?? signal, performance.now()];
  const wait = patience?.() ?? Number.POSITIVE_INFINITY;
  if (isSecond || wait === 0) endNow(layer);
  controller.abort();
  notice();
  if (Number.isFinite(wait)) setTimeout(() => endNow(layer), wait).unref();
}

/** Ends a measurement at the first signal and says that its embeddings are kept. */
export const measuringInterrupt = (): Interrupt =>
  onInterrupt(() => undefined, {
    patience: () => 0,
    kept: () => "the embeddings so far are kept; run the command again to continue",
  });

/** Ends the process at the first SIGINT or SIGTERM, until a command has its own way. */
export function watchSignals(): void {
  if (layers.length > 0) return;
  layers.push({ controller: new AbortController(), notice: () => undefined, patience: () => 0 });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const others = process.listeners(signal);
    // A signal that has arrived and was not handled yet is lost with the last listener.
    process.on(signal, handle);
    for (const other of others) process.removeListener(signal, other);
  }
}

/**
 * Leaves SIGINT and SIGTERM to the system, which ends the process at once, while work occupies the thread for long: a handler would
 * run after it.
 */
export function systemSignals(): Disposable {
  const signals = (["SIGINT", "SIGTERM"] as const).filter((signal) =>
    process.listeners(signal).includes(handle),
  );
  for (const signal of signals) process.off(signal, handle);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) process.on(signal, handle);
    },
  };
}

/**
 * Aborts at the first SIGINT or SIGTERM, or when npx that started this process is gone, and calls `notice`; a second signal
 * ends the process.
 */
export function onInterrupt(notice: () => void, options: InterruptOptions = {}): Interrupt {
  const layer = { ...options, notice, controller: new AbortController() };
  layers.push(layer);
  const watch = watchNpx(() => {
    if (!layer.controller.signal.aborted) handle("SIGTERM");
  });
  const { signal } = layer.controller;
  return {
    signal,
    async requireNone() {
      // Handlers are called where the event loop waits for input, which it may just have left: one turn may miss it, two do not.
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) throw new FaceError("INTERRUPTED", "stopped before the answer");
    },
    [Symbol.dispose]() {
      clearInterval(watch);
      layers.splice(layers.indexOf(layer), 1);
    },
  };
}
