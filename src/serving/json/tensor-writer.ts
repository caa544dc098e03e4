/** @file One tensor as nested JSON lists, written element by element. */
import { type DType, stridesOf, type Tensor } from "../../base/tensor.ts";
import { dataTypeOf, dataTypeText } from "../../savedmodel/format/tensor-proto.ts";
import { invalidArgument } from "../status.ts";
import type { JsonOut } from "./out.ts";

/** One step of depth. */
export const INDENT = "    ";
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

const NEWLINES: string[] = [];

/** A new line at a depth. */
export function newline(depth: number): string {
  NEWLINES[depth] ??= `\n${INDENT.repeat(depth)}`;
  return NEWLINES[depth];
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what JSON must escape.
const ESCAPED = /["\\\u0000-\u001f]/g;

/** Text is one character per byte, so that strings of a model, which need not be UTF-8, pass unchanged. */
function quote(latin1: string): string {
  const escaped = latin1.replace(
    ESCAPED,
    (character) =>
      SHORT_ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`,
  );
  return `"${escaped}"`;
}

/** A JSON string, one character per byte. */
export function quoteText(text: string): string {
  return quote(Buffer.from(text).toString("latin1"));
}

/** Writes each element by its place in the tensor. `depth` is that of the surrounding list. */
type ElementWriter = (out: JsonOut, index: number, depth: number) => void;

/** String outputs whose name ends so are bytes rather than text. */
function isBytesOutput(name: string, value: Tensor): boolean {
  return value.dtype === "string" && name.endsWith("_bytes");
}

function elementWriter(name: string, value: Tensor): ElementWriter {
  if (UNWRITABLE.has(value.dtype)) {
    throw invalidArgument(
      `Failed to write JSON value for tensor type: ${dataTypeText(dataTypeOf(value.dtype))}`,
    );
  }
  if (value.dtype === "string") {
    const strings = value.data as readonly Uint8Array[];
    if (!isBytesOutput(name, value)) {
      return (out, index) => out.text(quote(Buffer.from(strings[index]!).toString("latin1")));
    }
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

/** One tensor on its way out. */
export class TensorWriter {
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
    this.#lists(0, 0, depth, "lines");
  }

  /** One entry of the first axis, on one line. */
  row(row: number, depth: number): void {
    this.#lists(1, row * this.#strides[0]!, depth, "line");
  }

  /** One element, or the nested lists from `axis` inwards. */
  #lists(axis: number, index: number, depth: number, layout: Layout): void {
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
    const isLine = layout === "line";
    for (let i = 0; i < size; i++) {
      if (i === 0) out.text(isLine ? "[" : `[${newline(depth + 1)}`);
      else out.text(isLine ? ", " : `,${newline(depth + 1)}`);
      this.#lists(axis + 1, index + i * this.#strides[axis]!, depth + 1, layout);
    }
    out.text(isLine ? "]" : `${newline(depth)}]`);
  }
}
