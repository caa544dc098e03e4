/** @file How far a download is, in words: bytes, share, speed and time left. */
import { bytesText } from "../base/log.ts";
import { durationText } from "./progress.ts";

/** Tells of files as they come, one after the other; the speed is that since a file's first bytes. */
export class TransferText {
  readonly #now: () => number;
  #file = "";
  #since = 0;
  #first = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** `faces.zip: 12.0 MB of 48.0 MB (25 %), 3.1 MB/s, 12s left` */
  text(file: string, received: number, total: number | undefined): string {
    if (file !== this.#file) [this.#file, this.#since, this.#first] = [file, this.#now(), received];
    const seconds = (this.#now() - this.#since) / 1000;
    const speed = seconds > 1 ? (received - this.#first) / seconds : 0;
    const left = total !== undefined && speed > 0 ? `, ${durationText((total - received) / speed)} left` : "";
    const share =
      total === undefined ? "" : ` of ${bytesText(total)} (${Math.floor((100 * received) / total)} %)`;
    return `${file}: ${bytesText(received)}${share}${speed > 0 ? `, ${bytesText(speed)}/s` : ""}${left}`;
  }
}
