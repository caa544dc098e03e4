/** @file TensorFlow's ParseExample in front of a graph: serialized examples into the tensors the graph goes on from. */
import { fromBinary } from "@bufbuild/protobuf";
import { FaceError } from "../../base/errors.ts";
import { type DType, sizeOf, type Tensor, type TensorMap } from "../../base/tensor.ts";
import { type Example, ExampleSchema, type Feature } from "../../proto/tensorflow/example_pb.ts";
import type { GraphDef, NodeDef } from "../../proto/tensorflow/graph_pb.ts";
import { dtypeOf, storedTensor } from "../../savedmodel/format/tensor-proto.ts";
import { type SignatureSlice, sliceOf } from "../../savedmodel/read/import-graph.ts";
import type { InlinedGraph, InlinedNode, Source } from "../../savedmodel/read/inlined-graph.ts";
import type { Signature, SignatureTensor } from "../../savedmodel/signature.ts";
import { invalidArgument } from "../status.ts";
import type { InputStep } from "./input-step.ts";

/** A feature of fixed size that becomes a tensor. */
interface DenseFeature {
  readonly key: string;
  readonly dtype: DType;
  /** Sides of one example's value; a first side of -1 takes as many values as there are. */
  readonly shape: readonly number[];
  /** Used where an example lacks the feature; empty when it must be there. */
  readonly fallback: Tensor;
  /** The graph's name for the stacked values. */
  readonly tensorName: string;
}

/** Keys and defaults are small; a damaged file may claim more. */
const LARGEST_CONSTANT = 2 ** 24;
const KINDS = { float32: "floatList", int64: "int64List", string: "bytesList" } as const;
/** TensorFlow's names: of element types, and of lists of values. */
const TYPE_TEXT = { float32: "float", int64: "int64", string: "string" } as const;
const LIST_TEXT = { float32: "float", int64: "int64", string: "bytes" } as const;
const KIND_TEXT = { floatList: "float", int64List: "int64", bytesList: "string" } as const;
type FeatureType = keyof typeof KINDS;
/** What shorter lists are filled up with where the model names nothing. */
const BLANK = { float32: 0, int64: 0n, string: new Uint8Array(0) } as const;
/** Bytes of a damaged example that an error shows. */
const MOST_SHOWN = 64;
/** Operators in front of a constant that leave its values as they are. */
const SAME_VALUES: ReadonlySet<string> = new Set(["Identity", "Reshape"]);

function attrNumber({ attr }: NodeDef, name: string): number {
  const value = attr[name]?.value;
  return value?.case === "i" ? Number(value.value) : 0;
}

/** A constant of the graph. */
function constantAt(graph: InlinedGraph, source: Source | undefined): Tensor {
  let node = source?.node;
  while (node !== undefined && SAME_VALUES.has(node.def.op)) node = graph.inputs(node)[0]?.node;
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
    if (dtype === undefined || !(dtype in KINDS)) {
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
  return nodes.find((node) => {
    if (!PARSERS.has(node.def.op)) return false;
    let source = graph.inputs(node)[0]?.node;
    while (source !== undefined && SAME_VALUES.has(source.def.op)) source = graph.inputs(source)[0]?.node;
    return source === input;
  });
}

/**
 * The parsing in front of a signature, or `undefined` where its inputs are no examples.
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
    parse: (given) => parseExamples(features, given.get(alias)!.data as readonly Uint8Array[]),
  };
}

function parseExamples(features: readonly DenseFeature[], records: readonly Uint8Array[]): TensorMap {
  const examples = records.map((record) => {
    try {
      return fromBinary(ExampleSchema, record);
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
  if (first !== -1) {
    return { dtype, shape: [examples.length, ...shape], data: asData(dtype, rows.flat()) } as Tensor;
  }
  const longest = Math.max(0, ...rows.map(({ length }) => length));
  const [padding] = fallback.data.length > 0 ? fallback.data : [BLANK[dtype as FeatureType]];
  const padded = rows.flatMap((row) => [...row, ...Array(longest - row.length).fill(padding)]);
  const sides = [examples.length, longest / sizeOf(inner), ...inner];
  return { dtype, shape: sides, data: asData(dtype, padded) } as Tensor;
}

function asData(dtype: DType, values: readonly unknown[]): Tensor["data"] {
  if (dtype === "float32") return Float32Array.from(values as number[]);
  return dtype === "int64" ? BigInt64Array.from(values as bigint[]) : (values as Uint8Array[]);
}

function valuesOf(wanted: DenseFeature, feature: Feature | undefined, index: number): readonly unknown[] {
  const { key, dtype, shape } = wanted;
  const type = dtype as FeatureType;
  const { kind } = feature ?? {};
  if (kind?.case === undefined) return standIn(wanted);
  const where = `Name: <unknown>, Key: ${key}, Index: ${index}.  `;
  if (kind.case !== KINDS[type]) {
    throw invalidArgument(
      `${where}Data types don't match. Data type: ${KIND_TEXT[kind.case]} but expected type: ${TYPE_TEXT[type]}`,
    );
  }
  const { value } = kind.value;
  const isRight =
    shape[0] === -1 ? value.length % sizeOf(shape.slice(1)) === 0 : value.length === sizeOf(shape);
  if (isRight) return value;
  const sides = shape.map((side) => (side === -1 ? "?" : side)).join(",");
  throw invalidArgument(
    `${where}Number of ${LIST_TEXT[type]} values != expected.  ` +
      `Values size: ${value.length} but output shape: [${sides}]`,
  );
}

/** What an example has that lacks the feature. */
function standIn({ key, dtype, shape, fallback }: DenseFeature): readonly unknown[] {
  if (shape[0] === -1) return [];
  if (fallback.data.length === 0) {
    throw invalidArgument(
      `Name: <unknown>, Feature: ${key} (data type: ${TYPE_TEXT[dtype as FeatureType]}) ` +
        "is required but could not be found.",
    );
  }
  const values = [...(fallback.data as ArrayLike<unknown> & Iterable<unknown>)];
  return Array.from({ length: sizeOf(shape) }, (_, i) => values[i] ?? values[0]);
}
