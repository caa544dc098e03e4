/** @file An ONNX model whose operators share no 8-bit weights. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, TensorProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { ONNX_TYPE } from "../dtypes.ts";

/** The same model with a copy of each stored signed 8-bit tensor for each operator that reads it. */
export function unshared(bytes: Uint8Array): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const graph = model.graph!;
  const stored = new Map(
    graph.initializer.filter(({ dataType }) => dataType === ONNX_TYPE.int8).map((each) => [each.name, each]),
  );
  const read = new Set<string>();
  for (const node of graph.node) {
    node.input = node.input.map((name) => {
      const tensor = stored.get(name);
      if (tensor === undefined || !read.has(name)) {
        read.add(name);
        return name;
      }
      const copy = create(TensorProtoSchema, { ...tensor, name: `${name}/${read.size}` });
      read.add(copy.name);
      graph.initializer.push(copy);
      return copy.name;
    });
  }
  return toBinary(ModelProtoSchema, model);
}
