/** @file The body of an infer request over REST: JSON, with tensors in it or as raw bytes behind it; and of its answer. */
import { isUtf8 } from "node:buffer";
import { type DType, sizeOf, type Tensor, type TensorMap } from "../../base/tensor.ts";
import { discard } from "../json/parse.ts";
import { debugText, type JsonTape, Kind } from "../json/tape.ts";
import { appendValues, parseObject } from "../json/tensors.ts";
import { ElementSink } from "../json/values.ts";
import { JsonOut, quote, quoteText } from "../json/write.ts";
import type { Answered } from "../repository/catalog.ts";
import type { TensorMemory } from "../request-memory.ts";
import { invalidArgument } from "../status.ts";
import {
  checkedSize,
  checkParameters,
  DATATYPES,
  dtypeNamed,
  rawBytes,
  rawTensor,
  wrongCount,
} from "./tensors.ts";

/** An output that a request names. */
export interface WantedOutput {
  readonly name: string;
  /** As raw bytes behind the JSON. */
  readonly isBinary: boolean;
}

/** An infer request. */
export interface InferBody {
  readonly id: string;
  /** Empty for `serving_default`; the parameter `signature_name`, which the protocol does not have. */
  readonly signatureName: string;
  readonly inputs: TensorMap;
  /** Empty for all outputs. */
  readonly outputs: readonly WantedOutput[];
  /** Whether outputs that are not named come as raw bytes. */
  readonly isBinary: boolean;
}

/** What an answer says beside its outputs. */
export interface InferHead extends Answered {
  readonly id: string;
  /** Names of the outputs that come as raw bytes behind the JSON. */
  readonly binary: ReadonlySet<string>;
}

/** Members of an object that are read by name; others are ignored. */
function member(tape: JsonTape, object: number, name: string, kind: number, what: string) {
  const place = tape.member(object, name);
  if (place === undefined || tape.kinds[place] === kind) return place;
  throw invalidArgument(`"${name}" must be ${what}, got ${debugText(tape, place)}`);
}

const textIn = (tape: JsonTape, object: number, name: string) => {
  const place = member(tape, object, name, Kind.string, "a string");
  return place === undefined ? undefined : tape.text(place);
};

function requiredText(tape: JsonTape, object: number, name: string, where: string): string {
  const text = textIn(tape, object, name);
  if (text !== undefined) return text;
  throw invalidArgument(`"${name}" is missing in ${where}`);
}

/** @returns the place of `parameters`, after a look at their names. */
function parametersOf(tape: JsonTape, object: number): number | undefined {
  const place = member(tape, object, "parameters", Kind.object, "an object");
  if (place === undefined) return undefined;
  checkParameters([...tape.entries(place)].map((key) => tape.text(key)));
  return place;
}

function flag(tape: JsonTape, parameters: number | undefined, name: string): boolean | undefined {
  const place = parameters === undefined ? undefined : tape.member(parameters, name);
  if (place === undefined) return undefined;
  const kind = tape.kinds[place];
  if (kind === Kind.true || kind === Kind.false) return kind === Kind.true;
  throw invalidArgument(`"${name}" must be true or false, got ${debugText(tape, place)}`);
}

/**
 * Reads a request.
 * @param jsonLength where the JSON ends and the raw bytes begin: the header `Inference-Header-Content-Length`.
 * @throws StatusError `INVALID_ARGUMENT` that says what is wrong.
 */
export function readInferBody(body: Uint8Array, jsonLength: number, memory: TensorMemory): InferBody {
  const tape = parseObject(body.subarray(0, jsonLength));
  const parameters = parametersOf(tape, 0);
  const isBinary = flag(tape, parameters, "binary_data_output") ?? false;
  const raw = { bytes: body, at: jsonLength };
  const inputs = readInputs(tape, raw, memory);
  if (raw.at < body.length) {
    throw invalidArgument(
      `the body has ${body.length - raw.at} bytes behind its last tensor; check the sizes in "binary_data_size"`,
    );
  }
  const read = {
    id: textIn(tape, 0, "id") ?? "",
    signatureName: (parameters !== undefined && textIn(tape, parameters, "signature_name")) || "",
    inputs,
    outputs: readOutputs(tape, isBinary),
    isBinary,
  };
  discard(tape);
  return read;
}

/** More inputs or outputs than any model has. */
const MOST_NAMES = 4096;

function listOf(tape: JsonTape, name: string): number[] {
  const place = member(tape, 0, name, Kind.array, "a list");
  if (place === undefined) return [];
  if (tape.count(place) > MOST_NAMES) throw invalidArgument(`"${name}" has more than ${MOST_NAMES} elements`);
  const items = [...tape.entries(place)];
  const stray = items.find((item) => tape.kinds[item] !== Kind.object);
  if (stray === undefined) return items;
  throw invalidArgument(`"${name}" must be a list of objects, got ${debugText(tape, stray)} in it`);
}

function readOutputs(tape: JsonTape, isBinary: boolean): WantedOutput[] {
  return listOf(tape, "outputs").map((item) => ({
    name: requiredText(tape, item, "name", `an element of "outputs"`),
    isBinary: flag(tape, parametersOf(tape, item), "binary_data") ?? isBinary,
  }));
}

interface RawBytes {
  readonly bytes: Uint8Array;
  at: number;
}

function readInputs(tape: JsonTape, raw: RawBytes, memory: TensorMemory): TensorMap {
  const items = listOf(tape, "inputs");
  if (items.length === 0) throw invalidArgument(`"inputs" is missing or empty`);
  const inputs = new Map<string, Tensor>();
  for (const item of items) {
    const name = requiredText(tape, item, "name", `an element of "inputs"`);
    if (inputs.has(name)) throw invalidArgument(`input "${name}" is there twice`);
    const dtype = dtypeNamed(name, requiredText(tape, item, "datatype", `input "${name}"`));
    const shape = readShape(tape, item, name);
    const parameters = parametersOf(tape, item);
    const size = parameters === undefined ? undefined : tape.member(parameters, "binary_data_size");
    if (size !== undefined) {
      inputs.set(name, rawTensor(name, dtype, shape, takeRaw(tape, size, raw, name), memory));
      continue;
    }
    const data = member(tape, item, "data", Kind.array, "a list");
    if (data === undefined) {
      throw invalidArgument(`input "${name}" has neither "data" nor the parameter "binary_data_size"`);
    }
    inputs.set(name, readData(tape, data, { name, dtype, shape, memory }));
  }
  return inputs;
}

function readShape(tape: JsonTape, item: number, name: string): number[] {
  const place = member(tape, item, "shape", Kind.array, "a list of whole numbers");
  if (place === undefined) throw invalidArgument(`"shape" is missing in input "${name}"`);
  return [...tape.entries(place)].map((side) =>
    tape.kinds[side] === Kind.integer ? tape.values[side]! : Number.NaN,
  );
}

function takeRaw(tape: JsonTape, place: number, raw: RawBytes, name: string): Uint8Array {
  const size = tape.kinds[place] === Kind.integer ? tape.values[place]! : -1;
  if (size < 0) {
    throw invalidArgument(
      `"binary_data_size" of input "${name}" must be a number of bytes, got ${debugText(tape, place)}`,
    );
  }
  const left = raw.bytes.length - raw.at;
  if (size > left) {
    throw invalidArgument(
      `input "${name}" takes ${size} raw bytes, but ${left} are left behind the JSON; the header ` +
        "Inference-Header-Content-Length gives the length of the JSON",
    );
  }
  raw.at += size;
  return raw.bytes.subarray(raw.at - size, raw.at);
}

interface WantedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly memory: TensorMemory;
}

/** Types whose values are read as another type, then checked: the JSON reader of TensorFlow Serving lets them wrap. */
const NARROW: { readonly [D in DType]?: readonly [low: number, high: number] } = {
  int8: [-(2 ** 7), 2 ** 7 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  uint8: [0, 2 ** 8 - 1],
  uint16: [0, 2 ** 16 - 1],
};

/** Reads a flat list, or lists nested as the shape. */
function readData(tape: JsonTape, place: number, { name, dtype, shape, memory }: WantedTensor): Tensor {
  if (dtype === "float16" || dtype === "bfloat16") {
    throw invalidArgument(`input "${name}": ${DATATYPES[dtype]} has no form in JSON; send raw bytes`);
  }
  const size = checkedSize(name, shape);
  const isFlat = tape.count(place) === 0 || tape.kinds[place + 1] !== Kind.array;
  const given = tape.count(place);
  if (isFlat && given !== size) throw wrongCount(name, size, given);
  if (size > tape.kinds.length) throw wrongCount(name, size, "fewer");
  const range = NARROW[dtype];
  const sink = new ElementSink(range === undefined ? dtype : "int32", size, memory);
  try {
    appendValues(tape, place, isFlat ? [size] : shape, sink);
  } catch (error) {
    throw invalidArgument(`input "${name}": ${(error as Error).message}`);
  }
  const read = { dtype: sink.dtype, shape, data: sink.data() };
  return range === undefined
    ? read
    : narrowed(name, dtype as "int8", shape, read.data as Int32Array, range, memory);
}

function narrowed(
  name: string,
  dtype: "int8" | "int16" | "uint8" | "uint16",
  shape: readonly number[],
  values: Int32Array,
  [low, high]: readonly [number, number],
  memory: TensorMemory,
): Tensor {
  const data = memory.array(dtype, values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < low || value > high) {
      throw invalidArgument(`input "${name}": ${value} is outside of ${DATATYPES[dtype]}, ${low} to ${high}`);
    }
    data[i] = value;
  }
  return { dtype, shape, data } as Tensor;
}

/** Writes an answer: JSON, then the raw bytes. @throws StatusError `INVALID_ARGUMENT` for outputs that have no form in JSON. */
export function writeInferBody(outputs: TensorMap, head: InferHead): Uint8Array {
  const out = new JsonOut();
  const raw: Uint8Array[] = [];
  out.text(`{"model_name":${quoteText(head.name)},"model_version":"${head.version}"`);
  if (head.id !== "") out.text(`,"id":${quoteText(head.id)}`);
  out.text(`,"parameters":{"signature_name":${quoteText(head.signatureName)}},"outputs":[`);
  let isFirst = true;
  for (const [name, value] of outputs) {
    const { dtype, shape } = value;
    out.text(isFirst ? "" : ",");
    isFirst = false;
    out.text(`{"name":${quoteText(name)},"datatype":"${DATATYPES[dtype]}","shape":[${shape.join(",")}]`);
    if (head.binary.has(name)) {
      const bytes = rawBytes(value);
      raw.push(bytes);
      out.text(`,"parameters":{"binary_data_size":${bytes.length}}}`);
    } else {
      out.text(`,"data":[`);
      writeElements(out, name, value);
      out.text("]}");
    }
  }
  out.text("]}");
  const json = out.bytes();
  return raw.length === 0 ? json : Buffer.concat([json, ...raw]);
}

function writeElements(out: JsonOut, name: string, value: Tensor): void {
  const size = sizeOf(value.shape);
  const write = elementWriterOf(out, name, value);
  for (let i = 0; i < size; i++) {
    if (i > 0) out.text(",");
    write(i);
  }
}

function elementWriterOf(out: JsonOut, name: string, value: Tensor): (index: number) => void {
  const { dtype } = value;
  if (dtype === "string") {
    const strings = value.data as readonly Uint8Array[];
    return (index) => {
      if (!isUtf8(strings[index]!)) {
        throw invalidArgument(
          `output "${name}" has bytes that are no text; ask for it with "binary_data": true`,
        );
      }
      out.text(quote(Buffer.from(strings[index]!).toString("latin1")));
    };
  }
  if (dtype === "float16" || dtype === "bfloat16") {
    throw invalidArgument(
      `output "${name}": ${DATATYPES[dtype]} has no form in JSON; ask for it with "binary_data": true`,
    );
  }
  const numbers = value.data as Float32Array;
  if (dtype === "float32" || dtype === "float64") return (index) => out.decimal(numbers[index]!, dtype);
  if (dtype === "bool") return (index) => out.text(numbers[index] === 0 ? "false" : "true");
  return (index) => out.text(String(numbers[index]));
}
