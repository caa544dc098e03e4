/** @file Reads configuration messages from protobuf's text format by their descriptors. */
// Written here because `@bufbuild/protobuf` reads the binary and the JSON format only.
import { isUtf8 } from "node:buffer";
import { create, type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { FaceError, messageOf } from "../../base/errors.ts";
import { readRegular } from "../../base/files.ts";

/** A list of models has about 200 bytes for each. */
const LARGEST_FILE = 2 ** 26;

/**
 * Parses a message.
 * @throws FaceError `CONFIG_INVALID` with line, column and what was wrong.
 */
export function parseTextProto<Desc extends DescMessage>(schema: Desc, text: string): MessageShape<Desc> {
  return create(schema, new TextReader(text).message(schema, undefined) as never);
}

/**
 * Reads a file of text format.
 * @throws FaceError `CONFIG_INVALID` when it is missing or does not parse with TensorFlow Serving's message.
 */
export async function readTextProto<Desc extends DescMessage>(
  schema: Desc,
  path: string,
): Promise<MessageShape<Desc>> {
  let text: string;
  try {
    text = (await readRegular(path, LARGEST_FILE)).toString("utf8");
  } catch (error) {
    // Its message has the path already.
    const [problem, hint] =
      error instanceof FaceError
        ? [error.message, error.hint]
        : [`cannot read ${path}: ${messageOf(error)}`, undefined];
    throw new FaceError("CONFIG_INVALID", problem, { hint, cause: error });
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

/** One token of the text. */
interface Token {
  readonly kind: "name" | "number" | "string" | "mark" | "end";
  /** The characters; of a string those within its quotation marks, escapes undone. */
  readonly text: string;
  /** Where it starts. */
  readonly at: number;
}

const PATTERNS = {
  space: /(?:\s+|#[^\n]*)+/,
  name: /[A-Za-z_][A-Za-z0-9_.]*/,
  number: /-?\s*(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[fF]?|inf|nan)/,
  string: /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/,
  mark: /[-{}<>[\]:,;/]/,
};
const ANY_TOKEN = new RegExp(
  Object.entries(PATTERNS)
    .map(([kind, { source }]) => `(?<${kind}>${source})`)
    .join("|"),
  "y",
);

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** One escape, or a run of UTF-16 units that may be halves of one character. */
const ESCAPE = /(?:\\u[0-9a-fA-F]{4})+|\\(?:U[0-9a-fA-F]{8}|[xX][0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/gs;
const LARGEST_CODE_POINT = 0x10ffff;

/** The bytes of an escape; `undefined` for one that there is not. */
function escapedBytes(sequence: string): Buffer | undefined {
  const [, code = "", ...digits] = sequence;
  if (code === "u" && digits.length > 0) return Buffer.from(JSON.parse(`"${sequence}"`));
  const number = Number.parseInt(digits.join(""), 16);
  if (code === "U" && digits.length > 0)
    return number <= LARGEST_CODE_POINT ? Buffer.from(String.fromCodePoint(number)) : undefined;
  if (/x/i.test(code) && digits.length > 0) return Buffer.of(number);
  if (/[0-7]/.test(code)) return Buffer.of(Number.parseInt(sequence.slice(1), 8));
  const text = SIMPLE_ESCAPES[code] ?? (/[\\?'"]/.test(code) ? code : undefined);
  return text === undefined ? undefined : Buffer.from(text);
}

/** The bytes that a quoted string means, as Latin-1 text; `undefined` for one with an escape that there is not. */
function unquoted(quoted: string): string | undefined {
  const inner = quoted.slice(1, -1);
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { 0: sequence, index } of inner.matchAll(ESCAPE)) {
    const bytes = escapedBytes(sequence);
    if (bytes === undefined) return undefined;
    pieces.push(Buffer.from(inner.slice(at, index)), bytes);
    at = index + sequence.length;
  }
  return Buffer.concat([...pieces, Buffer.from(inner.slice(at))]).toString("latin1");
}

/** An error in the form of protobuf's own parser: `line:column: message`. */
function syntaxError(source: string, at: number, message: string): FaceError {
  const lines = source.slice(0, at).split("\n");
  return new FaceError("CONFIG_INVALID", `${lines.length}:${lines.at(-1)!.length + 1}: ${message}`);
}

/**
 * Splits a text; the last token is of kind `end`.
 * @throws FaceError `CONFIG_INVALID` at a character that starts no token.
 */
function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < source.length) {
    ANY_TOKEN.lastIndex = at;
    const { groups = {} } = ANY_TOKEN.exec(source) ?? {};
    const [found] = Object.entries(groups).filter(([, text]) => text !== undefined);
    if (found === undefined) throw syntaxError(source, at, `Unexpected character "${source[at]}".`);
    const [kind, text] = found as [Token["kind"] | "space", string];
    const meant = kind === "string" ? unquoted(text) : text;
    if (meant === undefined) throw syntaxError(source, at, "Invalid escape sequence in string literal.");
    if (kind !== "space") tokens.push({ kind, text: meant, at });
    at += text.length;
  }
  return [...tokens, { kind: "end", text: "", at }];
}

const CLOSING: Readonly<Record<string, string>> = { "{": "}", "<": ">" };
const INTEGER = /^(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/;

/** A whole number in decimal, hexadecimal or, with a leading zero, octal digits. */
function integerOf(digits: string): bigint {
  const isNegative = digits.startsWith("-");
  const size = digits.slice(isNegative ? 1 : 0);
  const value = BigInt(/^0[0-7]/.test(size) ? `0o${size}` : size);
  return isNegative ? -value : value;
}

type Init = Record<string, unknown>;

class TextReader {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokenize(source);
  }

  #error({ at }: Token, message: string): FaceError {
    return syntaxError(this.#source, at, message);
  }

  /** Fields up to `closing`, or up to the end of the text. */
  message(schema: DescMessage, closing: string | undefined): Init {
    const init: Init = {};
    for (;;) {
      const token = this.#take();
      if (token.kind === "end" && closing === undefined) return init;
      if (token.kind === "mark" && token.text === closing) return init;
      if (token.kind !== "name") throw this.#error(token, `Expected identifier, got: ${token.text || "end"}`);
      const field = schema.fields.find(({ name }) => name === token.text);
      if (field === undefined) {
        throw this.#error(
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
      throw this.#error(this.#peek(), `Expected ":", found "${this.#peek().text}".`);
    }
    if (field.fieldKind === "list" || field.fieldKind === "map") {
      for (const value of this.#values(field)) addTo(init, field, value);
    } else if (field.oneof !== undefined) {
      const { localName } = field.oneof;
      if (init[localName] !== undefined)
        throw this.#error(name, `Field "${field.name}" conflicts in its oneof.`);
      init[localName] = { case: field.localName, value: this.#single(field) };
    } else {
      if (init[field.localName] !== undefined) {
        throw this.#error(name, `Non-repeated field "${field.name}" is specified multiple times.`);
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
      const value = this.message(field.message, this.#open());
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
      throw this.#error(token, `Unknown enumeration value of "${token.text}" for field "${field.name}".`);
    }
    return this.#scalar(field.scalar!, field.name, token);
  }

  /** Takes an opening bracket. @returns the closing one. */
  #open(): string {
    const token = this.#take();
    const closing = token.kind === "mark" ? CLOSING[token.text] : undefined;
    if (closing === undefined) throw this.#error(token, `Expected "{", found "${token.text}".`);
    return closing;
  }

  #mapEntry(field: DescField & { fieldKind: "map" }): [string, unknown] {
    const closing = this.#open();
    let key: unknown = "";
    let value: unknown = field.mapKind === "message" ? {} : field.scalar === ScalarType.INT64 ? 0n : "";
    while (!this.#accept(closing)) {
      const name = this.#take();
      this.#accept(":");
      if (name.text === "key") key = this.#scalar(field.mapKey, "key", this.#take());
      else if (name.text === "value" && field.mapKind === "message")
        value = this.message(field.message, this.#open());
      else if (name.text === "value") value = this.#scalar(field.scalar!, "value", this.#take());
      else throw this.#error(name, `Expected "key" or "value", found "${name.text}".`);
      this.#accept(",", ";");
    }
    return [String(key), value];
  }

  #scalar(type: ScalarType, name: string, token: Token): unknown {
    if (type === ScalarType.STRING || type === ScalarType.BYTES) return this.#string(type, name, token);
    if (type === ScalarType.BOOL) {
      if (["true", "t", "True", "1"].includes(token.text)) return true;
      if (["false", "f", "False", "0"].includes(token.text)) return false;
      throw this.#error(token, `Invalid value for boolean field "${name}". Value: "${token.text}".`);
    }
    if (token.kind !== "number") {
      throw this.#error(token, `Expected a number for field "${name}", got: ${token.text || "end"}`);
    }
    const digits = token.text.replace(/\s+/g, "");
    const typeText = ScalarType[type];
    if (/32$|64$/.test(typeText)) {
      const isRight = typeText.startsWith("UINT")
        ? INTEGER.test(digits)
        : INTEGER.test(digits.replace(/^-/, ""));
      if (!isRight) throw this.#error(token, `Expected integer, got: ${token.text}`);
      const value = integerOf(digits);
      const bits = Number(typeText.slice(-2));
      const kept = typeText.startsWith("UINT") ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value);
      if (kept !== value) throw this.#error(token, `Integer out of range (${token.text})`);
      return typeText.endsWith("64") ? value : Number(value);
    }
    return Number(digits.replace(/[fF]$/, ""));
  }

  /** A string in quotation marks; consecutive strings are joined. */
  #string(type: ScalarType, name: string, first: Token): unknown {
    if (first.kind !== "string") {
      throw this.#error(first, `Expected string for field "${name}", got: ${first.text || "end"}`);
    }
    let text = first.text;
    while (this.#peek().kind === "string") text += this.#take().text;
    const bytes = Buffer.from(text, "latin1");
    if (type === ScalarType.BYTES) return bytes;
    if (isUtf8(bytes)) return bytes.toString("utf8");
    throw this.#error(first, `String field "${name}" contains invalid UTF-8 data.`);
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
