/** @file Graphs as short readable text, for people and for snapshots in tests. */

import { shapeText, sizeOf, type Tensor } from "../../src/base/tensor.ts";
import { numbersOf } from "../../src/graph/numbers.ts";
import { isOp, type Node, topological } from "../../src/graph/ops.ts";

const LETTERS = 26;

/** Names of values in the order of their lines: a, b … z, aa, ab … */
function nameOf(index: number): string {
  const last = String.fromCharCode("a".charCodeAt(0) + (index % LETTERS));
  return index < LETTERS ? last : nameOf(Math.floor(index / LETTERS) - 1) + last;
}

const SHOWN_ELEMENTS = 4;

/** The elements of a small constant; of a large one only the first few. */
function elementsText(value: Tensor): string {
  if (value.dtype === "string") return "…";
  const shown = Array.from({ length: Math.min(value.data.length, SHOWN_ELEMENTS) }, (_, i) => {
    const number = numbersOf({ ...value, data: value.data.slice(i, i + 1) } as Tensor)[0]!;
    return String(Number(number.toPrecision(6)));
  });
  const text = shown.join(", ");
  if (value.shape.length === 0) return text;
  return `[${text}${sizeOf(value.shape) > SHOWN_ELEMENTS ? ", …" : ""}]`;
}

function attributeText(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(attributeText).join(", ")}]` : String(value);
}

/** A leaf's name, a constant's elements, or an op's attributes. */
function attributesText(node: Node): string {
  if (isOp(node, "constant")) return elementsText(node.attrs.value);
  if (isOp(node, "input") || isOp(node, "parameter")) return JSON.stringify(node.attrs.name);
  if (isOp(node, "randomUniform")) return JSON.stringify(node.attrs.stream);
  return Object.entries(node.attrs)
    .map(([name, value]) => `${name}=${attributeText(value)}`)
    .join(" ");
}

function line(node: Node, names: ReadonlyMap<Node, string>): string {
  const inputs = node.inputs.map((input) => names.get(input)!);
  const words = [node.op, ...inputs, attributesText(node)].filter((word) => word !== "");
  const isNamed = isOp(node, "input") || isOp(node, "parameter");
  const label = node.label === undefined || isNamed ? "" : `  # ${node.label}`;
  return `${names.get(node)} = ${words.join(" ")} : ${node.dtype}${shapeText(node.shape)}${label}`;
}

/**
 * One line per node, each after its inputs, and the outputs at the end. Equal graphs print equally.
 * @example
 * a = input "x" : float32[batch, 3]
 * b = constant 2 : float32[]
 * c = mul a b : float32[batch, 3]  # doubled
 * return c
 */
export function print(outputs: readonly Node[]): string {
  const order = topological(outputs);
  const names = new Map(order.map((node, index) => [node, nameOf(index)]));
  const lines = order.map((node) => line(node, names));
  return [...lines, `return ${outputs.map((output) => names.get(output)).join(", ")}`].join("\n");
}
