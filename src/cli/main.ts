/** @file The faceid command. The room parses arguments, calls a job and prints; this file finds the subcommand. */
import { inspect } from "node:util";
import { Command, CommanderError } from "commander";
import { asFaceError, ERRORS, FaceError, messageOf } from "../base/errors.ts";
import { shownLines } from "../base/log.ts";
import { platformFailure, VERSION } from "../base/platform.ts";
import { adoptDotEnv, isDotEnvMisnamed, needCheck } from "./environment.ts";
import { withHelp } from "./help.ts";
import { asTyped, complain, interruptedExit, shellWord, watchSignals } from "./process.ts";
import { COMMAND_NAMES, SUMMARIES } from "./summaries.ts";

type Name = keyof typeof SUMMARIES;

/** What adds a subcommand's options; its module is loaded only when it is called. */
const COMMANDS: Readonly<Record<Name, () => Promise<(command: Command) => Command>>> = {
  quickstart: async () => (await import("./commands/quickstart.ts")).quickstartCommand,
  train: async () => (await import("./commands/train.ts")).trainCommand,
  evaluate: async () => (await import("./commands/evaluate.ts")).evaluateCommand,
  calibrate: async () => (await import("./commands/calibrate.ts")).calibrateCommand,
  report: async () => (await import("./commands/report.ts")).reportCommand,
  export: async () => (await import("./commands/export.ts")).exportCommand,
  verify: async () => (await import("./commands/verify.ts")).verifyCommand,
  faces: async () => (await import("./commands/faces.ts")).facesCommand,
  crop: async () => (await import("./commands/crop.ts")).cropCommand,
  embed: async () => (await import("./commands/embed.ts")).embedCommand,
  cluster: async () => (await import("./commands/cluster.ts")).clusterCommand,
  app: async () => (await import("./commands/app.ts")).appCommand,
  gallery: async () => (await import("./commands/gallery.ts")).galleryCommand,
  serve: async () => (await import("./commands/serve.ts")).serveCommand,
  keys: async () => (await import("./commands/keys.ts")).keysCommand,
  request: async () => (await import("./commands/request.ts")).requestCommand,
  dataset: async () => (await import("./commands/dataset.ts")).datasetCommand,
  summary: async () => (await import("./commands/describe.ts")).summaryCommand,
  plot: async () => (await import("./commands/describe.ts")).plotCommand,
  inspect: async () => (await import("./commands/inspect.ts")).inspectCommand,
  quantize: async () => (await import("./commands/quantize.ts")).quantizeCommand,
  convert: async () => (await import("./commands/convert.ts")).convertCommand,
  models: async () => (await import("./commands/models.ts")).modelsCommand,
};

/** The groups in which the list of commands shows them; what is in none of the first two is for experts. */
const GROUPS: readonly (readonly [heading: string, names: readonly string[]])[] = [
  ["Everyday:", ["app", "verify", "faces", "quickstart", "train", "evaluate", "report", "serve", "request"]],
  ["Data:", ["dataset", "crop", "embed", "cluster"]],
  ["Expert:", Object.keys(SUMMARIES)],
];

/** The names of all commands with the headings of their groups, in the order of the help. */
function grouped(): Map<string, string> {
  const headings = new Map<string, string>();
  for (const [heading, names] of GROUPS) {
    for (const name of names) if (name in SUMMARIES && !headings.has(name)) headings.set(name, heading);
  }
  return headings;
}

/** Every command refuses misspelt variables of ours alike, whichever of them it reads. */
async function refuseMisspelt(): Promise<void> {
  if (needCheck()) (await import("./settings.ts")).checkVariables();
}

/** What is wrong where an option is missing that can be set by a variable: its name may be misspelt. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof CommanderError && error.code === "commander.missingMandatoryOptionValue"))
    return error;
  return refuseMisspelt().then(
    () => error,
    (cause: unknown) => cause,
  );
}

async function program([first, second]: readonly string[]): Promise<Command> {
  const root = new Command("faceid")
    .description("Compare faces in photographs; train, measure, export and serve a face verifier.")
    .version(VERSION)
    .showHelpAfterError("(faceid --help lists the commands)")
    .exitOverride();
  const wanted = first === "help" ? second : first;
  for (const [name, heading] of grouped()) {
    const command = new Command(name)
      .description(SUMMARIES[name as Name])
      .helpGroup(heading)
      .exitOverride();
    root.addCommand(name === wanted ? (await COMMANDS[name as Name]())(command) : command);
  }
  root.hook("preAction", refuseMisspelt);
  return withHelp(root);
}

/** The subcommand's arguments as its parser expects them: TensorFlow Serving's flags are spelled with underscores. */
async function normalized(args: readonly string[]): Promise<readonly string[]> {
  // Alone, or with --json, `faceid models` lists.
  if (args[0] === "models" && args.slice(1).every((arg) => arg === "--json"))
    return ["models", "list", ...args.slice(1)];
  if (args[0] !== "serve") return args;
  const { normalizeServeArguments } = await import("./commands/serve.ts");
  return ["serve", ...normalizeServeArguments(args.slice(1))];
}

/** Any failure as ours, where it is one that a user can do something about. */
const asOurs = (error: unknown): FaceError | undefined => platformFailure(error) ?? asFaceError(error);

const exitCodeOf = ({ code, exitCode }: FaceError): number =>
  code === "INTERRUPTED" ? interruptedExit() : exitCode;

/** What to do about a name that was taken for a flag. */
function dashHint({ code, message }: CommanderError): string {
  const [, name] = code === "commander.unknownOption" ? (/'(-[^-'][^']*)'/.exec(message) ?? []) : [];
  return name === undefined
    ? ""
    : `  a name that begins with a dash comes after two dashes: -- ${shellWord(name)}`;
}

/** The hint for an unknown subcommand. At the root, commander prints its own. */
function commandsHint({ code }: CommanderError, [name = ""]: readonly string[]): string {
  if (code !== "commander.unknownCommand" || !(name in SUMMARIES)) return "";
  return `  ${asTyped(`faceid ${name} --help`, COMMAND_NAMES)} lists its commands`;
}

/** Errors of commander that the list of a command's options and arguments helps with. */
const USAGE_ERRORS: ReadonlySet<string> = new Set([
  "commander.unknownOption",
  "commander.missingArgument",
  "commander.excessArguments",
  "commander.optionMissingArgument",
  "commander.missingMandatoryOptionValue",
]);

/** What an option takes that must be given and was not. */
function mandatoryHint({ code, message }: CommanderError, command: Command): string[] {
  if (code !== "commander.missingMandatoryOptionValue") return [];
  const option = command.options.find(({ flags }) => message.includes(`'${flags}'`));
  if (option === undefined) return [];
  const { flags, description, envVar } = option;
  return [`  pass ${flags}: ${description}${envVar === undefined ? "" : `; or set ${envVar}`}`];
}

/** How commands without arguments take what users name without a flag, the likeliest first. */
const TAKEN_BY: Readonly<Record<string, string>> = {
  "--checkpoint": "a run",
  "--saved-model": "an exported model",
  "--dataset-path": "a folder of photographs",
  "--gallery": "a gallery",
  "--output": "what is written",
};

/** The options for what was named without a flag, to a command that takes no arguments. */
function excessHint({ code }: CommanderError, command: Command): string[] {
  if (code !== "commander.excessArguments" || command.registeredArguments.length > 0) return [];
  const known = new Set(command.options.map(({ long }) => long));
  const ways = Object.entries(TAKEN_BY).filter(([flag]) => known.has(flag));
  // What is written is seldom what was meant where something is read.
  const likely = ways.length > 1 ? ways.filter(([flag]) => flag !== "--output") : ways;
  return likely.length === 0
    ? []
    : [`  everything is given by flags: ${likely.map(([flag, what]) => `${what} by ${flag}`).join(", ")}`];
}

/** What the called command wants, and where its options are listed, unless commander suggests the right one. */
function optionsHint(error: CommanderError, args: readonly string[], root: Command): string {
  if (!USAGE_ERRORS.has(error.code) || error.message.includes("Did you mean")) return "";
  const words: string[] = [];
  let command = root;
  for (const arg of args) {
    const below = command.commands.find((each) => each.name() === arg) as Command | undefined;
    if (below === undefined) break;
    words.push(arg);
    command = below;
  }
  // At the root, commander prints its own.
  if (words.length === 0) return "";
  const help = asTyped(`faceid ${words.join(" ")} --help`, COMMAND_NAMES);
  const listed = command.registeredArguments.length > 0 ? " and arguments" : "";
  return [
    ...mandatoryHint(error, command),
    ...excessHint(error, command),
    `  ${help} lists its options${listed}`,
  ].join("\n");
}

/** A hint whose commands about galleries name the one that was given; an address may hold a password. */
function withGallery(hint: string, args: readonly string[]): string {
  const at = args.findIndex((arg) => arg === "--gallery" || arg.startsWith("--gallery="));
  const gallery = args[at]?.includes("=") === true ? args[at].slice("--gallery=".length) : args[at + 1];
  if (at < 0 || gallery === undefined || gallery.includes("://")) return hint;
  return hint.replaceAll(
    /\bfaceid gallery [a-z]+\b(?! --gallery)/g,
    (command) => `${command} --gallery ${shellWord(gallery)}`,
  );
}

/** The lines for standard error and the exit code of a failure, with `flagged` for what the library says of arguments; a stack comes only with FACEID_DEBUG or for our own bugs. */
function describeFailure(
  error: unknown,
  args: readonly string[],
  root: Command,
  flagged: (text: string) => string,
): { readonly text: string; readonly exitCode: number } {
  // Commander has printed its own message already.
  if (error instanceof CommanderError)
    return {
      text: dashHint(error) || commandsHint(error, args) || optionsHint(error, args, root),
      exitCode: error.exitCode === 0 ? 0 : ERRORS.CONFIG_INVALID.exit,
    };
  const ours = asOurs(error);
  const lines = [`error: ${shownLines(flagged(ours?.message ?? messageOf(error)))}`];
  // What can be done about the system's error holds where nothing better is said.
  const hint = ours?.hint ?? asFaceError(ours?.cause)?.hint;
  if (hint !== undefined)
    lines.push(`  ${shownLines(asTyped(withGallery(flagged(hint), args), COMMAND_NAMES))}`);
  if (ours === undefined || process.env.FACEID_DEBUG !== undefined) {
    if (error instanceof Error) lines.push(inspect(error));
  }
  return { text: lines.join("\n"), exitCode: ours === undefined ? ERRORS.INTERNAL.exit : exitCodeOf(ours) };
}

/** Codes below are answers of `verify` or those that other programs use for "misused". */
const LEAST_JSON_EXIT = 3;
const USAGE_EXIT = 64;

/** `faceid verify --json` prints errors as JSON too. */
function jsonFailure(error: unknown, flagged: (text: string) => string): number {
  const ours =
    error instanceof CommanderError
      ? new FaceError("CONFIG_INVALID", error.message.replace(/^error: /, "").replaceAll("\n", " "))
      : (asOurs(error) ?? new FaceError("INTERNAL", messageOf(error), { cause: error }));
  const image = "image" in ours ? { image: ours.image } : {};
  const { code } = ours;
  const message = flagged(ours.message);
  const exitCode = exitCodeOf(ours);
  console.log(JSON.stringify({ error: { code, message, ...image } }));
  if (code === "INTERNAL" && error instanceof Error) console.error(error.stack);
  if (exitCode >= LEAST_JSON_EXIT) return exitCode;
  return code === "CONFIG_INVALID" ? USAGE_EXIT : ERRORS.INTERNAL.exit;
}

/**
 * Ends the command when its output cannot be written. Quietly where the reader has closed it early, as `head` does; the exit code
 * stays that of the answer, which `verify` has set by then.
 */
function endWithOutput(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit();
  const { code, hint } = asFaceError(error) ?? { code: "FILE_INVALID" as const, hint: undefined };
  complain(`error: cannot write to standard output: ${messageOf(error)}`);
  if (hint !== undefined) complain(`  ${hint}`);
  process.exit(ERRORS[code].exit);
}

/** Runs the command line `argv` (with node and script first) and sets the process's exit code. */
export async function run(argv: readonly string[]): Promise<void> {
  process.stdout.off("error", endWithOutput).on("error", endWithOutput);
  watchSignals();
  const args = argv.slice(2);
  let root = new Command("faceid");
  try {
    adoptDotEnv();
    if (isDotEnvMisnamed()) complain("warning: .env.txt is not read; rename it to .env");
    root = await program(args);
    await root.parseAsync(await normalized(args), { from: "user" });
  } catch (thrown) {
    const error = await causeOf(thrown);
    // Loaded where something failed, as few commands do.
    const { withFlags } = await import("./argument-names.ts");
    const flagged = (text: string) => withFlags(text, root, args);
    const isFailure = !(error instanceof CommanderError && error.exitCode === 0);
    if (isFailure && args[0] === "verify" && args.includes("--json")) {
      process.exitCode = jsonFailure(error, flagged);
      return;
    }
    const { text, exitCode } = describeFailure(error, args, root, flagged);
    if (text !== "") complain(text);
    process.exitCode = exitCode;
  }
}
