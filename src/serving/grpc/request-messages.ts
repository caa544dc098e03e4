/** @file The requests of PredictionService on the wire: models and names are read, tensors and examples stay where they are. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { type ModelSpec, ModelSpecSchema } from "../../proto/tensorflow_serving/model_pb.ts";
import type { InferenceTask } from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { InferenceTaskSchema } from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { MOST_STRINGS, tooManyStrings } from "../json/values.ts";
import { StatusError } from "../status.ts";
import { countFields, type FieldCount, type Range, unreadable, Wire } from "./wire.ts";

/** More inputs, outputs or tasks than any model has. */
const MOST_NAMES = 4096;
/** Longest text of a name, and of a message that holds only names. */
export const LONGEST_NAMES = 2 ** 20;

/** A Predict request. */
export interface PredictMessage {
  readonly modelSpec: ModelSpec | undefined;
  readonly outputFilter: readonly string[];
  /** Each input's TensorProto; several parts are one message. */
  readonly inputs: ReadonlyMap<string, readonly Range[]>;
}

/** A Classify, Regress or MultiInference request. */
export interface ExamplesMessage {
  readonly modelSpec: ModelSpec | undefined;
  readonly tasks: readonly InferenceTask[];
  readonly examples: readonly Range[];
  /** Parts of one example whose features all others get. */
  readonly context: readonly Range[];
}

function textOf(bytes: Uint8Array, [start, end]: Range): string {
  if (end - start > LONGEST_NAMES) throw tooMany("bytes in a name", LONGEST_NAMES);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("utf8");
}

function tooMany(what: string, most: number): StatusError {
  return new StatusError("RESOURCE_EXHAUSTED", `The request holds more than ${most} ${what}.`);
}

function decoded<D extends DescMessage>(
  schema: D,
  bytes: Uint8Array,
  parts: readonly Range[],
): MessageShape<D> {
  const length = parts.reduce((sum, [start, end]) => sum + end - start, 0);
  if (length > LONGEST_NAMES) throw tooMany("bytes in a name", LONGEST_NAMES);
  try {
    return fromBinary(schema, Buffer.concat(parts.map((part) => bytes.subarray(...part))), {
      readUnknownFields: false,
    });
  } catch {
    throw unreadable();
  }
}

const modelSpecOf = (bytes: Uint8Array, parts: readonly Range[]) =>
  parts.length === 0 ? undefined : decoded(ModelSpecSchema, bytes, parts);

/** @throws StatusError `INTERNAL` for a broken message, `RESOURCE_EXHAUSTED` for thousands of names. */
export function readPredictMessage(bytes: Uint8Array): PredictMessage {
  const specs: Range[] = [];
  const filter: Range[] = [];
  const inputs = new Map<string, readonly Range[]>();
  const count = countFields();
  const wire = new Wire(bytes, [0, bytes.length], count);
  while (wire.next()) {
    if (wire.field === 1) specs.push(wire.range());
    else if (wire.field === 2) {
      const [alias, parts] = readEntry(bytes, wire.range(), count);
      inputs.set(alias, parts);
    } else if (wire.field === 3) filter.push(wire.range());
    else wire.skip();
    if (specs.length + filter.length + inputs.size > MOST_NAMES) throw tooMany("names", MOST_NAMES);
  }
  const outputFilter = filter.map((range) => textOf(bytes, range));
  return { modelSpec: modelSpecOf(bytes, specs), outputFilter, inputs };
}

/** A map's entry: its key, and the parts of its value. */
function readEntry(bytes: Uint8Array, range: Range, count: FieldCount): readonly [string, readonly Range[]] {
  let key = "";
  const parts: Range[] = [];
  const wire = new Wire(bytes, range, count);
  while (wire.next()) {
    if (wire.field === 1) key = textOf(bytes, wire.range());
    else if (wire.field === 2) parts.push(wire.range());
    else wire.skip();
    if (parts.length > MOST_NAMES) throw tooMany("names", MOST_NAMES);
  }
  return [key, parts];
}

/** Fields read between two turns of the event loop, in about a millisecond before the code is compiled. */
const FIELDS_AT_ONCE = 4096;

/**
 * Reads in steps, so that others are answered while very many examples are found.
 * @param isMulti whether it is a MultiInference request, whose first field is a task.
 * @throws as `readPredictMessage`; also `RESOURCE_EXHAUSTED` for very many examples, and the signal's reason.
 */
export async function readExamplesMessage(
  bytes: Uint8Array,
  isMulti: boolean,
  signal?: AbortSignal,
): Promise<ExamplesMessage> {
  const found: FoundExamples = { first: [], kind: 0, examples: [], context: [] };
  const count = countFields();
  let { left } = count;
  for (const steps = readExamples(bytes, found, count); steps.next().done !== true; ) {
    if (left - count.left < FIELDS_AT_ONCE) continue;
    ({ left } = count);
    await nextTurn();
    signal?.throwIfAborted();
  }
  const { first, examples, context } = found;
  if (!isMulti) return { modelSpec: modelSpecOf(bytes, first), tasks: [], examples, context };
  const tasks = first.map((part) => decoded(InferenceTaskSchema, bytes, [part]));
  return { modelSpec: undefined, tasks, examples, context };
}

interface FoundExamples {
  /** Parts of the model's specification, or tasks. */
  readonly first: Range[];
  /** The field that the examples lie in: a list, or a list with context; the last one counts. */
  kind: number;
  examples: Range[];
  context: Range[];
}

/** Finds examples; may be left after each field. */
function* readExamples(bytes: Uint8Array, found: FoundExamples, count: FieldCount): Generator<void> {
  const wire = new Wire(bytes, [0, bytes.length], count);
  while (wire.next()) {
    if (wire.field === 1) found.first.push(wire.range());
    else if (wire.field === 2) yield* readInput(bytes, wire.range(), found, count);
    else wire.skip();
    if (found.first.length > MOST_NAMES) throw tooMany("names", MOST_NAMES);
    yield;
  }
}

function* readInput(
  bytes: Uint8Array,
  range: Range,
  found: FoundExamples,
  count: FieldCount,
): Generator<void> {
  const wire = new Wire(bytes, range, count);
  while (wire.next()) {
    yield;
    if (wire.field !== 1 && wire.field !== 2) {
      wire.skip();
      continue;
    }
    if (wire.field !== found.kind) Object.assign(found, { kind: wire.field, examples: [], context: [] });
    for (const list = new Wire(bytes, wire.range(), count); readSomeExamples(list, found); ) yield;
  }
}

/** Finds the next examples of a list. @returns whether there may be more. */
function readSomeExamples(wire: Wire, found: FoundExamples): boolean {
  for (let i = 0; i < FIELDS_AT_ONCE; i++) {
    if (!wire.next()) return false;
    if (wire.field === 1) found.examples.push(wire.range());
    else if (wire.field === 2 && found.kind === 2) found.context.push(wire.range());
    else wire.skip();
    if (found.examples.length + found.context.length > MOST_STRINGS) throw tooManyStrings();
  }
  return true;
}

/** Fields that are looked at for the model's name: clients send it first. */
const FIRST_FIELDS = 1000;

/** The model's name for the metrics; empty where there is none, or the message is broken. */
export function modelNameIn(bytes: Uint8Array): string {
  try {
    const wire = new Wire(bytes, [0, bytes.length], { left: FIRST_FIELDS });
    while (wire.next()) {
      if (wire.field === 1) return decoded(ModelSpecSchema, bytes, [wire.range()]).name;
      wire.skip();
    }
  } catch {
    // The call itself answers what is wrong.
  }
  return "";
}
