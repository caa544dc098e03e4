/** @file The garbage of threads that have become idle. */
import { constants, PerformanceObserver } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import { collectWhenIdle } from "./worker.ts";

const MEGABYTE = 2 ** 20;

it("an idle thread collects its garbage where there is much of it", async () => {
  let full = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries() as unknown as { detail: { kind: number; flags: number } }[]) {
      if (detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) full++;
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  /** Garbage outside the heap, which only a full collection is sure to free. */
  const make = (megabytes: number) => {
    for (let i = 0; i < megabytes; i++) Buffer.alloc(MEGABYTE);
  };
  try {
    collectWhenIdle();
    await vi.waitFor(() => expect(full).toBe(1), 10_000);
    await delay(300);
    for (const expected of [2, 3]) {
      make(2);
      collectWhenIdle();
      await delay(500);
      expect(full).toBe(expected - 1);
      make(24);
      collectWhenIdle();
      await vi.waitFor(() => expect(full).toBe(expected), 10_000);
      await delay(300);
    }
  } finally {
    observer.disconnect();
  }
});
