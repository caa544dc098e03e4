/** @file Builds an ONNX model: nodes, values, initialisers, and its bytes. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { DType, NumericDType, Shape, Tensor } from "../../base/tensor.ts";
import { bytesOf, bytesPerElement, sizeOf } from "../../base/tensor.ts";
import type { SymbolicShape } from "../../graph/ops.ts";
import { UNKNOWN_DIM } from "../../graph/ops.ts";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "../../proto/onnx/onnx_pb.ts";
import { ONNX_TYPE } from "../dtypes.ts";
import { savingMemory } from "./execution-order.ts";

/** Operator set 17 (ONNX 1.12): the newest in which all reductions but ReduceSum keep their axes as attributes. */
const OPSET = 17n;
const IR_VERSION = 8n;

/** The domain of ONNX Runtime's own operators. */
export const MICROSOFT = "com.microsoft";
/** The domain of its operators on blocked images. */
export const BLOCKED = "com.microsoft.nchwc";

/** The domain of ONNX's operators for other models than networks. */
export const MACHINE_LEARNING = "ai.onnx.ml";
/** The operator sets of the domains that have more than one. */
const OPSETS: Readonly<Record<string, bigint>> = { "": OPSET, [MACHINE_LEARNING]: 3n };

/** An attribute marked with its type. */
type Marked =
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly int: bigint }
  | { readonly ints: readonly bigint[] }
  | { readonly string: Uint8Array }
  | { readonly strings: readonly Uint8Array[] }
  | { readonly graph: GraphProto };

/** An integer, a list of integers, a text, or what is marked with its type. */
export type AttributeValue = number | string | readonly number[] | Marked;

function markedProto(name: string, value: Marked): AttributeProto {
  const proto = create(AttributeProtoSchema, { name });
  if ("float" in value) return Object.assign(proto, { type: AttributeType.FLOAT, f: value.float });
  if ("floats" in value) return Object.assign(proto, { type: AttributeType.FLOATS, floats: value.floats });
  if ("int" in value) return Object.assign(proto, { type: AttributeType.INT, i: value.int });
  if ("ints" in value) return Object.assign(proto, { type: AttributeType.INTS, ints: value.ints });
  if ("graph" in value) return Object.assign(proto, { type: AttributeType.GRAPH, g: value.graph });
  if ("string" in value) return Object.assign(proto, { type: AttributeType.STRING, s: value.string });
  return Object.assign(proto, { type: AttributeType.STRINGS, strings: value.strings });
}

function attributeProto(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === "number") {
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  }
  if (typeof value === "string") {
    return create(AttributeProtoSchema, {
      name,
      type: AttributeType.STRING,
      s: new TextEncoder().encode(value),
    });
  }
  if (!Array.isArray(value)) return markedProto(name, value as Marked);
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) });
}

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, AttributeValue>> | undefined;
  readonly domain?: string;
  /** Name of the node, for profiles and error messages. */
  readonly label?: string | undefined;
}

/** A growing ONNX graph. Values are known by their names. */
export class ModelBuilder {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: StoredTensor[] = [];
  readonly #strings: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #domains = new Set<string>([""]);
  readonly #constants = new Map<string, string>();
  /** Values that operators made, and the names of those that are outputs of the model. */
  readonly #made = new Set<string>();
  readonly #leaving = new Map<string, string>();
  #names = 0;
  readonly #outside: ModelBuilder | undefined;

  /** @param outside the graph that this one is within. */
  constructor(outside?: ModelBuilder) {
    this.#outside = outside;
  }

  /** A graph within this one, which sees all its values. Stored tensors are kept in the model, names are the model's. */
  subgraph(): ModelBuilder {
    return new ModelBuilder(this);
  }

  /** A name that no other value has. */
  fresh(hint: string): string {
    if (this.#outside !== undefined) return this.#outside.fresh(hint);
    this.#names++;
    return `${hint}_${this.#names}`;
  }

  #usesDomain(domain: string): void {
    this.#domains.add(domain);
    if (this.#outside !== undefined) this.#outside.#usesDomain(domain);
  }

  /** Adds an operator with several outputs and returns their names. An empty input name leaves an optional input out. */
  nodes(op: string, inputs: readonly string[], outputs: number, options: NodeOptions = {}): string[] {
    const domain = options.domain ?? "";
    const prefix = options.label ? `${options.label}/${op}` : op;
    const output = Array.from({ length: outputs }, () => this.fresh(prefix));
    this.#usesDomain(domain);
    const attribute = Object.entries(options.attributes ?? {}).map(([name, value]) =>
      attributeProto(name, value),
    );
    for (const name of output) this.#made.add(name);
    this.#nodes.push(
      create(NodeProtoSchema, {
        opType: op,
        input: [...inputs],
        output,
        attribute,
        domain,
        name: output[0]!,
      }),
    );
    return output;
  }

  /** Adds an operator with one output and returns its name. */
  node(op: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.nodes(op, inputs, 1, options)[0]!;
  }

  /** A tensor stored in the model. */
  initializer(value: Tensor, hint = "constant"): string {
    return this.initializerOf(value.dtype, value.shape, () => value, hint);
  }

  /** A tensor stored in the model, made only when the model is written, to save memory. */
  initializerOf(dtype: DType, shape: Shape, make: () => Tensor, hint = "constant"): string {
    if (this.#outside !== undefined) return this.#outside.initializerOf(dtype, shape, make, hint);
    const name = this.fresh(hint);
    if (dtype === "string") {
      const stringData = [...(make().data as readonly Uint8Array[])];
      this.#strings.push(
        create(TensorProtoSchema, {
          name,
          dims: shape.map(BigInt),
          dataType: ONNX_TYPE.string,
          stringData,
        }),
      );
      return name;
    }
    this.#initializers.push({ name, dtype, shape, elements: () => make() as Tensor<NumericDType> });
    return name;
  }

  /** A small list of int64 such as a shape or axes; equal lists are stored once. */
  ints(values: readonly number[]): string {
    const key = values.join(",");
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.initializer(
      { dtype: "int64", shape: [values.length], data: BigInt64Array.from(values.map(BigInt)) },
      "ints",
    );
    this.#constants.set(key, name);
    return name;
  }

  /** A float32 scalar, stored once. */
  float(value: number): string {
    const key = `float ${value}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.initializer({ dtype: "float32", shape: [], data: Float32Array.of(value) }, "float");
    this.#constants.set(key, name);
    return name;
  }

  input(name: string, dtype: DType, shape: SymbolicShape): string {
    this.#inputs.push(valueInfo(name, dtype, shape));
    return name;
  }

  /**
   * Makes a value an output of the model under its own name. Inputs, stored tensors and values that are an output already
   * are copied for that.
   */
  output(name: string, value: string, dtype: DType, shape: SymbolicShape): void {
    if (this.#made.has(value) && !this.#leaving.has(value)) this.#leaving.set(value, name);
    else {
      const identity = { opType: "Identity", input: [value], output: [name], name: `output/${name}` };
      this.#nodes.push(create(NodeProtoSchema, identity));
    }
    this.#outputs.push(valueInfo(name, dtype, shape));
  }

  /** The operators, with output values renamed to the outputs' names. */
  #renamed(): NodeProto[] {
    const last = (name: string) => this.#leaving.get(name) ?? name;
    return this.#nodes.map((node) => renamed(node, last));
  }

  /** The graph without stored tensors. */
  graph(name: string): GraphProto {
    return create(GraphProtoSchema, {
      name,
      node: this.#renamed(),
      input: this.#inputs,
      output: this.#outputs,
    });
  }

  /** @param savesMemory whether the operators are ordered for the least memory in a run. */
  bytes(graphName: string, { savesMemory = false } = {}): Uint8Array {
    const opsetImport = [...this.#domains].map((domain) => ({ domain, version: OPSETS[domain] ?? 1n }));
    const model = create(ModelProtoSchema, { irVersion: IR_VERSION, producerName: "faceid", opsetImport });
    const whole = this.graph(graphName);
    const node = savesMemory ? savingMemory(whole.node) : whole.node;
    const graph = { ...whole, node, initializer: this.#strings };
    return modelBytes(model, graph, this.#initializers);
  }
}

/** An operator with other names of values, in the graphs within it too. */
function renamed(node: NodeProto, last: (name: string) => string): NodeProto {
  const attribute = node.attribute.map((each) =>
    each.g === undefined
      ? each
      : { ...each, g: { ...each.g, node: each.g.node.map((inner) => renamed(inner, last)) } },
  );
  return { ...node, attribute, input: node.input.map(last), output: node.output.map(last) };
}

function valueInfo(name: string, dtype: DType, shape: SymbolicShape): ValueInfoProto {
  const dim = shape.map((side, axis) =>
    typeof side === "number"
      ? { value: { case: "dimValue" as const, value: BigInt(side) } }
      : { value: { case: "dimParam" as const, value: side === UNKNOWN_DIM ? `${name}_${axis}` : side } },
  );
  const tensorType = { elemType: ONNX_TYPE[dtype], shape: { dim } };
  return create(ValueInfoProtoSchema, { name, type: { value: { case: "tensorType", value: tensorType } } });
}

// The bytes of a model, written once: large tensors go straight to their place, without intermediate copies.

/** A tensor of the model whose elements are made when they are written. */
interface StoredTensor {
  readonly name: string;
  readonly dtype: NumericDType;
  readonly shape: Shape;
  readonly elements: () => Tensor<NumericDType>;
}

/** Protobuf tags of the fields written here: the field's number and the wire type for length-delimited bytes. */
const tag = (field: number) => field * 8 + 2;
const MODEL_GRAPH = tag(7);
const GRAPH_INITIALIZER = tag(5);
const TENSOR_RAW_DATA = tag(9);

/** An integer as a varint: seven bits a byte, lowest first. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

/** A field's tag and length. */
const head = (fieldTag: number, length: number) => Uint8Array.from([fieldTag, ...varint(length)]);

/** The bytes before a tensor's elements, and how many bytes the elements take. */
function tensorFrame({ name, dtype, shape }: StoredTensor): { before: Uint8Array; size: number } {
  const proto = create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType: ONNX_TYPE[dtype] });
  const size = sizeOf(shape) * bytesPerElement(dtype);
  const fields = [...toBinary(TensorProtoSchema, proto), ...head(TENSOR_RAW_DATA, size)];
  return { before: Uint8Array.from([...head(GRAPH_INITIALIZER, fields.length + size), ...fields]), size };
}

/**
 * Writes a model.
 * @param model everything but the graph
 * @param graph everything but the tensors
 */
function modelBytes(model: ModelProto, graph: GraphProto, tensors: readonly StoredTensor[]): Uint8Array {
  const [modelFields, graphFields] = [toBinary(ModelProtoSchema, model), toBinary(GraphProtoSchema, graph)];
  const frames = tensors.map(tensorFrame);
  const graphSize = frames.reduce((sum, { before, size }) => sum + before.length + size, graphFields.length);
  const graphHead = head(MODEL_GRAPH, graphSize);
  const bytes = new Uint8Array(modelFields.length + graphHead.length + graphSize);
  let at = 0;
  const put = (piece: Uint8Array) => {
    bytes.set(piece, at);
    at += piece.length;
  };
  for (const piece of [modelFields, graphHead, graphFields]) put(piece);
  for (const [i, tensor] of tensors.entries()) {
    put(frames[i]!.before);
    put(bytesOf(tensor.elements()));
  }
  return bytes;
}
