/** @file Which of two ways to do the same is faster, learnt from their times. */

/** Times of each way before one is preferred. */
const TRIALS = 4;
/** How much the latest time counts in a way's mean. */
const LATEST = 1 / 8;
/** Every so many choices the slower way is tried again. */
const AGAIN = 256;

/** One of two ways. */
export type Way = 0 | 1;

/**
 * Compares two ways by the running means of their times. The shortest times would not do: work shared by threads is fast while
 * all of them have a core, and slow as soon as one has to wait.
 */
export class FasterWay {
  readonly #means: [number, number] = [0, 0];
  readonly #counts: [number, number] = [0, 0];
  #choices = 0;
  #size = Number.POSITIVE_INFINITY;

  /** The way to go next: in turns at first, then the faster one, and the slower one now and then. */
  choose(): Way {
    const [first, second] = this.#counts;
    if (first < TRIALS || second < TRIALS) return first <= second ? 0 : 1;
    const faster: Way = this.#means[0] <= this.#means[1] ? 0 : 1;
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
      this.#counts.fill(0);
    }
    const share = Math.max(LATEST, 1 / ++this.#counts[way]);
    this.#means[way] += share * (ms - this.#means[way]);
  }
}
