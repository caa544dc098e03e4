/** @file Arguments that errors of the library name, as the flags of the command that was called. */
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { withFlags } from "./argument-names.ts";
import { serveCommand } from "./commands/serve.ts";

function root(): Command {
  const program = new Command("faceid");
  program.command("embed").argument("<folder>").option("--output <file>").option("--image-shape <shape>");
  program.command("verify").option("--no-detect").option("--far <rate>");
  const gallery = program.command("gallery");
  gallery.command("add").option("--keep-photos");
  program.addCommand(serveCommand(new Command("serve")));
  return program;
}

describe("an argument's name in an error", () => {
  it.each<[args: string[], text: string, expected: string]>([
    [["embed", "x"], "`output`: got a.txt", "--output: got a.txt"],
    [["embed"], "raise `imageShape` to 112", "raise --image-shape to 112"],
    [["verify"], "pass `detect: false`, or `far` 0.1", "pass --no-detect, or --far 0.1"],
    [["gallery", "add"], "with `keepPhotos`", "with --keep-photos"],
    [["serve"], "`restPort` and `grpcPort`", "--rest_api_port and --port"],
    [["serve"], "`tlsFile`, `trustedProxies`", "--ssl_config_file, --trusted_proxies"],
    // What the command does not take, and words of others, stay as they are.
    [["verify"], "`output` of `faceid embed`, `detect`", "`output` of `faceid embed`, `detect`"],
    [["nothing"], "`output`", "`output`"],
  ])("faceid %j: %s", (args, text, expected) => {
    expect(withFlags(text, root(), args)).toBe(expected);
  });
});
