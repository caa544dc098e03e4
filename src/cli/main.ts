/** @file The faceid command: finds the subcommand, runs it, and ends with a clear line when it fails. */
import { Command } from "commander";
import { VERSION } from "../base/version.ts";
import { describeFailure } from "./failure.ts";
import { adoptDotEnv } from "./options.ts";

/** Subcommands by name; each is loaded only when it is called, so that `faceid serve` starts fast. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  quickstart: async () => (await import("./commands/quickstart.ts")).quickstartCommand(),
  train: async () => (await import("./commands/train.ts")).trainCommand(),
  evaluate: async () => (await import("./commands/evaluate.ts")).evaluateCommand(),
  report: async () => (await import("./commands/report.ts")).reportCommand(),
  export: async () => (await import("./commands/export.ts")).exportCommand(),
  serve: async () => (await import("./commands/serve.ts")).serveCommand(),
  request: async () => (await import("./commands/request.ts")).requestCommand(),
  dataset: async () => (await import("./commands/dataset.ts")).datasetCommand(),
  summary: async () => (await import("./commands/summary.ts")).summaryCommand(),
  plot: async () => (await import("./commands/plot.ts")).plotCommand(),
  inspect: async () => (await import("./commands/inspect.ts")).inspectCommand(),
  quantize: async () => (await import("./commands/quantize.ts")).quantizeCommand(),
  convert: async () => (await import("./commands/convert.ts")).convertCommand(),
  models: async () => (await import("./commands/models.ts")).modelsCommand(),
};

async function program(name: string | undefined): Promise<Command> {
  const root = new Command("faceid")
    .description("Train, measure, export and serve a face verifier.")
    .version(VERSION)
    .showHelpAfterError("(faceid --help lists the commands)");
  const wanted = name !== undefined && name in COMMANDS ? [name] : Object.keys(COMMANDS);
  for (const each of wanted) root.addCommand(await COMMANDS[each]!());
  for (const command of [root, ...root.commands]) command.exitOverride();
  return root;
}

/** Arguments as the subcommand's parser wants them: TensorFlow Serving's flags come with underscores. */
async function normalized(argv: readonly string[]): Promise<readonly string[]> {
  if (argv[2] !== "serve") return argv;
  const { normalizeServeArguments } = await import("./commands/serve.ts");
  return [...argv.slice(0, 3), ...normalizeServeArguments(argv.slice(3))];
}

/** A reader that has seen enough, such as `head`, ends the command quietly. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

/** Runs the command line `argv` (with node and script first) and sets the process's exit code. */
export async function run(argv: readonly string[]): Promise<void> {
  process.stdout.on("error", endWithReader);
  try {
    adoptDotEnv();
    const root = await program(argv[2]);
    await root.parseAsync([...(await normalized(argv))]);
  } catch (error) {
    const { text, exitCode } = describeFailure(error);
    if (text !== "") console.error(text);
    process.exitCode = exitCode;
  }
}
