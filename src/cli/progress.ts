/** @file Shows a training run as it goes: a bar that redraws itself, plain lines, or JSON. */

import { styleText } from "node:util";
import { counted, countText, shownLines } from "../base/log.ts";
import type { OnMeasureProgress } from "../evaluate/score-pairs.ts";
import type { EpochRecord } from "../train/checkpoint.ts";
import type { StepRecord, TrainListener } from "../train/listeners.ts";
import { clearLine, type Output, redrawLine, roomOf, wrapped } from "./terminal.ts";

export type { Output } from "./terminal.ts";

export const PROGRESS_STYLES = ["bar", "plain", "json"] as const;
export type ProgressStyle = (typeof PROGRESS_STYLES)[number];

const BAR_WIDTH = 24;
/** Steps between two lines of a plain log. */
const PLAIN_EVERY = 50;
const MINUTE = 60;
/** A shorter bar says nothing. */
const SHORTEST_BAR = 6;

/** `7s`, `3m 05s`, `2h 04m` */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < MINUTE) return `${whole}s`;
  const minutes = Math.floor(whole / MINUTE);
  if (minutes < MINUTE) return `${minutes}m ${two(whole % MINUTE)}s`;
  return `${Math.floor(minutes / MINUTE)}h ${two(minutes % MINUTE)}m`;
}

/** The parts of an epoch's line. */
function epochParts(record: EpochRecord, best: boolean): string[] {
  const { loss, accuracy, validationLoss, validationAccuracy, seconds } = record;
  return [
    `loss ${loss.toFixed(4)}`,
    `accuracy ${accuracy.toFixed(4)}`,
    ...(validationLoss === undefined
      ? []
      : [`val_loss ${validationLoss.toFixed(4)}`, `val_accuracy ${validationAccuracy!.toFixed(4)}`]),
    durationText(seconds),
    ...(best ? ["best so far"] : []),
  ];
}

/** A line of parts; a terminal gets as many lines as it takes, and no part is broken. */
function partLines(output: Output, head: string, parts: readonly string[]): string {
  const lines = [head];
  for (const part of parts) {
    const longer = `${lines.at(-1)}  ${part}`;
    if (output.isTTY === true && longer.length > roomOf(output))
      lines.push(`${" ".repeat(head.length)}  ${part}`);
    else lines[lines.length - 1] = longer;
  }
  return lines.join("\n");
}

/** The parts of a step's line. */
function stepParts(record: StepRecord, unit: string, secondsLeft: number): string[] {
  return [
    `${String(record.stepInEpoch).padStart(String(record.stepsPerEpoch).length)}/${record.stepsPerEpoch}`,
    `loss ${record.epochLoss.toFixed(4)}`,
    `accuracy ${record.epochAccuracy.toFixed(4)}`,
    `${record.pairsPerSecond.toFixed(1)} ${unit}/s`,
    `${durationText(secondsLeft)} left`,
  ];
}
/** Which of these parts a narrow terminal does without, the first one first. */
const DISPENSABLE = [3, 2, 1, 4];

/** Estimates the seconds left from the speed of the last steps. */
class Pace {
  #secondsPerStep: number | undefined;

  left(record: StepRecord, totalSteps: number, batchSize: number): number {
    const seconds = batchSize / record.pairsPerSecond;
    // A running mean over about twenty steps.
    this.#secondsPerStep =
      this.#secondsPerStep === undefined ? seconds : 0.95 * this.#secondsPerStep + 0.05 * seconds;
    return (totalSteps - record.step) * this.#secondsPerStep;
  }
}

function bar(done: number, width: number): string {
  const full = Math.round(done * width);
  return `${"━".repeat(full)}${styleText("dim", "━".repeat(width - full))}`;
}

/** A line that fits the terminal: as many parts as leave room for a bar, which is as long as fits. */
function barLine(output: Output, head: string, done: number, parts: readonly string[]): string {
  const room = roomOf(output) - head.length - 2;
  const dropped = new Set<number>();
  const shown = () => parts.filter((_, i) => !dropped.has(i)).join("  ");
  for (const each of DISPENSABLE) if (shown().length + SHORTEST_BAR > room) dropped.add(each);
  const left = Math.min(BAR_WIDTH, room - shown().length);
  return `${head} ${left < SHORTEST_BAR ? "" : `${bar(done, left)} `}${shown()}`;
}

/** Progress goes to standard error, so that standard output holds the results alone. */
export interface Outputs {
  readonly stdout: Output;
  readonly stderr: Output;
}

/**
 * Progress of a command.
 * @param style a bar on a terminal and plain lines elsewhere when left out. `json` goes to standard output, where
 *   everything else is JSON then, too.
 */
export function commandProgress(
  style: ProgressStyle | undefined,
  { stdout, stderr }: Outputs = process,
): TrainListener {
  if (style === "json") return jsonProgress(stdout);
  return progressListener(style ?? (stderr.isTTY === true ? "bar" : "plain"), stderr);
}

/** One line for programs. */
export const jsonLine = (kind: string, fields: object): string => `${JSON.stringify({ kind, ...fields })}\n`;

/** Shows a run in the given style; `bar` falls back to `plain` without a terminal. */
export function progressListener(style: ProgressStyle, output: Output): TrainListener {
  if (style === "json") return jsonProgress(output);
  const drawn = style === "bar" && output.isTTY === true;
  const pace = new Pace();
  let totalSteps = 0;
  let batchSize = 1;
  let epochs = 0;
  let unit = "pairs";
  return {
    onRunStart({ config, stepsPerEpoch, progress }) {
      ({ batchSize, epochs } = config);
      totalSteps = stepsPerEpoch * epochs;
      const from = progress.step === 0 ? "" : `, continued after step ${progress.step}`;
      // A batch by people holds images, of which every pair is compared.
      unit = config.sampling === "people" ? "images" : "pairs";
      output.write(
        `${counted(epochs, "epoch")} of ${counted(stepsPerEpoch, "step")} of ${batchSize} ${unit}${from}\n`,
      );
    },
    onStep(record) {
      const parts = stepParts(record, unit, pace.left(record, totalSteps, batchSize));
      const head = `epoch ${record.epoch}/${epochs}`;
      if (drawn) redrawLine(output, barLine(output, head, record.stepInEpoch / record.stepsPerEpoch, parts));
      else if (record.stepInEpoch % PLAIN_EVERY === 0) output.write(`${[head, ...parts].join("  ")}\n`);
    },
    onEpochEnd({ record, best }) {
      clearLine(output);
      output.write(`${partLines(output, `epoch ${record.epoch}/${epochs}`, epochParts(record, best))}\n`);
    },
    onRunEnd({ reason, detail }) {
      clearLine(output);
      // Of these two the command's error says the same, and how to go on.
      if (reason === "interrupted" || reason === "diverged") return;
      output.write(`${reason}: ${detail}\n`);
    },
  };
}

/** Lines that a measurement writes when nothing is redrawn. */
const PARTS = 10;

/**
 * Shows the progress of a measurement, as `commandProgress` shows training.
 * @param output standard error, unless the command writes JSON to standard output.
 */
export function measureProgress(
  style: ProgressStyle | undefined,
  output: Output = process.stderr,
): OnMeasureProgress {
  const drawn = style !== "plain" && style !== "json" && output.isTTY === true;
  let reported = 0;
  return ({ images, totalImages }) => {
    const done = images / totalImages;
    if (drawn) {
      if (done < 1)
        redrawLine(
          output,
          barLine(output, "measuring", done, [`${countText(images)}/${countText(totalImages)} images`]),
        );
      else clearLine(output);
      return;
    }
    if (done < 1 && Math.floor(done * PARTS) === reported) return;
    reported = Math.floor(done * PARTS);
    const line = `measuring  ${countText(images)}/${countText(totalImages)} images\n`;
    output.write(style === "json" ? jsonLine("measuring", { images, totalImages }) : line);
  };
}

function jsonProgress(output: Output): TrainListener {
  const line = (kind: string, fields: object) => {
    output.write(jsonLine(kind, fields));
  };
  return {
    onRunStart: ({ stepsPerEpoch, progress }) => line("start", { stepsPerEpoch, step: progress.step }),
    onStep: (record) => line("step", record),
    onEpochEnd: ({ record, best }) => line("epoch", { ...record, best }),
    onCheckpoint: (path) => line("checkpoint", { path }),
    onRunEnd: ({ reason, detail }) => line("end", { reason, detail }),
  };
}

/** How often a terminal's line is redrawn, and how often a log gets a new one. */
const REDRAW_MS = 100;
const LOG_EVERY_MS = 10_000;

/** The status of a long job: a line that redraws itself on a terminal, a new line every ten seconds elsewhere. */
export class StatusLine implements Disposable {
  readonly #output: Output;
  readonly #now: () => number;
  #shownAt: number;

  constructor(output: Output = process.stderr, now: () => number = Date.now) {
    this.#output = output;
    this.#now = now;
    // A short job writes no line to a log.
    this.#shownAt = output.isTTY === true ? Number.NEGATIVE_INFINITY : now();
  }

  /** Shows the text, unless the last one is too recent. */
  show(text: string): void {
    const terminal = this.#output.isTTY === true;
    if (this.#now() - this.#shownAt < (terminal ? REDRAW_MS : LOG_EVERY_MS)) return;
    this.#shownAt = this.#now();
    if (terminal) redrawLine(this.#output, text);
    else this.#output.write(`${text}\n`);
  }

  /** Shows a text that stays. */
  say(text: string): void {
    this[Symbol.dispose]();
    this.#output.write(`${wrapped(shownLines(text), this.#output)}\n`);
  }

  /** Removes the line. */
  [Symbol.dispose](): void {
    clearLine(this.#output);
  }
}

/** The pace is that of so much time, and of so many photographs where they take longer. */
const PACE_MS = 30_000;
const PACE_PHOTOS = 20;
/** In less time, the first photographs say little about the rest. */
const LEAST_PACE_MS = 5000;
const SAMPLE_MS = 500;
/** Photographs that an earlier run has done pass so many times faster than the others. */
const PASSING = 10;

/** The pace of a job whose first photographs may be done already, or may wait for what is loaded. */
class PhotoPace {
  /** From the first report on: before it, a model is fetched and loaded. */
  readonly #samples: { readonly at: number; readonly done: number }[] = [];

  /** Seconds for each photograph; undefined before that means something. */
  seconds(at: number, done: number): number | undefined {
    const samples = this.#samples;
    if (at - (samples.at(-1)?.at ?? Number.NEGATIVE_INFINITY) < SAMPLE_MS) return this.#mean();
    samples.push({ at, done });
    const isOld = (sample: (typeof samples)[number] | undefined) =>
      sample !== undefined && at - sample.at >= PACE_MS && done - sample.done >= PACE_PHOTOS;
    while (isOld(samples[1])) samples.shift();
    return this.#mean();
  }

  #mean(): number | undefined {
    const spans = this.#samples
      .slice(1)
      .map(({ at, done }, i) => ({ ms: at - this.#samples[i]!.at, count: done - this.#samples[i]!.done }))
      .toSorted((a, b) => a.count / a.ms - b.count / b.ms);
    const middle = spans[Math.floor(spans.length / 2)];
    if (middle === undefined) return undefined;
    const work = spans.filter(({ ms, count }) => count / ms <= (PASSING * middle.count) / middle.ms);
    let [ms, count] = [0, 0];
    for (const span of work) {
      ms += span.ms;
      count += span.count;
    }
    return ms < LEAST_PACE_MS || count < PACE_PHOTOS ? undefined : ms / count / 1000;
  }
}

/** Shows how many photographs are done and, once the pace can be told, the time that the rest takes. */
export function photoProgress(
  line: StatusLine,
  what: string,
  now: () => number = Date.now,
): (done: number, total: number) => void {
  const pace = new PhotoPace();
  return (done, total) => {
    const seconds = pace.seconds(now(), done);
    const left = seconds === undefined ? "" : `, ${durationText(seconds * (total - done))} left`;
    line.show(`${what} ${countText(done)} of ${countText(total)} photographs${left}`);
  };
}
