/** @file One line on standard error that says how far a long job is. */
import type { Output } from "./progress.ts";

/** How often a terminal's line is redrawn, and how often a log gets a new one. */
const REDRAW_MS = 100;
const LOG_EVERY_MS = 10_000;
const CLEAR = "\r\x1b[2K";

/** On a terminal the line redraws itself; elsewhere a line comes every ten seconds. */
export class StatusLine implements Disposable {
  readonly #output: Output;
  readonly #now: () => number;
  #shownAt: number;
  #open = false;

  constructor(output: Output = process.stderr, now: () => number = Date.now) {
    this.#output = output;
    this.#now = now;
    // A short job needs no line in a log.
    this.#shownAt = output.isTTY === true ? Number.NEGATIVE_INFINITY : now();
  }

  /** Shows the text unless another was shown just before. */
  show(text: string): void {
    const terminal = this.#output.isTTY === true;
    if (this.#now() - this.#shownAt < (terminal ? REDRAW_MS : LOG_EVERY_MS)) return;
    this.#shownAt = this.#now();
    this.#output.write(terminal ? `${CLEAR}${text}` : `${text}\n`);
    this.#open = terminal;
  }

  /** Shows a text that stays. */
  say(text: string): void {
    this[Symbol.dispose]();
    this.#output.write(`${text}\n`);
  }

  /** Removes the line. */
  [Symbol.dispose](): void {
    if (this.#open) this.#output.write(CLEAR);
    this.#open = false;
  }
}
