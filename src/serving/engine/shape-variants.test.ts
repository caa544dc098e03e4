/** @file Compiled variants of a signature stay few, whatever shapes clients send at the same time. */
import { describe, expect, it } from "vitest";
import type { SessionPool } from "../../onnx/runtime/session-pool.ts";
import { ShapeVariants } from "./shape-variants.ts";

/** Pools that count how many are open, and fail when they are used after they were closed. */
function pools() {
  const counts = { open: 0, most: 0, opened: 0 };
  const open = async () => {
    counts.open++;
    counts.opened++;
    counts.most = Math.max(counts.most, counts.open);
    let isClosed = false;
    const pool = {
      run: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        if (isClosed) throw new Error("used after it was closed");
      },
      close: async () => {
        isClosed = true;
        counts.open--;
      },
    };
    return pool as unknown as SessionPool;
  };
  return { counts, open };
}

const work = (pool: SessionPool) => pool.run(new Map());

describe("shape variants", () => {
  it("are at most four, for a hundred shapes at once", async () => {
    const variants = new ShapeVariants<SessionPool>();
    const { counts, open } = pools();
    await Promise.all(Array.from({ length: 400 }, (_, i) => variants.use(`shape ${i % 100}`, open, work)));
    expect(counts.most).toBeLessThanOrEqual(4);
    await variants.close();
    expect(counts.open).toBe(0);
  });

  it("are closed when they were not used for longest", async () => {
    const variants = new ShapeVariants<SessionPool>();
    const { counts, open } = pools();
    for (const shape of ["a", "b", "c", "d", "a", "e", "a", "b"]) await variants.use(shape, open, work);
    // Of these, `e` took the place of `b`, and `b` that of `c`.
    expect(counts.opened).toBe(6);
  });

  it("are compiled again after a failure", async () => {
    const variants = new ShapeVariants<SessionPool>();
    const { open } = pools();
    const fail = () => Promise.reject(new Error("no"));
    await expect(variants.use("a", fail, work)).rejects.toThrow("no");
    await variants.use("a", open, work);
    expect(variants.size).toBe(1);
  });
});
