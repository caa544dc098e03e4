/** @file Whether a graph treats each image of a batch by itself, so that a file made for one image can take any number. */
import { isOp, type Node, type OpName, topological } from "../../graph/ops.ts";

/** Ops that broadcast their inputs from the last axis on. */
const BROADCASTING: ReadonlySet<OpName> = new Set([
  "add",
  "sub",
  "mul",
  "div",
  "pow",
  "max",
  "min",
  "equal",
  "less",
  "lessEqual",
  "and",
  "or",
  "select",
]);

/** Where the batch lies; undefined in a value that has none, -1 where it lies in several places. */
function batchAxis({ shape }: Node, batch: string): number | undefined {
  const places = shape.flatMap((side, axis) => (side === batch ? [axis] : []));
  if (places.length === 0) return undefined;
  return places.length === 1 ? places[0] : -1;
}

/** Elements of one step along the batch: they must stay together. */
const before = ({ shape }: Node, axis: number) =>
  shape.slice(0, axis).reduce<number>((size, side) => size * Number(side), 1);

/** Whether a node keeps what belongs to different images apart. */
function keepsApart(node: Node, batch: string): boolean {
  const own = batchAxis(node, batch);
  const inputs = node.inputs.map((input) => batchAxis(input, batch));
  if (own === undefined) return inputs.every((axis) => axis === undefined);
  if (own < 0 || inputs.includes(-1)) return false;
  const fromEnd = (x: Node, axis: number) => x.shape.length - axis;
  if (BROADCASTING.has(node.op)) {
    const place = fromEnd(node, own);
    return inputs.every((axis, i) => axis === undefined || fromEnd(node.inputs[i]!, axis) === place);
  }
  const [x, first] = [node.inputs[0], inputs[0]];
  if (isOp(node, "softmax")) return node.attrs.axis !== own;
  if (isOp(node, "reshape")) return before(x!, first!) === before(node, own);
  if (isOp(node, "matmul")) {
    // Of two batched factors both must hold the batch before their matrices, at the same place.
    const both = inputs.every((axis) => axis !== undefined);
    const isOutside = own < node.shape.length - 2;
    return (
      !both ||
      (isOutside && inputs.every((axis, i) => fromEnd(node.inputs[i]!, axis!) === fromEnd(node, own)))
    );
  }
  const isImageOp = ["conv2d", "maxPool", "avgPool"].includes(node.op);
  if (isImageOp) return own === 0;
  const isPerChannel = ["affine", "prelu"].includes(node.op);
  return !isPerChannel || own < node.shape.length - 1;
}

/**
 * Whether every output has the batch as its first side and nothing in between mixes what belongs to different images.
 * Sound, but not complete: a graph may be refused that treats images apart in a way that its shapes do not show.
 */
export function keepsImagesApart(outputs: readonly Node[], batch: string): boolean {
  return (
    outputs.every(({ shape }) => shape[0] === batch) &&
    topological(outputs).every((node) => node.inputs.length === 0 || keepsApart(node, batch))
  );
}
