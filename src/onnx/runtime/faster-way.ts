/** @file Which of two ways to do the same is faster, learnt from their times. */

/** Times of each way before one is preferred. */
const TRIALS = 4;
/** Every so many choices the slower way is tried again, so that neither a slow start nor a busy moment decides for ever. */
const AGAIN = 256;

/** One of two ways. */
export type Way = 0 | 1;

/** Compares two ways by the shortest time that each has taken, since other work on the machine only makes times longer. */
export class FasterWay {
  readonly #shortest: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  readonly #counts: [number, number] = [0, 0];
  #choices = 0;
  #size = Number.POSITIVE_INFINITY;

  /** The way to go next: in turns at first, then the faster one. */
  choose(): Way {
    const [first, second] = this.#counts;
    if (first < TRIALS || second < TRIALS) return first <= second ? 0 : 1;
    const faster: Way = this.#shortest[0] <= this.#shortest[1] ? 0 : 1;
    this.#choices++;
    return this.#choices % AGAIN === 0 ? ((1 - faster) as Way) : faster;
  }

  /**
   * Takes note of a time.
   * @param size of what was done, in any unit: only times of the smallest so far are compared.
   */
  add(way: Way, size: number, ms: number): void {
    if (size > this.#size) return;
    if (size < this.#size) {
      this.#size = size;
      this.#shortest.fill(Number.POSITIVE_INFINITY);
      this.#counts.fill(0);
    }
    this.#shortest[way] = Math.min(this.#shortest[way], ms);
    this.#counts[way]++;
  }
}
