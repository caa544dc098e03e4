/** @file The faceid command. The room parses arguments, calls a job and prints; this file finds the subcommand. */
import { Command, CommanderError } from "commander";
import { ERRORS, FaceError, messageOf, systemCode } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { adoptDotEnv } from "./options.ts";

/** The subcommands, as the list of commands shows them. */
const SUMMARIES = {
  quickstart: "train, measure, export, serve and ask, on drawn faces, in about two minutes",
  train: "train a verifier on a folder of people, measure and export it",
  evaluate: "measure a model on people it was not trained on",
  report: "measure a model and write a report as one HTML page",
  export: "freeze a checkpoint and write it as a SavedModel",
  verify: "say whether two photographs show one person, without a server",
  faces: "list and draw all faces of photographs",
  gallery: "keep people, and say who is on a photograph",
  serve: "serve models over TensorFlow Serving's REST and gRPC protocols, with its flags in either spelling",
  request: "ask a server whether two photographs show one person",
  dataset: "count, show, draw or download datasets",
  summary: "list a model's layers with their shapes, parameters and connections",
  plot: "draw a model: its layers, their shapes, and how they are connected",
  inspect: "print a model's signatures, operations and parameters",
  quantize: "write an exported model in 8-bit integers, as an ONNX version to serve",
  convert: "write a SavedModel as an ONNX file, or as a SavedModel with constants for variables",
  models: "list, add or remove model packs: the pretrained networks",
} as const;
type Name = keyof typeof SUMMARIES;

/** What adds a subcommand's options; its module is loaded only when it is called. */
const COMMANDS: Readonly<Record<Name, () => Promise<(command: Command) => Command>>> = {
  quickstart: async () => (await import("./commands/quickstart.ts")).quickstartCommand,
  train: async () => (await import("./commands/train.ts")).trainCommand,
  evaluate: async () => (await import("./commands/evaluate.ts")).evaluateCommand,
  report: async () => (await import("./commands/report.ts")).reportCommand,
  export: async () => (await import("./commands/export.ts")).exportCommand,
  verify: async () => (await import("./commands/verify.ts")).verifyCommand,
  faces: async () => (await import("./commands/faces.ts")).facesCommand,
  gallery: async () => (await import("./commands/gallery.ts")).galleryCommand,
  serve: async () => (await import("./commands/serve.ts")).serveCommand,
  request: async () => (await import("./commands/request.ts")).requestCommand,
  dataset: async () => (await import("./commands/dataset.ts")).datasetCommand,
  summary: async () => (await import("./commands/describe.ts")).summaryCommand,
  plot: async () => (await import("./commands/describe.ts")).plotCommand,
  inspect: async () => (await import("./commands/inspect.ts")).inspectCommand,
  quantize: async () => (await import("./commands/quantize.ts")).quantizeCommand,
  convert: async () => (await import("./commands/convert.ts")).convertCommand,
  models: async () => (await import("./commands/models.ts")).modelsCommand,
};

async function program([first, second]: readonly string[]): Promise<Command> {
  const root = new Command("faceid")
    .description("Train, measure, export and serve a face verifier.")
    .version(VERSION)
    .showHelpAfterError("(faceid --help lists the commands)")
    .exitOverride();
  const wanted = first === "help" ? second : first;
  for (const [name, summary] of Object.entries(SUMMARIES)) {
    const command = new Command(name).description(summary).exitOverride();
    root.addCommand(name === wanted ? (await COMMANDS[name as Name]())(command) : command);
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
    adoptDotEnv();
    const root = await program(args);
    await root.parseAsync(await normalized(args), { from: "user" });
  } catch (error) {
    const { text, exitCode } = describeFailure(error);
    if (text !== "") console.error(text);
    process.exitCode = exitCode;
  }
}
