/** @file `faceid serve`: a server for clients of TensorFlow Serving. */
import { type Command, Option } from "commander";
import { FaceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { normalizeFlags, SERVER_FLAGS, type ServerFlag } from "../../serving/flags.ts";
import { EXPERT_GROUP } from "../options.ts";
import { consoleLog, onInterrupt } from "../process.ts";

const camel = (name: string) => name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** Flags in commander's spelling; logs which ones have no effect. */
export function normalizeServeArguments(argv: readonly string[]): string[] {
  const { argv: kept, withoutEffect, renamed } = normalizeFlags(argv);
  for (const [old, current] of renamed) consoleLog().warn(`--${old} is now called --${current}`);
  if (withoutEffect.length > 0) consoleLog().info(`no effect here: ${withoutEffect.join(", ")}`);
  return kept;
}

function parsed(
  { name, kind }: ServerFlag,
  text: string | true | readonly string[],
): string | number | boolean | readonly string[] {
  const wrong = (wanted: string) =>
    new FaceError("CONFIG_INVALID", `--${name}: got ${JSON.stringify(text)}, expected ${wanted}`, {
      hint: "faceid serve --help lists the flags",
    });
  if (typeof text === "object") return text;
  if (kind === "boolean") {
    if (text === true || text === "true" || text === "1") return true;
    if (text === "false" || text === "0") return false;
    throw wrong("true or false");
  }
  if (kind === "text") return String(text);
  const number = Number(text);
  if (text === true || text.trim() === "" || !Number.isFinite(number)) throw wrong("a number");
  return number;
}

/** @throws FaceError `CONFIG_INVALID` for a format that does not exist. */
async function logOf(format: unknown): Promise<Log> {
  if (format === "text") return consoleLog();
  if (format === "json") return (await import("../json-log.ts")).jsonLog();
  throw new FaceError("CONFIG_INVALID", `--log_format: got ${JSON.stringify(format)}, expected text or json`);
}

async function run(
  flags: Readonly<Record<string, string | true | readonly string[] | undefined>>,
): Promise<void> {
  const values = Object.fromEntries(
    SERVER_FLAGS.map((flag) => {
      const text = flags[camel(flag.name)];
      return [camel(flag.name), text === undefined ? flag.fallback : parsed(flag, text)];
    }),
  );
  const log = await logOf(values.logFormat);
  using interrupt = onInterrupt(() =>
    log.info("finishing the requests in progress, then stopping; press Ctrl-C again to stop at once"),
  );
  const { serveByFlags } = await import("../../jobs/serve.ts");
  await serveByFlags(values, interrupt.signal, log);
}

/** The flags that come first in the help. */
const EVERYDAY: ReadonlySet<string> = new Set([
  "port",
  "rest_api_port",
  "model_name",
  "model_base_path",
  "model_config_file",
  "pack",
  "gallery",
  "page",
  "image_urls",
]);

export function serveCommand(command: Command): Command {
  for (const { name, kind, help, fallback } of SERVER_FLAGS) {
    const flag = `--${name.replaceAll("_", "-")} ${kind === "boolean" ? "[true|false]" : "<value>"}`;
    const option = new Option(flag, `${help}${fallback === undefined ? "" : ` (default ${fallback})`}`);
    if (kind === "list") option.argParser((text: string, before?: string[]) => [...(before ?? []), text]);
    command.addOption(EVERYDAY.has(name) ? option : option.helpGroup(EXPERT_GROUP));
  }
  return command.action(run);
}
