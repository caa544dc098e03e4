/** @file What commands over a folder of photographs share: progress, interruption, and what they say of those left out. */
import { counted, countText, reasonOf, shown } from "../../base/log.ts";
import type { LeftOutFile, PhotosJobOptions } from "../../jobs/photos-in.ts";
import { consoleLog, onInterrupt, STOPPING_MS } from "../process.ts";
import { photoProgress, StatusLine } from "../progress.ts";

/**
 * Runs a job over photographs with a log, its progress and its interruption.
 * @param words what is done with a photograph, and what an interruption keeps
 */
export async function withProgress<Result>(
  quiet: boolean,
  words: { readonly what: string; readonly kept: string },
  job: (shared: Required<Omit<PhotosJobOptions, "face">>) => Promise<Result>,
): Promise<Result> {
  const log = consoleLog({ quiet });
  using line = new StatusLine();
  let started = false;
  using interrupt = onInterrupt(() => log.warn("stopping; run the command again to continue"), {
    patience: () => (started ? STOPPING_MS : 0),
    kept: () => `the ${words.kept} so far are kept; run the command again to continue`,
  });
  const show = photoProgress(line, words.what);
  const onProgress = (done: number, total: number) => {
    started = true;
    show(done, total);
  };
  return await job({ log, signal: interrupt.signal, onProgress });
}

/** Photographs that are named one by one. */
const NAMED = 20;

/** How many were left out, the first of them with reasons, and where all are listed. */
export function leftOutText(leftOut: readonly LeftOutFile[], file: string): string {
  const unreadable = leftOut.filter(({ code }) => code === "IMAGE_UNREADABLE").length;
  const more = leftOut.length - NAMED;
  return [
    `left out: ${counted(leftOut.length - unreadable, "photograph")} without the face, ${counted(unreadable, "unreadable file")}; listed in ${shown(file)}`,
    ...leftOut.slice(0, NAMED).map((each) => `  ${shown(reasonOf(each))}`),
    ...(more > 0 ? [`  and ${countText(more)} more`] : []),
  ].join("\n");
}
