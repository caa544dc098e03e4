/** @file One line of JSON for each step and epoch of a run. */
import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeError } from "../../base/files.ts";
import type { TrainListener } from "../listener.ts";

export const RUN_LOG = "log.jsonl";

/** Lines are gathered and written together, so that logging never holds up a step for long. */
const LINES_PER_WRITE = 50;

const KILOBYTES_PER_MEGABYTE = 1024;

/** Appends to `log.jsonl` in the run's folder. A resumed run goes on in the same file. */
export function runLog(folder: string): TrainListener {
  const path = join(folder, RUN_LOG);
  let lines: string[] = [];
  const add = (kind: string, fields: object) => {
    lines.push(JSON.stringify({ kind, time: new Date().toISOString(), ...fields }));
  };
  const flush = async () => {
    if (lines.length === 0) return;
    try {
      await mkdir(folder, { recursive: true });
      await appendFile(path, `${lines.join("\n")}\n`);
    } catch (error) {
      throw writeError(path, error);
    }
    lines = [];
  };
  return {
    async onRunStart({ config, stepsPerEpoch, progress }) {
      add(progress.step === 0 ? "start" : "resume", { config, stepsPerEpoch, step: progress.step });
      await flush();
    },
    async onStep(record) {
      add("step", record);
      if (lines.length >= LINES_PER_WRITE) await flush();
    },
    async onEpochEnd({ record, best }) {
      add("epoch", { ...record, best });
      await flush();
    },
    async onRunEnd({ reason, detail, progress }) {
      const peakMemoryMegabytes = Math.round(process.resourceUsage().maxRSS / KILOBYTES_PER_MEGABYTE);
      add("end", { reason, detail, step: progress.step, peakMemoryMegabytes });
      await flush();
    },
  };
}
