/** @file Settings from flags, then the environment, then `.env`, then defaults, all checked by one schema. */
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { type Command, Option } from "commander";
import { z } from "zod";
import { FaceError, systemCode } from "../base/errors.ts";

/** Environment names that users of the original know; every other setting is `FACEID_` and its name. */
const KNOWN_NAMES: ReadonlySet<string> = new Set([
  "DATASET_PATH",
  "SAVED_MODEL_PATH",
  "MODEL_NAME",
  "MODEL_VERSION",
  "BATCH_SIZE",
  "EPOCHS",
  "DATASET_SIZE",
  "ID_FROM",
  "ID_TO",
  "IMAGES_PER_ID",
  "IMAGE_SHAPE",
]);

const PREFIX = "FACEID_";
/** Variables with our prefix that are no setting of one command: where mistakes show their place, where decoded pixels
 * and model packs are kept, where packs come from and whether they may. */
export const OTHER_NAMES: ReadonlySet<string> = new Set([
  "FACEID_DEBUG",
  "FACEID_CACHE_DIR",
  "FACEID_MODELS_DIR",
  "FACEID_MODELS_URL",
  "FACEID_OFFLINE",
]);

type Environment = Readonly<Record<string, string | undefined>>;

const words = (key: string) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
/** `batchSize → --batch-size` */
export const flagOf = (key: string): string => `--${words(key).toLowerCase().replaceAll("_", "-")}`;
/** `batchSize → BATCH_SIZE`, `seed → FACEID_SEED` */
export const variableOf = (key: string): string =>
  KNOWN_NAMES.has(words(key)) ? words(key) : PREFIX + words(key);

/** What a schema says of one setting. */
interface Setting {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly items?: { readonly type?: string };
}

function settingsOf(schema: z.ZodObject): [string, Setting][] {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input" });
  return Object.entries(properties) as [string, Setting][];
}

const isTrue = (text: string) => ["true", "1", "yes", "on", ""].includes(text.toLowerCase());
const isFalse = (text: string) => ["false", "0", "no", "off"].includes(text.toLowerCase());

/** A text as the value its setting wants; left as it is where it makes no sense, so that the schema can complain. */
function coerce(text: string, setting: Setting): unknown {
  switch (setting.type) {
    case "integer":
    case "number":
      return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
    case "boolean":
      if (isTrue(text)) return true;
      return isFalse(text) ? false : text;
    case "array":
      return text
        .split(/[\s,x]+/)
        .filter((part) => part !== "")
        .map((part) => coerce(part, setting.items ?? {}));
    default:
      return text;
  }
}

/** Adds one flag for each setting of a schema. */
export function addOptions(command: Command, schema: z.ZodObject): Command {
  for (const [key, setting] of settingsOf(schema)) {
    const value = setting.type === "boolean" ? "[true|false]" : "<value>";
    const option = new Option(`${flagOf(key)} ${value}`, setting.description ?? "");
    const shown = Array.isArray(setting.default) ? setting.default.join("x") || undefined : setting.default;
    option.description += ` (${[
      variableOf(key),
      setting.enum?.join(", "),
      shown === undefined ? undefined : `default ${shown}`,
    ]
      .filter((part) => part !== undefined)
      .join("; ")})`;
    command.addOption(option);
  }
  return command;
}

/** Reads `.env` from the folder the command was started in; nothing when there is none, or a folder of that name, as
 * Python's environments are often called. */
export function readDotEnv(path = ".env"): Environment {
  try {
    return parseEnv(readFileSync(path, "utf8")) as Environment;
  } catch (error) {
    if (["ENOENT", "EISDIR"].includes(systemCode(error) ?? "")) return {};
    throw error;
  }
}

/** Gives the environment what `.env` says of variables that are read below `cli/`, where nobody knows of that file. */
export function adoptDotEnv(
  environment: NodeJS.ProcessEnv = process.env,
  dotEnv: Environment = readDotEnv(),
): void {
  for (const name of OTHER_NAMES) {
    const value = dotEnv[name];
    if (!environment[name] && value) environment[name] = value;
  }
}

function invalid(key: string, came: unknown, source: string, wanted: string): FaceError {
  return new FaceError("CONFIG_INVALID", `${source}: got ${JSON.stringify(came)}, expected ${wanted}`, {
    hint: `set ${flagOf(key)} or ${variableOf(key)}`,
  });
}

/** Unknown names with our prefix are mistakes; anything else in the environment is not ours. */
function refuseUnknown(environment: Environment, known: ReadonlySet<string>): void {
  for (const name of Object.keys(environment)) {
    if (name.startsWith(PREFIX) && !known.has(name) && !OTHER_NAMES.has(name)) {
      throw new FaceError("CONFIG_INVALID", `${name} is no setting of faceid`, {
        hint: "faceid <command> --help lists the settings; check the spelling",
      });
    }
  }
}

/** Where settings come from, strongest first. */
export interface OptionSources {
  /** What commander parsed, by setting. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment?: Environment;
  readonly dotEnv?: Environment;
  /** What stands in for the schema's defaults. */
  readonly preset?: Readonly<Record<string, unknown>>;
  /** All settings of all commands, so that one `.env` may serve several of them. */
  readonly everyKey?: readonly string[];
}

/**
 * The settings of a command, defaults included.
 * @throws FaceError `CONFIG_INVALID` for the first value that the schema refuses.
 */
export function resolveOptions<S extends z.ZodObject>(schema: S, sources: OptionSources): z.infer<S> {
  return resolve(schema, sources).settings;
}

/** Only the settings that somebody gave, checked all the same. */
export function givenOptions<S extends z.ZodObject>(schema: S, sources: OptionSources): Partial<z.infer<S>> {
  const { settings, given } = resolve(schema, sources);
  return Object.fromEntries(Object.entries(settings).filter(([key]) => given.has(key))) as Partial<
    z.infer<S>
  >;
}

function resolve<S extends z.ZodObject>(
  schema: S,
  {
    flags,
    environment = process.env,
    dotEnv = readDotEnv(),
    preset = {},
    everyKey = Object.keys(schema.shape),
  }: OptionSources,
): { settings: z.infer<S>; given: ReadonlySet<string> } {
  const known = new Set(everyKey.map(variableOf));
  refuseUnknown(environment, known);
  refuseUnknown(dotEnv, known);
  const values: Record<string, unknown> = { ...preset };
  const sources = new Map<string, { source: string; came: unknown }>();
  for (const [key, setting] of settingsOf(schema)) {
    const variable = variableOf(key);
    const found = (
      [
        [flagOf(key), flags[key] === true ? "" : flags[key]],
        [`${variable} in the environment`, environment[variable] || undefined],
        [`${variable} in .env`, dotEnv[variable] || undefined],
      ] as const
    ).find(([, value]) => value !== undefined);
    if (found === undefined) continue;
    const [source, text] = found;
    values[key] = typeof text === "string" ? coerce(text, setting) : text;
    sources.set(key, { source, came: text });
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return { settings: parsed.data as z.infer<S>, given: new Set(sources.keys()) };
  const issue = parsed.error.issues[0]!;
  const key = String(issue.path[0]);
  const { source = flagOf(key), came } = sources.get(key) ?? {};
  const setting = settingsOf(schema).find(([name]) => name === key)?.[1] ?? {};
  throw invalid(key, came, source, wantedText(issue, setting));
}

/** What a schema wanted, in the words of a sentence. */
function wantedText(issue: z.core.$ZodIssue, { type, items, description }: Setting): string {
  const isWhole = type === "integer" || items?.type === "integer";
  const entries = (origin: string) => (origin === "array" ? ` values: ${description}` : "");
  switch (issue.code) {
    case "invalid_type":
      return isWhole ? "a whole number" : `a ${issue.expected}`;
    case "too_small":
      return `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}${entries(issue.origin)}`;
    case "too_big":
      return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}${entries(issue.origin)}`;
    case "invalid_value":
      return `one of ${issue.values.join(", ")}`;
    default:
      return issue.message;
  }
}
