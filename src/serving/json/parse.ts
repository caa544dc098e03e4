/** @file Reads JSON from bytes onto a tape, with the rules, errors and offsets of TensorFlow Serving's parser. */

import { invalidArgument, type StatusError } from "../status.ts";
import { type NumberFound, type NumberProblem, readNotFinite, readNumber } from "./number.ts";
import { readNumberRun } from "./number-run.ts";
import { JsonTape, Kind } from "./tape.ts";

const CODE = {
  tab: 0x09,
  newline: 0x0a,
  return: 0x0d,
  space: 0x20,
  quote: 0x22,
  comma: 0x2c,
  minus: 0x2d,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  openBracket: 0x5b,
  backslash: 0x5c,
  closeBracket: 0x5d,
  capitalI: 0x49,
  capitalN: 0x4e,
  f: 0x66,
  n: 0x6e,
  t: 0x74,
  u: 0x75,
  openBrace: 0x7b,
  closeBrace: 0x7d,
} as const;

const FIRST_CAPACITY = 256;
/** A number in a request with images takes about as many bytes; a shorter text makes the tape grow. */
const BYTES_PER_TOKEN = 8;
/** Beyond this the tape begins smaller than the text suggests: most of it may be one long string. */
const LARGEST_FIRST_CAPACITY = 1 << 18;
const END_OF_INPUT = -1;
const ESCAPABLE = new Set([...'"\\/bfnrt'].map((letter) => letter.charCodeAt(0)));

/** Where tokens go. */
interface Room {
  kinds: Uint8Array;
  values: Float64Array;
  length: number;
}

/** The arrays of a tape that nobody reads any more: fresh ones of a few megabytes cost as much as a third of the parsing. */
let spare: Room | undefined;

/** Lets the next document be read to where this one lies, which must not be looked at afterwards. */
export function discard({ kinds, values }: JsonTape): void {
  const room = { kinds: new Uint8Array(kinds.buffer), values: new Float64Array(values.buffer), length: 0 };
  if (room.kinds.length <= LARGEST_FIRST_CAPACITY) spare = room;
}

function roomFor(capacity: number): Room {
  const room = spare;
  spare = undefined;
  if (room !== undefined && room.kinds.length >= capacity) return room;
  return { kinds: new Uint8Array(capacity), values: new Float64Array(capacity), length: 0 };
}

/** What may come next. */
type State = "value" | "firstElement" | "afterElement" | "firstKey" | "key" | "afterMember";

/**
 * Reads the first complete JSON value; whatever follows it is ignored, as TensorFlow Serving does. `NaN`, `Inf`,
 * `Infinity` and their negatives count as numbers. Depth is bounded by memory alone.
 * @throws StatusError `INVALID_ARGUMENT` with the parser's sentence and offset.
 */
export function parseJson(bytes: Uint8Array): JsonTape {
  if (bytes.length === 0) throw invalidArgument("JSON Parse error: The document is empty");
  return new Parser(bytes).document();
}

class Parser {
  readonly #bytes: Uint8Array;
  #at = 0;
  readonly #tape: Room;
  /** Open containers, outermost first: where each begins and how many entries it has so far. */
  readonly #open: number[] = [];
  readonly #counts: number[] = [];
  readonly #found: NumberFound = { kind: 0, value: 0, end: 0 };

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    const guess = Math.ceil(bytes.length / BYTES_PER_TOKEN);
    const capacity = Math.max(FIRST_CAPACITY, Math.min(guess, LARGEST_FIRST_CAPACITY));
    this.#tape = roomFor(capacity);
    const hasByteOrderMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    if (hasByteOrderMark) this.#at = 3;
  }

  document(): JsonTape {
    if (this.#peek() === END_OF_INPUT) throw this.#error("The document is empty.");
    let state: State | undefined = "value";
    while (state !== undefined) state = this.#advance(state);
    const { kinds, values, length } = this.#tape;
    return new JsonTape(this.#bytes, kinds.subarray(0, length), values.subarray(0, length));
  }

  #advance(state: State): State | undefined {
    const code = this.#peek();
    switch (state) {
      case "firstElement":
        return code === CODE.closeBracket ? this.#close(Kind.arrayEnd) : this.#value(code);
      case "value":
        return this.#value(code);
      case "afterElement":
        if (code === CODE.closeBracket) return this.#close(Kind.arrayEnd);
        if (code !== CODE.comma) throw this.#error("Missing a comma or ] after an array element.");
        this.#at++;
        return "value";
      case "firstKey":
        return code === CODE.closeBrace ? this.#close(Kind.objectEnd) : this.#key(code);
      case "key":
        return this.#key(code);
      case "afterMember":
        if (code === CODE.closeBrace) return this.#close(Kind.objectEnd);
        if (code !== CODE.comma) throw this.#error("Missing a comma or } after an object member.");
        this.#at++;
        return "key";
    }
  }

  /** The next byte that is not white space, without taking it. */
  #peek(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    let code = bytes[at];
    while (code === CODE.space || code === CODE.newline || code === CODE.return || code === CODE.tab) {
      code = bytes[++at];
    }
    this.#at = at;
    return code ?? END_OF_INPUT;
  }

  #value(code: number): State | undefined {
    if ((code >= CODE.zero && code <= CODE.nine) || code === CODE.minus) {
      if (this.#numbers()) return "afterElement";
      this.#take(readNumber(this.#bytes, this.#at, this.#found));
    } else if (code === CODE.quote) this.#string();
    else if (code === CODE.openBracket) {
      return this.#lists() ? "afterElement" : this.#openContainer(Kind.array, "firstElement");
    } else if (code === CODE.openBrace) return this.#openContainer(Kind.object, "firstKey");
    else this.#word(code);
    return this.#afterValue();
  }

  get #isInList(): boolean {
    const depth = this.#open.length;
    return depth > 0 && this.#tape.kinds[this.#open[depth - 1]!] === Kind.array;
  }

  /** Takes as many lists of plain numbers as follow each other, such as an image's pixels; false when there is none. */
  #lists(): boolean {
    if (!this.#isInList) return false;
    const bytes = this.#bytes;
    const { kinds, values } = this.#tape;
    let taken = 0;
    for (let at = this.#at; bytes[at] === CODE.openBracket; at += bytes[at + 1] === CODE.space ? 2 : 1) {
      const start = this.#tape.length;
      if (start === kinds.length) break;
      this.#tape.length++;
      const end = readNumberRun(bytes, at + 1, this.#tape);
      const { length } = this.#tape;
      if (length === start + 1 || length === kinds.length || bytes[end] !== CODE.closeBracket) {
        this.#tape.length = start;
        break;
      }
      kinds[start] = Kind.array;
      values[start] = length;
      kinds[length] = Kind.arrayEnd;
      values[length] = length - start - 1;
      this.#tape.length++;
      taken++;
      at = end + 1;
      this.#at = at;
      if (bytes[at] !== CODE.comma) break;
    }
    this.#counts[this.#counts.length - 1]! += taken;
    return taken > 0;
  }

  /** Takes as many numbers of a list as are plain; false when there is none. */
  #numbers(): boolean {
    if (!this.#isInList) return false;
    const depth = this.#open.length;
    const before = this.#tape.length;
    this.#at = readNumberRun(this.#bytes, this.#at, this.#tape);
    this.#counts[depth - 1]! += this.#tape.length - before;
    return this.#tape.length > before;
  }

  #afterValue(): State | undefined {
    const depth = this.#open.length;
    if (depth === 0) return undefined;
    this.#counts[depth - 1]!++;
    return this.#tape.kinds[this.#open[depth - 1]!] === Kind.array ? "afterElement" : "afterMember";
  }

  #openContainer(kind: number, state: State): State {
    this.#at++;
    this.#open.push(this.#tape.length);
    this.#counts.push(0);
    this.#push(kind, 0);
    return state;
  }

  #close(kind: number): State | undefined {
    this.#at++;
    this.#tape.values[this.#open.pop()!] = this.#tape.length;
    this.#push(kind, this.#counts.pop()!);
    return this.#afterValue();
  }

  #key(code: number): State {
    if (code !== CODE.quote) throw this.#error("Missing a name for object member.");
    this.#string();
    if (this.#peek() !== CODE.colon) throw this.#error("Missing a colon after a name of object member.");
    this.#at++;
    return "value";
  }

  #word(code: number): void {
    if (code === CODE.capitalN || code === CODE.capitalI) {
      this.#take(readNotFinite(this.#bytes, this.#at, false, this.#found));
    } else if (code === CODE.n) this.#literal("null", Kind.null);
    else if (code === CODE.t) this.#literal("true", Kind.true);
    else if (code === CODE.f) this.#literal("false", Kind.false);
    else throw this.#error("Invalid value.");
  }

  #literal(word: string, kind: number): void {
    for (const letter of word) {
      if (this.#bytes[this.#at] !== letter.charCodeAt(0)) throw this.#error("Invalid value.");
      this.#at++;
    }
    this.#push(kind, 0);
  }

  #string(): void {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    this.#push(Kind.string, at);
    for (;;) {
      const code = bytes[at];
      if (code === CODE.quote) break;
      if (code === CODE.backslash) at = this.#escape(at);
      else if (code === undefined || code === 0) {
        throw this.#error("Missing a closing quotation mark in string.", at);
      } else if (code < CODE.space) throw this.#error("Invalid escape character in string.", at);
      else at++;
    }
    this.#at = at + 1;
  }

  /** Checks the escape at `at` and gives the place after it. */
  #escape(at: number): number {
    const letter = this.#bytes[at + 1];
    if (letter !== undefined && ESCAPABLE.has(letter)) return at + 2;
    if (letter !== CODE.u) throw this.#error("Invalid escape character in string.", at);
    const unit = this.#hexUnit(at);
    if (unit < 0xd800 || unit > 0xdfff) return at + 6;
    const invalidPair = "The surrogate pair in string is invalid.";
    if (unit > 0xdbff || this.#bytes[at + 6] !== CODE.backslash || this.#bytes[at + 7] !== CODE.u) {
      throw this.#error(invalidPair, at);
    }
    const low = this.#hexUnit(at + 6);
    if (low < 0xdc00 || low > 0xdfff) throw this.#error(invalidPair, at);
    return at + 12;
  }

  #hexUnit(at: number): number {
    const text = Buffer.from(this.#bytes.subarray(at + 2, at + 6)).toString("latin1");
    if (!/^[0-9a-fA-F]{4}$/.test(text))
      throw this.#error("Incorrect hex digit after \\u escape in string.", at);
    return Number.parseInt(text, 16);
  }

  #take(problem: NumberProblem | undefined): void {
    if (problem !== undefined) throw this.#error(problem.message, problem.at);
    this.#at = this.#found.end;
    this.#push(this.#found.kind, this.#found.value);
  }

  #push(kind: number, value: number): void {
    const tape = this.#tape;
    if (tape.length === tape.kinds.length) this.#grow();
    tape.kinds[tape.length] = kind;
    tape.values[tape.length++] = value;
  }

  #grow(): void {
    const { kinds, values } = this.#tape;
    this.#tape.kinds = new Uint8Array(kinds.length * 2);
    this.#tape.values = new Float64Array(values.length * 2);
    this.#tape.kinds.set(kinds);
    this.#tape.values.set(values);
  }

  #error(message: string, at = this.#at): StatusError {
    return invalidArgument(`JSON Parse error: ${message} at offset: ${at}`);
  }
}
