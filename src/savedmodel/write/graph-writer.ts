/** @file Builds a TensorFlow graph: nodes with unique names, typed attributes, constants. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { WeightType } from "../../artifact/weights.ts";
import { bytesOf, type DType, hasDType, type NumericDType, type Tensor } from "../../base/tensor.ts";
import { fromNumbers } from "../../graph/numbers.ts";
import type { SymbolicShape } from "../../graph/ops.ts";
import type { AttrValue, FunctionDef, GraphDef, NodeDef } from "../../proto/tensorflow/graph_pb.ts";
import { AttrValueSchema, GraphDefSchema, NodeDefSchema } from "../../proto/tensorflow/graph_pb.ts";
import type { DataType, TensorShapeProto } from "../../proto/tensorflow/tensor_pb.ts";
import { TensorShapeProtoSchema } from "../../proto/tensorflow/tensor_pb.ts";
import { dataTypeOf, tensorToProto } from "../format/tensor-proto.ts";

/** TensorFlow 2.14's graph version; older and newer runtimes read it. */
const PRODUCER = 1575;
const MIN_CONSUMER = 12;

const value = (kind: NonNullable<MessageInitShape<typeof AttrValueSchema>["value"]>): AttrValue =>
  create(AttrValueSchema, { value: kind });

/** Attributes by kind, because TensorFlow distinguishes `b: false` from a missing value. */
export const attr = {
  type: (dtype: DType) => value({ case: "type", value: dataTypeOf(dtype) }),
  int: (number: number) => value({ case: "i", value: BigInt(number) }),
  float: (number: number) => value({ case: "f", value: number }),
  bool: (flag: boolean) => value({ case: "b", value: flag }),
  text: (text: string) => value({ case: "s", value: new TextEncoder().encode(text) }),
  ints: (numbers: readonly number[]) => value({ case: "list", value: { i: numbers.map(BigInt) } }),
  dataTypes: (types: readonly DataType[]) => value({ case: "list", value: { type: [...types] } }),
  func: (name: string) => value({ case: "func", value: { name } }),
  shape: (shape: SymbolicShape) => value({ case: "shape", value: shapeProto(shape) }),
  tensor: (tensor: Tensor) =>
    value({ case: "tensor", value: tensorToProto(tensor, { asContent: tensor.data.length > 1 }) }),
};

/** A shape with -1 for sides that are not known. */
export function shapeProto(shape: SymbolicShape): TensorShapeProto {
  const dim = shape.map((side) => ({ size: BigInt(typeof side === "number" ? side : -1) }));
  return create(TensorShapeProtoSchema, { dim });
}

/** Whether two tensors of one type and shape hold the same bits. */
function sameElements(a: Tensor, b: Tensor): boolean {
  if (a.dtype === "string" || b.dtype === "string") return false;
  return Buffer.compare(bytesOf(a as Tensor<NumericDType>), bytesOf(b as Tensor<NumericDType>)) === 0;
}

/** Smaller constants are biases, slopes and numbers of a formula: they take no room worth saving. */
const LEAST_HALVED = 256;
/** The largest number of IEEE 754's binary16. */
const LARGEST_HALF = 65504;
/** Constants without a larger number than this would lose more than rounding: below 2^-14 the steps of a half stay 2^-24. */
const LEAST_HALF = 2 ** -13;

/** A large constant in half precision; undefined for one that is better left as it is. */
export function halved(value: Tensor): Tensor | undefined {
  if (!hasDType(value, "float32") || value.data.length < LEAST_HALVED) return undefined;
  let most = 0;
  for (const each of value.data as Float32Array) {
    if (!(Math.abs(each) <= LARGEST_HALF)) return undefined;
    most = Math.max(most, Math.abs(each));
  }
  return most > 0 && most < LEAST_HALF ? undefined : fromNumbers("float16", value.shape, value.data);
}

/** Values are known by the names of the nodes that make them. */
export class GraphWriter {
  readonly #weights: WeightType;
  readonly #nodes: NodeDef[] = [];
  readonly #names = new Map<string, number>();
  readonly #constants = new Map<string, string>();
  readonly #labelled = new Map<string, readonly { value: Tensor; name: string }[]>();
  readonly #functions = new Map<string, FunctionDef>();

  /** @param weights what large constants are stored as; everything computes in float32. */
  constructor(weights: WeightType = "float32") {
    this.#weights = weights;
  }

  /** A name that no other node has: `conv1/Conv2D`, then `conv1/Conv2D_1`. */
  #unique(wanted: string): string {
    const clean = wanted.replaceAll(/[^A-Za-z0-9_./\\-]/g, "_");
    const used = this.#names.get(clean) ?? 0;
    this.#names.set(clean, used + 1);
    return used === 0 ? clean : this.#unique(`${clean}_${used}`);
  }

  /** Adds a node and returns its name. */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttrValue>>,
    label?: string,
  ): string {
    return this.named(label === undefined ? op : `${label}/${op}`, op, inputs, attributes);
  }

  /** Adds a node under a name that the outside relies on. */
  named(
    name: string,
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttrValue>>,
  ): string {
    const taken = this.#unique(name);
    this.#nodes.push(create(NodeDefSchema, { name: taken, op, input: [...inputs], attr: { ...attributes } }));
    return taken;
  }

  /** A constant; the same one under the same label is stored once. */
  constant(value: Tensor, label = "Const"): string {
    const key = `${label} ${value.dtype} ${value.shape}`;
    const alike = this.#labelled.get(key) ?? [];
    const same = alike.find((each) => sameElements(each.value, value));
    if (same !== undefined) return same.name;
    const half = this.#weights === "float16" ? halved(value) : undefined;
    const name = half === undefined ? this.#stored(value, label) : this.#widened(half, label);
    this.#labelled.set(key, [...alike, { value, name }]);
    return name;
  }

  #stored(value: Tensor, name: string): string {
    return this.named(name, "Const", [], { dtype: attr.type(value.dtype), value: attr.tensor(value) });
  }

  /** A stored half as float32; TensorFlow computes that once, when it loads the graph. */
  #widened(half: Tensor, label: string): string {
    const stored = this.#stored(half, `${label}/half`);
    return this.named(label, "Cast", [stored], {
      SrcT: attr.type("float16"),
      DstT: attr.type("float32"),
      Truncate: attr.bool(false),
    });
  }

  /** An int32 list, stored once. */
  ints(values: readonly number[]): string {
    return this.#once(`ints ${values.join(",")}`, {
      dtype: "int32",
      shape: [values.length],
      data: Int32Array.from(values),
    });
  }

  /** An int32 scalar, stored once. */
  int(value: number): string {
    return this.#once(`int ${value}`, { dtype: "int32", shape: [], data: Int32Array.of(value) });
  }

  /** A float32 scalar, stored once. */
  float(value: number): string {
    return this.#once(`float ${value}`, { dtype: "float32", shape: [], data: Float32Array.of(value) });
  }

  #once(key: string, value: Tensor): string {
    const known = this.#constants.get(key) ?? this.constant(value);
    this.#constants.set(key, known);
    return known;
  }

  /** Adds a function that nodes can call; one of the same name replaces it. */
  define(definition: FunctionDef): void {
    this.#functions.set(definition.signature!.name, definition);
  }

  graph(): GraphDef {
    return create(GraphDefSchema, {
      node: this.#nodes,
      ...(this.#functions.size === 0 ? {} : { library: { function: [...this.#functions.values()] } }),
      versions: { producer: PRODUCER, minConsumer: MIN_CONSUMER },
    });
  }
}
