/** @file One TensorFlow node while it is turned into ours: its inputs, its attributes, its constant arguments. */
import type { DType } from "../base/dtype.ts";
import { FaceError } from "../base/errors.ts";
import { isOp, type Node } from "../graph/ops.ts";
import { simplify } from "../graph/simplify.ts";
import type { NodeDef } from "../proto/tensorflow/graph_pb.ts";
import { dtypeOf } from "./tensor-proto.ts";

const text = new TextDecoder();

/** Reads a node's arguments; whatever is missing or of another kind is an error that names the node. */
export class OpCall {
  readonly def: NodeDef;
  readonly inputs: readonly Node[];

  constructor(def: NodeDef, inputs: readonly Node[]) {
    this.def = def;
    this.inputs = inputs;
  }

  /** The error for what is there but cannot be done. */
  unsupported(what: string): FaceError {
    return new FaceError("MODEL_UNSUPPORTED", `${this.def.name} (${this.def.op}): ${what} is not supported`);
  }

  /** The error for what cannot be, however the model was made. */
  invalid(what: string): FaceError {
    return new FaceError("MODEL_INVALID", `${this.def.name} (${this.def.op}): ${what}`);
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

  /** An input that must be known while the model is loaded, such as a shape or an axis. */
  constants(i: number): readonly number[] {
    const [folded] = simplify([this.input(i)]);
    if (folded === undefined || !isOp(folded, "constant"))
      throw this.unsupported(`input ${i} that is not constant`);
    return Array.from(folded.attrs.value.data as Int32Array, Number);
  }

  constant(i: number): number {
    const [value] = this.constants(i);
    if (value === undefined) throw this.invalid(`input ${i} is empty`);
    return value;
  }

  #default<T>(name: string, fallback: T | undefined): T {
    if (fallback === undefined) throw this.invalid(`the attribute ${name} is missing`);
    return fallback;
  }
}
