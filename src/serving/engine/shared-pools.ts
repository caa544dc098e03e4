/** @file Session pools by what they run: signatures of one version whose graphs are the same share one. */
import { createHash } from "node:crypto";
import { SessionPool, type SessionPoolOptions } from "../../onnx/runtime/session-pool.ts";

/** A pool that others may use, too. */
export interface SharedPool {
  readonly pool: SessionPool;
  /** Ends the use; the last one closes the pool. */
  close(): Promise<void>;
}

interface Entry {
  readonly pool: Promise<SessionPool>;
  users: number;
}

export class SharedPools {
  readonly #entries = new Map<string, Entry>();

  /**
   * The pool that runs this model in so many sessions; opened where there is none.
   * @throws FaceError as `SessionPool.open`.
   */
  async open(bytes: Uint8Array, sessions: number, options: SessionPoolOptions): Promise<SharedPool> {
    const key = `${sessions} ${options.aloneThreads ?? 1} ${createHash("sha256").update(bytes).digest("hex")}`;
    const entry = this.#entries.get(key) ?? { pool: SessionPool.open(bytes, sessions, options), users: 0 };
    this.#entries.set(key, entry);
    entry.users++;
    const leave = () => {
      const isLast = --entry.users === 0;
      if (isLast && this.#entries.get(key) === entry) this.#entries.delete(key);
      return isLast;
    };
    try {
      const pool = await entry.pool;
      let isOpen = true;
      return {
        pool,
        close: async () => {
          const isLast = isOpen && leave();
          isOpen = false;
          if (isLast) await pool.close();
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  }
}
