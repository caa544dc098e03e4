/** @file Ways to damage ONNX files, byte by byte and in what they say. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { lower } from "../../src/onnx/lower/lower.ts";
import { onnxImporters } from "../../src/onnx/read/from-onnx.ts";
import { readOnnx } from "../../src/onnx/read/read.ts";
import { openRuntime } from "../../src/onnx/runtime/runtime.ts";
import {
  type AttributeProto,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
} from "../../src/proto/onnx/onnx_pb.ts";
import { byteEdits, edited, hostile, type Outcome, outcome, pick } from "./byte-damage.ts";
import { onnxFile } from "./onnx-file.ts";
import { ONNX_NETWORKS } from "./onnx-networks.ts";

/** A change of what a graph says. */
interface GraphEdit {
  readonly node: number;
  readonly what: "op" | "input" | "attribute" | "drop" | "stored" | "elements" | "port" | "opset" | "output";
  readonly which: number;
  readonly number: bigint;
}

const graphEdit: fc.Arbitrary<GraphEdit> = fc.record({
  node: fc.nat(),
  what: fc.constantFrom(
    "op",
    "input",
    "input",
    "attribute",
    "attribute",
    "attribute",
    "drop",
    "stored",
    "elements",
    "elements",
    "port",
    "opset",
    "output",
  ),
  which: fc.nat(),
  number: hostile,
});

const OPERATORS = Object.keys(onnxImporters);
const WORDS = ["SAME_UPPER", "VALID", "NOTSET", "linear", "reflect", "edge", "align_corners", ""];

function spoilAttribute(attribute: AttributeProto | undefined, { which, number }: GraphEdit): void {
  if (attribute === undefined) return;
  attribute.i = number;
  attribute.f = Number(number);
  attribute.s = new TextEncoder().encode(pick(WORDS, which)!);
  if (attribute.ints.length > 0) attribute.ints[which % attribute.ints.length] = number;
  if (which % 7 === 0) attribute.type = which % 11;
  if (which % 5 === 0)
    attribute.name = pick(["axis", "pads", "strides", "group", "block_size", "ceil_mode"], which)!;
}

/** Changes a stored number, mostly of the short lists that say how things are done. */
function spoilElements(stored: TensorProto | undefined, { which, number }: GraphEdit): void {
  if (stored === undefined || stored.rawData.length < 8) return;
  const bytes = Uint8Array.from(stored.rawData);
  const view = new DataView(bytes.buffer);
  view.setBigInt64((which % Math.floor(bytes.length / 8)) * 8, number, true);
  stored.rawData = bytes;
}

function spoilStored(stored: TensorProto | undefined, { which, number }: GraphEdit): void {
  if (stored === undefined) return;
  if (which % 3 === 0) stored.dataType = Number(number % 30n);
  else if (stored.dims.length > 0) stored.dims[which % stored.dims.length] = number;
}

function spoilPort(graph: GraphProto, { which, number }: GraphEdit): void {
  const type = pick(graph.input, which)?.type?.value;
  if (type?.case !== "tensorType") return;
  const side = pick(type.value.shape?.dim ?? [], which);
  if (side !== undefined) side.value = { case: "dimValue", value: number };
  if (which % 5 === 0) type.value.elemType = Number(number % 30n);
}

function spoilNode(node: NodeProto, graph: GraphProto, edit: GraphEdit): void {
  const { what, which } = edit;
  if (what === "op") node.opType = pick(OPERATORS, which)!;
  if (what === "input" && node.input.length > 0)
    node.input[which % node.input.length] = pick(
      [...graph.node.flatMap(({ output }) => output), ...graph.initializer.map(({ name }) => name), ""],
      edit.node,
    )!;
  if (what === "drop") node.input.pop();
  if (what === "output") node.output[0] = pick(graph.node, which)?.output[0] ?? "";
  if (what === "attribute") spoilAttribute(pick(node.attribute, which), edit);
}

/** The model with some of what it says changed. */
function spoiled(content: Uint8Array, edits: readonly GraphEdit[]): Uint8Array {
  const model = fromBinary(ModelProtoSchema, content);
  const graph = model.graph!;
  // Lists of whole numbers say most about how things are done.
  const lists = graph.initializer.filter(({ dataType, dims }) => dataType === 7 || dims.length === 0);
  for (const edit of edits) {
    spoilNode(pick(graph.node, edit.node)!, graph, edit);
    if (edit.what === "elements")
      spoilElements(pick(edit.which % 2 === 0 ? lists : graph.initializer, edit.node), edit);
    if (edit.what === "stored") spoilStored(pick(graph.initializer, edit.node), edit);
    if (edit.what === "port") spoilPort(graph, edit);
    if (edit.what === "opset") model.opsetImport[0]!.version = BigInt(9 + (edit.which % 16));
  }
  return toBinary(ModelProtoSchema, model);
}

/** Reads a file to the point where the engine takes it, or into the engine. */
const read = (content: Uint8Array, intoEngine = false): Promise<Outcome> =>
  outcome(async () => {
    const { bytes } = lower({ outputs: readOnnx(content).outputs });
    if (intoEngine) await (await openRuntime(bytes)).close();
  });

const file = fc.constantFrom(...Object.values(ONNX_NETWORKS).map(onnxFile));
const graphEdits = fc.array(graphEdit, { minLength: 1, maxLength: 3 });

/** Kinds of damage; each draws a damaged file and says what comes of reading it, or throws what nobody shall ever see. */
export const ONNX_DAMAGES: Readonly<Record<string, fc.Arbitrary<() => Promise<Outcome>>>> = {
  "bytes of an ONNX file": fc.tuple(file, byteEdits).map(
    ([content, changes]) =>
      () =>
        read(changes.reduce(edited, content)),
  ),
  "nodes of an ONNX file": fc.tuple(file, graphEdits).map(
    ([content, changes]) =>
      () =>
        read(spoiled(content, changes)),
  ),
  "ONNX files in the engine": fc.tuple(file, graphEdits).map(
    ([content, changes]) =>
      () =>
        read(spoiled(content, changes), true),
  ),
};
