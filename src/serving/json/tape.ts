/** @file A parsed JSON document as two flat arrays, without an object for each value; how to walk it and to print its values. */
import { decimalText } from "./decimal.ts";

/** Kinds of tokens on the tape. */
export const Kind = {
  null: 0,
  false: 1,
  true: 2,
  /** A number without fraction or exponent that a double represents exactly; the value is the number. */
  integer: 3,
  /** An integer beyond 2^53 but within 64 bits; the value is the offset of its text. */
  bigInteger: 4,
  /** Any other number; the value is the number. */
  decimal: 5,
  /** The value is the offset of the text, after the quotation mark. */
  string: 6,
  /** The value is the place of the matching end. */
  array: 7,
  /** The value is the number of elements. */
  arrayEnd: 8,
  /** Members follow as a string and a value each; the value is the place of the matching end. */
  object: 9,
  /** The value is the number of members. */
  objectEnd: 10,
} as const;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Tokens of one document in the order of its text. The document itself is at place 0. */
export class JsonTape {
  readonly bytes: Uint8Array;
  readonly kinds: Uint8Array;
  readonly values: Float64Array;

  constructor(bytes: Uint8Array, kinds: Uint8Array, values: Float64Array) {
    this.bytes = bytes;
    this.kinds = kinds;
    this.values = values;
  }

  /** The place after the value at `place`, with all that is inside it. */
  next(place: number): number {
    const kind = this.kinds[place]!;
    return kind === Kind.array || kind === Kind.object ? this.values[place]! + 1 : place + 1;
  }

  /** Elements of the array, or members of the object, at `place`. */
  count(place: number): number {
    return this.values[this.values[place]!]!;
  }

  /** The place of each element of an array, or of each key of an object (its value follows). */
  *entries(place: number): Generator<number> {
    const end = this.values[place]!;
    const isObject = this.kinds[place] === Kind.object;
    for (let at = place + 1; at < end; at = this.next(isObject ? at + 1 : at)) yield at;
  }

  /** The place of the value of the first member with this name. */
  member(object: number, name: string): number | undefined {
    for (const key of this.entries(object)) if (this.text(key) === name) return key + 1;
    return undefined;
  }

  /** A string's UTF-8 bytes, escapes undone. */
  string(place: number): Uint8Array {
    const start = this.values[place]!;
    let end = start;
    let escaped = false;
    while (this.bytes[end] !== QUOTE) {
      if (this.bytes[end] === BACKSLASH) {
        escaped = true;
        end++;
      }
      end++;
    }
    const raw = this.bytes.subarray(start, end);
    return escaped ? unescaped(raw) : raw.slice();
  }

  /** A string as text. */
  text(place: number): string {
    return Buffer.from(this.string(place)).toString("utf8");
  }

  /** A number beyond 2^53. */
  bigInteger(place: number): bigint {
    return BigInt(/^-?[0-9]+/.exec(numberText(this.bytes, this.values[place]!))![0]);
  }
}

/** Bytes that a number can contain. */
const IN_NUMBER = Uint8Array.from({ length: 256 }, (_, code) =>
  /[-+.0-9eE]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** The characters from `start` on that can belong to a number. */
export function numberText(bytes: Uint8Array, start: number): string {
  let end = start;
  while (IN_NUMBER[bytes[end] ?? 0] === 1) end++;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

/** Replaces escapes, whose form the parser has checked; all other bytes stay as they are. */
function unescaped(raw: Uint8Array): Uint8Array {
  const text = Buffer.from(raw).toString("latin1");
  const replaced = text.replace(/\\u[dD][89abAB]..\\u....|\\u....|\\./g, (escaped) =>
    Buffer.from(JSON.parse(`"${escaped}"`) as string).toString("latin1"),
  );
  return new Uint8Array(Buffer.from(replaced, "latin1"));
}

/** Longest value that an error message shows, in characters. */
const MOST_CHARACTERS = 256;
const LARGEST_FLOAT32 = 3.4028234e38;
const INDENT = "    ";

/** A kind's name in error messages, by its number; ends of containers have none. */
const TYPE_TEXT = "Null False True Number Number Number String Array _ Object".split(" ");

/** The type of a value: `Null`, `False`, `True`, `Number`, `String`, `Array` or `Object`. */
export function jsonTypeText(tape: JsonTape, place: number): string {
  return TYPE_TEXT[tape.kinds[place]!]!;
}

/** A value as TensorFlow Serving prints it in errors: four spaces of indentation, arrays on one line, truncated. */
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

/** Appends one value; stops when the text is long enough, which also bounds the recursion. */
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
    case Kind.string:
      return JSON.stringify(tape.text(place));
    case Kind.bigInteger:
      return String(tape.bigInteger(place));
    case Kind.integer:
      return String(tape.values[place]);
    case Kind.decimal: {
      const text = String(tape.values[place]).replace("e+", "e");
      return /^-?[0-9]+$/.test(text) ? `${text}.0` : text;
    }
    default:
      return jsonTypeText(tape, place).toLowerCase();
  }
}
