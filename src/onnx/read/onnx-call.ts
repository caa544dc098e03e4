/** @file One ONNX node while it is turned into ours: its inputs, its attributes, its constant arguments. */

import { FaceError } from "../../base/errors.ts";
import type { DType, Tensor } from "../../base/tensor.ts";
import type { Dim, Node } from "../../graph/ops.ts";
import { knownNumbers, type PartialInt, partialInts } from "../../graph/partial-ints.ts";
import * as partial from "../../graph/partial-shapes.ts";
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
  type TensorProto,
} from "../../proto/onnx/onnx_pb.ts";
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
export class OnnxCall {
  readonly node: NodeProto;
  /** Undefined where an optional input is left out. */
  readonly inputs: readonly (Node | undefined)[];
  readonly #context: OnnxContext;
  readonly #place: string;

  /** @param place where the node stands, for errors */
  constructor(node: NodeProto, inputs: readonly (Node | undefined)[], context: OnnxContext, place: string) {
    this.node = node;
    this.inputs = inputs;
    this.#context = context;
    this.#place = place;
  }

  get opset(): number {
    return this.#context.opset;
  }

  /** The error for what is there but cannot be done. */
  unsupported(what: string): FaceError {
    return new FaceError(
      "MODEL_UNSUPPORTED",
      `${this.#place} (${this.node.opType}): ${what} is not supported`,
    );
  }

  /** The error for what cannot be, however the model was made. */
  invalid(what: string): FaceError {
    return new FaceError("MODEL_INVALID", `${this.#place} (${this.node.opType}): ${what}`);
  }

  input(i: number): Node {
    const node = this.inputs[i];
    if (node === undefined) throw this.invalid(`input ${i} is missing`);
    return node;
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
  partialInts(i: number): readonly PartialInt[] {
    const known = partialInts(this.input(i)) ?? knownNumbers(this.input(i));
    if (known === undefined)
      throw this.unsupported(`input ${i} that is computed from other values than shapes`);
    return known;
  }

  /** An input that must be known while the model is read, such as a shape or an axis. */
  constants(i: number): readonly number[] {
    const known = knownNumbers(this.input(i));
    if (known === undefined) throw this.unsupported(`input ${i} that is not constant`);
    return known;
  }

  constant(i: number): number {
    const [value] = this.constants(i);
    if (value === undefined) throw this.invalid(`input ${i} is empty`);
    return value;
  }

  /** A list that was an attribute up to an operator set and is an input from there on; undefined where it is left out. */
  listFrom(opset: number, name: string, i: number): readonly number[] | undefined {
    if (this.opset < opset) return this.has(name) ? this.ints(name) : undefined;
    return this.inputs[i] === undefined ? undefined : this.constants(i);
  }

  /** An axis counted from the front; with `fresh`, one that will only be made. */
  placeOf(axis: number, x: Node, fresh = 0): number {
    const rank = x.shape.length + fresh;
    const place = axis < 0 ? axis + rank : axis;
    if (!(Number.isInteger(place) && place >= 0 && place < rank)) {
      throw this.invalid(`there is no axis ${axis} in a tensor of rank ${rank}`);
    }
    return place;
  }

  /** Axes counted from the front, each once. */
  placesOf(axes: readonly number[], x: Node, fresh = 0): number[] {
    return [...new Set(axes.map((axis) => this.placeOf(axis, x, fresh)))];
  }

  /** Whether a side is the number of images, which the file says is 1, and any number is read. */
  isFreedBatch(side: Dim | undefined): boolean {
    return side !== undefined && side === this.#context.batch;
  }

  /** Refuses a shape that takes too much memory for what it is made of. */
  checkExpansion(sides: readonly number[]): void {
    if (partial.isAffordable(sides)) return;
    throw this.unsupported(`a tensor of shape [${sides.join(", ")}] made of few elements`);
  }

  reshapeTo(x: Node, sides: readonly (Dim | PartialInt)[]): Node {
    const reshaped = partial.reshapeTo(x, sides);
    if (reshaped === undefined)
      throw this.unsupported("a reshape to several sides that only a run will tell");
    return reshaped;
  }

  /** Repeats a tensor along its sides of 1. */
  repeatedTo(x: Node, sides: readonly PartialInt[]): Node {
    this.checkExpansion(sides.map((side) => (typeof side === "number" ? side : 1)));
    const repeated = partial.repeatedTo(x, sides);
    if (repeated === undefined)
      throw this.unsupported("a shape that is computed from more than one unknown side");
    return repeated;
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
