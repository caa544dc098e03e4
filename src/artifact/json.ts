/** @file JSON whose objects have each key once: of two values for one key, `JSON.parse` silently takes the last. */

/** A key that an object has twice. */
export class DuplicateKey extends Error {
  readonly key: string;

  constructor(key: string) {
    super(`it has the key ${JSON.stringify(key)} twice`);
    this.key = key;
  }
}

/** Characters that begin or end something. */
const MARK = /["{}[\],]/g;

/** The place of the quotation mark that ends a string. @param start of its first one. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return end;
  }
}

/** The first key that an object of a valid JSON text has twice. */
function duplicateIn(text: string): string | undefined {
  /** Keys of the objects around the place, the innermost last; undefined for an array. */
  const around: (Set<string> | undefined)[] = [];
  let isKey = false;
  MARK.lastIndex = 0;
  for (let match = MARK.exec(text); match !== null; match = MARK.exec(text)) {
    const [mark] = match;
    if (mark === "{" || mark === "[") around.push(mark === "{" ? new Set() : undefined);
    else if (mark === "}" || mark === "]") around.pop();
    if (mark === '"') {
      const end = endOfString(text, match.index);
      MARK.lastIndex = end + 1;
      if (!isKey) continue;
      const key = JSON.parse(text.slice(match.index, end + 1)) as string;
      const keys = around.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
    // A key follows the beginning of an object, and a comma in one.
    isKey = mark === "{" || (mark === "," && around.at(-1) !== undefined);
  }
  return undefined;
}

/** Reads a JSON text. @throws SyntaxError as `JSON.parse`; DuplicateKey. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const key = duplicateIn(text);
  if (key !== undefined) throw new DuplicateKey(key);
  return value;
}
