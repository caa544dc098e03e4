/** @file `faceid app`: the page for people on this machine. */
import { spawn } from "node:child_process";
import { type Command, Option } from "commander";
import { FaceError } from "../../base/errors.ts";
import { addNumber } from "../options.ts";
import { consoleLog, onInterrupt, say } from "../process.ts";

interface AppFlags {
  readonly gallery?: string;
  readonly report?: string;
  readonly port?: number;
  readonly open?: true;
}

/** Starts the browser; where there is none, the address was printed. */
function openBrowser(url: string): void {
  const [command, ...args] =
    process.platform === "darwin"
      ? ["open", url]
      : process.platform === "win32"
        ? ["cmd", "/c", "start", "", url]
        : ["xdg-open", url];
  spawn(command!, args, { stdio: "ignore", detached: true })
    .on("error", () => consoleLog().warn("no browser was found: open the address yourself"))
    .unref();
}

async function run({ gallery, report, port, open }: AppFlags): Promise<void> {
  using interrupt = onInterrupt(() => consoleLog().info("stopping"));
  const { signal } = interrupt;
  const log = { ...consoleLog(), info: () => undefined };
  consoleLog().info("starting; the page's address follows");
  const { app } = await import("../../jobs/app.ts");
  const stopped = (cause?: unknown) =>
    new FaceError("INTERRUPTED", "stopped before the page was ready", { cause });
  const started = await app({ gallery, report, port, log, signal }).catch((error: unknown) => {
    throw signal.aborted ? stopped(error) : error;
  });
  await using running = started;
  if (signal.aborted) throw stopped();
  say(`${running.url}\n  people are kept in ${running.gallery}\n  Ctrl-C stops it`);
  if (open === true) openBrowser(running.url);
  await new Promise<void>((done) => signal.addEventListener("abort", () => done(), { once: true }));
}

export function appCommand(command: Command): Command {
  command
    .addOption(
      new Option(
        "--gallery <address>",
        "a folder, made where it is missing, or postgres://… (default: a folder of your data)",
      ).env("FACEID_GALLERY"),
    )
    .option("--report <file>", "page of faceid report opencv-sface, for the view of the model")
    .option("--open", "start the browser too");
  addNumber(command, {
    flag: "port",
    help: "port on 127.0.0.1; 0 for any",
    least: 0,
    most: 65_535,
    fallback: 8600,
  });
  return command.action(run);
}
