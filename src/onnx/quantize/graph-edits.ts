/** @file Questions to an ONNX graph, and edits of it. */
import { create } from "@bufbuild/protobuf";
import { FaceError } from "../../base/errors.ts";
import { bytesOf, float32, floats, type Tensor } from "../../base/tensor.ts";
import type { AttributeProto, GraphProto, NodeProto } from "../../proto/onnx/onnx_pb.ts";
import { NodeProtoSchema, TensorProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { ONNX_TYPE } from "../dtypes.ts";

export const isStored = (graph: GraphProto, name: string | undefined) =>
  name === undefined || name === "" || graph.initializer.some((stored) => stored.name === name);

export const usersOf = (name: string, graph: GraphProto) =>
  graph.node.filter(({ input }) => input.includes(name));

/** The only user of a value that is no output. */
export function onlyUser({ output: [name] }: NodeProto, graph: GraphProto): NodeProto | undefined {
  const users = usersOf(name!, graph);
  return users.length === 1 && graph.output.every((each) => each.name !== name) ? users[0] : undefined;
}

/** `scale` where a node multiplies each channel by a stored number and does nothing else. */
export function channelScale(node: NodeProto | undefined, graph: GraphProto): Float32Array | undefined {
  if (node?.opType !== "BatchNormalization" || !node.input.slice(1).every((name) => isStored(graph, name)))
    return undefined;
  const [scale, shift, mean, variance] = node.input
    .slice(1)
    .map((name) => floats(storedTensor(graph, name))) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const epsilon = node.attribute.find(({ name }) => name === "epsilon")?.f ?? 1e-5;
  const isPlain = [...shift, ...mean].every((value) => value === 0) && variance.every((value) => value === 1);
  return isPlain && epsilon === 0 ? (scale as Float32Array) : undefined;
}

/** A stored tensor of floats. */
export function storedTensor(graph: GraphProto, name: string): Tensor<"float32"> {
  const stored = graph.initializer.find((each) => each.name === name);
  if (stored === undefined || stored.dataType !== ONNX_TYPE.float32 || stored.rawData.length === 0) {
    throw new FaceError("MODEL_UNSUPPORTED", `${name} is not stored in the model as raw float32`);
  }
  // A copy, because the bytes may be unaligned.
  return float32(stored.dims.map(Number), new Float32Array(new Uint8Array(stored.rawData).buffer));
}

/** The attributes of a node, for another one. */
export const attributesOf = ({ attribute }: NodeProto): AttributeProto[] => [...attribute];

/** Adds to the end of a graph. */
export interface GraphEditor {
  /** Adds an operator of one output and returns the output's name. */
  node(
    op: string,
    inputs: readonly string[],
    attribute?: AttributeProto[],
    output?: string,
    domain?: string,
  ): string;
  /** Stores a tensor and returns its name; equal ones are stored once. */
  constant(value: Tensor): string;
  /** Drops stored tensors that no operator reads. */
  dropUnused(): void;
}

/** @param prefix of the names that it gives; no other edit of the graph may have had the same. */
export function graphEditor(graph: GraphProto, prefix: string): GraphEditor {
  const known = new Map<string, string>();
  let names = 0;
  const fresh = (hint: string) => `${prefix}/${hint}_${++names}`;
  return {
    node(op, inputs, attribute = [], output = fresh(op), domain = "") {
      graph.node.push(
        create(NodeProtoSchema, {
          opType: op,
          input: [...inputs],
          output: [output],
          attribute,
          name: output,
          domain,
        }),
      );
      return output;
    },
    constant(value) {
      const rawData = bytesOf(value as Parameters<typeof bytesOf>[0]);
      const key = `${value.dtype} ${value.shape.join()} ${Buffer.from(rawData).toString("base64")}`;
      const name = known.get(key) ?? fresh("constant");
      if (!known.has(key)) {
        known.set(key, name);
        const dims = value.shape.map(BigInt);
        graph.initializer.push(
          create(TensorProtoSchema, { name, dims, dataType: ONNX_TYPE[value.dtype], rawData }),
        );
      }
      return name;
    },
    dropUnused() {
      const read = new Set(graph.node.flatMap(({ input }) => input));
      graph.initializer = graph.initializer.filter(({ name }) => read.has(name));
    },
  };
}
