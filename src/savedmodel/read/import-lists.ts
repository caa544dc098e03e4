/** @file Imports TensorFlow's lists of tensors: one that is filled is a tensor, one to be filled is known by the loop that does. */
import * as g from "../../graph/build.ts";
import type { Node } from "../../graph/ops.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";

/** An element written into a list by a round of a loop; at the end of the list where it has no index. */
export interface Write {
  readonly list: Node;
  readonly index: Node | undefined;
  readonly item: Node;
}

/** Lists without elements, by the nodes that stand for them, with their length. */
const empty = new WeakMap<Node, Node>();
/** Lists as a round of a loop finds them. */
const found = new WeakSet<Node>();
const writes = new WeakMap<Node, Write>();

/** A node that stands for a list; no operator but those of lists takes it. */
const standIn = () => g.input("faceid.List", [], "string");

function emptyList(length: Node): Node {
  const list = standIn();
  empty.set(list, length);
  return list;
}

/** The length of a list without elements; undefined for all other nodes. */
export const emptyLength = (node: Node): Node | undefined => empty.get(node);

/** A list as a round of a loop finds it: it may write an element. */
export function foundList(): Node {
  const list = standIn();
  found.add(list);
  return list;
}

/** The value that a round wrote into a list. */
export const writeOf = (node: Node): Write | undefined => writes.get(node);

/** A list whose elements are known: a tensor with one more axis. */
function filled(call: OpCall): Node {
  const list = call.input(0);
  if (empty.has(list) || found.has(list) || writes.has(list))
    throw call.unsupported("a list that is read before a loop has filled it");
  if (list.shape.length === 0) throw call.invalid("its first input is no list");
  return list;
}

const written =
  (hasIndex: boolean): Importer =>
  (call) => {
    const [list, index, item] = [call.input(0), call.input(1), call.input(hasIndex ? 2 : 1)];
    if (!found.has(list))
      throw call.unsupported("a list that is written outside of a loop, or several times a round");
    const after = standIn();
    writes.set(after, { list, index: hasIndex ? index : undefined, item });
    return after;
  };

export const listImporters: Importers = {
  TensorListFromTensor: (call) => call.input(0),
  TensorListReserve: (call) => emptyList(call.input(1)),
  EmptyTensorList: () => emptyList(g.scalar(0, "int32")),
  TensorListSetItem: written(true),
  TensorListPushBack: written(false),
  TensorListGetItem: (call) => {
    const place = call.input(1);
    if (place.shape.length > 0) throw call.invalid("its index must be a scalar");
    return g.gather(filled(call), place, 0);
  },
  TensorListStack: (call) => filled(call),
  TensorListLength: (call) => g.cast(g.side(filled(call), 0), "int32"),
};
