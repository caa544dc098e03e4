/** @file The text of a JSON value inside an error message, as TensorFlow Serving prints it. */
import { decimalText } from "./decimal.ts";
import { type JsonTape, Kind } from "./tape.ts";

/** Text beyond this many characters tells a reader nothing more. */
const MOST_CHARACTERS = 256;
const LARGEST_FLOAT32 = 3.4028234e38;
const INDENT = "    ";

/** `Null`, `False`, `True`, `Object`, `Array`, `String` or `Number`. */
export function jsonTypeText(tape: JsonTape, place: number): string {
  switch (tape.kinds[place]) {
    case Kind.null:
      return "Null";
    case Kind.false:
      return "False";
    case Kind.true:
      return "True";
    case Kind.string:
      return "String";
    case Kind.array:
      return "Array";
    case Kind.object:
      return "Object";
    default:
      return "Number";
  }
}

/** A value with four spaces of indentation and arrays on one line, cut off when it becomes long. */
export function debugText(tape: JsonTape, place: number): string {
  if (tape.kinds[place] === Kind.decimal) {
    const value = tape.values[place]!;
    return Math.abs(value) <= LARGEST_FLOAT32
      ? decimalText(Math.fround(value), "float32")
      : decimalText(value, "float64");
  }
  const writer = { text: "" };
  write(tape, place, 0, writer);
  return writer.text.slice(0, MOST_CHARACTERS);
}

/** Appends one value; stops early once there is enough, which also bounds the recursion. */
function write(tape: JsonTape, place: number, depth: number, writer: { text: string }): void {
  const kind = tape.kinds[place]!;
  if (kind !== Kind.array && kind !== Kind.object) {
    writer.text += leafText(tape, place);
    return;
  }
  const isObject = kind === Kind.object;
  const inner = `\n${INDENT.repeat(depth + 1)}`;
  let isFirst = true;
  writer.text += isObject ? "{" : "[";
  for (const entry of tape.entries(place)) {
    if (writer.text.length > MOST_CHARACTERS) return;
    if (!isFirst) writer.text += isObject ? "," : ", ";
    if (isObject) writer.text += `${inner}${JSON.stringify(tape.text(entry))}: `;
    write(tape, isObject ? entry + 1 : entry, depth + 1, writer);
    isFirst = false;
  }
  if (isObject && !isFirst) writer.text += `\n${INDENT.repeat(depth)}`;
  writer.text += isObject ? "}" : "]";
}

function leafText(tape: JsonTape, place: number): string {
  switch (tape.kinds[place]) {
    case Kind.null:
      return "null";
    case Kind.false:
      return "false";
    case Kind.true:
      return "true";
    case Kind.string:
      return JSON.stringify(tape.text(place));
    case Kind.bigInteger:
      return String(tape.bigInteger(place));
    case Kind.integer:
      return String(tape.values[place]);
    default: {
      const text = String(tape.values[place]).replace("e+", "e");
      return /^-?[0-9]+$/.test(text) ? `${text}.0` : text;
    }
  }
}
