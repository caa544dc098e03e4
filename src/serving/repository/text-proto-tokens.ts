/** @file Protobuf's text format as words: names, numbers, strings and punctuation, with where each stands. */
import { FaceError } from "../../base/errors.ts";

/** One word of the text. */
export interface Token {
  readonly kind: "name" | "number" | "string" | "mark" | "end";
  /** The word itself; for a string the text within its quotation marks, escapes undone. */
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

const PATTERNS: readonly [Token["kind"] | "space", RegExp][] = [
  ["space", /(?:\s+|#[^\n]*)+/y],
  ["name", /[A-Za-z_][A-Za-z0-9_.]*/y],
  ["number", /-?\s*(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[fF]?|inf|nan)/y],
  ["string", /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y],
  ["mark", /[-{}<>[\]:,;/]/y],
];

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

function unquoted(quoted: string): string {
  const inner = quoted.slice(1, -1);
  return inner.replace(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/g, (_, code: string) => {
    if (/^x/.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8));
    return SIMPLE_ESCAPES[code] ?? code;
  });
}

/** A place and what is wrong there, as protobuf's own parser words it. */
export function syntaxError(
  token: { readonly line: number; readonly column: number },
  message: string,
): FaceError {
  return new FaceError("CONFIG_INVALID", `${token.line}:${token.column}: ${message}`);
}

/**
 * Splits a text; the last token is of kind `end`.
 * @throws FaceError `CONFIG_INVALID` at a character that begins no word.
 */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  let lineStart = 0;
  while (at < text.length) {
    const place = { line, column: at - lineStart + 1 };
    let matched: string | undefined;
    for (const [kind, pattern] of PATTERNS) {
      pattern.lastIndex = at;
      matched = pattern.exec(text)?.[0];
      if (matched === undefined) continue;
      if (kind !== "space")
        tokens.push({ kind, text: kind === "string" ? unquoted(matched) : matched, ...place });
      break;
    }
    if (matched === undefined) throw syntaxError(place, `Unexpected character "${text[at]}".`);
    at += matched.length;
    const lastBreak = matched.lastIndexOf("\n");
    if (lastBreak >= 0) {
      line += matched.split("\n").length - 1;
      lineStart = at - matched.length + lastBreak + 1;
    }
  }
  tokens.push({ kind: "end", text: "", line, column: at - lineStart + 1 });
  return tokens;
}
