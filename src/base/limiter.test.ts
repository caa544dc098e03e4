/** @file Limits hold, the queue is fair and bounded, and waiting can be given up. */
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { FaceError } from "./errors.ts";
import { eachLimited, Limiter } from "./limiter.ts";

/** Work that records its start and ends on request. */
function controlled() {
  const started: number[] = [];
  const ends = new Map<number, () => void>();
  const work = (index: number) => () => {
    started.push(index);
    return new Promise<number>((resolve) => ends.set(index, () => resolve(index)));
  };
  return { started, work, end: (index: number) => ends.get(index)!() };
}

describe("Limiter", () => {
  it("runs no more than its limit, first come, first served", async () => {
    const { started, work, end } = controlled();
    const limiter = new Limiter(2);
    const runs = [0, 1, 2, 3].map((index) => limiter.run(work(index)));
    expect([started, limiter.running, limiter.queued]).toEqual([[0, 1], 2, 2]);
    end(1);
    expect(await runs[1]).toBe(1);
    await setImmediate();
    expect(started).toEqual([0, 1, 2]);
    for (const index of [0, 2]) end(index);
    await Promise.all([runs[0], runs[2]]);
    await setImmediate();
    end(3);
    await runs[3];
    expect([limiter.running, limiter.queued]).toEqual([0, 0]);
  });

  it("goes on after work that fails", async () => {
    const limiter = new Limiter(1);
    const failing = limiter.run(() => Promise.reject(new Error("first")));
    const second = limiter.run(() => "second");
    await expect(failing).rejects.toThrow("first");
    expect(await second).toBe("second");
  });

  it("starts what waits when its limit is raised", async () => {
    const { started, work } = controlled();
    const limiter = new Limiter(1);
    for (const index of [0, 1, 2]) void limiter.run(work(index));
    limiter.limit = 2;
    await setImmediate();
    expect(started).toEqual([0, 1]);
  });

  it("refuses work when too much waits", async () => {
    const { work } = controlled();
    const refusal = () => new FaceError("INTERNAL", "full");
    const limiter = new Limiter(1, { maxQueued: 1, refusal });
    for (const index of [0, 1]) void limiter.run(work(index));
    await expect(limiter.run(work(2))).rejects.toThrow("full");
    expect(limiter.queued).toBe(1);
  });

  it("gives up waiting on a signal", async () => {
    const { started, work, end } = controlled();
    const limiter = new Limiter(1);
    const first = limiter.run(work(0));
    const aborter = new AbortController();
    const second = limiter.run(work(1), aborter.signal);
    const third = limiter.run(work(2));
    aborter.abort(new Error("left"));
    await expect(second).rejects.toThrow("left");
    end(0);
    await first;
    await setImmediate();
    end(2);
    await third;
    expect(started).toEqual([0, 2]);
  });
});

describe("eachLimited", () => {
  it("takes an item only when a call may start", async () => {
    let taken = 0;
    let ended = 0;
    const held: number[] = [];
    async function* items() {
      for (; taken < 20; taken++) yield 10 * taken;
    }
    await eachLimited(items(), 3, async (item, index) => {
      expect(item).toBe(10 * index);
      await setImmediate();
      // The one that the generator has given out, and is not done with, is not counted in `taken`.
      held.push(taken + 1 - ended++);
    });
    expect(ended).toBe(20);
    expect(Math.max(...held)).toBe(3);
  });

  it("starts no more after an error and waits for what runs", async () => {
    let ended = 0;
    const calls = eachLimited([0, 1, 2, 3, 4, 5], 2, async (item) => {
      await setImmediate();
      if (item === 1) throw new Error("second");
      await setImmediate();
      ended++;
    });
    await expect(calls).rejects.toThrow("second");
    expect(ended).toBe(1);
  });

  it("starts none for an item that it waited for while a call failed", async () => {
    const started: number[] = [];
    async function* items() {
      yield 0;
      await setImmediate();
      yield 1;
    }
    const calls = eachLimited(items(), 2, async (item) => {
      started.push(item);
      throw new Error("first");
    });
    await expect(calls).rejects.toThrow("first");
    expect(started).toEqual([0]);
  });
});
