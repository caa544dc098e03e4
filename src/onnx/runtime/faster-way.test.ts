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
  it("tries both in turns, then takes the faster, and the slower again now and then", () => {
    for (const faster of [0, 1] as const) {
      const ways = new FasterWay();
      expect(choices(ways, 8, [2, 2])).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
      ways.add(faster, 1, 1);
      const chosen = choices(ways, 512, [3, 3]);
      expect(chosen.filter((way) => way !== faster)).toHaveLength(2);
    }
  });

  it("takes the other way once that has been faster", () => {
    const ways = new FasterWay();
    choices(ways, 8, [2, 4]);
    expect(choices(ways, 100, [2, 4])).toEqual(Array(100).fill(0));
    const changed = choices(ways, 300, [2, 1]);
    expect(changed.at(-1)).toBe(1);
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
