/** @file Edits an existing ONNX graph: adds operators and constants, reads and drops stored tensors. */
import { create } from "@bufbuild/protobuf";
import { FaceError } from "../../base/errors.ts";
import { bytesOf, float32, type Tensor } from "../../base/tensor.ts";
import {
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
  TensorProtoSchema,
} from "../../proto/onnx/onnx_pb.ts";
import { ONNX_TYPE } from "../dtypes.ts";

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
  node(op: string, inputs: readonly string[], attribute?: AttributeProto[], output?: string): string;
  /** Stores a tensor and returns its name; equal ones are stored once. */
  constant(value: Tensor): string;
  /** Drops stored tensors that no operator reads. */
  dropUnused(): void;
}

export function graphEditor(graph: GraphProto): GraphEditor {
  const known = new Map<string, string>();
  let names = 0;
  const fresh = (hint: string) => `quantized/${hint}_${++names}`;
  return {
    node(op, inputs, attribute = [], output = fresh(op)) {
      graph.node.push(
        create(NodeProtoSchema, {
          opType: op,
          input: [...inputs],
          output: [output],
          attribute,
          name: output,
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
