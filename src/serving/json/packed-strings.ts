/** @file Many strings as two arrays, which move between threads at once; a message with an object for each takes seconds. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tensor, TensorMap } from "../../base/tensor.ts";

/** Strings one behind the other. */
export interface PackedStrings {
  readonly bytes: Uint8Array;
  /** Where each string ends. */
  readonly ends: Uint32Array;
}

/** A tensor whose strings are packed. */
export interface PackedTensor extends PackedStrings {
  readonly shape: readonly number[];
}

/** Strings made between two turns of the event loop. */
export const AT_ONCE = 8192;

export type SentTensors = ReadonlyMap<string, Tensor | PackedTensor>;

export function packStrings(strings: readonly Uint8Array[]): PackedStrings {
  const ends = new Uint32Array(strings.length);
  let end = 0;
  for (let i = 0; i < strings.length; i++) {
    end += strings[i]!.length;
    ends[i] = end;
  }
  const bytes = new Uint8Array(end);
  for (let i = 0; i < strings.length; i++) bytes.set(strings[i]!, ends[i]! - strings[i]!.length);
  return { bytes, ends };
}

/** The same in short steps. */
export async function packInSteps(strings: readonly Uint8Array[]): Promise<PackedStrings> {
  const ends = new Uint32Array(strings.length);
  const bytes = new Uint8Array(strings.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (let i = 0; i < strings.length; i++) {
    if (i % AT_ONCE === AT_ONCE - 1) await nextTurn();
    bytes.set(strings[i]!, end);
    end += strings[i]!.length;
    ends[i] = end;
  }
  return { bytes, ends };
}

/** The strings as views. */
export function viewsOf({ bytes, ends }: PackedStrings): Uint8Array[] {
  return Array.from(ends, (end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end));
}

/** The strings as views, made in short steps. */
export async function unpackStrings({ bytes, ends }: PackedStrings): Promise<Uint8Array[]> {
  const strings: Uint8Array[] = [];
  let start = 0;
  for (const [i, end] of ends.entries()) {
    if (i % AT_ONCE === AT_ONCE - 1) await nextTurn();
    strings.push(bytes.subarray(start, end));
    start = end;
  }
  return strings;
}

/** Packs the string tensors for their way to another thread. */
export function packTensors(tensors: TensorMap): SentTensors {
  return new Map(
    [...tensors].map(([name, value]): [string, Tensor | PackedTensor] => [
      name,
      value.dtype === "string"
        ? { shape: value.shape, ...packStrings(value.data as readonly Uint8Array[]) }
        : value,
    ]),
  );
}

export async function unpackTensors(sent: SentTensors): Promise<Map<string, Tensor>> {
  const tensors = new Map<string, Tensor>();
  for (const [name, value] of sent) {
    tensors.set(
      name,
      "ends" in value ? { dtype: "string", shape: value.shape, data: await unpackStrings(value) } : value,
    );
  }
  return tensors;
}

/** The memory of such tensors, to move it. */
export function sentBuffers(sent: SentTensors): ArrayBuffer[] {
  const buffers = [...sent.values()].flatMap((value) =>
    "ends" in value ? [value.bytes.buffer, value.ends.buffer] : [(value.data as Float32Array).buffer],
  );
  return [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer);
}
