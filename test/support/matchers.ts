/** @file A matcher for arrays of numbers that are equal up to rounding. */
import { expect } from "vitest";

interface Tolerance {
  /** Largest absolute difference allowed. */
  readonly absolute?: number;
  /** Largest difference allowed relative to the expected value. */
  readonly relative?: number;
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: a merged declaration must repeat vitest's own type parameters.
  interface Matchers<T = any> {
    /** Same length, and every number within absolute + relative × |expected|. */
    toBeAllClose(expected: ArrayLike<number>, tolerance?: Tolerance): T;
  }
}

expect.extend({
  toBeAllClose(received: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance = {}) {
    const absolute = tolerance.absolute ?? 1e-6;
    const relative = tolerance.relative ?? 1e-5;
    if (received.length !== expected.length) {
      return { pass: false, message: () => `expected ${expected.length} numbers, got ${received.length}` };
    }
    let worst = -1;
    let worstExcess = 0;
    for (let i = 0; i < expected.length; i++) {
      const a = received[i]!;
      const b = expected[i]!;
      if (Object.is(a, b)) continue;
      const excess = Math.abs(a - b) - (absolute + relative * Math.abs(b));
      // Written so that NaN counts as a failure.
      if (!(excess <= worstExcess)) {
        worst = i;
        worstExcess = excess;
      }
    }
    return {
      pass: worst < 0,
      message: () =>
        `at ${worst}: expected ${expected[worst]}, got ${received[worst]} (absolute ${absolute}, relative ${relative})`,
    };
  },
});
