/** @file Who hears of requests that are over: the access log, where there is one. */
import type { Log } from "../../base/log.ts";
import { AccessLog } from "./access-log.ts";
import type { FinishedRequest, Observer } from "./finished.ts";

/** What is observed. */
export interface ObserveOptions {
  readonly accessLog?: string | undefined;
}

export class Observing implements Observer {
  readonly beginsTraces = false;
  readonly #accessLog: AccessLog;

  private constructor(accessLog: AccessLog) {
    this.#accessLog = accessLog;
  }

  /** @returns undefined where nobody wants to hear. @throws FaceError for a log that cannot be written. */
  static async open({ accessLog }: ObserveOptions, log: Log): Promise<Observing | undefined> {
    return accessLog === undefined ? undefined : new Observing(await AccessLog.open(accessLog, log));
  }

  finished(request: FinishedRequest): void {
    this.#accessLog.add(request);
  }

  close(): Promise<void> {
    return this.#accessLog.close();
  }
}
