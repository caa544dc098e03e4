/** @file TensorFlow's ParseExample in front of a graph: serialized examples into the tensors the graph goes on from. */
import { fromBinary } from "@bufbuild/protobuf";
import type { DType } from "../base/dtype.ts";
import { FaceError, messageOf } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import type { Tensor, TensorMap } from "../base/tensor.ts";
import { type Example, ExampleSchema, type Feature } from "../proto/tensorflow/example_pb.ts";
import type { GraphDef, NodeDef } from "../proto/tensorflow/graph_pb.ts";
import type { Signature, SignatureTensor } from "../savedmodel/signature.ts";
import { dtypeOf, tensorFromProto } from "../savedmodel/tensor-proto.ts";
import { invalidArgument } from "./status.ts";

/** A feature of fixed size that becomes a tensor. */
interface DenseFeature {
  readonly key: string;
  readonly dtype: DType;
  /** Sides of one example's value. */
  readonly shape: readonly number[];
  /** Used where an example lacks the feature; empty when it must be there. */
  readonly fallback: Tensor;
  /** The graph's name for the stacked values. */
  readonly tensorName: string;
}

/** What stands in for a signature whose input is serialized examples. */
export interface ExampleStep {
  /** The signature behind the parsing: its inputs are the features. */
  readonly signature: Signature;
  /** @throws StatusError `INVALID_ARGUMENT` for an example that does not have the features. */
  parse(inputs: TensorMap): TensorMap;
}

const KINDS = { float32: "floatList", int64: "int64List", string: "bytesList" } as const;
const KIND_TEXT = { float32: "float", int64: "int64", string: "string" } as const;
type FeatureType = keyof typeof KINDS;

const nodeOf = (tensorName: string) => tensorName.replace(/:[0-9]+$/, "").replace(/^\^/, "");

function attrNumber(node: NodeDef, name: string): number {
  const value = node.attr[name]?.value;
  return value?.case === "i" ? Number(value.value) : 0;
}

/** Reads constants out of a graph. */
class Constants {
  readonly #nodes: ReadonlyMap<string, NodeDef>;

  constructor(nodes: ReadonlyMap<string, NodeDef>) {
    this.#nodes = nodes;
  }

  tensor(name: string | undefined): Tensor {
    let node = this.#nodes.get(nodeOf(name ?? ""));
    while (node?.op === "Identity") node = this.#nodes.get(nodeOf(node.input[0]!));
    const value = node?.attr.value?.value;
    if (node?.op !== "Const" || value?.case !== "tensor") {
      throw new FaceError("MODEL_UNSUPPORTED", `ParseExample's argument ${name} is not a constant`);
    }
    return tensorFromProto(value.value);
  }

  strings(name: string | undefined): string[] {
    return (this.tensor(name).data as readonly Uint8Array[]).map((bytes) =>
      Buffer.from(bytes).toString("utf8"),
    );
  }
}

function denseFeatures(node: NodeDef, constants: Constants): DenseFeature[] {
  const isV2 = node.op === "ParseExampleV2";
  const types = node.attr.Tdense?.value;
  const shapes = node.attr.dense_shapes?.value;
  const dtypes = types?.case === "list" ? types.value.type : [];
  const sides = shapes?.case === "list" ? shapes.value.shape : [];
  const sparse = attrNumber(node, isV2 ? "num_sparse" : "Nsparse");
  // ParseExample: serialized, names, a key per sparse feature, a key per dense one, the defaults.
  // ParseExampleV2: serialized, names, sparse keys, dense keys, ragged keys, the defaults.
  const keys = isV2
    ? constants.strings(node.input[3])
    : dtypes.map((_, i) => constants.strings(node.input[2 + sparse + i])[0]!);
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
      fallback: constants.tensor(node.input[firstDefault + i]),
      // Sparse features come first, with three outputs each.
      tensorName: `${node.name}:${3 * sparse + i}`,
    };
  });
}

/** The parsing node that takes this input, if there is one. */
function parserOf(graph: GraphDef, input: SignatureTensor): NodeDef | undefined {
  const names = new Set([nodeOf(input.tensorName)]);
  for (const node of graph.node) {
    const first = nodeOf(node.input[0] ?? "");
    if (!names.has(first)) continue;
    if (node.op === "Identity" || node.op === "Reshape") names.add(node.name);
    if (node.op === "ParseExample" || node.op === "ParseExampleV2") return node;
  }
  return undefined;
}

/**
 * The parsing in front of a signature, or `undefined` where its inputs are no examples.
 * @throws FaceError `MODEL_UNSUPPORTED` when the features are not constants of the graph.
 */
export function exampleStep(graph: GraphDef, signature: Signature): ExampleStep | undefined {
  const [entry] = signature.inputs;
  if (entry === undefined || signature.inputs.size > 1 || entry[1].dtype !== "string") return undefined;
  const [alias, input] = entry;
  const node = parserOf(graph, input);
  if (node === undefined) return undefined;
  const constants = new Constants(new Map(graph.node.map((each) => [each.name, each])));
  const features = denseFeatures(node, constants);
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
  const examples = records.map((record, index) => {
    try {
      return fromBinary(ExampleSchema, record);
    } catch (error) {
      throw invalidArgument(`Could not parse example input ${index}: ${messageOf(error)}`);
    }
  });
  return new Map(features.map((feature) => [feature.key, stacked(feature, examples)]));
}

function stacked(feature: DenseFeature, examples: readonly Example[]): Tensor {
  const { dtype, shape } = feature;
  const values = examples.flatMap((example) => valuesOf(feature, example.features?.feature[feature.key]));
  return { dtype, shape: [examples.length, ...shape], data: asData(dtype, values) } as Tensor;
}

function asData(dtype: DType, values: readonly unknown[]): Tensor["data"] {
  if (dtype === "float32") return Float32Array.from(values as number[]);
  return dtype === "int64" ? BigInt64Array.from(values as bigint[]) : (values as Uint8Array[]);
}

function valuesOf({ key, dtype, shape, fallback }: DenseFeature, feature: Feature | undefined): unknown[] {
  const size = sizeOf(shape);
  const type = dtype as FeatureType;
  const { kind } = feature ?? {};
  if (kind?.case === undefined) {
    if (fallback.data.length === 0) {
      throw invalidArgument(
        `Name: <unknown>, Feature: ${key} (data type: ${KIND_TEXT[type]}) is required but could not be found.`,
      );
    }
    const standIn = [...(fallback.data as ArrayLike<unknown> & Iterable<unknown>)];
    return Array.from({ length: size }, (_, i) => standIn[i] ?? standIn[0]);
  }
  if (kind.case !== KINDS[type]) {
    throw invalidArgument(
      `Name: <unknown>, Feature: ${key}.  Data types don't match. Expected type: ${KIND_TEXT[type]}`,
    );
  }
  const { value } = kind.value;
  if (value.length !== size) {
    throw invalidArgument(
      `Name: <unknown>, Key: ${key}.  Number of ${KIND_TEXT[type]} values != expected.  ` +
        `Values size: ${value.length} but output shape: [${shape.join(",")}]`,
    );
  }
  return [...value];
}
