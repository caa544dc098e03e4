/** @file A parsed JSON document as two flat arrays, and how to walk it: no tree of objects for millions of numbers. */

/** What stands at a place of the tape. */
export const Kind = {
  null: 0,
  false: 1,
  true: 2,
  /** A number without fraction or exponent that a double holds exactly; the value is the number. */
  integer: 3,
  /** Such a number beyond 2^53 but within 64 bits; the value is where its text begins. */
  bigInteger: 4,
  /** Any other number; the value is the number. */
  decimal: 5,
  /** The value is where the text begins, after the quotation mark. */
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

const ESCAPES: { readonly [letter: string]: string } = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

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

  /** The characters of a string as UTF-8 bytes, which are passed on as they came. */
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

/** Which bytes a number may contain. */
const IN_NUMBER = Uint8Array.from({ length: 256 }, (_, code) =>
  /[-+.0-9eE]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** The characters from `start` on that may belong to a number. */
export function numberText(bytes: Uint8Array, start: number): string {
  let end = start;
  while (IN_NUMBER[bytes[end] ?? 0] === 1) end++;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

/** Replaces escapes, whose form was checked when the document was read. */
function unescaped(raw: Uint8Array): Uint8Array {
  const source = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = source.indexOf(BACKSLASH); at >= 0; at = source.indexOf(BACKSLASH, from)) {
    parts.push(source.subarray(from, at));
    const letter = String.fromCharCode(source[at + 1]!);
    from = at + 2;
    if (letter === "u") {
      const unit = Number.parseInt(source.toString("latin1", from, from + 4), 16);
      from += 4;
      const units = [unit];
      if (unit >= 0xd800 && unit <= 0xdbff) {
        units.push(Number.parseInt(source.toString("latin1", from + 2, from + 6), 16));
        from += 6;
      }
      parts.push(Buffer.from(String.fromCharCode(...units)));
    } else {
      parts.push(Buffer.from(ESCAPES[letter] ?? letter));
    }
  }
  parts.push(source.subarray(from));
  return new Uint8Array(Buffer.concat(parts));
}
