/** @file A plain interpreter of graphs, the reference that engines, derivatives and simplification are compared with. */
import { FaceError } from "../../src/base/errors.ts";
import { float32, type Shape, shapeText, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import { evaluateRules } from "../../src/graph/evaluate.ts";
import { elementwise } from "../../src/graph/evaluate-arithmetic.ts";
import { fromNumbers, numbersOf } from "../../src/graph/numbers.ts";
import { type Node, type OpAttrs, type OpName, topological } from "../../src/graph/ops.ts";
import * as products from "./evaluate-products.ts";

/** The values of a graph's leaves. */
interface Feeds {
  readonly inputs?: TensorMap;
  readonly parameters?: TensorMap;
  /** Numbers in [0, 1) for a named stream; called once per stream and run. */
  readonly random?: (stream: string, shape: Shape) => Float32Array;
}

/** The value given for a leaf, after a check against the leaf's declaration. */
function fed(kind: string, values: TensorMap | undefined, leaf: OpAttrs["input"]): Tensor {
  const value = values?.get(leaf.name);
  if (value === undefined)
    throw new FaceError("SHAPE_MISMATCH", `no value was given for ${kind} ${leaf.name}`);
  const fits =
    value.dtype === leaf.dtype &&
    value.shape.length === leaf.shape.length &&
    leaf.shape.every((dim, axis) => typeof dim === "string" || dim === value.shape[axis]);
  if (fits) return value;
  throw new FaceError(
    "SHAPE_MISMATCH",
    `${kind} ${leaf.name} takes ${leaf.dtype}${shapeText(leaf.shape)}, got ${value.dtype}${shapeText(value.shape)}`,
  );
}

type Rule<K extends OpName> = (inputs: readonly Tensor[], attrs: OpAttrs[K], feeds: Feeds) => Tensor;

function evaluateLoop(inputs: readonly Tensor[], { body, output }: OpAttrs["loop"]): Tensor {
  const { states, captures, items, mostRounds } = body;
  const fixed = captures.map(({ attrs }, i) => [attrs.name, inputs[states.length + i]!] as const);
  let current: readonly Tensor[] = inputs.slice(0, states.length);
  const rounds: Tensor[][] = [];
  const feeds = (): Feeds => ({
    inputs: new Map([...states.map(({ attrs }, i) => [attrs.name, current[i]!] as const), ...fixed]),
  });
  while (evaluate([body.condition], feeds())[0]!.data[0] !== 0) {
    if (rounds.length === mostRounds) throw new FaceError("MODEL_UNSUPPORTED", "the loop does not end");
    const made = evaluate([...body.next, ...items], feeds());
    current = made.slice(0, states.length);
    rounds.push(made.slice(states.length));
  }
  if (output < states.length) return current[output]!;
  const stacked = rounds.map((each) => each[output - states.length]!);
  const shape = [rounds.length, ...(stacked[0]?.shape ?? items[output - states.length]!.shape.map(Number))];
  const { dtype } = items[output - states.length]!;
  return fromNumbers(
    dtype,
    shape,
    stacked.flatMap((each) => Array.from(numbersOf(each))),
  );
}

/** One rule per op. */
export const referenceRules: { readonly [K in OpName]: Rule<K> } = {
  ...evaluateRules,
  channelVariance: products.evaluateChannelVariance,
  reluGrad: elementwise("reluGrad", (dy, y) => (y > 0 ? dy : 0)),
  preluGrad: elementwise("preluGrad", (dy, x, slope) => (x > 0 ? dy : slope * dy)),
  softmax: products.evaluateSoftmax,
  conv2d: products.evaluateConv,
  conv2dInputGrad: products.evaluateConvInputGrad,
  conv2dKernelGrad: products.evaluateConvKernelGrad,
  maxPool: products.evaluateMaxPool,
  maxPoolGrad: products.evaluateMaxPoolGrad,
  avgPool: products.evaluateAvgPool,
  avgPoolGrad: products.evaluateAvgPoolGrad,
  gatherGrad: products.evaluateGatherGrad,
  loop: evaluateLoop,
  input: (_, attrs, { inputs }) => fed("input", inputs, attrs),
  parameter: (_, attrs, { parameters }) => fed("parameter", parameters, attrs),
  constant: (_, { value }) => value,
  randomUniform: (_, { stream, shape }, { random }) => {
    if (random !== undefined) return float32(shape, random(stream, shape));
    throw new FaceError("SHAPE_MISMATCH", `no random numbers were given for stream ${stream}`);
  },
};

function evaluated<K extends OpName>(node: Node<K>, inputs: readonly Tensor[], feeds: Feeds): Tensor {
  return referenceRules[node.op](inputs, node.attrs, feeds);
}

/** Draws the numbers of each stream once. */
function drawnOnce(random: Feeds["random"]): Feeds["random"] {
  if (random === undefined) return undefined;
  const drawn = new Map<string, Float32Array>();
  return (stream, shape) => {
    const numbers = drawn.get(stream) ?? random(stream, shape);
    drawn.set(stream, numbers);
    return numbers;
  };
}

/**
 * The values of nodes, computed in double precision and rounded to the element type of each node.
 * @throws FaceError `SHAPE_MISMATCH` when a leaf gets no value or one that does not fit, `MODEL_UNSUPPORTED` for what
 *   an op cannot compute with.
 */
export function evaluate(outputs: readonly Node[], feeds: Feeds = {}): Tensor[] {
  const values = new Map<Node, Tensor>();
  const random = drawnOnce(feeds.random);
  const run: Feeds = random === undefined ? feeds : { ...feeds, random };
  const value = (node: Node) => values.get(node)!;
  for (const node of topological(outputs)) values.set(node, evaluated(node, node.inputs.map(value), run));
  return outputs.map(value);
}
