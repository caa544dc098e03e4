/** @file The answers of predict, classify and regress as JSON, laid out as TensorFlow Serving lays them out. */
import type { DType } from "../base/dtype.ts";
import { sizeOf } from "../base/shape.ts";
import type { Tensor, TensorMap } from "../base/tensor.ts";
import { dataTypeOf, dataTypeText } from "../savedmodel/tensor-proto.ts";
import { decimalText } from "./json-decimal.ts";
import type { JsonFormat } from "./json-tensors.ts";
import { invalidArgument } from "./status.ts";

const INDENT = "    ";
const UNWRITABLE: ReadonlySet<DType> = new Set(["float16", "bfloat16", "uint16"]);
const SHORT_ESCAPES: { readonly [character: string]: string } = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** How lists are laid out: on one line, or one element a line. */
type Layout = "line" | "lines";

/**
 * Text is collected one character per byte, so that strings of a model, which need not be UTF-8, pass unchanged.
 */
function bytesOfText(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

function newline(depth: number): string {
  return `\n${INDENT.repeat(depth)}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what JSON must escape.
const ESCAPED = /["\\\u0000-\u001f]/g;

function quote(latin1: string): string {
  const escaped = latin1.replace(
    ESCAPED,
    (character) =>
      SHORT_ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`,
  );
  return `"${escaped}"`;
}

function quoteText(text: string): string {
  return quote(Buffer.from(text).toString("latin1"));
}

/** The text of each element, by its place in the tensor. `depth` is that of the surrounding list. */
type ElementText = (index: number, depth: number) => string;

/** String outputs whose name ends so are bytes rather than text. */
function isBytesOutput(name: string, value: Tensor): boolean {
  return value.dtype === "string" && name.endsWith("_bytes");
}

function elementText(name: string, value: Tensor): ElementText {
  if (UNWRITABLE.has(value.dtype)) {
    throw invalidArgument(
      `Failed to write JSON value for tensor type: ${dataTypeText(dataTypeOf(value.dtype))}`,
    );
  }
  if (value.dtype === "string") {
    const strings = value.data as readonly Uint8Array[];
    if (!isBytesOutput(name, value)) {
      return (index) => quote(Buffer.from(strings[index]!).toString("latin1"));
    }
    return (index, depth) =>
      `{${newline(depth + 1)}"b64": "${Buffer.from(strings[index]!).toString("base64")}"${newline(depth)}}`;
  }
  const numbers = value.data as Float32Array;
  if (value.dtype === "float32" || value.dtype === "float64") {
    const { dtype } = value;
    return (index) => decimalText(numbers[index]!, dtype);
  }
  if (value.dtype === "bool") return (index) => (numbers[index] === 0 ? "false" : "true");
  return (index) => String(numbers[index]);
}

/** One element, or the nested lists from `axis` inwards. */
function tensorText(
  shape: readonly number[],
  axis: number,
  index: number,
  depth: number,
  layout: Layout,
  text: ElementText,
): string {
  if (axis >= shape.length) return text(index, depth);
  const stride = sizeOf(shape.slice(axis + 1));
  const items: string[] = [];
  for (let i = 0; i < shape[axis]!; i++) {
    items.push(tensorText(shape, axis + 1, index + i * stride, depth + 1, layout, text));
  }
  if (items.length === 0) return "[]";
  if (layout === "line") return `[${items.join(", ")}]`;
  return `[${newline(depth + 1)}${items.join(`,${newline(depth + 1)}`)}${newline(depth)}]`;
}

/** `{"predictions": …}` or `{"outputs": …}` for the outputs of a run. */
export function writePredictJson(outputs: TensorMap, format: JsonFormat): Uint8Array {
  if (outputs.size === 0) throw invalidArgument("Cannot convert empty tensor map to JSON");
  return bytesOfText(format === "row" ? rowsText(outputs) : columnsText(outputs));
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

function rowsText(outputs: TensorMap): string {
  const rows = batchSizeOf(outputs);
  const writers = [...outputs].map(([name, value]) => {
    const text = elementText(name, value);
    const stride = sizeOf(value.shape.slice(1));
    return {
      name,
      row: (row: number, depth: number) => tensorText(value.shape, 1, row * stride, depth, "line", text),
    };
  });
  if (rows === 0) return `{\n${INDENT}"predictions": []\n}`;
  const items = Array.from({ length: rows }, (_, row) => {
    if (writers.length === 1) return writers[0]!.row(row, 2);
    const members = writers.map((writer) => `${newline(3)}${quoteText(writer.name)}: ${writer.row(row, 3)}`);
    return `${newline(2)}{${members.join(",")}${newline(2)}}`;
  });
  return `{\n${INDENT}"predictions": [${items.join(writers.length === 1 ? ", " : ",")}\n${INDENT}]\n}`;
}

function columnsText(outputs: TensorMap): string {
  const whole = ([name, value]: readonly [string, Tensor], depth: number) =>
    tensorText(value.shape, 0, 0, depth, "lines", elementText(name, value));
  const [first] = outputs;
  if (outputs.size === 1) return `{\n${INDENT}"outputs": ${whole(first!, 1)}\n}`;
  const members = [...outputs].map((entry) => `${newline(2)}${quoteText(entry[0])}: ${whole(entry, 2)}`);
  return `{\n${INDENT}"outputs": {${members.join(",")}\n${INDENT}}\n}`;
}

/** A label and its score. */
export interface ScoredClass {
  readonly label: string;
  readonly score: number;
}

/** `{"results": …}`: for each example its labels and scores. */
export function writeClassifyJson(results: readonly (readonly ScoredClass[])[]): Uint8Array {
  if (results.length === 0) throw invalidArgument("Cannot convert empty ClassificationResults to JSON");
  const items = results.map((classes) => {
    const pairs = classes.map(
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
export function writeErrorJson(message: string): Uint8Array {
  return bytesOfText(`{\n${INDENT}"error": ${quoteText(message)}\n}`);
}
