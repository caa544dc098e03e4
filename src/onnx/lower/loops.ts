/** @file Lowering of loops to ONNX's operator, whose body is a graph of its own. */
import { int64 } from "../../base/tensor.ts";
import { type LoopBody, loopValues, type Node, topological, UNKNOWN_DIM } from "../../graph/ops.ts";
import type { Lowering, Rule } from "./lowering.ts";
import type { ModelBuilder } from "./model-builder.ts";

/** An index beyond every axis, which the runtime refuses. */
const NOWHERE = 2 ** 31 - 1;

/** Most elements of a state that grows from round to round, and of the items of all rounds where nothing says how many there are. */
const MOST_ELEMENTS = 2 ** 25;

/** Whether a state may have other sides after a round than before. */
const mayGrow = (state: Node, next: Node): boolean =>
  next.shape.some((side, axis) => side === UNKNOWN_DIM || side !== state.shape[axis]);

/**
 * Adds to a round's condition that what grows from round to round is not too large yet.
 * @param made names of the values after the round: states, then items.
 */
function bounded(
  { states, next, rounds }: LoopBody,
  graph: ModelBuilder,
  round: string,
  made: readonly string[],
  more: string,
): string {
  const sizes = states.flatMap((state, i) =>
    mayGrow(state, next[i]!) ? [graph.node("Size", [made[i]!])] : [],
  );
  if (rounds === UNKNOWN_DIM) {
    for (const item of made.slice(next.length)) {
      sizes.push(graph.node("Mul", [round, graph.node("Size", [item])]));
    }
  }
  const most = graph.initializer(int64([], [MOST_ELEMENTS]));
  return sizes.reduce(
    (condition, size) => graph.node("And", [condition, graph.node("LessOrEqual", [size, most])]),
    more,
  );
}

/** Applies the rules to the nodes that some values need. */
export type ApplyRules = (order: readonly Node[], lowering: Lowering) => void;

/** Lowers values whose inputs have names already. */
function lowered(
  values: readonly Node[],
  names: ReadonlyMap<Node, string>,
  lowering: Lowering,
  apply: ApplyRules,
): string[] {
  for (const [node, name] of names) lowering.define(node, name);
  apply(topological(values), lowering);
  return values.map((value) => lowering.value(value));
}

/** Names for the inputs of a loop's body, in their order. */
const namesOf = ({ states, captures }: LoopBody, values: readonly string[], outside: readonly string[]) =>
  new Map<Node, string>([
    ...states.map((state, i) => [state, values[i]!] as const),
    ...captures.map((capture, i) => [capture, outside[i]!] as const),
  ]);

/** Adds the operator and returns its outputs: last states, then stacked items. */
function emitLoop(node: Node<"loop">, lowering: Lowering, apply: ApplyRules): string[] {
  const { body } = node.attrs;
  const { states, condition, next, items, mostRounds } = body;
  const { model } = lowering;
  const given = node.inputs.map((each) => lowering.value(each));
  const [first, outside] = [given.slice(0, states.length), given.slice(states.length)];
  const isMore = (values: readonly string[]): string =>
    lowered([condition], namesOf(body, values, outside), lowering.within([condition], model), apply)[0]!;

  const graph = model.subgraph();
  const round = graph.input(graph.fresh("round"), "int64", []);
  graph.input(graph.fresh("more"), "bool", []);
  const before = states.map(({ dtype, shape }) => graph.input(graph.fresh("state"), dtype, shape));
  const inner = lowering.within(loopValues(body).slice(1), graph);
  const made = lowered([...next, ...items], namesOf(body, before, outside), inner, apply);
  const names = namesOf(body, made.slice(0, next.length), outside);
  const [more] = lowered([condition], names, lowering.within([condition], graph), apply);
  graph.output(graph.fresh("more"), bounded(body, graph, round, made, more!), "bool", []);
  for (const [i, value] of [...next, ...items].entries())
    graph.output(graph.fresh("next"), made[i]!, value.dtype, value.shape);

  const most = model.initializer(int64([], [mostRounds]));
  const inputs = [most, isMore(first), ...first];
  const options = { attributes: { body: { graph: graph.graph("body") } }, label: node.label };
  const outputs = model.nodes("Loop", inputs, made.length, options);
  // A loop that was stopped has no answer: the runtime refuses the index.
  const [start, nowhere] = [0, NOWHERE].map((place) => model.initializer(int64([1], [place])));
  const place = lowering.emit(node, "Where", [isMore(outputs.slice(0, states.length)), nowhere!, start!]);
  return outputs.map((output) => {
    const single = lowering.emit(node, "Unsqueeze", [output, model.ints([0])]);
    const checked = lowering.emit(node, "Gather", [single, place], { axis: 0 });
    return lowering.emit(node, "Squeeze", [checked, model.ints([0])]);
  });
}

/** The outputs of one loop are one operator. */
export const lowerLoop =
  (apply: ApplyRules): Rule<"loop"> =>
  (node, lowering) => {
    const outputs = lowering.shared(node.attrs.body, node.inputs, () => emitLoop(node, lowering, apply));
    lowering.define(node, outputs[node.attrs.output]!);
  };
