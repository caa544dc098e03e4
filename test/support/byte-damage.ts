/** @file Damage of any file, byte by byte, the numbers at which readers stumble, and what may come of reading it. */
import fc from "fast-check";
import { FaceError } from "../../src/base/errors.ts";

/** A change of bytes; places and lengths are shares of the file. */
export type ByteEdit =
  | { readonly kind: "set"; readonly at: number; readonly to: number }
  | { readonly kind: "flip"; readonly at: number; readonly bit: number }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "drop"; readonly at: number; readonly length: number }
  | { readonly kind: "repeat"; readonly at: number; readonly length: number }
  | { readonly kind: "insert"; readonly at: number; readonly bytes: Uint8Array };

const share = fc.double({ min: 0, max: 0.999999, noNaN: true });
const someBytes = fc.uint8Array({ minLength: 1, maxLength: 12 });

const byteEdit: fc.Arbitrary<ByteEdit> = fc.oneof(
  fc.record({ kind: fc.constant("set" as const), at: share, to: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }),
  fc.record({ kind: fc.constant("set" as const), at: share, to: fc.nat(255) }),
  fc.record({ kind: fc.constant("flip" as const), at: share, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant("cut" as const), at: share }),
  fc.record({ kind: fc.constant("drop" as const), at: share, length: fc.integer({ min: 1, max: 64 }) }),
  fc.record({ kind: fc.constant("repeat" as const), at: share, length: fc.integer({ min: 1, max: 64 }) }),
  fc.record({ kind: fc.constant("insert" as const), at: share, bytes: someBytes }),
);

export function edited(content: Uint8Array, edit: ByteEdit): Uint8Array {
  const at = Math.floor(edit.at * content.length);
  const [head, tail] = [content.subarray(0, at), content.subarray(at)];
  if (edit.kind === "cut") return head;
  if (edit.kind === "insert") return Buffer.concat([head, edit.bytes, tail]);
  if (edit.kind === "drop") return Buffer.concat([head, tail.subarray(edit.length)]);
  if (edit.kind === "repeat") return Buffer.concat([head, tail.subarray(0, edit.length), tail]);
  const changed = Uint8Array.from(content);
  if (at < changed.length) changed[at] = edit.kind === "set" ? edit.to : changed[at]! ^ (1 << edit.bit);
  return changed;
}

/** Numbers at which readers stumble. */
const HOSTILE = [
  0n,
  1n,
  -1n,
  2n,
  3n,
  7n,
  255n,
  2n ** 20n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 40n,
  2n ** 53n,
  2n ** 62n,
  -(2n ** 63n),
];
export const hostile = fc.constantFrom(...HOSTILE);

const REFUSALS: ReadonlySet<string> = new Set(["MODEL_INVALID", "MODEL_UNSUPPORTED", "MODEL_NOT_FOUND"]);

/** What came of a damaged file. */
export type Outcome = "read" | "refused";

export async function outcome(work: () => Promise<void> | void): Promise<Outcome> {
  try {
    await work();
    return "read";
  } catch (error) {
    if (error instanceof FaceError && REFUSALS.has(error.code)) return "refused";
    throw error;
  }
}

/** The element at a place of a list, counted round and round; undefined where there is none. */
export const pick = <T>(list: readonly T[], which: number): T | undefined =>
  list[which % Math.max(list.length, 1)];

/** Some changes of bytes. */
export const byteEdits = fc.array(byteEdit, { minLength: 1, maxLength: 4 });
