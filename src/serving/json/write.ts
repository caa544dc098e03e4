/** @file The answers of predict, classify and regress as JSON, laid out as TensorFlow Serving lays them out. */
import type { TensorMap } from "../../base/tensor.ts";
import { invalidArgument } from "../status.ts";
import { decimalText } from "./decimal.ts";
import { JsonOut } from "./out.ts";
import { INDENT, newline, quoteText, TensorWriter } from "./tensor-writer.ts";
import type { JsonFormat } from "./tensors.ts";

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

/** A label and its score. */
export interface ScoredClass {
  readonly label: string;
  readonly score: number;
}

function bytesOfText(latin1: string): Uint8Array {
  return Buffer.from(latin1, "latin1");
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
