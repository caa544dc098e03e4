/** @file Reads configuration messages from protobuf's text format, guided by their descriptors. */
import { readFile } from "node:fs/promises";
import { create, type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { FaceError, messageOf } from "../../base/errors.ts";
import { syntaxError, type Token, tokenize } from "./text-proto-tokens.ts";

/**
 * Parses a message.
 * @throws FaceError `CONFIG_INVALID` with line, column and what was wrong.
 */
export function parseTextProto<Desc extends DescMessage>(schema: Desc, text: string): MessageShape<Desc> {
  const reader = new TextReader(tokenize(text));
  const init = reader.message(schema, undefined);
  return create(schema, init as never);
}

/**
 * Reads a file of text format.
 * @throws FaceError `CONFIG_INVALID` when it is missing or does not parse, worded as TensorFlow Serving words it.
 */
export async function readTextProto<Desc extends DescMessage>(
  schema: Desc,
  path: string,
): Promise<MessageShape<Desc>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new FaceError("CONFIG_INVALID", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return parseTextProto(schema, text);
  } catch (error) {
    throw new FaceError(
      "CONFIG_INVALID",
      `Error parsing text-format ${schema.typeName}: ${messageOf(error)} Invalid protobuf file: '${path}'`,
      { cause: error },
    );
  }
}

const CLOSING: Readonly<Record<string, string>> = { "{": "}", "<": ">" };
const INTEGER_TYPES: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT32,
  ScalarType.UINT32,
  ScalarType.SINT32,
  ScalarType.FIXED32,
  ScalarType.SFIXED32,
]);
const LONG_TYPES: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

type Init = Record<string, unknown>;

class TextReader {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** Fields up to `closing`, or up to the end of the text. */
  message(schema: DescMessage, closing: string | undefined): Init {
    const init: Init = {};
    for (;;) {
      const token = this.#take();
      if (token.kind === "end" && closing === undefined) return init;
      if (token.kind === "mark" && token.text === closing) return init;
      if (token.kind !== "name") throw syntaxError(token, `Expected identifier, got: ${token.text || "end"}`);
      const field = schema.fields.find(({ name }) => name === token.text);
      if (field === undefined) {
        throw syntaxError(
          token,
          `Message type "${schema.typeName}" has no field named "${token.text}". ` +
            `It has: ${schema.fields.map(({ name }) => name).join(", ")}.`,
        );
      }
      this.#field(init, field, token);
      this.#accept(",", ";");
    }
  }

  #field(init: Init, field: DescField, name: Token): void {
    const hasColon = this.#accept(":");
    if (!hasColon && field.fieldKind !== "message" && !this.#isMessageList(field)) {
      throw syntaxError(this.#peek(), `Expected ":", found "${this.#peek().text}".`);
    }
    if (field.fieldKind === "list" || field.fieldKind === "map") {
      for (const value of this.#values(field)) addTo(init, field, value);
    } else if (field.oneof !== undefined) {
      const { localName } = field.oneof;
      if (init[localName] !== undefined)
        throw syntaxError(name, `Field "${field.name}" conflicts in its oneof.`);
      init[localName] = { case: field.localName, value: this.#single(field) };
    } else {
      if (init[field.localName] !== undefined) {
        throw syntaxError(name, `Non-repeated field "${field.name}" is specified multiple times.`);
      }
      init[field.localName] = this.#single(field);
    }
  }

  #isMessageList(field: DescField): boolean {
    return field.fieldKind === "map" || (field.fieldKind === "list" && field.listKind === "message");
  }

  /** One value, or several in brackets. */
  *#values(field: DescField): Generator<unknown> {
    if (!this.#accept("[")) {
      yield this.#single(field);
      return;
    }
    while (!this.#accept("]")) {
      yield this.#single(field);
      this.#accept(",");
    }
  }

  #single(field: DescField): unknown {
    if (field.fieldKind === "map") return this.#mapEntry(field);
    if (field.message !== undefined) {
      const value = this.#body(field.message);
      const isWrapper =
        field.fieldKind === "message" && /^google\.protobuf\.\w+Value$/.test(field.message.typeName);
      return isWrapper ? (value.value ?? defaultOf(field.message)) : value;
    }
    const token = this.#take();
    if (field.enum !== undefined) {
      const value = field.enum.values.find(
        ({ name, number }) => name === token.text || String(number) === token.text,
      );
      if (value !== undefined) return value.number;
      throw syntaxError(token, `Unknown enumeration value of "${token.text}" for field "${field.name}".`);
    }
    return this.#scalar(field.scalar!, field.name, token);
  }

  #body(schema: DescMessage): Init {
    const token = this.#take();
    const closing = token.kind === "mark" ? CLOSING[token.text] : undefined;
    if (closing === undefined) throw syntaxError(token, `Expected "{", found "${token.text}".`);
    return this.message(schema, closing);
  }

  #mapEntry(field: DescField & { fieldKind: "map" }): [string, unknown] {
    const start = this.#take();
    const closing = start.kind === "mark" ? CLOSING[start.text] : undefined;
    if (closing === undefined) throw syntaxError(start, `Expected "{", found "${start.text}".`);
    let key: unknown = "";
    let value: unknown = field.mapKind === "message" ? {} : field.scalar === ScalarType.INT64 ? 0n : "";
    while (!this.#accept(closing)) {
      const name = this.#take();
      this.#accept(":");
      if (name.text === "key") key = this.#scalar(field.mapKey, "key", this.#take());
      else if (name.text === "value" && field.mapKind === "message") value = this.#body(field.message);
      else if (name.text === "value") value = this.#scalar(field.scalar!, "value", this.#take());
      else throw syntaxError(name, `Expected "key" or "value", found "${name.text}".`);
      this.#accept(",", ";");
    }
    return [String(key), value];
  }

  #scalar(type: ScalarType, name: string, token: Token): unknown {
    if (type === ScalarType.STRING || type === ScalarType.BYTES) return this.#string(type, name, token);
    if (type === ScalarType.BOOL) {
      if (["true", "t", "True", "1"].includes(token.text)) return true;
      if (["false", "f", "False", "0"].includes(token.text)) return false;
      throw syntaxError(token, `Invalid value for boolean field "${name}". Value: "${token.text}".`);
    }
    if (token.kind !== "number") {
      throw syntaxError(token, `Expected a number for field "${name}", got: ${token.text || "end"}`);
    }
    const digits = token.text.replace(/\s+/g, "");
    if (LONG_TYPES.has(type)) return integerValue(type, digits, token);
    if (INTEGER_TYPES.has(type)) return Number(integerValue(type, digits, token));
    return Number(digits.replace(/[fF]$/, ""));
  }

  /** A string in quotation marks; several in a row are one. */
  #string(type: ScalarType, name: string, first: Token): unknown {
    if (first.kind !== "string") {
      throw syntaxError(first, `Expected string for field "${name}", got: ${first.text || "end"}`);
    }
    let text = first.text;
    while (this.#peek().kind === "string") text += this.#take().text;
    return type === ScalarType.BYTES ? Buffer.from(text, "latin1") : text;
  }

  #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #take(): Token {
    const token = this.#tokens[this.#next]!;
    if (token.kind !== "end") this.#next++;
    return token;
  }

  #accept(...marks: readonly string[]): boolean {
    const token = this.#peek();
    const isWanted = token.kind === "mark" && marks.includes(token.text);
    if (isWanted) this.#next++;
    return isWanted;
  }
}

function integerValue(type: ScalarType, digits: string, token: Token): bigint {
  const isNegative = digits.startsWith("-");
  const isUnsigned = type === ScalarType.UINT32 || type === ScalarType.UINT64;
  if (!/^-?(?:0[xX][0-9a-fA-F]+|[0-9]+)$/.test(digits) || (isUnsigned && isNegative)) {
    throw syntaxError(token, `Expected integer, got: ${token.text}`);
  }
  const magnitude = BigInt(digits.replace("-", ""));
  return isNegative ? -magnitude : magnitude;
}

function defaultOf(wrapper: DescMessage): unknown {
  const [value] = wrapper.fields;
  if (value?.scalar === ScalarType.BOOL) return false;
  return value?.scalar === ScalarType.STRING ? "" : 0n;
}

function addTo(init: Init, field: DescField, value: unknown): void {
  if (field.fieldKind === "map") {
    const [key, item] = value as [string, unknown];
    init[field.localName] = { ...(init[field.localName] as Init | undefined), [key]: item };
  } else {
    init[field.localName] = [...((init[field.localName] as unknown[] | undefined) ?? []), value];
  }
}
