/** @file The order of a model's operators for which a run holds the least memory. */
import type { NodeProto } from "../../proto/onnx/onnx_pb.ts";

/*
 * ONNX Runtime sorts a model's operators itself. It begins at the ends, whose results no other operator reads, the last in
 * the model first, and computes what each needs, of several inputs again the last one first. So an operator's place in the
 * model decides when it runs, and with that how long its inputs stay in memory. In a training step the ends are the
 * derivatives by the kernels and the new statistics: each is computed as soon as the derivative by its layer's output is
 * there, from the last layer to the first, so that images of the layers above are no longer kept.
 */

/** An operator's place among the others. */
interface Step {
  readonly node: NodeProto;
  /** Operators whose results this one reads. */
  readonly needs: readonly Step[];
  /** Operators on the longest way from the model's inputs to this one. */
  readonly depth: number;
  /** The only end that this operator leads to; undefined if there are several. */
  end: Step | undefined;
  /** For an end: the depth of the deepest operator that other ends need too. */
  ready: number;
  isRead: boolean;
}

/** Values that an operator reads, those of graphs within it included. */
const readBy = (node: NodeProto): string[] => [
  ...node.input,
  ...node.attribute.flatMap(({ g }) => g?.node.flatMap(readBy) ?? []),
];

/** Operators in the order of the model, linked to those they need. */
function steps(nodes: readonly NodeProto[]): Step[] {
  const makers = new Map<string, Step>();
  return nodes.map((node) => {
    const needs = [...new Set(readBy(node).flatMap((name) => makers.get(name) ?? []))];
    const depth = 1 + Math.max(0, ...needs.map((need) => need.depth));
    const step: Step = { node, needs, depth, end: undefined, ready: 0, isRead: false };
    for (const need of needs) need.isRead = true;
    for (const name of node.output) makers.set(name, step);
    return step;
  });
}

/** Finds out which operators several ends need. */
function findEnds(all: readonly Step[]): Step[] {
  const ends = all.filter(({ isRead }) => !isRead);
  const leads = new Map<Step, Step | undefined>(ends.map((end) => [end, end]));
  for (const step of all.toReversed()) {
    const end = leads.get(step);
    for (const need of step.needs)
      leads.set(need, leads.has(need) && leads.get(need) !== end ? undefined : end);
  }
  for (const step of all) {
    step.end = leads.get(step);
    for (const { end, depth } of step.end === undefined ? [] : step.needs) {
      if (end === undefined) step.end!.ready = Math.max(step.end!.ready, depth);
    }
  }
  return ends;
}

/**
 * The operators in the order for which the runtime computes each end as soon as what it shares with others is there, and of
 * an operator's inputs the one with the longest way first. The order is valid in itself: each operator comes after those it
 * needs.
 * @param nodes a model's operators, each after those it needs.
 */
export function savingMemory(nodes: readonly NodeProto[]): NodeProto[] {
  const all = steps(nodes);
  const ends = findEnds(all);
  const order: NodeProto[] = [];
  const seen = new Set<Step>();
  // Written backwards, because the runtime takes the last first. An explicit stack: a graph can be deeper than the call stack.
  const stack = ends.toSorted((a, b) => a.ready - b.ready).map((step) => ({ step, isEntered: false }));
  while (stack.length > 0) {
    const { step, isEntered } = stack.pop()!;
    if (isEntered) order.push(step.node);
    else if (!seen.has(step)) {
      seen.add(step);
      stack.push({ step, isEntered: true });
      const waiting = step.needs.filter((need) => !seen.has(need));
      for (const need of waiting.toSorted((a, b) => b.depth - a.depth))
        stack.push({ step: need, isEntered: false });
    }
  }
  return order;
}
