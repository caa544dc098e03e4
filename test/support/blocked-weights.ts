/** @file ONNX files with weights in blocks of whole numbers, multiplied out one by one so that ONNX Runtime takes them. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
} from "../../src/proto/onnx/onnx_pb.ts";

const FLOAT = 1;

function stored(name: string, dims: readonly number[], values: Float32Array): TensorProto {
  const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: FLOAT, rawData });
}

const attribute = (node: NodeProto, name: string) =>
  Number(node.attribute.find((each) => each.name === name)!.i);

function floats({ rawData, floatData }: TensorProto): Float32Array {
  return rawData.length > 0
    ? new Float32Array(Uint8Array.from(rawData).buffer)
    : Float32Array.from(floatData);
}

function bytes({ rawData, int32Data }: TensorProto): Int8Array {
  return rawData.length > 0 ? new Int8Array(Uint8Array.from(rawData).buffer) : Int8Array.from(int32Data);
}

/** `(q − zero) · scale`, element by element. */
function multiplied(node: NodeProto, byName: ReadonlyMap<string, TensorProto>): TensorProto {
  const [q, scale, zero] = node.input.map((name) => byName.get(name)!) as [
    TensorProto,
    TensorProto,
    TensorProto,
  ];
  const dims = q.dims.map(Number);
  const axis = attribute(node, "axis");
  const block = attribute(node, "block_size");
  const inner = dims.slice(axis + 1).reduce((size, side) => size * side, 1);
  const blocks = Math.ceil(dims[axis]! / block);
  const [values, scales, zeros] = [bytes(q), floats(scale), bytes(zero)];
  const result = Float32Array.from(values, (value, i) => {
    const outer = Math.floor(i / (inner * dims[axis]!));
    const place = Math.floor(i / inner) % dims[axis]!;
    const at = (outer * blocks + Math.floor(place / block)) * inner + (i % inner);
    return (value - zeros[at]!) * scales[at]!;
  });
  return stored(node.output[0]!, dims, result);
}

const isBlocked = ({ opType, attribute: attributes }: NodeProto) =>
  opType === "DequantizeLinear" && attributes.some(({ name }) => name === "block_size");

function openAll({ name, type }: ValueInfoProto): void {
  const sides = type?.value.case === "tensorType" ? (type.value.value.shape?.dim ?? []) : [];
  for (const [axis, side] of sides.entries())
    if (axis > 0) side.value = { case: "dimParam", value: `${name}_${axis}` };
}

/**
 * The same model with plain float weights, and without inputs that stand for stored values.
 * @param openSides whether its inputs take images of any size
 */
export function multipliedOut(model: Uint8Array, openSides = false): Uint8Array {
  const message = fromBinary(ModelProtoSchema, model);
  const graph = message.graph!;
  const byName = new Map(graph.initializer.map((each) => [each.name, each]));
  for (const node of graph.node.filter(isBlocked)) byName.set(node.output[0]!, multiplied(node, byName));
  graph.node = graph.node.filter((node) => !isBlocked(node));
  graph.initializer = [...byName.values()].filter(({ name }) =>
    graph.node.some(({ input }) => input.includes(name)),
  );
  graph.input = graph.input.filter(
    ({ name }) => graph.node.some(({ input }) => input.includes(name)) && !byName.has(name),
  );
  if (openSides) for (const port of [...graph.input, ...graph.output]) openAll(port);
  message.irVersion = 8n;
  return toBinary(ModelProtoSchema, message);
}
