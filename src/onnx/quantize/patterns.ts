/** @file The parts of a lowered network that are computed in integers: convolutions and the activations after them. */
import type { GraphProto, NodeProto } from "../../proto/onnx/onnx_pb.ts";
import { channelScale, isStored, onlyUser, usersOf } from "./graph-edits.ts";

const isSquare = ({ opType, input }: NodeProto) => opType === "Mul" && input[0] === input[1];

/** Whether a convolution's output is squared, or its input is a square: squares span twice as many bits. */
const isByASquare = (conv: NodeProto, graph: GraphProto) =>
  graph.node.some(
    (node) => isSquare(node) && (node.input[0] === conv.output[0] || node.output[0] === conv.input[0]),
  );

/** A convolution whose kernel is stored. */
export const isQuantizable = (node: NodeProto, graph: GraphProto) =>
  node.opType === "Conv" &&
  node.domain === "" &&
  !isByASquare(node, graph) &&
  isStored(graph, node.input[1]) &&
  isStored(graph, node.input[2]);

/** The ReLU that is the only consumer of a convolution, if there is one. */
export function onlyRelu(conv: NodeProto, graph: GraphProto): NodeProto | undefined {
  const users = graph.node.filter(({ input }) => input.includes(conv.output[0]!));
  const isOutput = graph.output.some(({ name }) => name === conv.output[0]);
  return users.length === 1 && !isOutput && users[0]!.opType === "Relu" ? users[0] : undefined;
}

/** A PReLU after a convolution, as it is lowered: `slope · x + relu((1 − slope) · x)`. */
export interface Prelu {
  readonly nodes: readonly NodeProto[];
  readonly output: string;
  /** One per channel, at most 1. */
  readonly slope: Float32Array;
}

export function preluAfter(conv: NodeProto, graph: GraphProto): Prelu | undefined {
  const users = usersOf(conv.output[0]!, graph);
  const rest = users.find((each) => onlyUser(each, graph)?.opType === "Relu");
  const whole = users.find((each) => each !== rest);
  const [slope, other] = [channelScale(whole, graph), channelScale(rest, graph)];
  const isInner = graph.output.every(({ name }) => name !== conv.output[0]);
  if (users.length !== 2 || !isInner || slope === undefined || other === undefined) return undefined;
  const relu = onlyUser(rest!, graph)!;
  const sum = onlyUser(whole!, graph);
  const isSum = sum?.opType === "Add" && onlyUser(relu, graph) === sum;
  const isPrelu = slope.every((value, i) => value <= 1 && Math.fround(1 - value) === other[i]);
  return isSum && isPrelu ? { nodes: [rest!, relu, whole!, sum], output: sum.output[0]!, slope } : undefined;
}
