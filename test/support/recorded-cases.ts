/** @file What TensorFlow answered: inputs and outputs in files beside a model, and how answers are compared. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { int64, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import { numbersOf } from "../../src/graph/numbers.ts";

/** A request to a model and TensorFlow's answer. */
export interface RecordedCase {
  readonly signature: string;
  readonly inputs: TensorMap;
  readonly outputs: TensorMap;
}

interface StoredNumbers {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32" | "int64" | "bool";
  readonly file: string;
}

interface StoredStrings {
  readonly shape: readonly number[];
  readonly dtype: "string";
  readonly values: readonly string[];
}

type StoredTensor = StoredNumbers | StoredStrings;

interface StoredCase {
  readonly signature: string;
  readonly inputs: Readonly<Record<string, StoredTensor>>;
  readonly outputs: Readonly<Record<string, StoredTensor>>;
}

const encoder = new TextEncoder();

function load(folder: string, stored: StoredTensor): Tensor {
  const { shape, dtype } = stored;
  if (dtype === "string") return { dtype, shape, data: stored.values.map((text) => encoder.encode(text)) };
  const { file } = stored;
  const { buffer } = new Uint8Array(readFileSync(join(folder, file)));
  // Whole numbers of 64 bits are stored as doubles.
  if (dtype === "int64") return int64(shape, new Float64Array(buffer));
  if (dtype === "int32") return { dtype, shape, data: new Int32Array(buffer) };
  if (dtype === "bool") return { dtype, shape, data: new Uint8Array(buffer) };
  return { dtype, shape, data: new Float32Array(buffer) };
}

const loadAll = (folder: string, stored: StoredCase["inputs"]): TensorMap =>
  new Map(Object.entries(stored).map(([alias, each]) => [alias, load(folder, each)]));

/** The cases that lie beside a model. */
export function readCases(folder: string): RecordedCase[] {
  const stored = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")) as StoredCase[];
  return stored.map(({ signature, inputs, outputs }) => ({
    signature,
    inputs: loadAll(folder, inputs),
    outputs: loadAll(folder, outputs),
  }));
}

const decoder = new TextDecoder();

/** The elements of a tensor of strings, as text. */
export function textsOf({ data }: Tensor): string[] {
  return (data as readonly Uint8Array[]).map((bytes) => decoder.decode(bytes));
}

/** Largest difference from TensorFlow, as a part of the output's largest element. */
const TOLERANCE = 1e-4;

/** Strings, whole numbers and truth values are equal; floats are to the tolerance, not-a-number where TensorFlow has it. */
export function expectAlike(got: Tensor | undefined, wanted: Tensor, place: string): void {
  expect(got?.dtype, place).toBe(wanted.dtype);
  expect(got?.shape, place).toEqual(wanted.shape);
  if (wanted.dtype === "string") {
    expect(textsOf(got!), place).toEqual(textsOf(wanted));
    return;
  }
  const [ours, theirs] = [Array.from(numbersOf(got!)), Array.from(numbersOf(wanted))];
  const scale = theirs.reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    0,
  );
  const tolerance = wanted.dtype === "float32" ? TOLERANCE * scale : 0;
  const isAlike = (a: number, b: number) => Object.is(a, b) || Math.abs(a - b) <= tolerance;
  const worst = ours.findIndex((value, i) => !isAlike(value, theirs[i]!));
  const text = `${place}: element ${worst} is ${ours[worst]}, TensorFlow's is ${theirs[worst]}, scale ${scale}`;
  expect(worst, text).toBe(-1);
}
