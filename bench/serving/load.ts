/** @file Closed-loop load (clients wait for their answers) and open-loop load (requests at a fixed rate). */
import { setTimeout as delay } from "node:timers/promises";
import type { BenchClient } from "./clients.ts";

/** Result of a period of load. */
export interface LoadResult {
  readonly answered: number;
  readonly failed: number;
  readonly seconds: number;
  /** Milliseconds of each answer, ascending. */
  readonly latencies: readonly number[];
}

/** The quantile of an ascending list. */
export function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(share * ascending.length))] ?? Number.NaN;
}

/** The median of a list. */
export function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

/** Each client sends its next request after each answer, for this long. Waits for the answers of requests in flight. */
export async function closedLoop(clients: readonly BenchClient[], seconds: number): Promise<LoadResult> {
  const latencies: number[] = [];
  let failed = 0;
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1000;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < endMs) {
        const askedMs = performance.now();
        await client.ask().then(
          () => latencies.push(performance.now() - askedMs),
          () => failed++,
        );
      }
    }),
  );
  return {
    answered: latencies.length,
    failed,
    seconds: (performance.now() - startedMs) / 1000,
    latencies: latencies.sort((a, b) => a - b),
  };
}

/**
 * Requests at a fixed rate. Latency counts from the moment a request was due, so that waiting clients do not hide a slow
 * server. A request that finds no free client counts as failed.
 */
export async function openLoop(
  clients: readonly BenchClient[],
  perSecond: number,
  seconds: number,
): Promise<LoadResult> {
  const latencies: number[] = [];
  let failed = 0;
  const free = [...clients];
  const running: Promise<unknown>[] = [];
  const startedMs = performance.now();
  const count = Math.round(perSecond * seconds);
  for (let i = 0; i < count; i++) {
    const dueMs = startedMs + (1000 * i) / perSecond;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const client = free.pop();
    if (client === undefined) {
      failed++;
      continue;
    }
    running.push(
      client
        .ask()
        .then(
          () => latencies.push(performance.now() - dueMs),
          () => failed++,
        )
        .finally(() => free.push(client)),
    );
  }
  await Promise.all(running);
  return {
    answered: latencies.length,
    failed,
    seconds: (performance.now() - startedMs) / 1000,
    latencies: latencies.sort((a, b) => a - b),
  };
}
