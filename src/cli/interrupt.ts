/** @file Ctrl-C and SIGTERM: the first asks to stop in good order, the second stops at once. */
import { ERRORS } from "../base/errors.ts";

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
}

/** Listens for the signals until it is disposed of. */
export function onInterrupt(notice: () => void): Interrupt {
  const controller = new AbortController();
  const handle = () => {
    if (controller.signal.aborted) process.exit(ERRORS.INTERRUPTED.exit);
    controller.abort();
    notice();
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off("SIGINT", handle);
      process.off("SIGTERM", handle);
    },
  };
}
