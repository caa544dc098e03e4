/** @file Reads the body of a REST predict request as tensors: rows under `instances`, or columns under `inputs`. */
import { type DType, sameShape, sizeOf, type Tensor, type TensorMap } from "../../base/tensor.ts";
import { type Allocator, HEAP } from "../request-memory.ts";
import { invalidArgument, StatusError } from "../status.ts";
import { discard, parseJson } from "./parse.ts";
import { debugText, type JsonTape, Kind } from "./tape.ts";
import { ElementSink, isBase64 } from "./values.ts";

/** The layout of a request, and so of its answer. */
export type JsonFormat = "row" | "columnar";

/** Names and element types of a signature's inputs. */
export type InputTypes = ReadonlyMap<string, DType>;

/** A predict request read from JSON. */
export interface PredictJson {
  /** Empty for the default. */
  readonly signatureName: string;
  readonly format: JsonFormat;
  readonly inputs: TensorMap;
}

/**
 * Reads a predict body. Checks are in TensorFlow Serving's order: the JSON, the signature's name, model and signature, the
 * values.
 * @param inputTypesOf finds the inputs of the named signature; throws StatusError for an unknown model or signature.
 * @param allocator for the numbers.
 * @throws StatusError with TensorFlow Serving's message.
 */
export function readPredictJson(
  bytes: Uint8Array,
  inputTypesOf: (name: string) => InputTypes,
  allocator: Allocator = HEAP,
): PredictJson {
  const tape = parseObject(bytes);
  const read = readPredictTape(tape, inputTypesOf, allocator);
  discard(tape);
  return read;
}

function readPredictTape(
  tape: JsonTape,
  inputTypesOf: (name: string) => InputTypes,
  allocator: Allocator,
): PredictJson {
  const signatureName = readSignatureName(tape);
  const types = inputTypesOf(signatureName);
  if (types.size === 0) {
    throw invalidArgument(`Failed to get input map for signature: ${signatureName || "DEFAULT"}`);
  }
  const instances = tape.member(0, "instances");
  const inputs = tape.member(0, "inputs");
  if (instances !== undefined && inputs !== undefined) {
    throw formatError(
      tape,
      "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
    );
  }
  if (instances !== undefined) {
    return { signatureName, format: "row", inputs: readRows(tape, instances, types, allocator) };
  }
  if (inputs === undefined) throw invalidArgument("Missing 'inputs' or 'instances' key");
  return { signatureName, format: "columnar", inputs: readColumns(tape, inputs, types, allocator) };
}

/** Parses a body whose top level must be an object. */
export function parseObject(bytes: Uint8Array): JsonTape {
  const tape = parseJson(bytes);
  if (tape.kinds[0] !== Kind.object) throw formatError(tape, "Is not object");
  return tape;
}

/** `signature_name`, or an empty text where it is absent. */
export function readSignatureName(tape: JsonTape): string {
  const place = tape.member(0, "signature_name");
  if (place === undefined) return "";
  if (tape.kinds[place] === Kind.string) return tape.text(place);
  throw formatError(tape, "not formatted correctly. 'signature_name' key must be a string value.");
}

/** An error about the document as a whole. */
export function formatError(tape: JsonTape, message: string): StatusError {
  return invalidArgument(`JSON Value: ${debugText(tape, 0)} ${message}`);
}

function isNamedObject(tape: JsonTape, place: number): boolean {
  return tape.kinds[place] === Kind.object && !isBase64(tape, place);
}

/** The shape by the first elements: an empty list ends it with 0. */
function shapeAt(tape: JsonTape, place: number): number[] {
  const shape: number[] = [];
  for (let at = place; tape.kinds[at] === Kind.array; at++) {
    const size = tape.count(at);
    shape.push(size);
    if (size === 0) break;
  }
  return shape;
}

/** Appends all leaves of a value and checks that every list has the size and depth of the shape. */
export function appendValues(
  tape: JsonTape,
  start: number,
  shape: readonly number[],
  sink: ElementSink,
): void {
  const { kinds } = tape;
  const end = tape.next(start);
  const rank = shape.length;
  let level = 0;
  for (let place = start; place < end; ) {
    const kind = kinds[place];
    const afterLists =
      kind === Kind.array && level === rank - 1 ? sink.appendLists(tape, place, end, shape[level]!) : place;
    if (afterLists > place) place = afterLists;
    else if (kind === Kind.array) {
      checkList(tape.count(place), level, shape);
      level++;
      place++;
    } else if (kind === Kind.arrayEnd) {
      level--;
      place++;
    } else {
      if (level !== rank) {
        throw invalidArgument(
          `JSON Value: ${debugText(tape, place)} found at incorrect level: ${level + 1} ` +
            `in the JSON DOM. Expected at level: ${rank}`,
        );
      }
      const after = sink.appendRun(tape, place, end);
      if (after === place) {
        sink.append(tape, place);
        place = tape.next(place);
      } else place = after;
    }
  }
}

function checkList(size: number, level: number, shape: readonly number[]): void {
  if (level >= shape.length) {
    throw invalidArgument(`Encountered list at unexpected level: ${level} expected < ${shape.length}`);
  }
  if (size !== shape[level]) {
    throw invalidArgument(
      `Encountered list at unexpected size: ${size} at level: ${level} expected size: ${shape[level]}`,
    );
  }
}

/** Elements of `count` values of this shape, at most as many as the document has tokens, whatever its shape claims. */
function capacityFor(tape: JsonTape, shape: readonly number[], count: number): number {
  return Math.min(sizeOf(shape) * count, tape.kinds.length);
}

function readColumn(tape: JsonTape, place: number, dtype: DType, allocator: Allocator): Tensor {
  const shape = shapeAt(tape, place);
  const sink = new ElementSink(dtype, capacityFor(tape, shape, 1), allocator);
  appendValues(tape, place, shape, sink);
  return { dtype, shape, data: sink.data() };
}

function readColumns(tape: JsonTape, place: number, types: InputTypes, allocator: Allocator): TensorMap {
  if (!isNamedObject(tape, place)) {
    const [only] = types;
    if (types.size > 1 || only === undefined) {
      throw invalidArgument(
        "inputs is a plain value/list, but expecting an object as multiple input tensors required " +
          "as per tensorinfo_map",
      );
    }
    return new Map([[only[0], readColumn(tape, place, only[1], allocator)]]);
  }
  const tensors = new Map<string, Tensor>();
  for (const [name, dtype] of types) {
    const item = tape.member(place, name);
    if (item === undefined) throw invalidArgument(`Missing named input: ${name} in 'inputs' object.`);
    tensors.set(name, readColumn(tape, item, dtype, allocator));
  }
  return tensors;
}

/** The rows of one input; the first one fixes their shape. */
class RowStack {
  readonly #dtype: DType;
  readonly #rows: number;
  readonly #allocator: Allocator;
  #shape: readonly number[] | undefined;
  #sink: ElementSink | undefined;

  constructor(dtype: DType, rows: number, allocator: Allocator) {
    this.#dtype = dtype;
    this.#rows = rows;
    this.#allocator = allocator;
  }

  append(tape: JsonTape, place: number): void {
    const shape = shapeAt(tape, place);
    if (this.#sink === undefined) {
      this.#sink = new ElementSink(this.#dtype, capacityFor(tape, shape, this.#rows), this.#allocator);
      this.#shape = shape;
      appendValues(tape, place, shape, this.#sink);
      return;
    }
    const expected = this.#shape!;
    if (sameShape(shape, expected)) {
      appendValues(tape, place, shape, this.#sink);
      return;
    }
    // As in TensorFlow Serving, the values of a row of another shape are checked before the shape.
    const stray = new ElementSink(this.#dtype, capacityFor(tape, shape, 1), HEAP);
    appendValues(tape, place, shape, stray);
    if (sizeOf(expected) !== stray.length) {
      throw invalidArgument(`Expecting tensor size: ${sizeOf(expected)} but got: ${stray.length}`);
    }
    throw invalidArgument(`Expecting shape [${expected.join(",")}] but got: [${shape.join(",")}]`);
  }

  tensor(): Tensor {
    return { dtype: this.#dtype, shape: [this.#rows, ...this.#shape!], data: this.#sink!.data() };
  }
}

type RowStacks = ReadonlyMap<string, RowStack>;

function readRows(tape: JsonTape, place: number, types: InputTypes, allocator: Allocator): TensorMap {
  if (tape.kinds[place] !== Kind.array) {
    throw formatError(tape, "Expecting 'instances' to be an list/array");
  }
  const rows = tape.count(place);
  if (rows === 0) throw formatError(tape, "No values in 'instances' array");
  const first = place + 1;
  if (tape.kinds[first] !== Kind.object && types.size > 1) {
    throw invalidArgument(
      "instances is a plain list, but expecting list of objects as multiple input tensors required " +
        "as per tensorinfo_map",
    );
  }
  const stacks = new Map([...types].map(([name, dtype]) => [name, new RowStack(dtype, rows, allocator)]));
  const areObjects = isNamedObject(tape, first);
  let index = 0;
  for (const row of tape.entries(place)) {
    if (isNamedObject(tape, row) !== areObjects) {
      const [wanted, got] = areObjects ? ["object", "list"] : ["value/list", "object"];
      throw invalidArgument(`Expecting ${wanted} but got ${got} at item ${index} of input list`);
    }
    if (areObjects) readNamedRow(tape, row, index, stacks);
    else readPlainRow(tape, row, index, stacks);
    index++;
  }
  return new Map([...stacks].map(([name, stack]) => [name, stack.tensor()]));
}

function readPlainRow(tape: JsonTape, row: number, index: number, stacks: RowStacks): void {
  const [only, another] = stacks.values();
  try {
    if (another !== undefined)
      throw invalidArgument("expecting an object with all named inputs, got a single value");
    only!.append(tape, row);
  } catch (error) {
    throw rowError(error, `${index} of`);
  }
}

function readNamedRow(tape: JsonTape, row: number, index: number, stacks: RowStacks): void {
  const names = new Set<string>();
  for (const key of tape.entries(row)) {
    const name = tape.text(key);
    try {
      const stack = stacks.get(name);
      if (stack === undefined) throw invalidArgument(`JSON object: does not have named input: ${name}`);
      if (!names.has(name)) stack.append(tape, key + 1);
      names.add(name);
    } catch (error) {
      throw rowError(error, `${index} key: ${name} of`);
    }
  }
  if (names.size === stacks.size) return;
  throw invalidArgument(
    `Failed to process element: ${index} of 'instances' list. JSON object: ${debugText(tape, row)} ` +
      `keys must be equal to: ${[...stacks.keys()].sort().join(",")}`,
  );
}

function rowError(error: unknown, where: string): unknown {
  if (!(error instanceof StatusError) || error.status === "RESOURCE_EXHAUSTED") return error;
  return invalidArgument(`Failed to process element: ${where} 'instances' list. Error: ${error.text}`);
}
