/** @file The faceid command. The room parses arguments, calls a job and prints; this file finds the subcommand. */
import { Command, CommanderError } from "commander";
import { ERRORS, FaceError, messageOf, systemCode } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";

/** A subcommand: its line in the list, and the module that adds its options, loaded only when it is called. */
interface Subcommand {
  readonly summary: string;
  load(): Promise<(command: Command) => Command>;
}

const COMMANDS: Readonly<Record<string, Subcommand>> = {
  quickstart: {
    summary: "train, measure, export, serve and ask, on drawn faces, in about two minutes",
    load: async () => (await import("./commands/quickstart.ts")).quickstartCommand,
  },
  train: {
    summary: "train a verifier on a folder of people, measure and export it",
    load: async () => (await import("./commands/train.ts")).trainCommand,
  },
  evaluate: {
    summary: "measure a model on people it was not trained on",
    load: async () => (await import("./commands/evaluate.ts")).evaluateCommand,
  },
  report: {
    summary: "measure a model and write a report as one HTML page",
    load: async () => (await import("./commands/report.ts")).reportCommand,
  },
  export: {
    summary: "freeze a checkpoint and write it as a SavedModel",
    load: async () => (await import("./commands/export.ts")).exportCommand,
  },
  serve: {
    summary:
      "serve models over TensorFlow Serving's REST and gRPC protocols, with its flags in either spelling",
    load: async () => (await import("./commands/serve.ts")).serveCommand,
  },
  request: {
    summary: "ask a server whether two photographs show one person",
    load: async () => (await import("./commands/request.ts")).requestCommand,
  },
  dataset: {
    summary: "count, show, draw or download datasets",
    load: async () => (await import("./commands/dataset.ts")).datasetCommand,
  },
  summary: {
    summary: "list a model's layers with their shapes, parameters and connections",
    load: async () => (await import("./commands/describe.ts")).summaryCommand,
  },
  plot: {
    summary: "draw a model: its layers, their shapes, and how they are connected",
    load: async () => (await import("./commands/describe.ts")).plotCommand,
  },
  inspect: {
    summary: "print a model's signatures, operations and parameters",
    load: async () => (await import("./commands/inspect.ts")).inspectCommand,
  },
  quantize: {
    summary: "write an exported model in 8-bit integers, as an ONNX version to serve",
    load: async () => (await import("./commands/quantize.ts")).quantizeCommand,
  },
  convert: {
    summary: "write a SavedModel as an ONNX file, or as a SavedModel with constants for variables",
    load: async () => (await import("./commands/convert.ts")).convertCommand,
  },
};

async function program([first, second]: readonly string[]): Promise<Command> {
  const root = new Command("faceid")
    .description("Train, measure, export and serve a face verifier.")
    .version(VERSION)
    .showHelpAfterError("(faceid --help lists the commands)")
    .exitOverride();
  const wanted = first === "help" ? second : first;
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    const command = new Command(name).description(summary).copyInheritedSettings(root);
    root.addCommand(name === wanted ? (await load())(command) : command);
  }
  return root;
}

/** The subcommand's arguments as its parser expects them: TensorFlow Serving's flags are spelled with underscores. */
async function normalized(args: readonly string[]): Promise<readonly string[]> {
  if (args[0] !== "serve") return args;
  const { normalizeServeArguments } = await import("./commands/serve.ts");
  return ["serve", ...normalizeServeArguments(args.slice(1))];
}

/** The lines for standard error and the exit code of a failure; a stack comes only with FACEID_DEBUG or for our own bugs. */
function describeFailure(error: unknown): { readonly text: string; readonly exitCode: number } {
  // Commander has printed its own message already.
  if (error instanceof CommanderError)
    return { text: "", exitCode: error.exitCode === 0 ? 0 : ERRORS.CONFIG_INVALID.exit };
  const lines = [`error: ${messageOf(error)}`];
  const stack = error instanceof Error && error.stack !== undefined ? [error.stack] : [];
  if (error instanceof FaceError) {
    if (error.hint !== undefined) lines.push(`  ${error.hint}`);
    if (process.env.FACEID_DEBUG !== undefined) lines.push(...stack);
    return { text: lines.join("\n"), exitCode: error.exitCode };
  }
  if (systemCode(error) !== undefined) return { text: lines.join("\n"), exitCode: ERRORS.FILE_INVALID.exit };
  return { text: [...lines, ...stack].join("\n"), exitCode: ERRORS.INTERNAL.exit };
}

/** Ends the command quietly when the reader of its output closes it early, as `head` does. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

/** Runs the command line `argv` (with node and script first) and sets the process's exit code. */
export async function run(argv: readonly string[]): Promise<void> {
  process.stdout.on("error", endWithReader);
  const args = argv.slice(2);
  try {
    const root = await program(args);
    await root.parseAsync(await normalized(args), { from: "user" });
  } catch (error) {
    const { text, exitCode } = describeFailure(error);
    if (text !== "") console.error(text);
    process.exitCode = exitCode;
  }
}
