/** @file Frees what JavaScript no longer uses at once, where a large piece of work has ended and nothing else would soon. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/** Collects all garbage of this thread, which stops it for some milliseconds. */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}

/** A thread that is still busy collects its garbage by itself. */
const IDLE_MS = 200;
let timer: NodeJS.Timeout | undefined;

/** Collects the garbage of this thread when it has had some time without another call of this function. */
export function collectWhenIdle(): void {
  clearTimeout(timer);
  timer = setTimeout(collectGarbage, IDLE_MS).unref();
}
