/** @file Reads `.env` files as editors, shells and Docker write them. */
import { readFileSync } from "node:fs";
import { FaceError, systemCode } from "../base/errors.ts";
import { decodeText, requireRegularSync } from "../base/files.ts";

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** `NAME=value`, also after `export`, `set` or PowerShell's `$env:`. */
const ASSIGNMENT = /^\s*(?:export\s+|set\s+|\$env:)?([A-Za-z_][\w.-]*)\s*=\s*(.*)$/i;
/** The name of a line that is no assignment, such as YAML's `NAME: value`. */
const FIRST_WORD = /^\s*(?:export\s+|set\s+|\$env:)?([A-Za-z_]\w*)/i;

/** The end of a quoted value's first line to the line that closes it; undefined where no line does. */
function quotedValue(lines: readonly string[], from: number, start: string) {
  const quote = start[0]!;
  let text = start;
  for (let last = from; ; text += `\n${lines[last]}`) {
    const end = text.indexOf(quote, 1);
    const rest = end < 0 ? undefined : text.slice(end + 1).trim();
    if (rest === "" || rest?.startsWith("#")) return { value: text.slice(1, end), last };
    if (rest !== undefined || ++last >= lines.length) return undefined;
  }
}

/** A value without the comment behind it. */
const uncommented = (text: string) => text.replace(/(^|\s)#.*$/, "").trim();

/**
 * The variables of a `.env` file's text: comments, quotes, values of several lines, spaces around the sign of equality.
 * @param isOurs names whose lines must be right; other programs' lines are read as far as they can be.
 * @throws FaceError `CONFIG_INVALID` for a line of ours without `=` or with a quote that is never closed, or two lines that disagree.
 */
export function parseDotEnv(text: string, path: string, isOurs: (name: string) => boolean): Environment {
  const lines = text.split(/\r\n|\r|\n/);
  const found = new Map<string, { value: string; line: number }>();
  for (let i = 0; i < lines.length; i++) {
    const line = i + 1;
    const [, name, start] = ASSIGNMENT.exec(lines[i]!) ?? [];
    if (name === undefined || start === undefined) {
      const word = FIRST_WORD.exec(lines[i]!)?.[1];
      if (word === undefined || !isOurs(word)) continue;
      throw new FaceError("CONFIG_INVALID", `${path}:${line}: got ${JSON.stringify(lines[i]!.trim())}`, {
        hint: `write ${word}=value`,
      });
    }
    const quoted = /^["'`]/.test(start) ? quotedValue(lines, i, start) : undefined;
    if (quoted === undefined && /^(["'`])(?!.*\1)/.test(start) && isOurs(name)) {
      throw new FaceError(
        "CONFIG_INVALID",
        `${path}:${line}: the quote is never closed: got ${JSON.stringify(lines[i]!.trim())}`,
        {
          hint: `write ${name}=${start[0]}value${start[0]}, or leave the quote out`,
        },
      );
    }
    const value = quoted?.value ?? uncommented(start);
    i = quoted?.last ?? i;
    const earlier = found.get(name);
    if (earlier !== undefined && earlier.value !== value && isOurs(name)) {
      throw new FaceError(
        "CONFIG_INVALID",
        `${path} sets ${name} twice: to ${JSON.stringify(earlier.value)} in line ${earlier.line} and to ${JSON.stringify(value)} in line ${line}`,
        { hint: "delete one of the two lines" },
      );
    }
    found.set(name, { value, line });
  }
  return Object.fromEntries([...found].map(([name, { value }]) => [name, value]));
}

/** Reads a `.env` file; empty without the file, or when the name is a folder, as a Python environment is. */
export function readEnvFile(path: string, isOurs: (name: string) => boolean): Environment {
  try {
    requireRegularSync(path);
    return parseDotEnv(decodeText(readFileSync(path)), path, isOurs);
  } catch (error) {
    if (["ENOENT", "EISDIR"].includes(systemCode(error) ?? "")) return {};
    throw error;
  }
}
