/** @file The session pools of a signature for shapes other than the declared ones: a few, those used last. */
import { Limiter } from "../../base/limiter.ts";

/** What a shape is compiled to. */
interface Closable {
  close(): Promise<void>;
}

/** Each is a compiled model of its own in memory. */
const MOST_VARIANTS = 4;

interface Variant<P> {
  readonly pool: Promise<P>;
  users: number;
}

/** At most four compiled variants; further shapes wait, and take the place of the one that was not used for longest. */
export class ShapeVariants<P extends Closable> {
  readonly #variants = new Map<string, Variant<P>>();
  /** One more user than variants would leave none to close. */
  readonly #using = new Limiter(MOST_VARIANTS);

  /** How many are compiled. */
  get size(): number {
    return this.#variants.size;
  }

  /**
   * Calls a function with the pool of a shape.
   * @param open compiles the pool of a new shape; the next request tries again when it fails.
   */
  use<T>(
    key: string,
    open: () => Promise<P>,
    work: (pool: P) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#using.run(async () => {
      const variant = this.#variantOf(key, open);
      variant.users++;
      try {
        return await work(await variant.pool);
      } finally {
        variant.users--;
      }
    }, signal);
  }

  #variantOf(key: string, open: () => Promise<P>): Variant<P> {
    const known = this.#variants.get(key);
    const variant = known ?? { pool: this.#opened(key, open), users: 0 };
    this.#variants.delete(key);
    this.#variants.set(key, variant);
    return variant;
  }

  async #opened(key: string, open: () => Promise<P>): Promise<P> {
    try {
      if (this.#variants.size >= MOST_VARIANTS) await this.#closeOldest();
      return await open();
    } catch (error) {
      this.#variants.delete(key);
      throw error;
    }
  }

  async #closeOldest(): Promise<void> {
    const [key, oldest] = [...this.#variants].find(([, { users }]) => users === 0)!;
    this.#variants.delete(key);
    await (await oldest.pool).close();
  }

  async close(): Promise<void> {
    const pools = await Promise.allSettled([...this.#variants.values()].map(({ pool }) => pool));
    await Promise.all(pools.map((each) => (each.status === "fulfilled" ? each.value.close() : undefined)));
  }
}
