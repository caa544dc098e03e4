/** @file Reproducible random numbers: one seed, independent named streams, a state that can be saved. */

const GOLDEN_RATIO_32 = 0x9e3779b9;
const TO_UNIT_32 = 2 ** -32;

/** One step of the splitmix32 finaliser, used to spread seeds and labels over the whole state. */
function mix(value: number): number {
  let z = (value + GOLDEN_RATIO_32) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

/** FNV-1a over UTF-16 units, for stream names. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * A stream of random numbers: xoshiro128** (Blackman and Vigna, 2018). Streams with other seeds or other labels are
 * independent, so a consumer can be added without changing what the others draw.
 */
export class Random {
  #state: [number, number, number, number];

  constructor(seed: number | readonly [number, number, number, number]) {
    if (typeof seed === "number") {
      let word = mix(seed | 0) ^ mix(Math.floor(seed / 2 ** 32) | 0);
      const next = () => (word = mix(word));
      this.#state = [next(), next(), next(), next()];
    } else {
      this.#state = [...seed];
    }
  }

  /** An independent stream, named by labels such as `("epoch", 3)`; does not advance this one. */
  fork(...labels: readonly (string | number)[]): Random {
    let key = 0;
    const words = this.#state.map((word) => word);
    for (const label of labels) {
      key = mix(key ^ (typeof label === "number" ? mix(label) : hashText(label)));
      for (let i = 0; i < 4; i++) words[i] = mix(words[i]! ^ key ^ i);
    }
    return new Random([words[0]!, words[1]!, words[2]!, words[3]!]);
  }

  /** A whole number in [0, 2^32). */
  uint32(): number {
    const s = this.#state;
    const scrambled = Math.imul(s[1], 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** A number in [0, 1). */
  uniform(): number {
    return this.uint32() * TO_UNIT_32;
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** A whole number in [0, count). */
  integer(count: number): number {
    return Math.floor(this.uniform() * count);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** A draw from the standard normal distribution (Box and Muller, 1958). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)]!;
  }

  /** A shuffled copy (Fisher and Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
    }
    return shuffled;
  }
}
