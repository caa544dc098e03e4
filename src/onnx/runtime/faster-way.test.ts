/** @file Which way is chosen after which times. */
import { describe, expect, it } from "vitest";
import { FasterWay, type Way } from "./faster-way.ts";

/** Makes so many choices, each taking the time that its way has. */
function choices(ways: FasterWay, count: number, times: readonly [number, number], size = 1): Way[] {
  return Array.from({ length: count }, () => {
    const way = ways.choose();
    ways.add(way, size, times[way]);
    return way;
  });
}

describe("FasterWay", () => {
  it.each([
    [0, [2, 3]],
    [1, [3, 2]],
  ] as const)("tries both in turns, then takes way %d, and the other now and then", (faster, times) => {
    const ways = new FasterWay();
    expect(choices(ways, 8, times)).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    const chosen = choices(ways, 512, times);
    expect(chosen.filter((way) => way !== faster)).toHaveLength(2);
  });

  it("takes the way that is faster on average, though the other was faster once", () => {
    const ways = new FasterWay();
    for (const ms of [1, 9, 9, 9]) ways.add(0, 1, ms);
    for (const ms of [4, 4, 4, 4]) ways.add(1, 1, ms);
    expect(ways.choose()).toBe(1);
  });

  it("leaves a way that has become slower", () => {
    const ways = new FasterWay();
    choices(ways, 100, [2, 4]);
    const changed = choices(ways, 20, [8, 4]);
    expect([changed[0], changed.at(-1)]).toEqual([0, 1]);
  });

  it("compares times of the smallest size alone", () => {
    const ways = new FasterWay();
    choices(ways, 8, [8, 4], 8);
    expect(ways.choose()).toBe(1);
    choices(ways, 8, [1, 2], 1);
    ways.add(1, 8, 0.1);
    expect(ways.choose()).toBe(0);
  });
});
