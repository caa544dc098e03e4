/** @file The limit on the memory of all requests: which one may be tried again, and which never passes. */
import { expect, it } from "vitest";
import { MemoryBudget } from "./memory-budget.ts";

const MIB = 2 ** 20;

it("asks a request to try again that others leave no room for, and never one that is too large alone", () => {
  const budget = new MemoryBudget(8 * MIB);
  budget.change(0, 6 * MIB);
  expect(() => budget.change(0, 6 * MIB)).toThrow(
    expect.objectContaining({ status: "UNAVAILABLE", message: expect.stringContaining("try again") }),
  );
  expect(() => budget.change(0, 10 * MIB)).toThrow(
    expect.objectContaining({
      status: "RESOURCE_EXHAUSTED",
      message: expect.stringMatching(/may hold, 8388608 bytes \(--rest_api_max_total_body_bytes\)/),
    }),
  );
  expect(budget.totalBytes).toBe(6 * MIB);
  budget.change(6 * MIB, 0);
  budget.change(0, 9 * MIB);
  expect(budget.totalBytes).toBe(9 * MIB);
});
