/** @file Comma-separated values as RFC 4180 has them, read. */
import { FaceError } from "../base/errors.ts";

/**
 * Reads rows by the names in the first line. A byte-order mark and either kind of line end will do.
 * @param what the file, for errors.
 * @throws FaceError `FILE_INVALID` for an unclosed quote, a line with another number of fields, or no first line.
 */
export function parseCsv(text: string, what: string): { names: string[]; rows: Record<string, string>[] } {
  const lines = fieldsOf(text.replace(/^\uFEFF/, ""), what);
  const [names, ...rest] = lines;
  if (names === undefined)
    throw new FaceError("FILE_INVALID", `${what} is empty; its first line names the columns`);
  const rows = rest.map((fields, i) => {
    if (fields.length !== names.length) {
      throw new FaceError(
        "FILE_INVALID",
        `${what}: row ${i + 1} has ${fields.length} fields, the first line names ${names.length}`,
      );
    }
    return Object.fromEntries(names.map((name, column) => [name.trim(), fields[column]!]));
  });
  return { names: names.map((name) => name.trim()), rows };
}

/** The fields of each line; empty lines are left out. */
function fieldsOf(text: string, what: string): string[][] {
  // A field in quotes, in which a quote is written twice, or one without; then what ends it.
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)/y;
  const lines: string[][] = [];
  let line: string[] = [];
  while (field.lastIndex < text.length || line.length > 0) {
    const at = field.lastIndex;
    const found = field.exec(text);
    if (found === null) {
      const row = text.slice(0, at).split("\n").length;
      throw new FaceError(
        "FILE_INVALID",
        `${what}: line ${row} has a quote that is not closed or stands amid a field`,
      );
    }
    line.push(found[1]?.replaceAll('""', '"') ?? found[2]!);
    if (found[3] === ",") continue;
    if (line.length > 1 || line[0] !== "") lines.push(line);
    line = [];
    if (found[3] === "" && field.lastIndex >= text.length) break;
  }
  return lines;
}
