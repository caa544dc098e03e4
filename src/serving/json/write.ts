/** @file Writes all JSON answers, laid out to the space as TensorFlow Serving lays them out. */
import { create, toJson } from "@bufbuild/protobuf";
import { type DType, stridesOf, type Tensor, type TensorMap } from "../../base/tensor.ts";
import { SignatureDefMapSchema } from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { dataTypeOf, dataTypeText } from "../../savedmodel/format/tensor-proto.ts";
import { type Classifications, classesOf } from "../classifications.ts";
import type { Servable } from "../engine/servable.ts";
import type { Catalog, VersionStatus } from "../repository/catalog.ts";
import { invalidArgument } from "../status.ts";
import { decimalDigits, decimalText } from "./decimal.ts";
import type { JsonFormat } from "./tensors.ts";

const FIRST_CAPACITY = 1024;
/** Up to this many characters a loop is faster than `Buffer.write`. */
const SHORT_TEXT = 32;
/** More than any number takes. */
const LONGEST_NUMBER = 32;
const ZERO = 0x30;
const POINT = 0x2e;
const MINUS = 0x2d;

/** The bytes of an answer, in a buffer that grows: no string for each value. */
export class JsonOut {
  #bytes = Buffer.from(new ArrayBuffer(FIRST_CAPACITY));
  #length = 0;

  /** Appends text whose characters are one byte each. */
  text(latin1: string): void {
    this.#reserve(latin1.length);
    if (latin1.length > SHORT_TEXT) {
      this.#length += this.#bytes.write(latin1, this.#length, "latin1");
      return;
    }
    for (let i = 0; i < latin1.length; i++) this.#bytes[this.#length++] = latin1.charCodeAt(i);
  }

  /** Appends a number in the form of `decimalText`. */
  decimal(value: number, kind: "float32" | "float64"): void {
    const digits = decimalDigits(value, kind);
    if (digits === undefined) this.text(decimalText(value, kind));
    else this.#digits(digits.value, digits.count, digits.exponent, value < 0);
  }

  /** A number of `count` digits, the first of which has the weight 10^exponent, without trailing zeros after the point. */
  #digits(value: number, count: number, exponent: number, isNegative: boolean): void {
    this.#reserve(LONGEST_NUMBER);
    const bytes = this.#bytes;
    let at = this.#length;
    if (isNegative) bytes[at++] = MINUS;
    const before = Math.max(1, exponent + 1);
    const start = at;
    const end = at + 1 + before + (count - 1 - exponent);
    let rest = value;
    for (let place = end - 1; place >= start; place--) {
      if (place === start + before) bytes[place] = POINT;
      else {
        const tenth = Math.floor(rest / 10);
        bytes[place] = ZERO + rest - tenth * 10;
        rest = tenth;
      }
    }
    at = end;
    while (bytes[at - 1] === ZERO && bytes[at - 2] !== POINT) at--;
    if (bytes[at - 1] === POINT) bytes[at++] = ZERO;
    this.#length = at;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.from(new ArrayBuffer(Math.max(needed, this.#bytes.length * 2)));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  /** The bytes written so far. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** One level of indentation. */
const INDENT = "    ";
const UNWRITABLE: ReadonlySet<DType> = new Set(["float16", "bfloat16", "uint16"]);
const NEWLINES: string[] = [];

/** A line break with the indentation of a depth. */
function newline(depth: number): string {
  NEWLINES[depth] ??= `\n${INDENT.repeat(depth)}`;
  return NEWLINES[depth];
}

/** A JSON string. Text is one character per byte: strings of a model need not be UTF-8 and pass unchanged. */
export function quote(latin1: string): string {
  return JSON.stringify(latin1).replace(/\\u....|\\./g, (match) =>
    match.length > 2 ? `\\u${match.slice(2).toUpperCase()}` : match,
  );
}

/** A JSON string of any text, as the bytes of its UTF-8. */
export function quoteText(text: string): string {
  return quote(Buffer.from(text).toString("latin1"));
}

/** Writes the element at an index of the tensor's data; `depth` is that of the surrounding list. */
type ElementWriter = (out: JsonOut, index: number, depth: number) => void;

function elementWriter(name: string, value: Tensor): ElementWriter {
  if (UNWRITABLE.has(value.dtype)) {
    throw invalidArgument(
      `Failed to write JSON value for tensor type: ${dataTypeText(dataTypeOf(value.dtype))}`,
    );
  }
  if (value.dtype === "string") {
    const strings = value.data as readonly Uint8Array[];
    const isText = !name.endsWith("_bytes");
    if (isText) return (out, index) => out.text(quote(Buffer.from(strings[index]!).toString("latin1")));
    return (out, index, depth) => {
      out.text(`{${newline(depth + 1)}"b64": "`);
      out.text(Buffer.from(strings[index]!).toString("base64"));
      out.text(`"${newline(depth)}}`);
    };
  }
  const numbers = value.data as Float32Array;
  if (value.dtype === "float32" || value.dtype === "float64") {
    const { dtype } = value;
    return (out, index) => out.decimal(numbers[index]!, dtype);
  }
  if (value.dtype === "bool") return (out, index) => out.text(numbers[index] === 0 ? "false" : "true");
  return (out, index) => out.text(String(numbers[index]));
}

/** Writes one tensor as nested lists. */
class TensorWriter {
  readonly name: string;
  readonly #out: JsonOut;
  readonly #shape: readonly number[];
  /** Elements inside one entry of each axis. */
  readonly #strides: readonly number[];
  readonly #element: ElementWriter;

  constructor(out: JsonOut, name: string, value: Tensor) {
    this.name = name;
    this.#out = out;
    this.#shape = value.shape;
    this.#strides = stridesOf(value.shape);
    this.#element = elementWriter(name, value);
  }

  /** The whole tensor, one element a line. */
  whole(depth: number): void {
    this.#lists(0, 0, depth, false);
  }

  /** One entry of the first axis, on one line. */
  row(row: number, depth: number): void {
    this.#lists(1, row * this.#strides[0]!, depth, true);
  }

  /** One element, or the nested lists from `axis` inwards. */
  #lists(axis: number, index: number, depth: number, isLine: boolean): void {
    const out = this.#out;
    if (axis >= this.#shape.length) {
      this.#element(out, index, depth);
      return;
    }
    const size = this.#shape[axis]!;
    if (size === 0) {
      out.text("[]");
      return;
    }
    for (let i = 0; i < size; i++) {
      if (i === 0) out.text(isLine ? "[" : `[${newline(depth + 1)}`);
      else out.text(isLine ? ", " : `,${newline(depth + 1)}`);
      this.#lists(axis + 1, index + i * this.#strides[axis]!, depth + 1, isLine);
    }
    out.text(isLine ? "]" : `${newline(depth)}]`);
  }
}

/** `{"predictions": …}` or `{"outputs": …}` for the outputs of a run. */
export function writePredictJson(outputs: TensorMap, format: JsonFormat): Uint8Array {
  if (outputs.size === 0) throw invalidArgument("Cannot convert empty tensor map to JSON");
  const out = new JsonOut();
  if (format === "row") writeRows(out, outputs);
  else writeColumns(out, outputs);
  return out.bytes();
}

function batchSizeOf(outputs: TensorMap): number {
  let batchSize: number | undefined;
  for (const [name, { shape }] of outputs) {
    const [rows] = shape;
    if (rows === undefined) throw invalidArgument(`Tensor name: ${name} has no shape information `);
    if (batchSize !== undefined && batchSize !== rows) {
      throw invalidArgument(
        `Tensor name: ${name} has inconsistent batch size: ${rows} expecting: ${batchSize}`,
      );
    }
    batchSize = rows;
  }
  return batchSize ?? 0;
}

function writeRows(out: JsonOut, outputs: TensorMap): void {
  const rows = batchSizeOf(outputs);
  const writers = [...outputs].map(([name, value]) => new TensorWriter(out, name, value));
  out.text(`{\n${INDENT}"predictions": [`);
  if (rows === 0) {
    out.text("]\n}");
    return;
  }
  for (let row = 0; row < rows; row++) {
    if (writers.length === 1) {
      if (row > 0) out.text(", ");
      writers[0]!.row(row, 2);
    } else {
      if (row > 0) out.text(",");
      out.text(`${newline(2)}{`);
      writeMembers(out, writers, 3, (writer) => writer.row(row, 3));
      out.text(`${newline(2)}}`);
    }
  }
  out.text(`\n${INDENT}]\n}`);
}

function writeColumns(out: JsonOut, outputs: TensorMap): void {
  const writers = [...outputs].map(([name, value]) => new TensorWriter(out, name, value));
  out.text(`{\n${INDENT}"outputs": `);
  if (writers.length === 1) writers[0]!.whole(1);
  else {
    out.text("{");
    writeMembers(out, writers, 2, (writer) => writer.whole(2));
    out.text(`\n${INDENT}}`);
  }
  out.text("\n}");
}

/** `"name": …` of each output. */
function writeMembers(
  out: JsonOut,
  writers: readonly TensorWriter[],
  depth: number,
  write: (writer: TensorWriter) => void,
): void {
  for (const [index, writer] of writers.entries()) {
    out.text(`${index > 0 ? "," : ""}${newline(depth)}${quoteText(writer.name)}: `);
    write(writer);
  }
}

function bytesOfText(latin1: string): Uint8Array {
  return Buffer.from(latin1, "latin1");
}

/** `{"results": …}`: for each example its labels and scores. */
export function writeClassifyJson(answer: Classifications): Uint8Array {
  if (answer.batch === 0) throw invalidArgument("Cannot convert empty ClassificationResults to JSON");
  const items = Array.from({ length: answer.batch }, (_, row) => {
    const pairs = classesOf(answer, row).map(
      ({ label, score }) => `[${quoteText(label)}, ${decimalText(score, "float32")}]`,
    );
    return `[${pairs.join(", ")}]`;
  });
  return bytesOfText(`{\n${INDENT}"results": [${items.join(", ")}\n${INDENT}]\n}`);
}

/** `{"results": …}`: a number for each example. */
export function writeRegressJson(values: ArrayLike<number>): Uint8Array {
  if (values.length === 0) throw invalidArgument("Cannot convert empty RegressionResults to JSON");
  const items = Array.from(values, (value) => decimalText(value, "float32"));
  return bytesOfText(`{\n${INDENT}"results": [${items.join(", ")}]\n}`);
}

/** `{"error": …}`. */
export function writeErrorJson(message: string, code?: string): Uint8Array {
  const coded = code === undefined ? "" : `,\n${INDENT}"code": ${quoteText(code)}`;
  return bytesOfText(`{\n${INDENT}"error": ${quoteText(message)}${coded}\n}`);
}

/** JSON indented by one space, as protobuf's writer does it. */
export function writeIndentedJson(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}

/** `{"model_version_status": […]}`. */
export function writeStatusJson(versions: readonly VersionStatus[]): string {
  return writeIndentedJson({
    model_version_status: versions.map(({ version, state, error, note }) => ({
      version: String(version),
      state,
      status: { error_code: error?.status ?? "OK", error_message: error?.message ?? note ?? "" },
    })),
  });
}

/** `{"model_spec": …, "metadata": {"signature_def": …}}`. */
export function writeMetadataJson(servable: Servable): string {
  const spec = { name: servable.name, signature_name: "", version: String(servable.version) };
  const signatures = toJson(
    SignatureDefMapSchema,
    create(SignatureDefMapSchema, { signatureDef: { ...servable.signatureDefs } }),
    { useProtoFieldName: true, alwaysEmitImplicit: true },
  );
  return `{\n"model_spec":${writeIndentedJson(spec)},\n"metadata": {"signature_def": ${writeIndentedJson(signatures)}}\n}\n`;
}

/** The list of models, which TensorFlow Serving does not have: names, versions with their states, labels. */
export function writeModelsJson(catalog: Catalog): string {
  return writeIndentedJson({
    models: catalog.names().map((name) => ({
      name,
      versions: catalog.versions(name).map(({ version, state }) => ({ version: String(version), state })),
      labels: Object.fromEntries(
        [...catalog.labels(name)].map(([label, version]) => [label, String(version)]),
      ),
    })),
  });
}
