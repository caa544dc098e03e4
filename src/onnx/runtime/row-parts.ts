/** @file A run for a few rows of the batch at a time. */
import { arrayOf, sizeOf, type Tensor, type TensorMap } from "../../base/tensor.ts";

/** Rows `from` up to `to`, in the same memory. */
function rowsOf(value: Tensor, from: number, to: number): Tensor {
  const [rows, ...sides] = value.shape as [number, ...number[]];
  const size = sizeOf(sides);
  const end = Math.min(to, rows);
  const data = (value.data as Float32Array).subarray(from * size, end * size);
  return { dtype: value.dtype, shape: [end - from, ...sides], data } as Tensor;
}

/** Inputs of so many rows at most; all as they are where they are fewer, or strings, or of different numbers of rows. */
export function rowParts(inputs: TensorMap, most: number): TensorMap[] {
  const values = [...inputs.values()];
  const rows = values[0]?.shape[0] ?? 0;
  const canBeCut = values.every(({ dtype, shape }) => dtype !== "string" && shape[0] === rows);
  if (rows <= most || !canBeCut) return [inputs];
  return Array.from({ length: Math.ceil(rows / most) }, (_, i) => {
    return new Map([...inputs].map(([name, value]) => [name, rowsOf(value, i * most, (i + 1) * most)]));
  });
}

/** Rows below each other. */
function stacked(parts: readonly Tensor[]): Tensor {
  const { dtype, shape } = parts[0]!;
  const rows = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
  const whole = [rows, ...shape.slice(1)];
  if (dtype === "string") {
    return { dtype, shape: whole, data: parts.flatMap(({ data }) => data as readonly Uint8Array[]) };
  }
  const data = new (arrayOf(dtype))(sizeOf(whole)) as Float32Array;
  let at = 0;
  for (const part of parts) {
    data.set(part.data as Float32Array, at);
    at += part.data.length;
  }
  return { dtype, shape: whole, data } as Tensor;
}

/** Runs parts one after the other; their outputs have a row for each of their inputs. */
export async function runInParts(
  parts: readonly TensorMap[],
  run: (part: TensorMap) => Promise<Map<string, Tensor>>,
): Promise<Map<string, Tensor>> {
  const answers: Map<string, Tensor>[] = [];
  for (const part of parts) answers.push(await run(part));
  const [first] = answers;
  if (answers.length === 1) return first!;
  return new Map([...first!.keys()].map((name) => [name, stacked(answers.map((each) => each.get(name)!))]));
}
