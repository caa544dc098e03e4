/** @file One TensorFlow node during import: its inputs, attributes and constant arguments. */

import type { DType } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { ImportCall } from "../../graph/import-call.ts";
import { fromNumbers, numericDType } from "../../graph/numbers.ts";
import type { Node } from "../../graph/ops.ts";
import type { AttrValue, NodeDef } from "../../proto/tensorflow/graph_pb.ts";
import type { DataType } from "../../proto/tensorflow/tensor_pb.ts";
import { dtypeOf } from "../format/tensor-proto.ts";
import type { StoredTable } from "./tables.ts";

/** An index beyond every axis, which the engine refuses. */
export const NOWHERE = 2 ** 31 - 1;

/**
 * A value of a run for which a condition holds; any other run fails.
 * @throws FaceError `MODEL_UNSUPPORTED` for strings.
 */
export function onlyIf(condition: Node, value: Node): Node {
  // The engine refuses an index beyond the only element.
  const place = g.select(condition, g.scalar(0, "int64"), g.scalar(NOWHERE, "int64"));
  const zero = g.gather(g.constant(fromNumbers("int64", [1], [0])), place, 0);
  if (value.dtype === "bool") return g.or(value, g.cast(zero, "bool"));
  return g.sub(value, g.cast(zero, numericDType(value.dtype)));
}

/** Turns a node into the values of its outputs. */
export type Importer = (call: OpCall) => Node | readonly Node[];
/** Operator → how to read it. */
export type Importers = Readonly<Record<string, Importer>>;

type AttrKind = NonNullable<AttrValue["value"]["case"]>;
type AttrOf<K extends AttrKind> = Extract<AttrValue["value"], { case: K }>["value"];

const text = new TextDecoder();

/** Reads a node's arguments; a missing argument or one of another kind is an error that names the node. */
export class OpCall extends ImportCall {
  readonly def: NodeDef;
  readonly #table: StoredTable | undefined;

  /**
   * @param place where the node stands, for errors
   * @param table what the table holds that the first input is, if it is one
   */
  constructor(def: NodeDef, inputs: readonly Node[], place: string, table?: StoredTable) {
    super(inputs, `${place} (${def.op})`);
    this.def = def;
    this.#table = table;
  }

  /** The table that the first input is. */
  table(): StoredTable {
    if (this.#table === undefined) throw this.invalid("its first input is no table");
    return this.#table;
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

  floats(name: string): readonly number[] {
    return this.#attribute("list", ({ f }) => f, name, undefined);
  }

  type(name: string, fallback?: DType): DType {
    const convert = (value: DataType) => {
      const dtype = dtypeOf(value);
      if (dtype === undefined) throw this.unsupported(`element type ${value}`);
      return dtype;
    };
    return this.#attribute("type", convert, name, fallback);
  }

  /** An input that names an axis, counted from the front; with `fresh` 1, an axis of the result with a new axis. */
  axis(i: number, x: Node, fresh: 0 | 1 = 0): number {
    return this.placeOf(this.constant(i), x, fresh);
  }

  /** Whole numbers of which none is negative; a run with one is refused. */
  fromStart(x: Node): Node {
    const zero = g.scalar(0, x.dtype);
    const isBefore = g.less(x, zero);
    // The engine refuses an index beyond the only element.
    const place = g.select(isBefore, g.scalar(NOWHERE, "int64"), g.scalar(0, "int64"));
    return g.add(x, g.gather(g.constant(fromNumbers(x.dtype, [1], [0])), place, 0));
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
