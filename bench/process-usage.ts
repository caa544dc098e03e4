/** @file Processor time and memory of a process, from /proc. */
import { readFileSync } from "node:fs";

/** The kernel's unit of processor time. */
const TICKS_PER_SECOND = 100;

/** Seconds of processor time that a process has used on all cores; NaN where there is no /proc. */
export function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]!.split(" ");
    // Fields 14 and 15 of the whole line, of which the first two are cut off.
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

/** Milliseconds of processor time that the ended children of this process have used, to 10 ms; NaN where there is no /proc. */
export function childMilliseconds(): number {
  try {
    const fields = readFileSync("/proc/self/stat", "latin1").split(") ")[1]!.split(" ");
    return ((Number(fields[13]) + Number(fields[14])) * 1000) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

/** Megabytes of a process in memory: now, or the most there ever were. */
export function memoryMegabytes(pid: number, which: "VmRSS" | "VmHWM"): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    return Number(new RegExp(`^${which}:\\s*(\\d+)`, "m").exec(status)?.[1]) / 1024;
  } catch {
    return Number.NaN;
  }
}
