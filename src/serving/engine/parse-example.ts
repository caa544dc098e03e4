/** @file TensorFlow's ParseExample: parses serialized examples into the inputs of a graph. */
import { fromBinary } from "@bufbuild/protobuf";
import { FaceError } from "../../base/errors.ts";
import { Limiter } from "../../base/limiter.ts";
import { type DType, sizeOf, type Tensor, type TensorMap } from "../../base/tensor.ts";
import { WorkerClient, WorkerPool } from "../../base/worker-client.ts";
import { type Example, ExampleSchema, type Feature } from "../../proto/tensorflow/example_pb.ts";
import type { GraphDef, NodeDef } from "../../proto/tensorflow/graph_pb.ts";
import { dtypeOf, storedTensor } from "../../savedmodel/format/tensor-proto.ts";
import { type SignatureSlice, sliceOf } from "../../savedmodel/read/import-graph.ts";
import type { InlinedGraph, InlinedNode, Source } from "../../savedmodel/read/inlined-graph.ts";
import type { Signature, SignatureTensor } from "../../savedmodel/signature.ts";
import { countFields, type FieldCount, type Range, Wire, WireType } from "../grpc/wire.ts";
import { type Outcome, resultOf } from "../json/codec-calls.ts";
import { type PackedStrings, packInSteps, type SentTensors, unpackTensors } from "../json/packed-strings.ts";
import type { RequestMemory } from "../request-memory.ts";
import { invalidArgument, StatusError } from "../status.ts";
import type { InputStep } from "./servable.ts";

/** A feature of fixed size that becomes a tensor. */
export interface DenseFeature {
  readonly key: string;
  readonly dtype: FeatureType;
  /** Shape of one example's value; a first side of -1 takes any number of values. */
  readonly shape: readonly number[];
  /** The value for an example without the feature; empty when the feature is required. */
  readonly fallback: Tensor;
  /** The graph's name for the values of all examples. */
  readonly tensorName: string;
}

/** Limit on keys and defaults, which are small; a damaged file may claim more. */
const LARGEST_CONSTANT = 2 ** 24;
/** By element type: its list in an Example, TensorFlow's names of it and of a list of it, and the padding of short lists. */
const FEATURE_TYPES = {
  float32: { list: "floatList", text: "float", listText: "float", padding: 0 },
  int64: { list: "int64List", text: "int64", listText: "int64", padding: 0n },
  string: { list: "bytesList", text: "string", listText: "bytes", padding: new Uint8Array(0) },
} as const;
type FeatureType = keyof typeof FEATURE_TYPES;
/** Bytes of a damaged example that an error shows. */
const MOST_SHOWN = 64;
/** Operators that pass values on unchanged. */
const SAME_VALUES: ReadonlySet<string> = new Set(["Identity", "Reshape"]);

/** The node whose values a source passes on. */
function originOf(graph: InlinedGraph, source: Source | undefined): InlinedNode | undefined {
  let node = source?.node;
  while (node !== undefined && SAME_VALUES.has(node.def.op)) node = graph.inputs(node)[0]?.node;
  return node;
}

function attrNumber({ attr }: NodeDef, name: string): number {
  const value = attr[name]?.value;
  return value?.case === "i" ? Number(value.value) : 0;
}

/** A constant of the graph. */
function constantAt(graph: InlinedGraph, source: Source | undefined): Tensor {
  const node = originOf(graph, source);
  const value = node?.def.attr.value?.value;
  if (node?.def.op !== "Const" || value?.case !== "tensor") {
    throw new FaceError("MODEL_UNSUPPORTED", `ParseExample's argument ${node?.place} is not a constant`);
  }
  return storedTensor(value.value, node.place, { maxBytes: LARGEST_CONSTANT });
}

function stringsAt(graph: InlinedGraph, source: Source | undefined): string[] {
  const { data } = constantAt(graph, source);
  return (data as readonly Uint8Array[]).map((bytes) => Buffer.from(bytes).toString("utf8"));
}

const isFeatureType = (dtype: DType): dtype is FeatureType => dtype in FEATURE_TYPES;

function denseFeatures(parser: InlinedNode, graph: InlinedGraph): DenseFeature[] {
  const { def, place } = parser;
  const isV2 = def.op === "ParseExampleV2";
  const types = def.attr.Tdense?.value;
  const shapes = def.attr.dense_shapes?.value;
  const dtypes = types?.case === "list" ? types.value.type : [];
  const sides = shapes?.case === "list" ? shapes.value.shape : [];
  const sparse = attrNumber(def, isV2 ? "num_sparse" : "Nsparse");
  const inputs = graph.inputs(parser);
  // ParseExample: serialized, names, a key per sparse feature, a key per dense one, the defaults.
  // ParseExampleV2: serialized, names, sparse keys, dense keys, ragged keys, the defaults.
  const keys = isV2
    ? stringsAt(graph, inputs[3])
    : dtypes.map((_, i) => stringsAt(graph, inputs[2 + sparse + i])[0]!);
  const firstDefault = isV2 ? 5 : 2 + sparse + dtypes.length;
  return dtypes.map((type, i) => {
    const dtype = dtypeOf(type);
    if (dtype === undefined || !isFeatureType(dtype)) {
      throw new FaceError("MODEL_UNSUPPORTED", `ParseExample's feature ${keys[i]} has an unknown type`);
    }
    return {
      key: keys[i]!,
      dtype,
      shape: (sides[i]?.dim ?? []).map(({ size }) => Number(size)),
      fallback: constantAt(graph, inputs[firstDefault + i]),
      // Sparse features come first, with three outputs each.
      tensorName: `${place}:${3 * sparse + i}`,
    };
  });
}

const PARSERS: ReadonlySet<string> = new Set(["ParseExample", "ParseExampleV2"]);

/** The parsing node that takes this input, if there is one. */
function parserOf({ graph, nodes }: SignatureSlice, input: InlinedNode): InlinedNode | undefined {
  return nodes.find((node) => PARSERS.has(node.def.op) && originOf(graph, graph.inputs(node)[0]) === input);
}

/**
 * The parsing step of a signature, or `undefined` where its inputs are not examples.
 * @throws FaceError `MODEL_UNSUPPORTED` when the features are not constants of the graph.
 */
export function exampleStep(graph: GraphDef, signature: Signature): InputStep | undefined {
  const [entry] = signature.inputs;
  if (entry === undefined || signature.inputs.size > 1 || entry[1].dtype !== "string") return undefined;
  const [alias] = entry;
  const slice = sliceOf(graph, signature);
  const parser = parserOf(slice, slice.fed.get(alias)!);
  if (parser === undefined) return undefined;
  const features = denseFeatures(parser, slice.graph);
  const inputs = new Map(
    features.map(({ key, dtype, shape, tensorName }): [string, SignatureTensor] => [
      key,
      { tensorName, dtype, shape: [-1, ...shape] },
    ]),
  );
  return {
    signature: { ...signature, inputs },
    parse: (given, memory) => parseInTurn(features, given.get(alias)!.data as readonly Uint8Array[], memory),
  };
}

/** Examples up to this number and size are parsed at once. */
const INLINE_EXAMPLES = 256;
const INLINE_BYTES = 64 * 1024;
/** Its examples become objects, many times as large as their bytes. */
const HEAP_MEGABYTES = 1024;

/** A thread for large lists of examples, one list at a time. */
const thread = new WorkerPool<ExampleCalls>(
  1,
  () =>
    new WorkerClient<ExampleCalls>(import.meta.url, "example-worker", undefined, {
      heapMegabytes: HEAP_MEGABYTES,
    }),
);
const turns = new Limiter(1);

/** What the thread can be asked. */
export interface ExampleCalls {
  parse(features: readonly DenseFeature[], records: PackedStrings): Outcome<SentTensors>;
}

async function parseInTurn(
  features: readonly DenseFeature[],
  records: readonly Uint8Array[],
  memory: RequestMemory | undefined,
): Promise<TensorMap> {
  const bytes = records.reduce((sum, { length }) => sum + length, 0);
  if (records.length <= INLINE_EXAMPLES && bytes <= INLINE_BYTES) return parseExamples(features, records);
  memory?.take(bytes);
  const sent = await turns.run(async () => {
    const packed = await packInSteps(records);
    return await thread.call("parse", [features, packed], [packed.bytes.buffer as ArrayBuffer]);
  });
  return await unpackTensors(resultOf(sent));
}

/** Each value becomes an object, many times as large as its bytes. */
const MOST_VALUES = 4_000_000;

/** Refuses examples whose values would fill the memory, before they are read. */
function checkValues(records: readonly Uint8Array[]): void {
  let values = 0;
  for (const record of records) {
    values += valuesIn(record);
    if (values <= MOST_VALUES) continue;
    throw new StatusError("RESOURCE_EXHAUSTED", `The examples hold more than ${MOST_VALUES} values in all.`);
  }
}

/** Fields from an Example to the lists of its features, and the field of a list's values. */
const TO_LISTS = [1, 1, 2] as const;
const VALUES = 1;
const FLOAT_LIST = 2;
const FLOAT_BYTES = 4;

/** The number of values in a serialized example; 0 for one that cannot be read. */
function valuesIn(record: Uint8Array): number {
  const count = countFields();
  const inside = (range: Range, depth: number): number => {
    const wire = new Wire(record, range, count);
    let values = 0;
    while (wire.next()) {
      const wanted = TO_LISTS[depth];
      if (wanted === undefined) values += valuesOfList(wire, wire.field, count);
      else if (wire.field === wanted) values += inside(wire.range(), depth + 1);
      else wire.skip();
    }
    return values;
  };
  try {
    return inside([0, record.length], 0);
  } catch (error) {
    if (error instanceof StatusError && error.status === "RESOURCE_EXHAUSTED") throw error;
    return 0;
  }
}

function valuesOfList(feature: Wire, kind: number, count: FieldCount): number {
  const wire = new Wire(feature.bytes, feature.range(), count);
  let values = 0;
  while (wire.next()) {
    const isPacked = wire.field === VALUES && wire.type === WireType.bytes && kind > 1;
    if (!isPacked) {
      wire.skip();
      values++;
      continue;
    }
    const [start, end] = wire.range();
    if (kind === FLOAT_LIST) values += (end - start) / FLOAT_BYTES;
    else for (let at = start; at < end; at++) if (wire.bytes[at]! < 0x80) values++;
  }
  return values;
}

/** Parses examples into a tensor for each feature. @throws StatusError `INVALID_ARGUMENT`, `RESOURCE_EXHAUSTED`. */
export function parseExamples(features: readonly DenseFeature[], records: readonly Uint8Array[]): TensorMap {
  checkValues(records);
  const examples = records.map((record) => {
    try {
      return fromBinary(ExampleSchema, record, { readUnknownFields: false });
    } catch {
      const text = Buffer.from(record).toString("latin1").slice(0, MOST_SHOWN);
      throw invalidArgument(`Could not parse example input, value: '${text}'`);
    }
  });
  return new Map(features.map((feature) => [feature.key, stacked(feature, examples)]));
}

function stacked(feature: DenseFeature, examples: readonly Example[]): Tensor {
  const { dtype, shape, fallback } = feature;
  const [first, ...inner] = shape;
  const rows = examples.map((example, i) => valuesOf(feature, example.features?.feature[feature.key], i));
  if (first !== -1)
    return { dtype, shape: [examples.length, ...shape], data: arrayFor(dtype, rows.flat()) } as Tensor;
  const longest = Math.max(0, ...rows.map(({ length }) => length));
  const filler = fallback.data.length > 0 ? fallback.data[0] : FEATURE_TYPES[dtype].padding;
  const padded = rows.flatMap((row) => [...row, ...Array(longest - row.length).fill(filler)]);
  return {
    dtype,
    shape: [examples.length, longest / sizeOf(inner), ...inner],
    data: arrayFor(dtype, padded),
  } as Tensor;
}

function arrayFor(dtype: FeatureType, values: readonly unknown[]): Tensor["data"] {
  if (dtype === "float32") return Float32Array.from(values as number[]);
  return dtype === "int64" ? BigInt64Array.from(values as bigint[]) : (values as readonly Uint8Array[]);
}

function valuesOf(wanted: DenseFeature, feature: Feature | undefined, index: number): readonly unknown[] {
  const { key, dtype, shape } = wanted;
  const { list, text, listText } = FEATURE_TYPES[dtype];
  const { kind } = feature ?? {};
  if (kind?.case === undefined) return defaultValues(wanted);
  const where = `Name: <unknown>, Key: ${key}, Index: ${index}.  `;
  if (kind.case !== list) {
    const given = Object.values(FEATURE_TYPES).find((type) => type.list === kind.case)!;
    throw invalidArgument(
      `${where}Data types don't match. Data type: ${given.text} but expected type: ${text}`,
    );
  }
  const { value } = kind.value;
  const isRight =
    shape[0] === -1 ? value.length % sizeOf(shape.slice(1)) === 0 : value.length === sizeOf(shape);
  if (isRight) return value;
  const sides = shape.map((side) => (side === -1 ? "?" : side)).join(",");
  throw invalidArgument(
    `${where}Number of ${listText} values != expected.  ` +
      `Values size: ${value.length} but output shape: [${sides}]`,
  );
}

/** The values of an example without the feature. */
function defaultValues({ key, dtype, shape, fallback }: DenseFeature): readonly unknown[] {
  if (shape[0] === -1) return [];
  if (fallback.data.length === 0) {
    throw invalidArgument(
      `Name: <unknown>, Feature: ${key} (data type: ${FEATURE_TYPES[dtype].text}) ` +
        "is required but could not be found.",
    );
  }
  const values = [...(fallback.data as ArrayLike<unknown> & Iterable<unknown>)];
  return Array.from({ length: sizeOf(shape) }, (_, i) => values[i] ?? values[0]);
}
