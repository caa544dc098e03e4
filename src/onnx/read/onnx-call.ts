/** @file One ONNX node while it is turned into ours: its inputs, its attributes, its constant arguments. */

import type { DType, Tensor } from "../../base/tensor.ts";
import { ImportCall } from "../../graph/import-call.ts";
import type { Dim, Node } from "../../graph/ops.ts";
import { knownNumbers, type PartialInt, partialInts } from "../../graph/partial-ints.ts";
import type { AttributeProto, NodeProto, TensorProto } from "../../proto/onnx/onnx_pb.ts";
import { AttributeProto_AttributeType as AttributeType } from "../../proto/onnx/onnx_pb.ts";
import { dtypeOfOnnx } from "../dtypes.ts";

/** Turns a node into the values of its outputs; those that are left out cannot be used by other nodes. */
export type Importer = (call: OnnxCall) => Node | readonly Node[];
/** Operator → how to read it. */
export type Importers = Readonly<Record<string, Importer>>;

/** What all nodes of a file share. */
export interface OnnxContext {
  /** The operator set that the file is written in. */
  readonly opset: number;
  /** The name of the first side of images where the file fixes 1 and any number is read; undefined where it is kept. */
  readonly batch: string | undefined;
  /** @param place where the tensor stands, for errors */
  tensor(stored: TensorProto, place: string): Tensor;
}

const text = new TextDecoder();

/** Reads a node's arguments; whatever is missing or of another kind is an error that names the node. */
export class OnnxCall extends ImportCall<Node | undefined> {
  readonly node: NodeProto;
  readonly #context: OnnxContext;
  readonly #place: string;

  /** @param place where the node stands, for errors */
  constructor(node: NodeProto, inputs: readonly (Node | undefined)[], context: OnnxContext, place: string) {
    super(inputs, `${place} (${node.opType})`);
    this.node = node;
    this.#context = context;
    this.#place = place;
  }

  get opset(): number {
    return this.#context.opset;
  }

  /** All inputs of an operator that takes any number of them. */
  every(): Node[] {
    const list = this.inputs.map((_, i) => this.input(i));
    if (list.length === 0) throw this.invalid("it has no inputs");
    return list;
  }

  has(name: string): boolean {
    return this.#attribute(name) !== undefined;
  }

  int(name: string, fallback?: number): number {
    const found = this.#typed(name, AttributeType.INT);
    return found === undefined ? this.#default(name, fallback) : Number(found.i);
  }

  flag(name: string, fallback: boolean): boolean {
    return this.int(name, fallback ? 1 : 0) !== 0;
  }

  float(name: string, fallback?: number): number {
    return this.#typed(name, AttributeType.FLOAT)?.f ?? this.#default(name, fallback);
  }

  text(name: string, fallback?: string): string {
    const found = this.#typed(name, AttributeType.STRING);
    return found === undefined ? this.#default(name, fallback) : text.decode(found.s);
  }

  ints(name: string, fallback?: readonly number[]): readonly number[] {
    return this.#typed(name, AttributeType.INTS)?.ints.map(Number) ?? this.#default(name, fallback);
  }

  floats(name: string): readonly number[] {
    return (
      this.#typed(name, AttributeType.FLOATS)?.floats ?? this.#default<readonly number[]>(name, undefined)
    );
  }

  tensor(name: string): Tensor {
    const stored = this.#typed(name, AttributeType.TENSOR)?.t;
    return this.#context.tensor(stored ?? this.#default<TensorProto>(name, undefined), this.#place);
  }

  /** An attribute that holds an element type. */
  type(name: string, fallback?: DType): DType {
    if (!this.has(name)) return this.#default(name, fallback);
    const dtype = dtypeOfOnnx(this.int(name));
    if (dtype === undefined || dtype === "string") throw this.unsupported(`element type ${this.int(name)}`);
    return dtype;
  }

  /** The elements of an input that is a scalar or a list of whole numbers, as far as they are known. */
  override partialInts(i: number): readonly PartialInt[] {
    const x = this.input(i);
    return partialInts(x) ?? knownNumbers(x) ?? super.partialInts(i);
  }

  /** A list that was an attribute up to an operator set and is an input from there on; undefined where it is left out. */
  listFrom(opset: number, name: string, i: number): readonly number[] | undefined {
    if (this.opset < opset) return this.has(name) ? this.ints(name) : undefined;
    return this.inputs[i] === undefined ? undefined : this.constants(i);
  }

  /** Whether a side is the number of images, which the file says is 1, and any number is read. */
  isFreedBatch(side: Dim | undefined): boolean {
    return side !== undefined && side === this.#context.batch;
  }

  #attribute(name: string): AttributeProto | undefined {
    return this.node.attribute.find((each) => each.name === name);
  }

  /** An attribute that is of a kind, or of none that is said, as in old files. */
  #typed(name: string, type: AttributeType): AttributeProto | undefined {
    const found = this.#attribute(name);
    if (found === undefined || found.type === type || found.type === AttributeType.UNDEFINED) return found;
    throw this.invalid(`the attribute ${name} is of kind ${AttributeType[found.type] ?? found.type}`);
  }

  #default<T>(name: string, fallback: T | undefined): T {
    if (fallback === undefined) throw this.invalid(`the attribute ${name} is missing`);
    return fallback;
  }
}
