/** @file Wilson's interval beside published ones. */
import { expect, it } from "vitest";
import { wilson } from "./wilson.ts";

it.each([
  [5, 10, 0.2366, 0.7634],
  [0, 10, 0, 0.2775],
  [10, 10, 0.7225, 1],
  [81, 263, 0.2553, 0.3662],
  [0, 0, 0, 1],
])("%i of %i lies in %f to %f", (hits, trials, low, high) => {
  expect(wilson(hits, trials)).toBeAllClose([low, high], { absolute: 5e-5, relative: 0 });
});
