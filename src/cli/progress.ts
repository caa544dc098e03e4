/** @file Shows a training run as it goes: a bar that redraws itself, plain lines, or JSON. */
import { styleText } from "node:util";
import type { OnMeasureProgress } from "../evaluate/watched-verifier.ts";
import type { EpochRecord } from "../train/checkpoint.ts";
import type { StepRecord, TrainListener } from "../train/listener.ts";

export const PROGRESS_STYLES = ["bar", "plain", "json"] as const;
export type ProgressStyle = (typeof PROGRESS_STYLES)[number];

/** Where the lines go; a terminal or a file. */
export interface Output {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const BAR_WIDTH = 24;
/** Plain logs get a line at least this often, in steps. */
const PLAIN_EVERY = 50;
const MINUTE = 60;

/** `7s`, `3m 05s`, `2h 04m` */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < MINUTE) return `${whole}s`;
  const minutes = Math.floor(whole / MINUTE);
  if (minutes < MINUTE) return `${minutes}m ${two(whole % MINUTE)}s`;
  return `${Math.floor(minutes / MINUTE)}h ${two(minutes % MINUTE)}m`;
}

function epochText(record: EpochRecord): string {
  const validation =
    record.validationLoss === undefined
      ? ""
      : `  val_loss ${record.validationLoss.toFixed(4)}  val_accuracy ${record.validationAccuracy!.toFixed(4)}`;
  return `loss ${record.loss.toFixed(4)}  accuracy ${record.accuracy.toFixed(4)}${validation}  ${durationText(record.seconds)}`;
}

function stepText(record: StepRecord, secondsLeft: number): string {
  return [
    `${String(record.stepInEpoch).padStart(String(record.stepsPerEpoch).length)}/${record.stepsPerEpoch}`,
    `loss ${record.epochLoss.toFixed(4)}`,
    `accuracy ${record.epochAccuracy.toFixed(4)}`,
    `${record.pairsPerSecond.toFixed(1)} pairs/s`,
    `${durationText(secondsLeft)} left`,
  ].join("  ");
}

/** Seconds that the rest of the run takes at the pace of the last steps. */
class Pace {
  #secondsPerStep: number | undefined;

  left(record: StepRecord, totalSteps: number, batchSize: number): number {
    const seconds = batchSize / record.pairsPerSecond;
    // A running mean over some twenty steps: steady, and quick to follow a change.
    this.#secondsPerStep =
      this.#secondsPerStep === undefined ? seconds : 0.95 * this.#secondsPerStep + 0.05 * seconds;
    return (totalSteps - record.step) * this.#secondsPerStep;
  }
}

function bar(done: number): string {
  const full = Math.round(done * BAR_WIDTH);
  return `${"━".repeat(full)}${styleText("dim", "━".repeat(BAR_WIDTH - full))}`;
}

/** Where progress is shown: people watch standard error, so that results stand alone on standard output. */
export interface Outputs {
  readonly stdout: Output;
  readonly stderr: Output;
}

/**
 * Progress of a command.
 * @param style a bar on a terminal and plain lines elsewhere when left out. `json` goes to standard output, where all
 *   else that the command says is JSON then, too.
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

/** Draws the run in the given style; `bar` needs a terminal and falls back to `plain` without one. */
export function progressListener(style: ProgressStyle, output: Output): TrainListener {
  if (style === "json") return jsonProgress(output);
  const drawn = style === "bar" && output.isTTY === true;
  const pace = new Pace();
  let totalSteps = 0;
  let batchSize = 1;
  let epochs = 0;
  return {
    onRunStart({ config, stepsPerEpoch, progress }) {
      ({ batchSize, epochs } = config);
      totalSteps = stepsPerEpoch * epochs;
      const from = progress.step === 0 ? "" : `, going on after step ${progress.step}`;
      output.write(`${epochs} epochs of ${stepsPerEpoch} steps of ${batchSize} pairs${from}\n`);
    },
    onStep(record) {
      const text = stepText(record, pace.left(record, totalSteps, batchSize));
      const head = `epoch ${record.epoch}/${epochs}`;
      if (drawn) output.write(`\r\u001b[2K${head} ${bar(record.stepInEpoch / record.stepsPerEpoch)} ${text}`);
      else if (record.stepInEpoch % PLAIN_EVERY === 0) output.write(`${head}  ${text}\n`);
    },
    onEpochEnd({ record, best }) {
      const line = `epoch ${record.epoch}/${epochs}  ${epochText(record)}${best ? "  best so far" : ""}\n`;
      output.write(drawn ? `\r\u001b[2K${line}` : line);
    },
    onRunEnd({ reason, detail }) {
      output.write(`${drawn ? "\r\u001b[2K" : ""}${reason}: ${detail}\n`);
    },
  };
}

/** Parts of a measurement between two lines where nothing is redrawn. */
const PARTS = 10;

/**
 * Shows how far a measurement is, as `commandProgress` shows training.
 * @param output standard error, unless all that the command says is JSON on standard output.
 */
export function measureProgress(
  style: ProgressStyle | undefined,
  output: Output = process.stderr,
): OnMeasureProgress {
  const drawn = style !== "plain" && style !== "json" && output.isTTY === true;
  let told = 0;
  return ({ images, totalImages }) => {
    const done = images / totalImages;
    if (drawn) {
      output.write(`\r\u001b[2K${done < 1 ? `measuring ${bar(done)} ${images}/${totalImages} images` : ""}`);
      return;
    }
    if (done < 1 && Math.floor(done * PARTS) === told) return;
    told = Math.floor(done * PARTS);
    const line = `measuring  ${images}/${totalImages} images\n`;
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
