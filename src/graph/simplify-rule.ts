/** @file What a simplification rule is, and what rules ask about constants. */
import type { Tensor } from "../base/tensor.ts";
import { numbersOf } from "./numbers.ts";
import { isOp, type Node, type OpName } from "./ops.ts";

/** What a rule may ask about the graph around its node. */
export interface Surroundings {
  /** Whether only one node uses this value, so that merging it there saves its computation. */
  usedOnce(node: Node): boolean;
}

/** A better node of the same value, or undefined where the rule does not apply. */
export type Rule<K extends OpName> = (node: Node<K>, graph: Surroundings) => Node | undefined;
/** The number that all elements of a constant are, if they are alike. */
export function uniformValue(node: Node): number | undefined {
  if (isOp(node, "broadcastTo") || isOp(node, "reshape")) return uniformValue(node.inputs[0]!);
  if (!isOp(node, "constant") || node.attrs.value.dtype === "string") return undefined;
  const { value } = node.attrs;
  const data = value.data as Float32Array;
  for (let i = 1; i < data.length; i++) if (data[i] !== data[0]) return undefined;
  return data.length === 0 ? undefined : numbersOf({ ...value, data: data.slice(0, 1) } as Tensor)[0];
}
