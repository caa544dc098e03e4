/** @file Reads the body of a REST classify or regress request as tf.Example records. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { Example, Feature } from "../../proto/tensorflow/example_pb.ts";
import { ExampleSchema, FeatureSchema } from "../../proto/tensorflow/example_pb.ts";
import { invalidArgument, StatusError } from "../status.ts";
import { type JsonTape, jsonTypeText, Kind } from "./tape.ts";
import { formatError, parseObject, readSignatureName } from "./tensors.ts";
import { base64Value, isBase64, MOST_STRINGS, tooManyStrings } from "./values.ts";

/** A classify or regress request read from JSON. */
export interface ExamplesJson {
  readonly signatureName: string;
  /** Serialized examples, each with the context's features, if any, in front. */
  readonly examples: readonly Uint8Array[];
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** An example with the shared features: protobuf merges concatenated messages. */
export function withContext(context: Uint8Array | undefined, example: Uint8Array): Uint8Array {
  return context === undefined ? example : Buffer.concat([context, example]);
}

/** Each value of an example becomes an object, many times as large as its text. */
const MOST_VALUES = 4_000_000;

/** @throws StatusError with TensorFlow Serving's message, or `RESOURCE_EXHAUSTED` for millions of values. */
export function readExamplesJson(bytes: Uint8Array): ExamplesJson {
  const tape = parseObject(bytes);
  if (tape.kinds.length > MOST_VALUES) {
    throw new StatusError("RESOURCE_EXHAUSTED", `The examples hold more than ${MOST_VALUES} values in all.`);
  }
  const signatureName = readSignatureName(tape);
  const contextPlace = tape.member(0, "context");
  const context = contextPlace === undefined ? undefined : exampleBytes(tape, contextPlace);
  const list = tape.member(0, "examples");
  if (list === undefined) {
    throw formatError(tape, "When method is classify, key 'examples' is expected and was not found");
  }
  if (tape.kinds[list] !== Kind.array) {
    throw formatError(tape, "Expecting 'examples' value to be an list/array");
  }
  if (tape.count(list) === 0) throw formatError(tape, "'examples' value is an empty array");
  if (tape.count(list) > MOST_STRINGS) throw tooManyStrings();
  const examples = [...tape.entries(list)].map((place) => withContext(context, exampleBytes(tape, place)));
  return { signatureName, examples };
}

function exampleBytes(tape: JsonTape, place: number): Uint8Array {
  if (tape.kinds[place] !== Kind.object) {
    throw invalidArgument(`Example must be JSON object but got JSON ${jsonTypeText(tape, place)}`);
  }
  const example: Example = create(ExampleSchema, { features: {} });
  for (const key of tape.entries(place)) {
    example.features!.feature[tape.text(key)] = readFeature(tape, key + 1, tape.text(key));
  }
  return toBinary(ExampleSchema, example);
}

function readFeature(tape: JsonTape, place: number, name: string): Feature {
  const feature = create(FeatureSchema);
  const places = tape.kinds[place] === Kind.array ? tape.entries(place) : [place];
  for (const item of places) addValue(feature, readValue(tape, item, name), name);
  return feature;
}

type FeatureValue =
  | { readonly case: "bytesList"; readonly value: Uint8Array }
  | { readonly case: "floatList"; readonly value: number }
  | { readonly case: "int64List"; readonly value: bigint };

function readValue(tape: JsonTape, place: number, name: string): FeatureValue {
  switch (tape.kinds[place]) {
    case Kind.true:
      return { case: "int64List", value: 1n };
    case Kind.false:
      return { case: "int64List", value: 0n };
    case Kind.integer:
      return { case: "int64List", value: BigInt(tape.values[place]!) };
    case Kind.bigInteger: {
      const value = tape.bigInteger(place);
      if (value >= INT64_MIN && value <= INT64_MAX) return { case: "int64List", value };
      throw invalidArgument(`Feature: ${name} has uint64_t element. Only int64_t is supported.`);
    }
    case Kind.decimal:
      return { case: "floatList", value: tape.values[place]! };
    case Kind.string:
      return { case: "bytesList", value: tape.string(place) };
    default:
      if (isBase64(tape, place)) return { case: "bytesList", value: base64Value(tape, place) };
      throw invalidArgument(
        `Feature: ${name} has element with unexpected JSON type: ${jsonTypeText(tape, place)}`,
      );
  }
}

const KIND_TEXT = { bytesList: "bytes", floatList: "float", int64List: "int64" } as const;

function addValue(feature: Feature, added: FeatureValue, name: string): void {
  const { kind } = feature;
  if (kind.case === undefined) {
    const first = create(FeatureSchema, {
      kind: { case: added.case, value: { value: [added.value] } } as never,
    });
    feature.kind = first.kind;
    return;
  }
  if (kind.case !== added.case) {
    throw invalidArgument(
      `Unexpected element type in feature: ${name} expecting type: ${KIND_TEXT[kind.case]}`,
    );
  }
  (kind.value.value as FeatureValue["value"][]).push(added.value);
}
