/** @file Whether a graph treats each image of a batch by itself, and how many of them are best computed at a time. */
import { isOp, type Node, type OpName, topological } from "./ops.ts";

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
  // Rows that other values choose may be those of another image.
  if (isOp(node, "gather"))
    return first === undefined || (inputs[1] === undefined && node.attrs.axis !== first);
  if (isOp(node, "gatherGrad") || isOp(node, "loop")) return false;
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

/** What a core keeps near it: the second cache of the processors that this was measured on has 1 or 2 MB. */
const NEAR_BYTES = 2 ** 21;

/** By how many times what the rows of a run read and write exceeds the matrices that they are multiplied by, at least. */
const OVER_MATRICES = 8;

/** Bytes of a value for each row of the batch; 0 for one without a batch, undefined where its sides are not known. */
function rowBytes({ shape }: Node, batch: string): number | undefined {
  if (!shape.includes(batch)) return 0;
  const elements = shape.reduce<number>((size, side) => size * (side === batch ? 1 : Number(side)), 4);
  return Number.isFinite(elements) ? elements : undefined;
}

/** Bytes of the matrix that rows are multiplied by, which each run reads anew; a convolution reads its kernel for each image anyway. */
function matrixBytes(node: Node, batch: string): number {
  if (!isOp(node, "matmul") || !node.shape.includes(batch)) return 0;
  return node.inputs
    .filter(({ shape }) => !shape.includes(batch))
    .reduce((sum, { shape }) => sum + shape.reduce<number>((size, side) => size * Number(side), 4), 0);
}

/**
 * How many rows of a batch to compute at a time, so that the largest image between two layers stays in a core's cache: what
 * activations read and write then takes no way to memory, and the run takes less of it. More where large matrices would be read
 * for too few rows. Undefined for a graph that may mix rows, or whose images are of any size.
 * @param outputs whose first side is the batch.
 */
export function rowsAtATime(outputs: readonly Node[]): number | undefined {
  const batch = outputs[0]?.shape[0];
  if (typeof batch !== "string" || !keepsImagesApart(outputs, batch)) return undefined;
  const nodes = topological(outputs);
  // Each input is cut into the same rows.
  if (nodes.some((node) => isOp(node, "input") && node.shape[0] !== batch)) return undefined;
  const bytes = nodes.map((node) => rowBytes(node, batch));
  if (!bytes.every((each) => each !== undefined)) return undefined;
  const most = bytes.reduce((largest, each) => Math.max(largest, each), 1);
  const all = bytes.reduce((sum, each) => sum + each, 1);
  const matrices = nodes.reduce((sum, node) => sum + matrixBytes(node, batch), 0);
  return Math.max(1, Math.floor(NEAR_BYTES / most), Math.ceil((OVER_MATRICES * matrices) / all));
}
