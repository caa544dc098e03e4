/** @file A model's lookup tables: what its initialiser fills them with, from constants or from files in `assets/`. */
import { join } from "node:path";
import { FaceError, messageOf, systemCode } from "../../base/errors.ts";
import { readRegular } from "../../base/files.ts";
import { type DType, int64, type Tensor } from "../../base/tensor.ts";
import type { LookupTable } from "../../graph/ops.ts";
import type { MetaGraphDef } from "../../proto/tensorflow/graph_pb.ts";
import { dtypeOf, storedTensor } from "../format/tensor-proto.ts";
import { InlinedGraph, type InlinedNode, parseReference, type Source } from "./inlined-graph.ts";
import { origin, restoringNodes } from "./variable-keys.ts";

/** The entries of a table. */
export type StoredTable = Omit<LookupTable, "fallback">;

/** Operators that hold a table which does not change once it is filled. */
export const TABLE_OPS: ReadonlySet<string> = new Set(["HashTableV2"]);

/** The pseudo-signature and the collections that name the node which fills the tables. */
const INIT = "__saved_model_init_op";
const INIT_COLLECTIONS = ["saved_model_main_op", "legacy_init_op"];

/** Largest file of a table. */
const LARGEST_FILE = 2 ** 27;
/** Most entries of a table. */
const MOST_ENTRIES = 2 ** 21;
/** Bytes of a tensor of keys or values, with 16 counted for a string. */
const LARGEST_TENSOR = 16 * MOST_ENTRIES;

/** Column numbers with a special meaning: the whole line, or the line's number. */
const WHOLE_LINE = -2;
const LINE_NUMBER = -1;
const NEW_LINE = 10;
const RETURN = 13;

const decoder = new TextDecoder();
const invalid = (place: string, what: string) =>
  new FaceError("MODEL_INVALID", `the table ${place}: ${what}`);
const unsupported = (place: string, what: string) =>
  new FaceError("MODEL_UNSUPPORTED", `the table ${place}: ${what} is not supported`);

function initialNode({ signatureDef, collectionDef }: MetaGraphDef): string | undefined {
  const encoding = signatureDef[INIT]?.outputs[INIT]?.encoding;
  if (encoding?.case === "name") return encoding.value;
  const lists = INIT_COLLECTIONS.flatMap((name) => {
    const kind = collectionDef[name]?.kind;
    return kind?.case === "nodeList" ? kind.value.value : [];
  });
  return lists[0];
}

async function fileOf(path: string, place: string): Promise<Uint8Array> {
  try {
    const { buffer, byteOffset, length } = await readRegular(path, LARGEST_FILE);
    return new Uint8Array(buffer, byteOffset, length);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    throw new FaceError("MODEL_INVALID", `the table ${place}: cannot read ${path}: ${messageOf(error)}`, {
      hint: "copy the whole folder of the version; perhaps it is still being copied",
      cause: error,
    });
  }
}

/** Lines without their ends, as TensorFlow reads them: it drops every carriage return. */
function linesOf(bytes: Uint8Array, place: string): Uint8Array[] {
  const ends: number[] = [];
  for (let end = bytes.indexOf(NEW_LINE); end !== -1; end = bytes.indexOf(NEW_LINE, end + 1)) {
    ends.push(end);
    if (ends.length > MOST_ENTRIES) throw unsupported(place, `a file of more than ${MOST_ENTRIES} lines`);
  }
  const last = ends.length === 0 ? 0 : ends.at(-1)! + 1;
  if (last < bytes.length) ends.push(bytes.length);
  return ends.map((end, i) => {
    const line = bytes.subarray(i === 0 ? 0 : ends[i - 1]! + 1, end);
    return line.includes(RETURN) ? line.filter((byte) => byte !== RETURN) : line;
  });
}

/** Parts of a line between bytes of a delimiter. */
function columnsOf(line: Uint8Array, delimiter: number): Uint8Array[] {
  const columns: Uint8Array[] = [];
  let at = 0;
  for (let end = line.indexOf(delimiter); end !== -1; end = line.indexOf(delimiter, at)) {
    columns.push(line.subarray(at, end));
    at = end + 1;
  }
  return [...columns, line.subarray(at)];
}

/** Which part of a line is the key or the value. */
interface Column {
  readonly index: number;
  readonly dtype: DType;
}

const LARGEST_INT64 = 2n ** 63n;
const isInt64 = (text: string) => {
  const number = /^\s*[-+]?[0-9]{1,20}\s*$/.test(text) ? BigInt(text) : LARGEST_INT64;
  return number >= -LARGEST_INT64 && number < LARGEST_INT64;
};

/** The whole number that a text is, or a float. */
function numberOf(text: string, dtype: DType, place: string): number | bigint {
  const isWhole = dtype === "int64" || dtype === "int32";
  const fits = isWhole ? isInt64(text) : text.trim() !== "" && !Number.isNaN(Number(text));
  if (!fits) throw invalid(place, `${JSON.stringify(text.slice(0, 40))} is no ${dtype}`);
  return isWhole ? BigInt(text) : Number(text);
}

/** A list of one type from the entries of a file. */
function listOf(texts: readonly Uint8Array[], dtype: DType, place: string): Tensor {
  const shape = [texts.length];
  if (dtype === "string") return { dtype, shape, data: texts };
  const numbers = texts.map((text) => numberOf(decoder.decode(text), dtype, place));
  if (dtype === "int64") return { dtype, shape, data: BigInt64Array.from(numbers as bigint[]) };
  if (dtype === "int32") return { dtype, shape, data: Int32Array.from(numbers, Number) };
  if (dtype === "float32") return { dtype, shape, data: Float32Array.from(numbers as number[]) };
  throw unsupported(place, `${dtype} in a file`);
}

/** A key of a map: the number, or a string's bytes. */
function keyText(keys: Tensor, i: number): bigint | number | string {
  const key = keys.data[i]!;
  return typeof key === "object" ? Buffer.from(key).toString("latin1") : key;
}

/** Each key once; one that comes again must have the same value. */
function withoutRepeats({ keys, values }: StoredTable, place: string): StoredTable {
  const first = new Map<bigint | number | string, number>();
  const kept: number[] = [];
  for (let i = 0; i < keys.data.length; i++) {
    const key = keyText(keys, i);
    const known = first.get(key);
    if (known === undefined) kept.push(i);
    else if (keyText(values, known) !== keyText(values, i))
      throw invalid(place, `the key ${String(key).slice(0, 40)} has several values`);
    if (known === undefined) first.set(key, i);
  }
  if (kept.length === keys.data.length) return { keys, values };
  const chosen = ({ dtype, data }: Tensor): Tensor =>
    ({
      dtype,
      shape: [kept.length],
      data: (data as Float32Array).filter((_, i) => first.get(keyText(keys, i)) === i),
    }) as Tensor;
  return { keys: chosen(keys), values: chosen(values) };
}

/** The tables of a model. Each is read once, when a signature needs it. */
export class Tables {
  readonly #folder: string;
  readonly #meta: MetaGraphDef;
  readonly #read = new Map<string, Promise<StoredTable>>();
  #found: { readonly graph: InlinedGraph; readonly nodes: readonly InlinedNode[] } | undefined;

  constructor(folder: string, meta: MetaGraphDef) {
    this.#folder = folder;
    this.#meta = meta;
  }

  /**
   * What tables hold, by the paths of their nodes.
   * @throws FaceError `MODEL_INVALID` for one that is not filled or whose file is damaged, `MODEL_UNSUPPORTED` for one that is
   *   too large or filled in another way than from constants and files.
   */
  async read(nodes: readonly InlinedNode[]): Promise<ReadonlyMap<string, StoredTable>> {
    const tables = nodes.map(async (node): Promise<[string, StoredTable]> => {
      const known = this.#read.get(node.place) ?? this.#table(node);
      this.#read.set(node.place, known);
      return [node.place, await known];
    });
    return new Map(await Promise.all(tables));
  }

  /** What runs when the model is loaded. */
  #initial(): { readonly graph: InlinedGraph; readonly nodes: readonly InlinedNode[] } {
    if (this.#found === undefined) {
      const graph = new InlinedGraph(this.#meta.graphDef!);
      const start = initialNode(this.#meta);
      this.#found = { graph, nodes: start === undefined ? [] : [...restoringNodes(graph, start)] };
    }
    return this.#found;
  }

  async #table({ place }: InlinedNode): Promise<StoredTable> {
    const { graph, nodes } = this.#initial();
    const filling = nodes.find((node) => {
      if (!/^(?:LookupTableImport|InitializeTable)/.test(node.def.op)) return false;
      return origin(graph, graph.inputs(node)[0])?.node.place === place;
    });
    if (filling === undefined) throw invalid(place, "nothing fills it when the model is loaded");
    const { op } = filling.def;
    if (op === "InitializeTableFromTextFileV2")
      return withoutRepeats(await this.#fromFile(filling, place), place);
    if (op !== "LookupTableImportV2" && op !== "InitializeTableV2") throw unsupported(place, op);
    const [, keys, values] = graph
      .inputs(filling)
      .map((source) => constantList(origin(graph, source), place));
    if (keys?.shape.join() !== values?.shape.join())
      throw invalid(place, "it has not one value for each key");
    return withoutRepeats({ keys: keys!, values: values! }, place);
  }

  async #fromFile(node: InlinedNode, place: string): Promise<StoredTable> {
    const { graph } = this.#initial();
    const [handle, filename] = graph.inputs(node);
    const path = join(this.#folder, "assets", this.#asset(filename, place));
    const lines = linesOf(await fileOf(path, place), place);
    const number = (name: string, fallback: number) => {
      const value = node.def.attr[name]?.value;
      return value?.case === "i" ? Number(value.value) : fallback;
    };
    const size = number("vocab_size", -1);
    if (size > lines.length) throw invalid(place, `its file has ${lines.length} lines, ${size} are wanted`);
    const taken = size < 0 ? lines : lines.slice(0, size);
    const delimiter = node.def.attr.delimiter?.value;
    const [byte = 9] = delimiter?.case === "s" ? delimiter.value : [];
    const dtype = (name: string): DType => {
      const value = origin(graph, handle)?.node.def.attr[name]?.value;
      return (value?.case === "type" ? dtypeOf(value.value) : undefined) ?? "string";
    };
    const list = ({ index, dtype: type }: Column): Tensor => {
      const first = number("offset", 0);
      if (index === LINE_NUMBER)
        return int64(
          [taken.length],
          Array.from(taken, (_, i) => first + i),
        );
      if (index === WHOLE_LINE) return listOf(taken, type, place);
      const columns = taken.map((line) => columnsOf(line, byte)[index]);
      const short = columns.indexOf(undefined);
      if (short !== -1) throw invalid(place, `line ${short + 1} of its file has no column ${index}`);
      return listOf(columns as Uint8Array[], type, place);
    };
    return {
      keys: list({ index: number("key_index", WHOLE_LINE), dtype: dtype("key_dtype") }),
      values: list({ index: number("value_index", LINE_NUMBER), dtype: dtype("value_dtype") }),
    };
  }

  /** The file behind a name that is fed when the model is loaded, itself or through a variable. */
  #asset(filename: Source | undefined, place: string): string {
    const { graph, nodes } = this.#initial();
    let source = origin(graph, filename);
    if (source?.node.def.op === "ReadVariableOp") source = origin(graph, graph.inputs(source.node)[0]);
    const variable = source?.node.place;
    const assignment = nodes.find(
      (node) =>
        node.def.op === "AssignVariableOp" && origin(graph, graph.inputs(node)[0])?.node.place === variable,
    );
    if (assignment !== undefined) source = origin(graph, graph.inputs(assignment)[1]);
    const asset = this.#meta.assetFileDef.find(({ tensorInfo }) => {
      const name = tensorInfo?.encoding;
      return name?.case === "name" && parseReference(name.value).name === source?.node.place;
    });
    if (asset === undefined) throw invalid(place, "the model does not say which file fills it");
    return asset.filename;
  }
}

/** The elements of a constant list. */
function constantList(source: Source | undefined, place: string): Tensor {
  if (source !== undefined && TABLE_OPS.has(source.node.def.op)) return int64([0], []);
  const value = source?.node.def.attr.value?.value;
  if (source?.node.def.op !== "Const" || value?.case !== "tensor")
    throw unsupported(place, `filling it from ${source?.node.def.op ?? "a cycle"}`);
  const list = storedTensor(value.value, source.node.place, { maxBytes: LARGEST_TENSOR });
  if (list.shape.length !== 1) throw invalid(place, "its keys and values must be lists");
  return list;
}
