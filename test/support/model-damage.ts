/** @file Ways to damage a model's files, byte by byte and in what the bytes say, and what may come of it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { lower } from "../../src/onnx/lower/lower.ts";
import { openRuntime } from "../../src/onnx/runtime/runtime.ts";
import { type AttrValue, type NodeDef, SavedModelSchema } from "../../src/proto/tensorflow/graph_pb.ts";
import type { TensorShapeProto } from "../../src/proto/tensorflow/tensor_pb.ts";
import { parseBundleIndex } from "../../src/savedmodel/format/bundle-index.ts";
import { readTable } from "../../src/savedmodel/format/table.ts";
import { importers } from "../../src/savedmodel/read/from-tensorflow.ts";
import { parseSavedModel } from "../../src/savedmodel/read/read.ts";
import { type ByteEdit, byteEdits, edited, hostile, type Outcome, outcome, pick } from "./byte-damage.ts";
import { writeTable } from "./write-bundle.ts";

const GOLDEN = join(import.meta.dirname, "../golden/tensorflow");
const NAMES = [
  ...(["graph_variables", "nested_functions", "two_shards", "tiny_exported", "tiny_saved"] as const),
  ...(["file_tables", "string_lookup", "lstm", "branches"] as const),
];

interface GoldenModel {
  readonly folder: string;
  readonly model: Uint8Array;
  readonly index: Uint8Array;
}

const MODELS: readonly GoldenModel[] = NAMES.map((name) => {
  const folder = join(GOLDEN, name, "1");
  const file = (path: string) => new Uint8Array(readFileSync(join(folder, path)));
  return { folder, model: file("saved_model.pb"), index: file("variables/variables.index") };
});

/** A change of what a graph says. */
interface GraphEdit {
  readonly node: number;
  readonly what: "op" | "input" | "input-of-other" | "attribute" | "drop" | "shape" | "name";
  readonly which: number;
  readonly number: bigint;
}

const graphEdit: fc.Arbitrary<GraphEdit> = fc.record({
  node: fc.nat(),
  what: fc.constantFrom(
    "op",
    "input",
    "input-of-other",
    "attribute",
    "attribute",
    "drop",
    "shape",
    "shape",
    "name",
  ),
  which: fc.nat(),
  number: hostile,
});

const OPERATORS = [
  ...Object.keys(importers),
  "PartitionedCall",
  "VarHandleOp",
  "VariableV2",
  "StatelessWhile",
];

function spoilShape(shape: TensorShapeProto | undefined, { which, number }: GraphEdit): void {
  const side = pick(shape?.dim ?? [], which);
  if (side === undefined && shape !== undefined) shape.unknownRank = true;
  if (side !== undefined) side.size = number;
}

function spoilAttribute(attribute: AttrValue | undefined, edit: GraphEdit): void {
  const value = attribute?.value;
  const { which, number } = edit;
  if (value?.case === "i") value.value = number;
  if (value?.case === "b") value.value = !value.value;
  if (value?.case === "type") value.value = Number(number % 120n);
  if (value?.case === "s")
    value.value = new TextEncoder().encode(pick(["SAME", "VALID", "EXPLICIT", "NCHW", ""], which));
  if (value?.case === "shape") spoilShape(value.value, edit);
  if (value?.case === "func") value.value.name = String(number);
  if (value?.case === "list" && value.value.i.length > 0)
    value.value.i[which % value.value.i.length] = number;
  if (value?.case !== "tensor") return;
  const tensor = value.value;
  if (tensor.intVal.length > 0)
    tensor.intVal[which % tensor.intVal.length] = Number(BigInt.asIntN(32, number));
  else if (tensor.tensorContent.length > 0)
    tensor.tensorContent = edited(tensor.tensorContent, {
      kind: "set",
      at: (which % 1000) / 1000,
      to: Number(number & 0xffn),
    });
  else spoilShape(tensor.tensorShape, edit);
}

function spoilNode(node: NodeDef, nodes: readonly NodeDef[], edit: GraphEdit): void {
  const { what, which } = edit;
  const other = pick(nodes, which);
  if (what === "op") node.op = pick(OPERATORS, which)!;
  if (what === "name") node.name = other?.name ?? "";
  if (what === "input" && node.input.length > 0)
    node.input[which % node.input.length] = other?.input[0] ?? "nowhere:0";
  if (what === "input-of-other" && other !== undefined) node.input = [...other.input];
  if (what === "drop") node.input.pop();
  if (what === "attribute") spoilAttribute(pick(Object.values(node.attr), which), edit);
  if (what === "shape")
    for (const { value } of Object.values(node.attr)) {
      if (value.case === "shape") spoilShape(value.value, edit);
      if (value.case === "tensor") spoilShape(value.value.tensorShape, edit);
    }
}

/** The model with some of its nodes changed, those of functions included. */
function spoiled(content: Uint8Array, edits: readonly GraphEdit[]): Uint8Array {
  const model = fromBinary(SavedModelSchema, content);
  const graph = model.metaGraphs[0]!.graphDef!;
  const bodies = [graph.node, ...(graph.library?.function ?? []).map((each) => each.nodeDef)];
  for (const edit of edits) {
    const nodes = pick(bodies, edit.node)!;
    const node = pick(nodes, Math.floor(edit.node / bodies.length));
    if (node !== undefined) spoilNode(node, nodes, edit);
  }
  return toBinary(SavedModelSchema, model);
}

/** Reads a model's graph, for every signature, to the point where the engine takes it, or into the engine. */
function readModel(content: Uint8Array, folder: string, intoEngine = false): Promise<Outcome> {
  return outcome(async () => {
    const model = parseSavedModel(content, folder);
    for (const name of model.signatures.keys()) {
      const { outputs } = await model.program(name);
      const { bytes } = lower({ outputs });
      if (intoEngine) await (await openRuntime(bytes)).close();
    }
  });
}

function readIndex(content: Uint8Array): Promise<Outcome> {
  return outcome(() => {
    const { keys, entry } = parseBundleIndex(content, "variables.index");
    for (const key of keys) entry(key);
  });
}

/** The same table with sums that fit its changed values, so that what is behind the sums is reached. */
function spoiledIndex(content: Uint8Array, which: number, edits: readonly ByteEdit[]): Uint8Array {
  const entries = [...readTable(content, "variables.index")];
  const [key, value] = entries[which % entries.length]!;
  return writeTable(new Map([...entries, [key, edits.reduce(edited, value)]]));
}

const model = fc.constantFrom(...MODELS);

/** Kinds of damage; each draws a damaged file and says what comes of reading it, or throws what nobody shall ever see. */
export const DAMAGES: Readonly<Record<string, fc.Arbitrary<() => Promise<Outcome>>>> = {
  "bytes of a graph": fc.tuple(model, byteEdits).map(
    ([{ folder, model: content }, changes]) =>
      () =>
        readModel(changes.reduce(edited, content), folder),
  ),
  "nodes of a graph": fc.tuple(model, fc.array(graphEdit, { minLength: 1, maxLength: 3 })).map(
    ([{ folder, model: content }, changes]) =>
      () =>
        readModel(spoiled(content, changes), folder),
  ),
  "graphs in the engine": fc.tuple(model, fc.array(graphEdit, { minLength: 1, maxLength: 3 })).map(
    ([{ folder, model: content }, changes]) =>
      () =>
        readModel(spoiled(content, changes), folder, true),
  ),
  "bytes of an index": fc.tuple(model, byteEdits).map(
    ([{ index }, changes]) =>
      () =>
        readIndex(changes.reduce(edited, index)),
  ),
  "entries of an index": fc.tuple(model, fc.nat(), byteEdits).map(
    ([{ index }, which, changes]) =>
      () =>
        readIndex(spoiledIndex(index, which, changes)),
  ),
};
