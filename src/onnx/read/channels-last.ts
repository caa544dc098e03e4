/** @file ONNX's images have their channels second, ours last: values are kept in our order for as long as possible. */
import { reshape, transpose } from "../../graph/build.ts";
import { isOp, type Node } from "../../graph/ops.ts";

const TO_LAST = [0, 2, 3, 1];
const TO_SECOND = [0, 3, 1, 2];

/*
 * An importer takes and gives nodes in the file's order of axes. What works on images gives a transposition of its result,
 * and the next importer takes that off again, so that between two of them nothing is turned about.
 */

const isPerm = (perm: readonly number[], wanted: readonly number[]) =>
  perm.length === wanted.length && perm.every((axis, i) => axis === wanted[i]);

/** Whether a value in the file's order is at hand with its channels last too. */
export function isTurned(x: Node): x is Node<"transpose"> {
  return isOp(x, "transpose") && isPerm(x.attrs.perm, TO_SECOND);
}

/** A transposition, merged with the one before it. */
export function transposed(x: Node, perm: readonly number[]): Node {
  if (!isOp(x, "transpose") || perm.length !== x.attrs.perm.length) return transpose(x, perm);
  const both = perm.map((axis) => x.attrs.perm[axis] ?? -1);
  return both.every((axis, i) => axis === i) ? x.inputs[0]! : transpose(x.inputs[0]!, both);
}

/** `[batch, channels, height, width] → [batch, height, width, channels]` */
export const channelsLast = (x: Node): Node => transposed(x, TO_LAST);
/** `[batch, height, width, channels] → [batch, channels, height, width]` */
export const channelsSecond = (x: Node): Node => transposed(x, TO_SECOND);

/** Where an axis of the file's order lies with channels last. */
export const placeLast = (axis: number): number => TO_LAST.indexOf(axis);
/** One entry per axis in the file's order → one per axis with channels last. */
export const entriesLast = <T>(entries: readonly T[]): T[] => TO_LAST.map((axis) => entries[axis]!);

/** An operand that broadcasts against images with channels last; undefined where its shape is not known. */
export function operandLast(operand: Node): Node | undefined {
  const rank = operand.shape.length;
  if (rank === 4) return channelsLast(operand);
  if (rank === 0) return operand;
  if (rank > 4 || !operand.shape.every((side) => typeof side === "number")) return undefined;
  const aligned = [...new Array<number>(4 - rank).fill(1), ...operand.shape] as number[];
  if (aligned.every((side) => side === 1)) return reshape(operand, []);
  if (aligned.every((side, axis) => side === 1 || axis === 1)) return reshape(operand, [aligned[1]!]);
  return channelsLast(reshape(operand, aligned));
}

/** Runs an operator that broadcasts in the order of axes in which its images are at hand. */
export function broadcasting(operands: readonly Node[], work: (operands: readonly Node[]) => Node): Node {
  if (!operands.some(isTurned)) return work(operands);
  const turned = operands.map(operandLast);
  return turned.every((each) => each !== undefined) ? channelsSecond(work(turned)) : work(operands);
}

/** Runs an operator that works along axes in the order in which its input is at hand. */
export function alongAxes(x: Node, work: (x: Node, placeOf: (axis: number) => number) => Node): Node {
  return isTurned(x) ? channelsSecond(work(channelsLast(x), placeLast)) : work(x, (axis) => axis);
}
