/** @file What a shape rule speaks of: shape and element type of a value, how shapes broadcast, and the error for a misfit. */
import { FaceError } from "../base/errors.ts";
import { type DType, shapeText } from "../base/tensor.ts";
import { type Dim, type Node, type SymbolicShape, UNKNOWN_DIM } from "./ops.ts";

/** Shape and element type of a value. */
export interface ValueType {
  readonly shape: SymbolicShape;
  readonly dtype: DType;
}

/** The error for inputs that an op does not take: what it wants, and what came. */
export function mismatch(op: string, wanted: string, inputs: readonly Node[]): FaceError {
  const got = inputs.map((node) => `${node.dtype}${shapeText(node.shape)}`).join(", ");
  return new FaceError("SHAPE_MISMATCH", `${op}: expected ${wanted}, got ${got}`);
}

/** Product of the sides, or undefined when one is unknown. */
export function knownSize(shape: SymbolicShape): number | undefined {
  let size = 1;
  for (const dim of shape) {
    if (typeof dim !== "number") return undefined;
    size *= dim;
  }
  return size;
}

/** Whether two sides can be equal at run time. */
export function mayEqual(a: Dim | undefined, b: Dim | undefined): boolean {
  return a === b || typeof a === "string" || typeof b === "string";
}

/** The common side of two that meet in broadcasting, or undefined when they cannot. */
function broadcastDim(a: Dim, b: Dim): Dim | undefined {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === "number" && typeof b === "number") return undefined;
  // An unknown side meets a known one greater than 1: it can only be that, or 1, which broadcasts to it.
  if (typeof a === "number") return a;
  if (typeof b === "number") return b;
  return UNKNOWN_DIM;
}

/**
 * The shape that two shapes broadcast to, right-aligned as in NumPy.
 * @throws FaceError `SHAPE_MISMATCH` when they do not fit.
 */
export function broadcastShapes(a: SymbolicShape, b: SymbolicShape, op = "broadcast"): Dim[] {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const dim = broadcastDim(a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1);
    if (dim === undefined) {
      throw new FaceError("SHAPE_MISMATCH", `${op}: ${shapeText(a)} and ${shapeText(b)} do not broadcast`);
    }
    result.push(dim);
  }
  return result;
}
