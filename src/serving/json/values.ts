/** @file One JSON value as one element of a tensor, by the rules of each element type. */
import type { DType, DTypeData } from "../../base/tensor.ts";
import { dataTypeOf, dataTypeText } from "../../savedmodel/format/tensor-proto.ts";
import type { Allocator } from "../request-memory.ts";
import { invalidArgument, StatusError } from "../status.ts";
import { debugText, type JsonTape, jsonTypeText, Kind } from "./tape.ts";

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;
const UINT32_MAX = 2 ** 32 - 1;
/** Strings of a request: each is an object, many times as large as a short text. */
export const MOST_STRINGS = 2 ** 19;

export function tooManyStrings(): StatusError {
  return new StatusError("RESOURCE_EXHAUSTED", `The request holds more than ${MOST_STRINGS} strings.`);
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Collects the elements of one tensor. */
export class ElementSink {
  readonly dtype: DType;
  length = 0;
  readonly #data: { [index: number]: number | bigint | Uint8Array };
  readonly #convert: Convert;

  /** @param capacity numbers at most. */
  constructor(dtype: DType, capacity: number, allocator: Allocator) {
    this.dtype = dtype;
    this.#data = dtype === "string" ? [] : (allocator.array(dtype, capacity) as unknown as number[]);
    this.#convert = CONVERT[dtype];
  }

  /** @throws StatusError when the value does not fit the element type. */
  append(tape: JsonTape, place: number): void {
    if (this.dtype === "string" && this.length >= MOST_STRINGS) throw tooManyStrings();
    const value = this.#convert(tape, place, tape.kinds[place]!);
    if (value === undefined) throw typeError(tape, place, this.dtype);
    this.#data[this.length++] = value;
  }

  /**
   * Appends consecutive plain numbers without the checks of `append`.
   * @returns the place of the first value that `append` must take.
   */
  appendRun({ kinds, values }: JsonTape, place: number, end: number): number {
    if (this.dtype !== "float32") return place;
    const data = this.#data as Float32Array;
    let at = place;
    let length = this.length;
    for (; at < end && (kinds[at] === Kind.decimal || kinds[at] === Kind.integer); at++) {
      data[length++] = values[at]!;
    }
    this.length = length;
    return at;
  }

  /**
   * Appends consecutive lists of `size` plain numbers, such as an image's pixels.
   * @returns the place of the first list that is different.
   */
  appendLists(tape: JsonTape, place: number, end: number, size: number): number {
    if (this.dtype !== "float32") return place;
    const { kinds, values } = tape;
    let at = place;
    while (at < end && kinds[at] === Kind.array && values[at] === at + size + 1) {
      const { length } = this;
      const after = this.appendRun(tape, at + 1, at + size + 1);
      if (after !== at + size + 1) {
        this.length = length;
        break;
      }
      at = after + 1;
    }
    return at;
  }

  /** The elements collected so far. */
  data(): DTypeData[DType] {
    if (this.dtype === "string") return this.#data as readonly Uint8Array[];
    return (this.#data as Float32Array).subarray(0, this.length);
  }
}

/** The element for a value, or `undefined` when the value has the wrong type. */
type Convert = (tape: JsonTape, place: number, kind: number) => number | bigint | Uint8Array | undefined;

function real(tape: JsonTape, place: number, kind: number): number | undefined {
  if (kind === Kind.decimal || kind === Kind.integer) return tape.values[place];
  return kind === Kind.bigInteger ? Number(tape.bigInteger(place)) : undefined;
}

/** Integers of up to 32 bits. Smaller types wrap around, as they do in TensorFlow Serving. */
function integer(low: number, high: number): Convert {
  return (tape, place, kind) => {
    const value = tape.values[place]!;
    return kind === Kind.integer && value >= low && value <= high ? value : undefined;
  };
}

function longInteger(low: bigint, high: bigint): Convert {
  return (tape, place, kind) => {
    if (kind !== Kind.integer && kind !== Kind.bigInteger) return undefined;
    const value = kind === Kind.integer ? BigInt(tape.values[place]!) : tape.bigInteger(place);
    return value >= low && value <= high ? value : undefined;
  };
}

function truth(_tape: JsonTape, _place: number, kind: number): number | undefined {
  if (kind === Kind.true) return 1;
  return kind === Kind.false ? 0 : undefined;
}

function bytes(tape: JsonTape, place: number, kind: number): Uint8Array | undefined {
  if (kind === Kind.object) return base64Value(tape, place);
  return kind === Kind.string ? tape.string(place) : undefined;
}

function unsupported(dtype: DType): Convert {
  return (tape, place) => {
    const type = dataTypeText(dataTypeOf(dtype));
    throw new StatusError(
      "UNIMPLEMENTED",
      `Conversion of JSON Value: ${debugText(tape, place)} to type: ${type}`,
    );
  };
}

const CONVERT: { readonly [D in DType]: Convert } = {
  float32: real,
  float64: real,
  int8: integer(INT32_MIN, INT32_MAX),
  int16: integer(INT32_MIN, INT32_MAX),
  int32: integer(INT32_MIN, INT32_MAX),
  uint8: integer(INT32_MIN, INT32_MAX),
  uint32: integer(0, UINT32_MAX),
  int64: longInteger(INT64_MIN, INT64_MAX),
  uint64: longInteger(0n, 2n ** 64n - 1n),
  bool: truth,
  string: bytes,
  float16: unsupported("float16"),
  bfloat16: unsupported("bfloat16"),
  uint16: unsupported("uint16"),
};

function typeError(tape: JsonTape, place: number, dtype: DType): StatusError {
  return invalidArgument(
    `JSON Value: ${debugText(tape, place)} Type: ${jsonTypeText(tape, place)} ` +
      `is not of expected type: ${dataTypeText(dataTypeOf(dtype))}`,
  );
}

/** Whether the value is `{"b64": "…"}`, the JSON form of bytes. */
export function isBase64(tape: JsonTape, place: number): boolean {
  return (
    tape.kinds[place] === Kind.object &&
    tape.count(place) === 1 &&
    tape.kinds[place + 2] === Kind.string &&
    tape.text(place + 1) === "b64"
  );
}

/**
 * The bytes of `{"b64": "…"}`: the standard alphabet, with right padding or none.
 * @throws StatusError when the object or its text has another form.
 */
export function base64Value(tape: JsonTape, place: number): Uint8Array {
  if (!isBase64(tape, place)) {
    throw invalidArgument(`JSON Value: ${debugText(tape, place)} not formatted correctly for base64 data`);
  }
  const text = Buffer.from(tape.string(place + 2))
    .toString("latin1")
    .replace(/[ \t\r\n\v\f]+/g, "");
  const digits = text.replace(/={1,2}$/, "");
  const isPadded = digits.length !== text.length;
  const isRight = isPadded ? text.length % 4 === 0 : digits.length % 4 !== 1;
  if (!isRight || !/^[A-Za-z0-9+/]*$/.test(digits)) throw invalidArgument("Unable to base64 decode");
  return new Uint8Array(Buffer.from(digits, "base64"));
}
