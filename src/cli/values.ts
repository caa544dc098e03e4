/** @file Values as people write them in flags, variables and `.env`: quotes, home folders, lists, numbers, yes and no. */
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";

/** One setting of a schema. */
export interface Setting {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly items?: { readonly type?: string };
}

const QUOTES = ['""', "''", "``", "“”", "„“", "‘’", "«»"];

/** A text without the spaces and quotation marks around it, which Docker's `--env-file` and cmd.exe keep. */
export function unquoted(text: string): string {
  const trimmed = text.trim();
  const quoted = QUOTES.some(([open, close]) => trimmed.startsWith(open!) && trimmed.endsWith(close!));
  return quoted && trimmed.length > 1 ? trimmed.slice(1, -1).trim() : trimmed;
}

/** A variable at the beginning of a path: `$NAME`, `${NAME}` or `%NAME%`. */
const LEADING_VARIABLE = /^(?:\$\{(\w+)\}|\$(\w+)|%(\w+)%)(?=$|[/\\])/;

/** A path whose beginning a shell would have replaced: `~`, a variable, or a `file:` address. */
export function expandedPath(text: string, environment: NodeJS.ProcessEnv = process.env): string {
  if (/^file:\/\/\//i.test(text)) return fileURLToPath(text);
  const rest = text.replace(/^~(?=$|[/\\])/, () => homedir());
  return rest.replace(LEADING_VARIABLE, (whole, ...names: (string | undefined)[]) => {
    const name = names.slice(0, 3).find((each) => each !== undefined)!;
    return environment[name] ?? (["HOME", "USERPROFILE"].includes(name) ? homedir() : whole);
  });
}

/** The words for yes and no, in any case. */
export const isTrue = (text: string): boolean =>
  ["true", "t", "1", "yes", "y", "on", ""].includes(lower(text));
export const isFalse = (text: string): boolean => ["false", "f", "0", "no", "n", "off"].includes(lower(text));

const lower = (text: string) => text.trim().toLowerCase();

/** Colours that an image's shape may end with, as the original project writes it: `112,112,3`. */
const COLOURS = 3;

function numbersOf(text: string, items: Setting): unknown[] {
  const inner = text.replace(/^[([{]\s*/, "").replace(/\s*[)\]}]$/, "");
  return inner
    .split(/[\s,;x×*]+/i)
    .filter((part) => part !== "")
    .map((part) => coerce("", part, items));
}

/** A text as a value of the setting's type; unchanged when that fails, so that the schema reports it. */
export function coerce(key: string, text: string, setting: Setting): unknown {
  const bare = text.replace(/\s+#.*$/, "");
  switch (setting.type) {
    case "integer":
    case "number": {
      const number = Number(bare.replaceAll(/(?<=\d)_(?=\d)/g, ""));
      return bare.trim() === "" || Number.isNaN(number) ? text : number;
    }
    case "boolean":
      if (isTrue(bare)) return true;
      return isFalse(bare) ? false : text;
    case "array": {
      const values = numbersOf(bare, setting.items ?? {});
      const coloured = key === "imageShape" && values.length === 3 && values[2] === COLOURS;
      return coloured ? values.slice(0, 2) : values;
    }
    default:
      return setting.enum?.find((each) => each === lower(bare)) ?? expandedPath(text);
  }
}
