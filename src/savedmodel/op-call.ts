/** @file One TensorFlow node while it is turned into ours: its inputs, its attributes, its constant arguments. */
import type { DType } from "../base/dtype.ts";
import { FaceError } from "../base/errors.ts";
import type { Node } from "../graph/ops.ts";
import { knownNumbers, type PartialInt, partialInts } from "../graph/partial-ints.ts";
import type { NodeDef } from "../proto/tensorflow/graph_pb.ts";
import { dtypeOf } from "./tensor-proto.ts";

/** Turns a node into the values of its outputs. */
export type Importer = (call: OpCall) => Node | readonly Node[];
/** Operator → how to read it. */
export type Importers = Readonly<Record<string, Importer>>;

const text = new TextDecoder();

/** Reads a node's arguments; whatever is missing or of another kind is an error that names the node. */
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

  /** The error for what is there but cannot be done. */
  unsupported(what: string): FaceError {
    return new FaceError("MODEL_UNSUPPORTED", `${this.#place} (${this.def.op}): ${what} is not supported`);
  }

  /** The error for what cannot be, however the model was made. */
  invalid(what: string): FaceError {
    return new FaceError("MODEL_INVALID", `${this.#place} (${this.def.op}): ${what}`);
  }

  input(i: number): Node {
    const node = this.inputs[i];
    if (node === undefined) throw this.invalid(`input ${i} is missing`);
    return node;
  }

  int(name: string, fallback?: number): number {
    const value = this.def.attr[name]?.value;
    if (value?.case === "i") return Number(value.value);
    return this.#default(name, fallback);
  }

  float(name: string, fallback?: number): number {
    const value = this.def.attr[name]?.value;
    if (value?.case === "f") return value.value;
    return this.#default(name, fallback);
  }

  bool(name: string, fallback?: boolean): boolean {
    const value = this.def.attr[name]?.value;
    if (value?.case === "b") return value.value;
    return this.#default(name, fallback);
  }

  text(name: string, fallback?: string): string {
    const value = this.def.attr[name]?.value;
    if (value?.case === "s") return text.decode(value.value);
    return this.#default(name, fallback);
  }

  ints(name: string, fallback?: readonly number[]): readonly number[] {
    const value = this.def.attr[name]?.value;
    if (value?.case === "list") return value.value.i.map(Number);
    return this.#default(name, fallback);
  }

  type(name: string, fallback?: DType): DType {
    const value = this.def.attr[name]?.value;
    if (value?.case !== "type") return this.#default(name, fallback);
    const dtype = dtypeOf(value.value);
    if (dtype === undefined) throw this.unsupported(`element type ${value.value}`);
    return dtype;
  }

  /** The elements of an input that is a scalar or a list of whole numbers, as far as they are known. */
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

  /** An input that says which axis, counted from the front; with `fresh`, an axis that will only be made. */
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

  #default<T>(name: string, fallback: T | undefined): T {
    if (fallback === undefined) throw this.invalid(`the attribute ${name} is missing`);
    return fallback;
  }
}
