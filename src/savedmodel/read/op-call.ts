/** @file One TensorFlow node during import: its inputs, attributes and constant arguments. */

import { FaceError } from "../../base/errors.ts";
import type { DType } from "../../base/tensor.ts";
import type { Node } from "../../graph/ops.ts";
import { knownNumbers, type PartialInt, partialInts } from "../../graph/partial-ints.ts";
import type { AttrValue, NodeDef } from "../../proto/tensorflow/graph_pb.ts";
import type { DataType } from "../../proto/tensorflow/tensor_pb.ts";
import { dtypeOf } from "../format/tensor-proto.ts";

/** Turns a node into the values of its outputs. */
export type Importer = (call: OpCall) => Node | readonly Node[];
/** Operator → how to read it. */
export type Importers = Readonly<Record<string, Importer>>;

type AttrKind = NonNullable<AttrValue["value"]["case"]>;
type AttrOf<K extends AttrKind> = Extract<AttrValue["value"], { case: K }>["value"];

const text = new TextDecoder();

/** Reads a node's arguments; a missing argument or one of another kind is an error that names the node. */
export class OpCall {
  readonly def: NodeDef;
  readonly inputs: readonly Node[];
  readonly #place: string;

  /** @param place where the node stands, for errors */
  constructor(def: NodeDef, inputs: readonly Node[], place: string) {
    this.def = def;
    this.inputs = inputs;
    this.#place = place;
  }

  /** The error for what we do not support. */
  unsupported(what: string): FaceError {
    return new FaceError("MODEL_UNSUPPORTED", `${this.#place} (${this.def.op}): ${what} is not supported`);
  }

  /** The error for what no valid model has. */
  invalid(what: string): FaceError {
    return new FaceError("MODEL_INVALID", `${this.#place} (${this.def.op}): ${what}`);
  }

  input(i: number): Node {
    const node = this.inputs[i];
    if (node === undefined) throw this.invalid(`input ${i} is missing`);
    return node;
  }

  int(name: string, fallback?: number): number {
    return this.#attribute("i", Number, name, fallback);
  }

  float(name: string, fallback?: number): number {
    return this.#attribute("f", (value) => value, name, fallback);
  }

  bool(name: string, fallback?: boolean): boolean {
    return this.#attribute("b", (value) => value, name, fallback);
  }

  text(name: string, fallback?: string): string {
    return this.#attribute("s", (value) => text.decode(value), name, fallback);
  }

  ints(name: string, fallback?: readonly number[]): readonly number[] {
    return this.#attribute("list", ({ i }) => i.map(Number), name, fallback);
  }

  type(name: string, fallback?: DType): DType {
    const convert = (value: DataType) => {
      const dtype = dtypeOf(value);
      if (dtype === undefined) throw this.unsupported(`element type ${value}`);
      return dtype;
    };
    return this.#attribute("type", convert, name, fallback);
  }

  /** The elements of an input that is an integer or a list of them, as far as they are known. */
  partialInts(i: number): readonly PartialInt[] {
    const known = partialInts(this.input(i));
    if (known === undefined)
      throw this.unsupported(`input ${i} that is computed from other values than shapes`);
    return known;
  }

  /** An input that must be known while the model is loaded, such as a shape or an axis. */
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

  /** An input that names an axis, counted from the front; with `fresh` 1, an axis of the result with a new axis. */
  axis(i: number, x: Node, fresh: 0 | 1 = 0): number {
    return this.placeOf(this.constant(i), x, fresh);
  }

  /** An axis counted from the front. */
  placeOf(axis: number, x: Node, fresh: 0 | 1 = 0): number {
    const rank = x.shape.length + fresh;
    const place = axis < 0 ? axis + rank : axis;
    if (!(Number.isInteger(place) && place >= 0 && place < rank)) {
      throw this.invalid(`there is no axis ${axis} in a tensor of rank ${rank}`);
    }
    return place;
  }

  #attribute<K extends AttrKind, T>(
    kind: K,
    convert: (value: AttrOf<K>) => T,
    name: string,
    fallback: T | undefined,
  ): T {
    const value = this.def.attr[name]?.value;
    if (value?.case === kind) return convert(value.value as AttrOf<K>);
    if (fallback === undefined) throw this.invalid(`the attribute ${name} is missing`);
    return fallback;
  }
}
