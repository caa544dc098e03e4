/** @file What a command says of photographs that it left out. */
import { counted, shown } from "../../base/log.ts";
import type { LeftOutFile } from "../../jobs/photos-in.ts";

/** Photographs that are named one by one. */
const NAMED = 20;

/** How many were left out, the first of them with reasons, and where all are listed. */
export function leftOutText(leftOut: readonly LeftOutFile[], file: string): string {
  const unreadable = leftOut.filter(({ code }) => code === "IMAGE_UNREADABLE").length;
  const more = leftOut.length - NAMED;
  return [
    `left out: ${counted(leftOut.length - unreadable, "photograph")} without the face, ${counted(unreadable, "unreadable file")}; listed in ${shown(file)}`,
    ...leftOut.slice(0, NAMED).map(({ path, reason }) => `  ${shown(`${path}: ${reason}`)}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ].join("\n");
}
