/** @file Lowering of tables to ONNX's operator for them. */
import { FaceError } from "../../base/errors.ts";
import type { Tensor } from "../../base/tensor.ts";
import type { Rule } from "./lowering.ts";
import { type AttributeValue, MACHINE_LEARNING } from "./model-builder.ts";

/** The elements of a list as the operator takes them, and the name of its attributes for that type. */
function listed({ dtype, data }: Tensor): { type: string; list: AttributeValue; single: AttributeValue } {
  if (dtype === "string") {
    const strings = data as readonly Uint8Array[];
    return { type: "string", list: { strings }, single: { string: strings[0] ?? new Uint8Array(0) } };
  }
  if (dtype === "int64") {
    const ints = Array.from(data as BigInt64Array);
    return { type: "int64", list: { ints }, single: { int: ints[0] ?? 0n } };
  }
  if (dtype === "float32") {
    const floats = Array.from(data as Float32Array);
    return { type: "float", list: { floats }, single: { float: floats[0] ?? 0 } };
  }
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `a table of ${dtype} cannot be run, of int64, float32 and strings can`,
  );
}

export const lowerLookup: Rule<"lookup"> = (node, lowering) => {
  const [keys, values, fallback] = [node.attrs.keys, node.attrs.values, node.attrs.fallback].map(listed);
  const order = lowering.commonOrder(node.inputs);
  const attributes = {
    [`keys_${keys!.type}s`]: keys!.list,
    [`values_${values!.type}s`]: values!.list,
    [`default_${values!.type}`]: fallback!.single,
  };
  const x = lowering.value(node.inputs[0]!, order);
  lowering.result(node, order, "LabelEncoder", [x], attributes, MACHINE_LEARNING);
};
