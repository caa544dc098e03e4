/** @file Whether this processor sums products of 8-bit numbers whole. */
import { tensor } from "../../base/tensor.ts";
import type { RuntimeSession } from "./runtime.ts";

/** A model that multiplies `x`, `[2, 16]` of uint8, by `[16, 4]` of int8, all 127, into int32; `whole-sums.test.ts` builds it. */
export const SUMS_MODEL =
  "CAgSBmZhY2VpZEICEBE6rAEKKwoBeAoDd18xEgF5Gg9NYXRNdWxJbnRlZ2VyXzIiDU1hdE11bEludGVnZXISBHN1bXNaEwoBeBIOCgwIAhIICgIIAgoC" +
  "CBBiEwoBeRIOCgwIBhIICgIIAgoCCAQqTQoCEAQQA0IDd18xSkB/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/" +
  "f39/f39/f39/f39/f39/";
const [ROWS, PRODUCTS, WEIGHT] = [2, 16, 127];

/**
 * Whether the runtime's fast instruction for uint8 by int8 sums whole on this processor. Where x86 has no 8-bit dot products, it
 * cuts each sum of two products off at 16 bits.
 */
export async function sumsWhole(open: (model: Uint8Array) => Promise<RuntimeSession>): Promise<boolean> {
  const session = await open(Buffer.from(SUMS_MODEL, "base64"));
  const x = tensor("uint8", [ROWS, PRODUCTS], new Uint8Array(ROWS * PRODUCTS).fill(255));
  const sums = (await session.run(new Map([["x", x]]))).get("y")!.data as Int32Array;
  await session.close();
  return sums.every((sum) => sum === PRODUCTS * 255 * WEIGHT);
}
