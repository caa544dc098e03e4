/** @file Builds loops: makes a graph of their own out of nodes that refer to others outside. */
import { input, makeNode } from "./build.ts";
import { type Dim, isOp, type LoopBody, loopValues, type Node, topological } from "./ops.ts";
import { simplify } from "./simplify.ts";

/** A loop as it is written: its values may use nodes that do not depend on its states. */
export interface OpenLoop {
  /** Each state's placeholder and its first value. */
  readonly states: readonly { readonly state: Node<"input">; readonly first: Node }[];
  readonly condition: Node;
  readonly next: readonly Node[];
  readonly items: readonly Node[];
  readonly rounds: Dim;
  readonly mostRounds: number;
}

/** The results of a loop: its last states, and the items of all rounds. */
export interface LoopResults {
  readonly states: readonly Node[];
  readonly items: readonly Node[];
}

/** The same values with placeholders for what does not depend on the states; constants stay. */
function closed(
  values: readonly Node[],
  states: readonly Node[],
): { values: Node[]; captured: Map<Node, Node> } {
  const captured = new Map<Node, Node<"input">>();
  const inside = new Map<Node, Node>(states.map((state) => [state, state]));
  const within = (node: Node): Node => {
    const known = inside.get(node) ?? captured.get(node);
    if (known !== undefined || isOp(node, "constant")) return known ?? node;
    const capture = input(`capture/${captured.size}`, node.shape, node.dtype);
    captured.set(node, capture);
    return capture;
  };
  for (const node of topological(values)) {
    if (inside.has(node) || !node.inputs.some((each) => inside.has(each))) continue;
    inside.set(node, { ...node, inputs: node.inputs.map(within) });
  }
  return { values: values.map(within), captured };
}

/** Repeats a round while its condition holds; what does not change is computed once, before. */
export function loop({ states, condition, next, items, rounds, mostRounds }: OpenLoop): LoopResults {
  const placeholders = states.map(({ state }) => state);
  const round = closed([condition, ...next, ...items], placeholders);
  const [more, ...made] = simplify(round.values);
  const used = new Set(topological([more!, ...made]));
  const captures = [...round.captured].filter(([, capture]) => used.has(capture));
  const body: LoopBody = {
    states: placeholders,
    captures: captures.map(([, capture]) => capture as Node<"input">),
    condition: more!,
    next: made.slice(0, next.length),
    items: made.slice(next.length),
    rounds,
    mostRounds,
  };
  const inputs = [...states.map(({ first }) => first), ...captures.map(([node]) => node)];
  const output = (place: number) => makeNode("loop", inputs, { body, output: place });
  const outputs = loopValues(body)
    .slice(1)
    .map((_, place) => output(place));
  return { states: outputs.slice(0, next.length), items: outputs.slice(next.length) };
}
