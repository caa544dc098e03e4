/** @file Reads settings from flags, then the environment, then `.env`, then defaults, and checks them by one schema. */
import { type Command, Option } from "commander";
import type { z } from "zod";
import { FaceError, nearestName } from "../base/errors.ts";
import { FACE_CHOICES, type FacePicks, facePicks, isFacePick } from "../faces/choose.ts";
import { PRECISIONS, PROFILES } from "../faces/mode.ts";
import { currentSettings, removedSettings, renamedSettings, unknownSetting } from "../train/setting-names.ts";
import type { Environment } from "./dot-env.ts";
import { COMPOSE_NAMES, hasPrefix, KNOWN_NAMES, OTHER_NAMES, PREFIX, readDotEnv } from "./environment.ts";
import { consoleLog } from "./process.ts";
import { coerce, type Setting, unquoted } from "./values.ts";

const words = (key: string) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
/** `batchSize → --batch-size` */
export const flagOf = (key: string): string => `--${words(key).toLowerCase().replaceAll("_", "-")}`;
/** `batchSize → BATCH_SIZE`, `seed → FACEID_SEED` */
export const variableOf = (key: string): string =>
  KNOWN_NAMES.has(words(key)) ? words(key) : PREFIX + words(key);

/** A setting's name, then its former ones. */
const namesOf = (key: string): string[] => [
  key,
  ...Object.keys(renamedSettings).filter((old) => renamedSettings[old] === key),
];
/** Settings that were removed from the commands of a schema. */
const removedFrom = (schema: z.ZodObject): string[] =>
  Object.keys(removedSettings).filter((key) => removedSettings[key]!.beside in schema.shape);

function settingsOf(schema: z.ZodObject): [string, Setting][] {
  const { properties = {} } = schema.toJSONSchema({ io: "input" });
  return Object.entries(properties) as [string, Setting][];
}

/** A description of a setting, in which `settings` in code marks are written as flags. */
const inFlags = (text = "") => text.replaceAll(/`(\w+)`/g, (_, key: string) => flagOf(key));

/** Settings in the order of the help: those that everybody needs, those of the data, and the rest. */
const EVERYDAY: readonly string[] =
  "datasetPath recipe model epochs output savedModelPath modelName modelVersion progress".split(" ");
const DATA: readonly string[] =
  "dataset idFrom idTo imagesPerId difficulty excludePairs excludeFolds imageShape datasetSize validationPairs validationFraction testFraction augment".split(
    " ",
  );
export const DATA_GROUP = "Data:";
export const EXPERT_GROUP = "Expert:";

const groupOf = (key: string): number => (EVERYDAY.includes(key) ? 0 : DATA.includes(key) ? 1 : 2);

/** Adds one flag for each setting of a schema, in groups. */
export function addOptions(command: Command, schema: z.ZodObject): Command {
  for (const [key, setting] of settingsOf(schema).toSorted(([a], [b]) => groupOf(a) - groupOf(b))) {
    const value = setting.type === "boolean" ? "[true|false]" : "<value>";
    const option = new Option(`${flagOf(key)} ${value}`, inFlags(setting.description));
    if (groupOf(key) > 0) option.helpGroup(groupOf(key) === 1 ? DATA_GROUP : EXPERT_GROUP);
    const shown = Array.isArray(setting.default) ? setting.default.join("x") || undefined : setting.default;
    option.description += ` (${[
      variableOf(key),
      setting.enum?.join(", "),
      shown === undefined ? undefined : `default ${shown}`,
    ]
      .filter((part) => part !== undefined)
      .join("; ")})`;
    command.addOption(option);
    for (const old of namesOf(key).slice(1))
      command.addOption(new Option(`${flagOf(old)} ${value}`).hideHelp());
  }
  for (const key of removedFrom(schema)) command.addOption(new Option(`${flagOf(key)} <value>`).hideHelp());
  return command;
}

/**
 * Variables that Kubernetes and Docker set in a container for a service or a linked container called faceid, or faceid-web
 * (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
 */
function isInjected(name: string, value: string | undefined): boolean {
  return (
    /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$|^FACEID_ENV_/.test(name) ||
    (/_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value ?? "")) ||
    (/_NAME$/.test(name) && (value ?? "").startsWith("/"))
  );
}

/** A name's letters without the prefix, to find it under another prefix or in another case. */
const bareName = (name: string) =>
  name
    .toUpperCase()
    .replace(/^FACE_?ID_+/, "")
    .replaceAll(/[^A-Z]/g, "");

/** A variable of ours that a name may have been meant for. */
function meant(name: string, known: readonly string[]): string | undefined {
  return known.find((each) => bareName(each) === bareName(name));
}

/** Refuses unknown names with our prefix; the rest belongs to others. */
function refuseUnknown(values: Environment, place: string, known: ReadonlySet<string>): void {
  const all = [...known, ...OTHER_NAMES, ...COMPOSE_NAMES];
  for (const [name, value] of Object.entries(values)) {
    if (!hasPrefix(name) || all.includes(name) || isInjected(name, value)) continue;
    const other = meant(name, all);
    // In the environment, spellings that are not ours may belong to another program.
    if (other === undefined && !name.startsWith(PREFIX)) continue;
    const message =
      other === undefined
        ? unknownSetting(name, all, place)
        : `unknown setting ${name} in ${place}, did you mean ${other}?`;
    throw new FaceError("CONFIG_INVALID", message, {
      hint: "check the spelling, or remove it; faceid train --help lists all settings",
    });
  }
}

/** Warns about names that look like settings but are read by nobody. */
function warnUnread(values: Environment, place: string, known: ReadonlySet<string>, isLoose: boolean): void {
  for (const name of Object.keys(values)) {
    if (hasPrefix(name) || known.has(name)) continue;
    const unprefixed = [...known].filter((each) => !each.startsWith(PREFIX));
    // A variable such as MODEL or OUTPUT may be anybody's; LEARNING_RATE is hardly.
    const other = isLoose || name.includes("_") ? meant(name, [...known]) : undefined;
    const near = other ?? (isLoose ? nearestName(name, unprefixed, 5) : undefined);
    if (near !== undefined) warnOnce(`${name} in ${place} is not read; did you mean ${near}?`);
  }
}

/** The sources of settings, the strongest first. */
export interface OptionSources {
  /** Flags that commander parsed, by setting. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment?: Environment;
  readonly dotEnv?: Environment;
  /** Defaults that replace those of the schema. */
  readonly preset?: Readonly<Record<string, unknown>>;
  /** The settings of all commands, so that one `.env` can hold them all. */
  readonly everyKey?: readonly string[];
}

/**
 * The settings of a command with their defaults.
 * @throws FaceError `CONFIG_INVALID` for an unknown variable or a value that the schema refuses.
 */
export function resolveOptions<S extends z.ZodObject>(schema: S, sources: OptionSources): z.infer<S> {
  return resolve(schema, sources).settings;
}

/** Only the settings that a source names, checked in the same way. */
export function givenOptions<S extends z.ZodObject>(schema: S, sources: OptionSources): Partial<z.infer<S>> {
  const { settings, given } = resolve(schema, sources);
  return Object.fromEntries(Object.entries(settings).filter(([key]) => given.has(key))) as Partial<
    z.infer<S>
  >;
}

const warned = new Set<string>();

/** Warns once in a process. */
function warnOnce(message: string): void {
  if (warned.has(message)) return;
  warned.add(message);
  consoleLog().warn(message);
}

const flagValue = (value: unknown) => {
  if (value === true) return "";
  return typeof value === "string" ? unquoted(value) : value;
};

/** Where a setting was given, under its name or a former one, and the text. */
function findSetting(
  key: string,
  { flags, environment, dotEnv }: Required<Pick<OptionSources, "flags" | "environment" | "dotEnv">>,
): { source: string; came: unknown } | undefined {
  const places = [
    { suffix: "", spell: flagOf, of: (name: string) => flagValue(flags[name]) },
    ...[
      { suffix: " in the environment", values: environment },
      { suffix: " in .env", values: dotEnv },
    ].map(({ suffix, values }) => ({
      suffix,
      spell: variableOf,
      of: (name: string) => unquoted(values[variableOf(name)] ?? "") || undefined,
    })),
  ];
  for (const { suffix, spell, of } of places) {
    const [name, twice] = namesOf(key).filter((each) => of(each) !== undefined);
    if (name === undefined) continue;
    if (twice !== undefined) {
      throw new FaceError("CONFIG_INVALID", `${spell(name)} and ${spell(twice)} are the same setting`, {
        hint: `leave out ${spell(twice)}, the former name`,
      });
    }
    if (name !== key) warnOnce(`${spell(name)} is now ${spell(key)}`);
    return { source: spell(name) + suffix, came: of(name) };
  }
  return undefined;
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
  const known = new Set([...everyKey.flatMap(namesOf), ...Object.keys(removedSettings)].map(variableOf));
  refuseUnknown(environment, "the environment", known);
  refuseUnknown(dotEnv, ".env", known);
  warnUnread(environment, "the environment", known, false);
  warnUnread(dotEnv, ".env", known, true);
  const values: Record<string, unknown> = { ...preset };
  const sources = new Map<string, { source: string; came: unknown }>();
  for (const [key, setting] of settingsOf(schema)) {
    const found = findSetting(key, { flags, environment, dotEnv });
    if (found === undefined) continue;
    const { came } = found;
    values[key] = typeof came === "string" ? coerce(key, came, setting) : came;
    sources.set(key, found);
  }
  for (const key of removedFrom(schema)) {
    currentSettings({ [key]: findSetting(key, { flags, environment, dotEnv })?.came });
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return { settings: parsed.data as z.infer<S>, given: new Set(sources.keys()) };
  const issue = parsed.error.issues[0]!;
  const key = String(issue.path[0]);
  const { source = flagOf(key), came } = sources.get(key) ?? {};
  const setting = settingsOf(schema).find(([name]) => name === key)?.[1] ?? {};
  throw new FaceError(
    "CONFIG_INVALID",
    `${source}: got ${JSON.stringify(came)}, expected ${wantedText(issue, setting)}`,
    {
      hint:
        /\d,\d/.test(String(came)) && setting.type !== "array"
          ? COMMA_HINT
          : `set ${flagOf(key)} or ${variableOf(key)}`,
    },
  );
}

const COMMA_HINT = "write decimals with a point (0.001), and thousands without a separator (5000)";

/** What the schema expected, as the end of a sentence. */
function wantedText(issue: z.core.$ZodIssue, { type, items, description }: Setting): string {
  const isWhole = type === "integer" || items?.type === "integer";
  const entries = (origin: string) => (origin === "array" ? ` values: ${inFlags(description)}` : "");
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

/** A flag that takes a number. */
interface NumberFlag {
  /** Without its dashes. */
  readonly flag: string;
  readonly help: string;
  readonly least: number;
  /** No limit when left out. */
  readonly most?: number;
  /** Whether fractions are allowed. */
  readonly fraction?: boolean;
  /** Whether the limits themselves are refused. */
  readonly exclusive?: boolean;
  readonly fallback?: number;
}

/** The flag for the highest false accept rate wanted. */
export const farFlag = (help: string): NumberFlag => ({
  flag: "far",
  help: `highest false accept rate wanted ${help}`,
  least: 0,
  most: 1,
  fraction: true,
  exclusive: true,
});

/** The flag for the face that is meant where a photograph shows several. */
export const faceOption = (flag: string, help: string): Option =>
  new Option(flag, help).choices(FACE_CHOICES);

/** The flag for the faces that are meant in two photographs. */
export const pairFaceOption = (help: string): Option =>
  new Option(
    "--face <which>",
    `face meant where there are several: ${FACE_CHOICES.join(", ")}, or its number as faceid faces lists it; 1,3 for each photograph ${help}`,
  ).argParser((text): FacePicks => {
    const picks = facePicks(text);
    const each = Array.isArray(picks) ? (picks as unknown[]) : [picks];
    if (each.length <= 2 && each.every(isFacePick)) return picks as FacePicks;
    throw new FaceError(
      "CONFIG_INVALID",
      `--face: got ${JSON.stringify(text)}, expected ${FACE_CHOICES.join(", ")}, or a number from 1; two with a comma between them mean the first and the second photograph`,
    );
  });

/** Adds a flag whose number is checked: anything else is `CONFIG_INVALID`. */
export function addNumber(command: Command, { flag, help, fallback, ...range }: NumberFlag): Command {
  const { least, most, fraction = false, exclusive = false } = range;
  const parse = (text: string) => {
    const value = Number(text);
    const isLimit = value === least || value === most;
    const inRange = value >= least && value <= (most ?? value) && !(exclusive && isLimit);
    if (text.trim() !== "" && inRange && (fraction || Number.isInteger(value))) return value;
    const wanted = `${fraction ? "" : "whole "}number ${most === undefined ? `of at least ${least}` : `${exclusive ? "between" : "from"} ${least} ${exclusive ? "and" : "to"} ${most}`}`;
    throw new FaceError("CONFIG_INVALID", `--${flag}: got ${JSON.stringify(text)}, expected a ${wanted}`);
  };
  return command.option(`--${flag} <number>`, help, parse, fallback);
}

/** @throws FaceError `CONFIG_INVALID` for a flag that was given without its text, as an unset variable leaves it. */
export function requireText(flag: string, value: string | undefined, wanted: string): void {
  if (value === undefined || value.trim() !== "") return;
  throw new FaceError("CONFIG_INVALID", `${flag} is empty`, { hint: `pass ${wanted}, or leave ${flag} out` });
}

/**
 * Makes sure that a picture's name ends as a format that is written; a name that ends otherwise would lie.
 * @param endings without their dots.
 */
export function requireEnding(flag: string, path: string, endings: readonly string[]): void {
  if (endings.some((ending) => path.toLowerCase().endsWith(`.${ending}`))) return;
  const wanted = endings.map((ending) => `.${ending}`);
  const last = wanted.pop();
  const names = wanted.length === 0 ? last : `${wanted.join(", ")} or ${last}`;
  throw new FaceError("CONFIG_INVALID", `${flag}: got ${path}, expected a name ending in ${names}`);
}

/** Parses the value of `--folds`. */
function foldNumbers(text: string): number[] {
  const numbers = text.split(",").map(Number);
  if (numbers.every((number) => Number.isInteger(number) && number > 0)) return numbers;
  throw new FaceError(
    "CONFIG_INVALID",
    `--folds: got ${JSON.stringify(text)}, expected whole numbers from 1, separated by commas`,
  );
}

/** Fewer pairs say nothing about an error rate. */
const LEAST_PAIRS = 10;

/** Adds `--test-pairs`, a number of pairs of held-out people. */
export const addTestPairs = (command: Command, help: string): Command =>
  addNumber(command, { flag: "test-pairs", help, least: LEAST_PAIRS });

/** Adds the flags that choose between a pairs file with its folds and held-out people. */
export function addPairs(command: Command, help: { pairs: string; testPairs: string }): Command {
  command
    .option("--pairs <file>", `LFW-style pairs.txt: ${help.pairs}`)
    .option(
      "--folds <numbers>",
      "folds of that file to use, counted from 1, such as 7,8 (default all)",
      foldNumbers,
    );
  return addTestPairs(command, help.testPairs);
}

/** Adds the flags that break error rates down by groups. */
export const addGroups = (command: Command): Command =>
  command
    .option(
      "--groups <file.csv>",
      "error rates by the columns of a CSV file, whose column person or path says whom a row is about",
    )
    .option("--by-quality", "error rates by yaw, size and sharpness of the faces of whole photographs");

/** What a model pack computes in. */
export const precisionOption = (): Option =>
  new Option(
    "--precision <precision>",
    "what a model pack computes in; int8 takes half the time and has thresholds of its own",
  )
    .choices(PRECISIONS)
    .default("float32");

/** How much a model pack does for a face. */
export const profileOption = (): Option =>
  new Option(
    "--profile <profile>",
    "how much a model pack does for a face; fast takes less than half the time and has thresholds of its own",
  )
    .choices(PROFILES)
    .default("standard");
